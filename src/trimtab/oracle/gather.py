"""Which settings to ask about: as typed, of a launch file, of a profile. Pure."""

from __future__ import annotations

from trimtab.catalog import CATALOG
from trimtab.errors import UsageError
from trimtab.knobs import Argument, Env, EnvList, Switch
from trimtab.model import Settings
from trimtab.model.script import Document, Launch
from trimtab.oracle.model import OPTIONS, PARALLEL, SWITCHES, Given, Givens
from trimtab.oracle.probes import given_of

_LAYERS = ("torch_npu", "vllm_ascend", "hccl", "cann")
_PREFIXES = ("ASCEND_", "HCCL_", "ACL_", "TORCH_NPU_", "TORCH_HCCL_", "PYTORCH_", "VLLM_ASCEND_")

_WORKERS = 2
"""Workers of a configuration that is to have several: the oracle's model divides by that."""


def typed(text: str) -> Given:
    """Return a setting typed as NAME=VALUE; NAME is a variable, an option, or a tuning.

    Raises:
        UsageError: there is no "=", or the option cannot be asked about.
    """
    name, equals, value = text.partition("=")
    if name in SWITCHES and name != PARALLEL:
        return Given(name, "")
    if not name or not equals:
        raise UsageError(f"--setting must be NAME=VALUE, but is {text!r}")
    if name in CATALOG:
        given = given_of(CATALOG[name], value)
        if given is None:
            raise UsageError(f"{name} is set by {CATALOG[name].knob.place}, which cannot be asked")
        return given
    if name.startswith("-") and name not in (*OPTIONS, *SWITCHES):
        raise UsageError(
            f"{name} cannot be asked about: the oracle knows {', '.join((*OPTIONS, *SWITCHES))}, "
            "variables, and tunings by name"
        )
    return _clipped(Given(name, value))


def of_document(document: Document) -> list[Givens]:
    """Return the settings of each launch of a file, different ones once."""
    return list(dict.fromkeys(found for one in document.launches if (found := of_launch(one))))


def of_settings(settings: Settings) -> Givens:
    """Return the settings of a plan that the oracle can be asked about."""
    env = [Given(name, text) for name, text in settings.env if concerns(name)]
    values = ((name, Argument(name).parse(settings)) for name in (*OPTIONS, PARALLEL))
    options = [_clipped(Given(name, str(value))) for name, value in values if value is not None]
    on = (one for one in SWITCHES if one != PARALLEL and Switch(one).parse(settings) is True)
    return (*env, *options, *(Given(name, "") for name in on))


def captures(givens: Givens) -> bool:
    """Whether a server with these options captures graphs, which is vllm-ascend's default."""
    return not any(one.name == "--enforce-eager" for one in givens)


def concerns(name: str) -> bool:
    """Whether a variable is one of the vendors'."""
    return name in _variables() or name.startswith(_PREFIXES)


def of_launch(launch: Launch) -> Givens:
    """Return the settings of a launch that the oracle can be asked about."""
    env = tuple((one.name, one.value) for one in launch.env if one.literal and one.exported)
    return of_settings(Settings(argv=launch.argv, env=env))


def _clipped(given: Given) -> Given:
    """Return the number of workers as the oracle's small model takes it: 1, or several."""
    if given.name != PARALLEL or not given.text.isdigit() or len(given.text) > 4:
        return given
    return Given(PARALLEL, str(min(int(given.text), _WORKERS)))


def _variables() -> frozenset[str]:
    return frozenset(
        one.knob.name
        for one in CATALOG.values()
        if one.layer in _LAYERS and isinstance(one.knob, Env | EnvList)
    )

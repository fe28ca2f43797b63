"""Which settings to ask about: as typed, of a launch file, of a profile. Pure.

What settings are to run on, as far as it is told, beside what was asked about them. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from trimtab.catalog import CATALOG
from trimtab.emulator import machine
from trimtab.emulator.machine import EmulatedMachine
from trimtab.errors import UsageError
from trimtab.knobs import Argument, Env, EnvList, Switch
from trimtab.model import Settings
from trimtab.model.document import Document, Launch, Setting
from trimtab.model.situation import Situation
from trimtab.oracle.audit.probes import oracle_setting
from trimtab.oracle.model import (
    OPTIONS,
    SIZES,
    SWITCHES,
    TORCH_NPU,
    VLLM_ASCEND,
    OracleReply,
    OracleSetting,
    OracleSettings,
    SkippedSetting,
)
from trimtab.oracle.vendor import CHIPS, public_version

_LAYERS = ("torch_npu", "vllm_ascend", "hccl", "cann")
_PREFIXES = (
    *("ASCEND_", "HCCL_", "ACL_", "TORCH_NPU_", "TORCH_HCCL_", "PYTORCH_NPU_", "VLLM_ASCEND_"),
    "PYTORCH_HAL_BASED_NPU_CHECK",  # the other names of PYTORCH_ are torch's own
)

_PLACE = re.compile(r"ASCEND_(?:\w+_)?(?:HOME|PATH|DIR)")
"""Names by which CANN's set_env.sh, and people, say where CANN lies: no settings."""

_LEADS = (
    *("LD_LIBRARY_PATH", "LD_PRELOAD", "PATH", "HOME", "PYTHONPATH", "PYTHONHOME"),
    "TORCH_DEVICE_BACKEND_AUTOLOAD",
)
"""Names that lead a check to the stand-in and to the vendors' code, or away from them."""

_VARIABLE = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_ALONE = tuple(one for one in SWITCHES if one not in SIZES)
"""Switches that stand without a value."""

_SIZE = re.compile(r"0*[1-9]\d{0,4}", re.ASCII)
_NO_SIZE = "must be a whole number of at least 1"


def parse_setting(text: str) -> OracleSetting:
    """Return a setting typed as NAME=VALUE; NAME is a variable, an option, or a tuning.

    Raises:
        UsageError: there is no "=", or the setting cannot be asked about.
    """
    name, equals, value = text.partition("=")
    name = _canonical(name)
    if name in _ALONE:
        return OracleSetting(name, "")
    if not name or not equals:
        raise UsageError(f"--setting must be NAME=VALUE, but is {text!r}")
    if name in CATALOG:
        given = oracle_setting(CATALOG[name], value)
        if given is None:
            raise UsageError(f"{name} is set by {CATALOG[name].knob.place}, which cannot be asked")
        return _askable(given)
    if name.startswith("-") and name not in (*OPTIONS, *SWITCHES):
        raise UsageError(
            f"{name} cannot be asked about: the oracle knows {', '.join((*OPTIONS, *SWITCHES))}, "
            "variables, and tunings by name"
        )
    if not name.startswith("-") and not _VARIABLE.fullmatch(name):
        raise UsageError(
            f"--setting must be NAME=VALUE with the name of a variable, but is {text!r}"
        )
    return _askable(OracleSetting(name, value))


def parse_settings(texts: Iterable[str]) -> OracleSettings:
    """Return settings as `typed` reads them.

    Raises:
        UsageError: one cannot be asked about, or a name is given more than once.
    """
    found: dict[str, OracleSetting] = {}
    for text in texts:
        given = parse_setting(text)
        if given.name in found:
            raise UsageError(
                f"{given.name} must be given once, but is given again by {text!r}: "
                "write its whole value in one --setting"
            )
        found[given.name] = given
    return tuple(found.values())


def document_settings(document: Document) -> list[OracleSettings]:
    """Return the settings of each launch of a file, different ones once."""
    return list(
        dict.fromkeys(
            settings for launch in document.launches if (settings := launch_settings(launch))
        )
    )


def skipped_settings(document: Document) -> list[SkippedSetting]:
    """Return the settings of a file that would be asked about, were they known; each once."""
    return list(
        dict.fromkeys(setting for launch in document.launches for setting in _left_out(launch))
    )


def plan_settings(settings: Settings) -> OracleSettings:
    """Return the settings of a plan that the oracle can be asked about; empty without any.

    Options that decide for others go with them. A size that is no number of workers comes without
    its text, so that nothing is concluded from it.
    """
    env = [OracleSetting(name, text) for name, text in settings.env if concerns(name)]
    values = ((name, _value(name, settings)) for name in OPTIONS)
    options = [OracleSetting(name, value) for name, value in values if value is not None]
    sizes = ((name, _value(name, settings)) for name in SIZES)
    options += [
        OracleSetting(name, size if _SIZE.fullmatch(size) else "")
        for name, size in sizes
        if size is not None
    ]
    on = (one for one in _ALONE if Switch(one).parse(settings) is True)
    found = (*env, *options, *(OracleSetting(name, "") for name in on))
    return found if asks(found) else ()


def asks(givens: OracleSettings) -> bool:
    """Whether there is anything to ask: options that decide for others ask nothing alone."""
    return any(setting.name not in SWITCHES for setting in givens)


def captures_graphs(givens: OracleSettings) -> bool:
    """Whether a server with these options captures graphs, which is vllm-ascend's default."""
    return not any(setting.name == "--enforce-eager" for setting in givens)


def concerns(name: str) -> bool:
    """Whether a variable is a setting of the vendors': none that says where something lies."""
    if name in _LEADS or _PLACE.fullmatch(name):
        return False
    return name in _variables() or name.startswith(_PREFIXES)


def launch_settings(launch: Launch) -> OracleSettings:
    """Return the settings of a launch that the oracle can be asked about."""
    env = tuple(
        (setting.name, setting.value)
        for setting in launch.env
        if setting.literal and setting.exported
    )
    unknown = {option.name for option in launch.options if not option.literal}
    settings = plan_settings(Settings(argv=launch.argv, env=env))
    unsized = (OracleSetting(name, "") for name in SIZES if name in unknown)
    known = (*(setting for setting in settings if setting.name not in unknown), *unsized)
    return known if asks(known) else ()


def _left_out(launch: Launch) -> Iterator[SkippedSetting]:
    for setting in (*launch.env, *launch.options):
        if setting.name.startswith("-"):
            if setting.name not in (*OPTIONS, *SIZES):
                continue
        elif not concerns(setting.name):
            continue
        if (why := _why_not(setting)) is not None:
            yield SkippedSetting(OracleSetting(setting.name, setting.value), why)


def _why_not(setting: Setting) -> str | None:
    """Return why a setting of a file cannot be asked about; ``None`` if it can."""
    if not setting.literal:
        return "the file does not tell its whole value"
    if not setting.exported:
        return "it is not exported"
    if setting.name in SIZES and not _SIZE.fullmatch(setting.value):
        return _NO_SIZE
    return None


def _canonical(name: str) -> str:
    """Return an option's long name, as its parser understands it."""
    dashed = name.replace("_", "-") if name.startswith("--") else name
    return next((long for long, short in SIZES.items() if dashed == short), dashed)


def _askable(given: OracleSetting) -> OracleSetting:
    """Return the setting.

    Raises:
        UsageError: it cannot be asked about.
    """
    if given.name in _LEADS or _PLACE.fullmatch(given.name):
        raise UsageError(
            f"{given.name} cannot be judged: it says where software lies, and a check runs with "
            "the stand-in in its place"
        )
    if given.name in SIZES and not _SIZE.fullmatch(given.text):
        raise UsageError(f"{given.name} {_NO_SIZE}, but is {given.text!r}")
    return given


def _value(name: str, settings: Settings) -> str | None:
    value = Argument(name, aliases=(SIZES[name],) if name in SIZES else ()).parse(settings)
    return None if value is None else str(value)


def _variables() -> frozenset[str]:
    return frozenset(
        tuning.knob.name
        for tuning in CATALOG.values()
        if tuning.layer in _LAYERS and isinstance(tuning.knob, Env | EnvList)
    )


@dataclass(frozen=True, slots=True)
class OracleTarget:
    """A chip and versions; "" is what nobody tells.

    ``chip`` is one that the stand-in plays, or the name of another as it was told.
    """

    chip: str = ""
    torch_npu: str = ""
    vllm_ascend: str = ""

    @property
    def played(self) -> str:
        """The chip to play: the one that is told, or the stand-in's usual one in its place."""
        return self.chip if self.chip in machine.CHIPS else EmulatedMachine().chip

    def asked(self, reply: OracleReply, through: str = "") -> str:
        """Return what was asked: "torch_npu 2.13.0, chip 910B3", and what of it is not as wanted.

        ``through`` is the software that decided, "" for all that a reply is of.
        """
        names = (TORCH_NPU,) if through == TORCH_NPU else (VLLM_ASCEND, TORCH_NPU)
        found = {name: reply.versions[name] for name in names if name in reply.versions}
        said = [*(f"{name} {version}" for name, version in found.items()), f"chip {reply.chip}"]
        return "; ".join([", ".join(said), *self._not_there(found, reply.chip)])

    def _not_there(self, found: dict[str, str], chip: str) -> Iterator[str]:
        told = {TORCH_NPU: self.torch_npu, VLLM_ASCEND: self.vllm_ascend}
        for name, version in found.items():
            if told[name] and not matches_version(version, told[name]):
                yield f"{name} {told[name]} is not installed beside"
        if self.chip and self.chip != chip:
            yield f"chip {self.chip} cannot be played"


def oracle_target(situation: Situation, models: Iterable[str] = ()) -> OracleTarget:
    """Return what a situation tells; ``models`` are the names of chips that npu-smi gives."""
    versions = situation.versions
    return OracleTarget(
        _chip(situation.chip or "", models),
        versions.get("torch-npu", ""),
        versions.get("vllm-ascend", ""),
    )


def matches_version(version: str, told: str) -> bool:
    """Whether a version is the told one, of which the end may be left out: 2.9 for 2.9.0.post9."""
    return f"{public_version(version)}.".startswith(f"{public_version(told)}.")


def _chip(series: str, models: Iterable[str]) -> str:
    """Return the chip of a series; the machine's own one where it is of that series."""
    usual = CHIPS.get(series)
    if usual is None:
        return series
    build = machine.CHIPS[usual].build
    own = (
        model for model in models if model in machine.CHIPS and machine.CHIPS[model].build == build
    )
    return next(own, usual)

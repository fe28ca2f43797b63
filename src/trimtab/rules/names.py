"""Rules about names: variables and options that nothing knows, or that look misspelt.

The known names are the catalogue's and those found in the vendors' packages
(``catalog/names``, written by ``scripts/check-vendor-names``).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import resources

from trimtab.catalog import CATALOG, Rule, Scene
from trimtab.knobs import Argument, Env, EnvList, Switch
from trimtab.knobs.server_arg import option_name
from trimtab.model.finding import Action, Hit, Problem, Remedy, Severity
from trimtab.model.script import Origin

_WHOLE = ("VLLM_", "TORCH_NPU_", "PYTORCH_NPU_", "TASK_QUEUE_", "CPU_AFFINITY_")
"""Families of which all names are known: another one is read by nothing."""

_PARTLY = ("HCCL_", "ASCEND_", "ACL_", "P2P_HCCL_", "OMP_", "KMP_", "GOMP_", "NCCL_")
"""Families of which readers outside of the checked packages know more."""

_NEAR = 0.88
"""Similarity from which on a name is taken for a misspelling (difflib's ratio): two letters
exchanged, left out or added in a name of twenty."""


def table(name: str) -> frozenset[str]:
    """Return a table of names that was taken from a vendor's package; comments left out."""
    text = (resources.files("trimtab.catalog") / "names" / f"{name}.txt").read_text()
    return frozenset(line for line in text.splitlines() if line and not line.startswith("#"))


@cache
def variables() -> frozenset[str]:
    """Return every known variable."""
    knobs = (tuning.knob for tuning in CATALOG.values())
    ours = {knob.name for knob in knobs if isinstance(knob, Env | EnvList)}
    return frozenset({*ours, "LD_PRELOAD"}).union(
        *(table(name) for name in ("vllm", "vllm-ascend", "torch-npu"))
    )


@cache
def options() -> frozenset[str]:
    """Return every known option of ``vllm serve``, those that older releases had included."""
    knobs = (tuning.knob for tuning in CATALOG.values())
    ours = {knob.name for knob in knobs if isinstance(knob, Argument | Switch)}
    return frozenset(ours) | table("vllm-options")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that this one most likely was meant to be, if any is near."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=_NEAR)
    return found[0] if found else None


def _unknown_variable(scene: Scene) -> Iterator[Hit]:
    for name, made in scene.env.items():
        if name in variables() or not name.startswith((*_WHOLE, *_PARTLY)):
            continue
        meant = nearest(name, variables())
        if meant is not None and meant not in scene.env:
            yield Hit(
                name,
                f"nothing reads {name}: it looks like {meant} misspelt",
                f"write {meant}",
                remedy=Remedy(Action.RENAME, meant),
            )
        elif name.startswith(_WHOLE) and made.origin is not Origin.PROCESS:
            yield Hit(
                name,
                f"{name} is known to none of vLLM 0.32, vllm-ascend 0.23 and torch_npu 2.14",
                "take it out, unless a plugin reads it",
                given="no plugin reads it",
            )


def _serves(scene: Scene) -> bool:
    words = [word.rpartition("/")[2] for word in scene.argv[:2]]
    return words == ["vllm", "serve"]


def _unknown_option(scene: Scene) -> Iterator[Hit]:
    if not _serves(scene):
        return
    for name in scene.options:
        # "--attention-config.backend" sets a key of an option that holds an object.
        whole = option_name(name).partition(".")[0]
        if whole in options() or not whole.startswith("--") or "$" in whole:
            continue
        begins = [one for one in options() if one.startswith(whole)]
        if len(begins) == 1:  # argparse takes an unambiguous beginning for the whole
            continue
        meant = nearest(whole, options())
        yield Hit(
            name,
            f"vLLM 0.32 has no option {whole}, and ends at the start",
            f"write {meant}" if meant else "take it out",
            remedy=Remedy(Action.RENAME, meant) if meant and meant not in scene.options else None,
        )


NAMES: tuple[Rule, ...] = (
    Rule(
        id="unknown-variable",
        severity=Severity.WARNING,
        problem=Problem.NO_EFFECT,
        summary="Nothing reads a variable of that name; it may be misspelt.",
        process=_unknown_variable,
        traps=("T30",),
    ),
    Rule(
        id="unknown-option",
        severity=Severity.ERROR,
        problem=Problem.WRONG_VALUE,
        summary="vLLM has no option of that name, and ends at the start.",
        process=_unknown_option,
        traps=("T30",),
    ),
)

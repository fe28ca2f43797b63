"""The catalogue against the vendors' code: what lint foresees of a setting, what it did. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from trimtab import rules
from trimtab.catalog import Scene
from trimtab.catalog.values import Taken
from trimtab.model.document import Setting
from trimtab.model.finding import Severity
from trimtab.model.situation import Situation
from trimtab.oracle.model import Answer, Givens, Verdict

UNDECIDED: Mapping[str, str] = MappingProxyType(
    {
        "ascend-kv-nz": "the oracle's model has no MLA",
        "ascend-shared-expert-dp": "the oracle's model has no experts",
        "ascend-dsa-cp": "the oracle's model has no sparse attention",
        "combined-enable": "only operators that are compiled just in time ask for it",
        "npu-pin-memory-expandable-segments": "the stand-in tells no version of CANN",
        "npu-pinned-mem-register": "the stand-in tells no version of CANN or driver",
    }
)
"""Entry → why a value that is right cannot be seen to be taken."""


_MISREAD = ("value-misread", "additional-config-quoted")
"""Rules that say a value is read as another one, however bad that is."""


def foreseen(givens: Givens, situation: Situation) -> tuple[Taken | None, str]:
    """Return what lint says becomes of settings, and its sentence; ``None`` if it is ignored."""
    misread = ""
    findings = rules.in_process(scene(givens, situation))
    for finding in findings:
        if finding.rule == "inert":
            return None, finding.message
    for finding in findings:
        if finding.rule in _MISREAD:
            misread = misread or finding.message
        elif finding.severity is Severity.ERROR:
            return Taken.REFUSED, finding.message
    return (Taken.MISREAD, misread) if misread else (Taken.AS_WRITTEN, "")


def scene(givens: Givens, situation: Situation) -> Scene:
    """Return a server that is started with settings."""
    options = [one for one in givens if one.is_option]
    words = (word for one in options for word in (one.name, one.text) if word)
    return Scene(
        situation=situation,
        argv=("vllm", "serve", "model", *words),
        env={one.name: Setting(one.name, one.text) for one in givens if not one.is_option},
        options={one.name: Setting(one.name, one.text) for one in options},
        complete=True,
    )


def agrees(tuning: str, taken: Taken | None, answer: Answer) -> bool:
    """Whether an answer is what was foreseen.

    A value foreseen to be misread may be taken without a word: not every one can be read back.
    """
    verdict = answer.verdict
    if taken is None:
        return verdict is Verdict.IGNORED
    if taken is Taken.REFUSED:
        return verdict.fails
    if verdict in (Verdict.CRASHED, Verdict.HUNG, Verdict.IGNORED):
        return False
    if taken is Taken.AS_WRITTEN and tuning not in UNDECIDED:
        return verdict is Verdict.ACCEPTED
    return tuning in UNDECIDED or verdict is not Verdict.REJECTED

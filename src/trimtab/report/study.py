"""What a report shows: one finished (or unfinished) study as a frozen record.

What a study over a stand-in leaves to be confirmed on hardware, tuning by tuning. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trimtab import formatting
from trimtab.catalog import CATALOG
from trimtab.model import (
    Advice,
    Comparison,
    Conclusion,
    Header,
    Plan,
    Start,
    TuningVerdict,
    Verdict,
)


@dataclass(frozen=True, slots=True)
class Study:
    """Everything the reports of one study need.

    ``question`` is the study's question as the ledger keeps it; it holds at least ``objective``,
    and ``objectives`` where there are further ones.
    ``left_out`` are triples (tuning, verdict, reason). ``risks`` maps a
    tuning to its sentence. ``plans`` maps an arm ("baseline", "guide", "proven", "max") to its
    plan. ``facts`` is the machine's fingerprint, ``files`` maps what a file is to its path,
    ``minutes`` is the study's wall time.
    ``command`` is what reproduces the study, ``None`` if it is not known. ``advice`` holds the
    commands that a reader can paste. ``margin`` is the change (0.02 = 2 %) that does not matter.
    ``caveats`` are sentences that must stand beside every number. ``measured`` says what was
    measured, ``None`` in an older answer. ``controls`` are the tunings that do nothing, as a check
    of the method.
    """

    title: str
    question: Mapping[str, Any]
    conclusion: Conclusion
    starts: Sequence[Start]
    left_out: Sequence[tuple[str, Verdict, str]]
    risks: Mapping[str, str]
    plans: Mapping[str, Plan]
    facts: Mapping[str, str]
    files: Mapping[str, str] = field(default_factory=dict)
    minutes: float = 0.0
    command: str | None = None
    advice: Advice = field(default_factory=Advice)
    margin: float = 0.02
    caveats: tuple[str, ...] = ()
    measured: Header | None = None
    controls: tuple[str, ...] = ()

    @property
    def objective(self) -> str:
        """Name of the metric that the study maximises."""
        return str(self.question["objective"])

    @property
    def objectives(self) -> tuple[str, ...]:
        """Names of all objectives, the one that decides first."""
        return (self.objective, *self.question.get("objectives", ()))

    @property
    def compared(self) -> tuple[Comparison, ...]:
        """Comparisons with the baseline on the objective: profiles, preset, Pareto members."""
        conclusion = self.conclusion
        named = [*conclusion.confirmed, *([conclusion.guide] if conclusion.guide else [])]
        known = {"baseline", *(comparison.arm for comparison in named)}
        members = (arm for arm in conclusion.pareto if arm.member and arm.arm not in known)
        named += [comparison for member in members for comparison in member.comparisons]
        return tuple(comparison for comparison in named if comparison.metric == self.objective)


_KEPT = (
    "to confirm on hardware, of {}: the gain with 'trimtab compare stock PROFILE' on the NPU, "
    "the verification with 'make test-ascend'"
)
_NONE = (
    "no tuning is kept, so there is no gain to confirm on hardware; 'make test-ascend' confirms "
    "the verification there"
)
_OPEN = (
    "measured and not kept, which says nothing of hardware either: {}; 'trimtab tune' on the NPU "
    "with the same --only and --try tests them there"
)


def notes(conclusion: Conclusion) -> tuple[str, ...]:
    """Return the sentences of a report: what is kept, and what was measured and is not.

    Neither carries over: a device that takes time can hide what the host gains, and a host with
    more cores can turn a cost (a second thread on few of them) into a gain.
    """
    kept = dict.fromkeys((*conclusion.proven, *conclusion.best))
    names = {name for name, _ in kept}
    rest = [
        answer for answer in conclusion.answers if answer.tuning not in names and _measured(answer)
    ]
    said = _KEPT.format(formatting.settings(tuple(kept))) if kept else _NONE
    return (said, _OPEN.format(_listed(rest))) if rest else (said,)


def _measured(answer: TuningVerdict) -> bool:
    """Whether there is an estimate, and it is not the dummy's, which no hardware changes."""
    entry = CATALOG.get(answer.tuning)
    return answer.effect.ratio is not None and not (entry is not None and entry.dummy)


def _listed(answers: Sequence[TuningVerdict]) -> str:
    return ", ".join(
        f"{formatting.setting(answer.tuning, answer.value)} ({answer.verdict.value})"
        for answer in answers
    )

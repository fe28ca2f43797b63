"""The evidence for the verdict of one tuning: starts, estimates, checks, profiles. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from trimtab import formatting
from trimtab.errors import UsageError
from trimtab.model import CheckOutcome, Comparison, Evidence, Start, TuningVerdict, Verdict
from trimtab.report import rows
from trimtab.report.study import Study

MEANING = {
    Verdict.ADOPT: "It passed its test for a gain. Use it.",
    Verdict.AVOID: "It passed its test for a loss. Leave it out.",
    Verdict.LIKELY: "It is probably better. About one in ten of these is a false alarm.",
    Verdict.NO_EFFECT: "Its interval lies within the margin. Ignore it.",
    Verdict.INCONCLUSIVE: "It was measured, and either direction is possible.",
    Verdict.NOT_TESTED: "The study has no measurement of it by itself.",
    Verdict.INEFFECTIVE: "The server started, but the setting did not act.",
    Verdict.START_FAILED: "The server failed with it.",
    Verdict.NOT_APPLICABLE: "It has no place on this machine.",
}
"""What a verdict says, in a sentence (docs/verdicts.md has its condition)."""

_WIDTH: Final = 80


@dataclass(frozen=True, slots=True)
class TuningEvidence:
    """Everything a study knows about one tuning.

    ``answers`` are its verdicts, one for each value tested; there is none if it was left out, and
    ``left_out`` has the verdict and reason then. ``starts`` are those with it on, ``checks`` what
    its own checks showed in them, ``profiles`` the profiles that hold it and ``comparisons``
    theirs with the baseline. ``notes`` are those of the study that speak of it.
    """

    name: str
    objective: str
    answers: tuple[TuningVerdict, ...]
    left_out: tuple[tuple[Verdict, str], ...]
    risk: str
    starts: tuple[Start, ...]
    checks: tuple[tuple[int, Evidence], ...]
    profiles: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    notes: tuple[str, ...] = ()

    def data(self) -> dict[str, Any]:
        """Return it for scripts."""
        return {
            "format": 1,
            "name": self.name,
            "verdicts": [
                {
                    **asdict(answer),
                    "verdict": answer.verdict.value,
                    "means": MEANING[answer.verdict],
                }
                for answer in self.answers
            ],
            "left_out": [
                {"verdict": verdict.value, "reason": reason} for verdict, reason in self.left_out
            ],
            "risk": self.risk or None,
            "starts": [_start_data(start) for start in self.starts],
            "checks": [_check_data(*each) for each in self.checks],
            "profiles": list(self.profiles),
            "comparisons": [asdict(comparison) for comparison in self.comparisons],
            "notes": list(self.notes),
        }

    def text(self) -> str:
        """Return it for people, in 80 columns but for what an engine printed."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        for verdict, reason in self.left_out:
            yield formatting.line(f"{self.name}: {verdict.value}. {reason}")
        for answer in self.answers:
            name = formatting.setting(answer.tuning, answer.value)
            yield formatting.line(f"{name}: {answer.verdict.value}")
            yield from _field("Means:", MEANING[answer.verdict])
            yield from _field("Reason:", answer.reason)
            yield from _estimates(answer)
        yield from _field("Risk:", self.risk)
        yield from _field("Profiles:", ", ".join(self.profiles) or "none")
        for each in self.comparisons:
            yield from _field(f"{each.arm}:", formatting.comparison(each))
        for note in self.notes:
            yield from _field("Note:", note)
        yield from _verified(self.checks)
        yield from _start_lines(self.starts, self.objective)


def _field(label: str, text: str) -> list[str]:
    """Return a labelled text as lines, none if it is empty."""
    return formatting.wrap_lines(text, _WIDTH, f"  {label:<10} ", " " * 13)


def _start_data(start: Start) -> dict[str, Any]:
    return {
        "number": start.number,
        "phase": start.request.phase.value,
        "block": start.request.block,
        "arm": start.request.arm,
        "outcome": start.outcome.value,
        "metrics": dict(start.metrics),
        "detail": start.detail,
    }


def _check_data(number: int, evidence: Evidence) -> dict[str, Any]:
    return {
        "start": number,
        "kind": evidence.check.kind.value,
        "subject": evidence.check.subject,
        "expected": evidence.check.expected,
        "observed": evidence.observed,
        "where": evidence.where,
        "seen": evidence.verdict.value,
    }


def tuning_evidence(study: Study, name: str) -> TuningEvidence:
    """Return the evidence for a tuning; ``NAME=VALUE`` names one of several values.

    Raises:
        UsageError: the study knows no such tuning; the message names similar ones.
    """
    answers = tuple(answer for answer in study.conclusion.answers if _named(answer, name))
    left_out = tuple((verdict, why) for other, verdict, why in study.left_out if other == name)
    if not answers and not left_out:
        raise UsageError(_unknown(study, name))
    pairs = {(answer.tuning, answer.value) for answer in answers}
    starts = tuple(
        start
        for start in sorted(study.starts, key=lambda one: one.number)
        if pairs.intersection(start.request.candidate)
    )
    tunings = {answer.tuning for answer in answers}
    held = tuple(
        arm
        for arm, chosen in (
            ("proven", study.conclusion.proven),
            ("max", study.conclusion.best),
        )
        if tunings.intersection(dict(chosen))
    )
    return TuningEvidence(
        name=name,
        objective=study.objective,
        answers=answers,
        left_out=left_out,
        risk=next((study.risks[tuning] for tuning in tunings if study.risks.get(tuning)), ""),
        starts=starts,
        checks=tuple(
            (start.number, evidence)
            for start in starts
            for evidence in start.evidence
            if evidence.check.tuning in tunings
        ),
        profiles=held,
        comparisons=tuple(
            comparison for comparison in study.conclusion.confirmed if comparison.arm in held
        ),
        notes=tuple(note for note in study.conclusion.notes if _mentions(note, tunings)),
    )


def _named(answer: TuningVerdict, name: str) -> bool:
    own = formatting.setting(answer.tuning, answer.value)
    return name in (answer.tuning, own, answer.tuning.partition("=")[0])


def _mentions(note: str, tunings: Collection[str]) -> bool:
    """Whether a note of the study speaks of one of these tunings."""
    words = {word.strip(".,:;()") for word in note.split()}
    words |= {word.partition("=")[0] for word in words}
    return not words.isdisjoint(tunings)


def _unknown(study: Study, name: str) -> str:
    known = [answer.tuning for answer in study.conclusion.answers]
    known += [other for other, _, _ in study.left_out]
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    hint = f"did you mean {', '.join(near)}?" if near else f"it has {', '.join(known[:8])}"
    return f"the study has no tuning {name!r}: {hint}"


def _estimates(answer: TuningVerdict) -> Iterator[str]:
    effect = answer.effect
    if effect.ratio is not None:
        starts = formatting.count(effect.starts, "start")
        phase = f", phase {answer.phase}" if answer.phase else ""
        shown = f"{answer.metric} {formatting.effect(effect)}"
        yield from _field("Estimate:", f"{shown}, {starts}{phase}")
    if effect.p is not None:
        yield from _field("p-value:", f"{effect.p:.2g} (one-sided, before the correction)")
    if answer.removal is not None:
        shown = formatting.effect(answer.removal)
        yield from _field("Removal:", f"{shown}: proven with it, over proven without it")


def _verified(checks: Sequence[tuple[int, Evidence]]) -> Iterator[str]:
    """Yield what the live processes showed of the tuning's own checks, refuted ones in full."""
    if not checks:
        return
    counts = {
        seen: sum(evidence.verdict is seen for _, evidence in checks) for seen in CheckOutcome
    }
    words = {
        CheckOutcome.YES: "confirmed",
        CheckOutcome.NO: "refuted",
        CheckOutcome.UNOBSERVABLE: "not observable",
    }
    told = ", ".join(f"{counts[seen]} {words[seen]}" for seen in CheckOutcome if counts[seen])
    yield from _field("Checks:", told)
    for number, evidence in checks:
        if evidence.verdict is CheckOutcome.NO:
            seen = (
                f"expected {evidence.check.expected}, found {evidence.observed} ({evidence.where})"
            )
            yield "    " + formatting.line(f"start {number}: {evidence.check.subject} {seen}")


def _start_lines(starts: Sequence[Start], objective: str) -> Iterator[str]:
    if not starts:
        yield from _field("Starts:", "none with it")
        return
    unit = rows.unit_of(objective)
    yield from _field("Starts:", f"{len(starts)} with it ({objective}, {unit})")
    for start in starts:
        value = start.metrics.get(objective) if start.valid else None
        shown = "-" if value is None else formatting.number(value)
        detail = f"  {formatting.line(start.detail)}" if start.detail else ""
        yield (
            f"    {start.number:>3}  {start.request.phase.value:<8} block "
            f"{start.request.block:<2} "
            f"{formatting.line(start.request.arm):<16} {start.outcome.value:<12} "
            f"{shown:>8}{detail}"
        )

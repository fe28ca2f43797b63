"""Answers as findings, so that lint and doctor show them beside their own. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from trimtab.model.document import Launch, Setting
from trimtab.model.finding import Finding, Problem, Severity
from trimtab.oracle import LABEL, RULE
from trimtab.oracle.model import Answer, Given, Reply, Verdict
from trimtab.oracle.show import sentence, together
from trimtab.oracle.wanted import Wanted


def made_by(launch: Launch) -> dict[str, Setting]:
    """Return name → the setting of a launch that made it."""
    return {one.name: one for one in (*launch.env, *launch.options)}


def findings(
    reply: Reply, made: Mapping[str, Setting], wanted: Wanted | None = None
) -> Iterator[Finding]:
    """Yield a finding for each answer that is not what was meant.

    ``made`` tells their places; ``wanted`` what the settings are to run on, as far as it is told.
    """
    meant = wanted or Wanted()
    for answer in reply.answers:
        if (severity := _severity(answer.verdict)) is not None:
            said = f"{sentence(answer)} ({meant.asked(reply, answer.through)}; {LABEL})"
            yield _finding([answer.given], severity, _problem(answer), said, made)
    for conflict in reply.conflicts:
        severity = _severity(conflict.verdict) or Severity.WARNING
        said = f"{together(conflict)} ({meant.asked(reply, conflict.through)}; {LABEL})"
        yield _finding(conflict.givens, severity, Problem.CONFLICT, said, made)


def _severity(verdict: Verdict) -> Severity | None:
    if verdict.fails:
        return Severity.ERROR
    return Severity.WARNING if verdict in (Verdict.READ_AS, Verdict.IGNORED) else None


def _problem(answer: Answer) -> Problem:
    return Problem.NO_EFFECT if answer.verdict is Verdict.IGNORED else Problem.WRONG_VALUE


def _finding(
    givens: Iterable[Given],
    severity: Severity,
    problem: Problem,
    said: str,
    made: Mapping[str, Setting],
) -> Finding:
    givens = tuple(givens)
    names = [one.name for one in givens]
    places = [made[name].place for name in names if name in made]
    where = " with ".join(one.place for one in givens)
    return Finding(
        rule=RULE,
        severity=severity,
        problem=problem,
        setting=names[-1],
        message=f"{where}: {said}",
        fix="",
        place=places[-1] if places else None,
    )

"""Answers as findings, so that lint and doctor show them beside their own. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from trimtab.model.finding import Finding, Problem, Severity
from trimtab.model.script import Launch, Setting
from trimtab.oracle import LABEL
from trimtab.oracle.model import Answer, Conflict, Given, Reply, Verdict
from trimtab.oracle.show import sentence, verdict_at

RULE = "oracle"
"""The rule's id of such a finding. It is no rule of the catalogue: the vendors' code said it."""


def made_by(launch: Launch) -> dict[str, Setting]:
    """Return name → the setting of a launch that made it."""
    return {one.name: one for one in (*launch.env, *launch.options)}


def findings(reply: Reply, made: Mapping[str, Setting]) -> Iterator[Finding]:
    """Yield a finding for each answer that is not what was meant; ``made`` tells their places."""
    for answer in reply.answers:
        if (severity := _severity(answer.verdict)) is not None:
            problem = _problem(answer)
            yield _finding([answer.given], severity, problem, sentence(answer), made)
    for conflict in reply.conflicts:
        severity = _severity(conflict.verdict) or Severity.WARNING
        yield _finding(conflict.givens, severity, Problem.CONFLICT, _together(conflict), made)


def _severity(verdict: Verdict) -> Severity | None:
    if verdict.fails:
        return Severity.ERROR
    return Severity.WARNING if verdict in (Verdict.READ_AS, Verdict.IGNORED) else None


def _problem(answer: Answer) -> Problem:
    return Problem.NO_EFFECT if answer.verdict is Verdict.IGNORED else Problem.WRONG_VALUE


def _together(conflict: Conflict) -> str:
    said = verdict_at(conflict.verdict, conflict.stage)
    return f"{said} together: {conflict.sentence}"


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
        message=f"{where}: {said} ({LABEL})",
        fix="",
        place=places[-1] if places else None,
    )

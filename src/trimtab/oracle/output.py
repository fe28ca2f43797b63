"""Answers for people and programs.

Answers as findings, so that lint and doctor show them beside their own. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from trimtab.model.document import Launch, Setting
from trimtab.model.finding import Finding, Problem, Severity
from trimtab.oracle import LABEL, RULE
from trimtab.oracle.model import (
    STAGES,
    Conflict,
    Handling,
    OracleReply,
    OracleSetting,
    SettingReply,
    SkippedSetting,
)
from trimtab.oracle.settings import OracleTarget


def as_data(
    replies: Sequence[OracleReply], left_out: Sequence[SkippedSetting] = ()
) -> dict[str, Any]:
    """Return replies as plain data, one for each launch, and the settings that were not asked."""
    return {
        "label": LABEL,
        "failed": any(one.failed for one in replies),
        "replies": [_reply(one) for one in replies],
        "not_asked": [
            {"setting": one.given.name, "value": one.given.text, "why": one.why}
            for one in left_out
        ],
    }


def _reply(reply: OracleReply) -> dict[str, Any]:
    return {
        "chip": reply.chip,
        "versions": dict(reply.versions),
        "failed": reply.failed,
        "answers": [_answer(one) for one in reply.answers],
        "conflicts": [_conflict(one) for one in reply.conflicts],
    }


def _answer(one: SettingReply) -> dict[str, Any]:
    return {
        "setting": one.given.name,
        "value": one.given.text,
        "verdict": one.verdict.value,
        "effective": one.effective or None,
        "message": one.sentence or None,
        "stage": one.stage or None,
        "through": one.through or None,
        "said": list(one.said),
    }


def _conflict(one: Conflict) -> dict[str, Any]:
    return {
        "settings": [given.place for given in one.givens],
        "verdict": one.verdict.value,
        "message": one.sentence,
        "stage": one.stage,
        "through": one.through,
    }


def lines(reply: OracleReply) -> Iterator[str]:
    """Yield a reply as lines of text."""
    asked = [f"{name} {version}" for name, version in reply.versions.items()]
    yield f"{LABEL}: {', '.join([*asked, f'chip {reply.chip}'])}"
    for one in reply.answers:
        yield f"{one.given.place}: {sentence(one)}"
        yield from (f"    said: {line}" for line in one.said)
    for conflict in reply.conflicts:
        places = " with ".join(given.place for given in conflict.givens)
        yield f"{places}: {conflict_sentence(conflict)}"


def conflict_sentence(conflict: Conflict) -> str:
    """Return what a conflict says of its settings: "misread together at …: X is …"."""
    misread = conflict.verdict is Handling.READ_AS
    verdict = "misread" if misread else conflict.verdict.value
    stage = f" at {STAGES.get(conflict.stage, conflict.stage)}" if conflict.stage else ""
    return f"{verdict} together{stage}: {conflict.sentence}"


def sentence(one: SettingReply) -> str:
    """Return what an answer says of its setting: "rejected at …: ValueError …"."""
    said = handling_phrase(one.verdict, one.stage if one.verdict.fails else "")
    if one.verdict is Handling.READ_AS:
        said = f"read as {one.effective}"
    elif one.effective:
        said = f"{said}, in force: {one.effective}"
    return f"{said}: {one.sentence}" if one.sentence else said


def handling_phrase(verdict: Handling, stage: str) -> str:
    """Return a verdict with the stage in which it fell."""
    return f"{verdict.value} at {STAGES.get(stage, stage)}" if stage else verdict.value


def settings_by_name(launch: Launch) -> dict[str, Setting]:
    """Return name → the setting of a launch that made it."""
    return {one.name: one for one in (*launch.env, *launch.options)}


def findings(
    reply: OracleReply, made: Mapping[str, Setting], wanted: OracleTarget | None = None
) -> Iterator[Finding]:
    """Yield a finding for each answer that is not what was meant.

    ``made`` tells their places; ``wanted`` what the settings are to run on, as far as it is told.
    """
    meant = wanted or OracleTarget()
    for answer in reply.answers:
        if (severity := _severity(answer.verdict)) is not None:
            said = f"{sentence(answer)} ({meant.asked(reply, answer.through)}; {LABEL})"
            yield _finding([answer.given], severity, _problem(answer), said, made)
    for conflict in reply.conflicts:
        severity = _severity(conflict.verdict) or Severity.WARNING
        said = f"{conflict_sentence(conflict)} ({meant.asked(reply, conflict.through)}; {LABEL})"
        yield _finding(conflict.givens, severity, Problem.CONFLICT, said, made)


def _severity(verdict: Handling) -> Severity | None:
    if verdict.fails:
        return Severity.ERROR
    return Severity.WARNING if verdict in (Handling.READ_AS, Handling.IGNORED) else None


def _problem(answer: SettingReply) -> Problem:
    return Problem.NO_EFFECT if answer.verdict is Handling.IGNORED else Problem.WRONG_VALUE


def _finding(
    givens: Iterable[OracleSetting],
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

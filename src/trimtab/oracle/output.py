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
        "failed": any(reply.failed for reply in replies),
        "replies": [_reply(reply) for reply in replies],
        "not_asked": [
            {"setting": setting.given.name, "value": setting.given.text, "why": setting.why}
            for setting in left_out
        ],
    }


def _reply(reply: OracleReply) -> dict[str, Any]:
    return {
        "chip": reply.chip,
        "versions": dict(reply.versions),
        "failed": reply.failed,
        "answers": [_answer(answer) for answer in reply.answers],
        "conflicts": [_conflict(conflict) for conflict in reply.conflicts],
    }


def _answer(reply: SettingReply) -> dict[str, Any]:
    return {
        "setting": reply.given.name,
        "value": reply.given.text,
        "verdict": reply.verdict.value,
        "effective": reply.effective or None,
        "message": reply.sentence or None,
        "stage": reply.stage or None,
        "through": reply.through or None,
        "said": list(reply.said),
    }


def _conflict(conflict: Conflict) -> dict[str, Any]:
    return {
        "settings": [given.place for given in conflict.givens],
        "verdict": conflict.verdict.value,
        "message": conflict.sentence,
        "stage": conflict.stage,
        "through": conflict.through,
    }


def lines(reply: OracleReply) -> Iterator[str]:
    """Yield a reply as lines of text."""
    asked = [f"{name} {version}" for name, version in reply.versions.items()]
    yield f"{LABEL}: {', '.join([*asked, f'chip {reply.chip}'])}"
    for answer in reply.answers:
        yield f"{answer.given.place}: {sentence(answer)}"
        yield from (f"    said: {line}" for line in answer.said)
    for conflict in reply.conflicts:
        places = " with ".join(given.place for given in conflict.givens)
        yield f"{places}: {conflict_sentence(conflict)}"


def conflict_sentence(conflict: Conflict) -> str:
    """Return what a conflict says of its settings: "misread together at …: X is …"."""
    misread = conflict.verdict is Handling.READ_AS
    verdict = "misread" if misread else conflict.verdict.value
    stage = f" at {STAGES.get(conflict.stage, conflict.stage)}" if conflict.stage else ""
    return f"{verdict} together{stage}: {conflict.sentence}"


def sentence(reply: SettingReply) -> str:
    """Return what an answer says of its setting: "rejected at …: ValueError …"."""
    said = handling_phrase(reply.verdict, reply.stage if reply.verdict.fails else "")
    if reply.verdict is Handling.READ_AS:
        said = f"read as {reply.effective}"
    elif reply.effective:
        said = f"{said}, in force: {reply.effective}"
    return f"{said}: {reply.sentence}" if reply.sentence else said


def handling_phrase(verdict: Handling, stage: str) -> str:
    """Return a verdict with the stage in which it fell."""
    return f"{verdict.value} at {STAGES.get(stage, stage)}" if stage else verdict.value


def settings_by_name(launch: Launch) -> dict[str, Setting]:
    """Return name → the setting of a launch that made it."""
    return {setting.name: setting for setting in (*launch.env, *launch.options)}


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
    names = [setting.name for setting in givens]
    places = [made[name].place for name in names if name in made]
    where = " with ".join(setting.place for setting in givens)
    return Finding(
        rule=RULE,
        severity=severity,
        problem=problem,
        setting=names[-1],
        message=f"{where}: {said}",
        fix="",
        place=places[-1] if places else None,
    )

"""Answers for people and programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from trimtab.oracle import LABEL
from trimtab.oracle.model import STAGES, Answer, Conflict, NotAsked, Reply, Verdict


def as_data(replies: Sequence[Reply], left_out: Sequence[NotAsked] = ()) -> dict[str, Any]:
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


def _reply(reply: Reply) -> dict[str, Any]:
    return {
        "chip": reply.chip,
        "versions": dict(reply.versions),
        "failed": reply.failed,
        "answers": [_answer(one) for one in reply.answers],
        "conflicts": [_conflict(one) for one in reply.conflicts],
    }


def _answer(one: Answer) -> dict[str, Any]:
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


def lines(reply: Reply) -> Iterator[str]:
    """Yield a reply as lines of text."""
    asked = [f"{name} {version}" for name, version in reply.versions.items()]
    yield f"{LABEL}: {', '.join([*asked, f'chip {reply.chip}'])}"
    for one in reply.answers:
        yield f"{one.given.place}: {sentence(one)}"
        yield from (f"    said: {line}" for line in one.said)
    for conflict in reply.conflicts:
        places = " with ".join(given.place for given in conflict.givens)
        yield f"{places}: {together(conflict)}"


def together(conflict: Conflict) -> str:
    """Return what a conflict says of its settings: "misread together at …: X is …"."""
    misread = conflict.verdict is Verdict.READ_AS
    verdict = "misread" if misread else conflict.verdict.value
    stage = f" at {STAGES.get(conflict.stage, conflict.stage)}" if conflict.stage else ""
    return f"{verdict} together{stage}: {conflict.sentence}"


def sentence(one: Answer) -> str:
    """Return what an answer says of its setting: "rejected at …: ValueError …"."""
    said = verdict_at(one.verdict, one.stage if one.verdict.fails else "")
    if one.verdict is Verdict.READ_AS:
        said = f"read as {one.effective}"
    elif one.effective:
        said = f"{said}, in force: {one.effective}"
    return f"{said}: {one.sentence}" if one.sentence else said


def verdict_at(verdict: Verdict, stage: str) -> str:
    """Return a verdict with the stage in which it fell."""
    return f"{verdict.value} at {STAGES.get(stage, stage)}" if stage else verdict.value

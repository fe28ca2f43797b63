"""Rules about what a format makes of a text: the sentence comes from its reader."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from trimtab.catalog import Rule
from trimtab.model.finding import Hit, Problem, Severity
from trimtab.model.script import Document, Oddity
from trimtab.model.situation import Situation


@dataclass(frozen=True, slots=True)
class _Meaning:
    """What an oddity means, and what to do."""

    id: str
    severity: Severity
    problem: Problem
    summary: str
    fix: str


_MEANINGS: Mapping[Oddity, _Meaning] = {
    Oddity.NOT_ASSIGNED: _Meaning(
        "not-assigned",
        Severity.WARNING,
        Problem.NO_EFFECT,
        "A word among assignments has no =, so it sets nothing.",
        "write NAME=value without blanks; quote a value that holds blanks",
    ),
    Oddity.MANIFEST_REFUSED: _Meaning(
        "manifest-refused",
        Severity.ERROR,
        Problem.WRONG_VALUE,
        "The API of Kubernetes refuses the manifest: a value is of another type.",
        "quote numbers and switches; write commands as lists; give devices in limits, too",
    ),
    Oddity.SERVICE_VARIABLE: _Meaning(
        "service-variable",
        Severity.WARNING,
        Problem.WRONG_VALUE,
        "A Service's name makes Kubernetes set variables that vLLM reads.",
        "call the Service something else, or set enableServiceLinks: false in the pod",
    ),
    Oddity.START_KILLED: _Meaning(
        "start-killed",
        Severity.WARNING,
        Problem.HAZARD,
        "A probe ends the server while it still loads its model.",
        "add a startupProbe with failureThreshold x periodSeconds of 10 minutes or more",
    ),
    Oddity.VOLUME_UNMOUNTED: _Meaning(
        "volume-unmounted",
        Severity.WARNING,
        Problem.NO_EFFECT,
        "A pod has a volume that none of its containers mounts.",
        "mount it with volumeMounts, or take it out",
    ),
    Oddity.QUOTES_LOST: _Meaning(
        "quotes-lost",
        Severity.ERROR,
        Problem.WRONG_VALUE,
        "The shell takes the quotes off JSON, so the server gets something else.",
        "put the whole value between single quotes",
    ),
    Oddity.ENV_FILE_REFUSED: _Meaning(
        "env-file-refused",
        Severity.ERROR,
        Problem.WRONG_VALUE,
        "docker refuses the file of --env-file: a name is missing or holds a blank.",
        "write NAME=value: no export, and no blanks around the sign",
    ),
    Oddity.QUOTES_KEPT: _Meaning(
        "env-file-literal",
        Severity.WARNING,
        Problem.WRONG_VALUE,
        "docker reads the file of --env-file to the letter: quotes, expansions, comments.",
        "write NAME=value alone on the line",
    ),
}


def _rule(oddity: Oddity, meaning: _Meaning) -> Rule:
    def check(document: Document, situation: Situation) -> Iterator[Hit]:
        for one in document.notices:
            if one.oddity is oddity:
                yield Hit(
                    one.setting.name,
                    one.said,
                    meaning.fix,
                    place=one.setting.place,
                    given=one.given,
                )

    return Rule(
        id=meaning.id,
        severity=meaning.severity,
        problem=meaning.problem,
        summary=meaning.summary,
        text=check,
    )


FORMATS: tuple[Rule, ...] = tuple(_rule(oddity, one) for oddity, one in _MEANINGS.items())

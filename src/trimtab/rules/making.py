"""Rules about how a text makes its settings, whatever they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from trimtab.catalog import Rule
from trimtab.model.finding import Action, Hit, Problem, Remedy, Severity
from trimtab.model.script import Document, Notice, Oddity, Origin, Setting
from trimtab.model.situation import Situation
from trimtab.redaction import looks_secret


@dataclass(frozen=True, slots=True)
class _Saying:
    """What an oddity means: its rule, and the sentences about one notice."""

    id: str
    severity: Severity
    problem: Problem
    summary: str
    message: Callable[[Notice], str]
    fix: str
    remedy: Remedy | None = None
    traps: tuple[str, ...] = ()


def _line(setting: Setting | None) -> str:
    place = setting.place if setting is not None else None
    return f"line {place.line}" if place is not None else "a later line"


_SAYINGS: Mapping[Oddity, _Saying] = {
    Oddity.OVERWRITTEN: _Saying(
        "overwritten",
        Severity.WARNING,
        Problem.NO_EFFECT,
        "A later assignment replaces the value before any process has seen it.",
        lambda one: (
            f"{one.setting.name}={_short(one.setting)} is replaced in {_line(one.other)} before "
            "any process sees it"
        ),
        "keep one of the two assignments",
        traps=("T6",),
    ),
    Oddity.NOT_EXPORTED: _Saying(
        "not-exported",
        Severity.WARNING,
        Problem.NO_EFFECT,
        "A variable is set in the shell and not exported, so no process gets it.",
        lambda one: f"{one.setting.name} is not exported: no process that is started gets it",
        "put export before it",
        Remedy(Action.EXPORT),
        ("T20",),
    ),
    Oddity.AFTER_START: _Saying(
        "set-after-start",
        Severity.WARNING,
        Problem.NO_EFFECT,
        "A variable is set after the process that reads it was started.",
        lambda one: (
            f"{one.setting.name} is set after the server was started, which reads it once, when "
            "it starts"
        ),
        "set it before the server's command",
        traps=("T33",),
    ),
    Oddity.LOST_BY_SPACE: _Saying(
        "lost-by-space",
        Severity.ERROR,
        Problem.WRONG_VALUE,
        "A blank where a colon belongs cuts the old value off.",
        lambda one: (
            f"a blank ends the value of {one.setting.name}: what follows is taken for another "
            "name, so the old value is lost, and export fails where it is not empty"
        ),
        "join the two with a colon",
        traps=("T1",),
    ),
    Oddity.NEVER_READ: _Saying(
        "never-read",
        Severity.WARNING,
        Problem.NO_EFFECT,
        "A variable is set where no process that serves reads it.",
        lambda one: (
            f"{one.setting.name} ends with the shell of this RUN: the image does not carry it"
        ),
        "set it with ENV",
    ),
    Oddity.INTERACTIVE_ONLY: _Saying(
        "interactive-only",
        Severity.WARNING,
        Problem.NO_EFFECT,
        "A variable is set in a file that only interactive or login shells read.",
        lambda one: (
            f"{one.setting.name} goes into a start-up file that only interactive shells read: a "
            "container's command, a pod and a systemd unit do not get it"
        ),
        "set it where the server is started: ENV in a Dockerfile, env of a container",
        traps=("T29",),
    ),
    Oddity.NOT_PASSED: _Saying(
        "not-passed",
        Severity.WARNING,
        Problem.NO_EFFECT,
        "A variable is exported beside a container that does not get it.",
        lambda one: f"{one.setting.name} is exported here, but the container does not get it",
        "hand it on with -e",
    ),
    Oddity.JOINED_PARSE: _Saying(
        "stray-syntax",
        Severity.WARNING,
        Problem.WRONG_VALUE,
        "The value holds characters that its reader does not take for syntax.",
        lambda one: (
            f"{one.setting.name} is read with its quotes: this format does not take them off"
        ),
        "leave the quotes out",
    ),
}


def _short(setting: Setting) -> str:
    if looks_secret(setting.name):
        return "..."
    return setting.value if len(setting.value) <= 60 else f"{setting.value[:57]}..."


def _rule(oddity: Oddity, saying: _Saying) -> Rule:
    def check(document: Document, situation: Situation) -> Iterator[Hit]:
        for one in document.notices:
            if one.oddity is oddity:
                yield Hit(
                    one.setting.name,
                    saying.message(one),
                    saying.fix,
                    place=one.setting.place,
                    remedy=saying.remedy,
                )

    return Rule(
        id=saying.id,
        severity=saying.severity,
        problem=saying.problem,
        summary=saying.summary,
        text=check,
        traps=saying.traps,
    )


def _secrets(document: Document, situation: Situation) -> Iterator[Hit]:
    options = (one for launch in document.launches for one in launch.options)
    for one in (*document.settings, *options):
        plain = one.literal and len(one.value) > 4 and not one.value.startswith(("/", "$"))
        if plain and looks_secret(one.name) and one.origin is not Origin.PROCESS:
            yield Hit(
                one.name,
                f"{one.name} holds a secret in clear",
                "take it from the caller's environment or a secret store",
                place=one.place,
            )


MAKING: tuple[Rule, ...] = (
    *(_rule(oddity, saying) for oddity, saying in _SAYINGS.items()),
    Rule(
        id="secret-in-clear",
        severity=Severity.WARNING,
        problem=Problem.HAZARD,
        summary="A token, key or password stands in the file.",
        text=_secrets,
    ),
)

"""Rules about how a text makes its settings, whatever they are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice

from trimtab.catalog import Rule
from trimtab.catalog.values import is_placeholder
from trimtab.model.document import Document, Notice, Oddity, Origin, Setting
from trimtab.model.finding import Action, Hit, Problem, Remedy, Severity
from trimtab.model.situation import Situation
from trimtab.redaction import holds_secret, looks_secret
from trimtab.rules.names import variables
from trimtab.rules.notices import Meaning, rules_of


def _line(setting: Setting | None) -> str:
    place = setting.place if setting is not None else None
    return f"line {place.line}" if place is not None else "a later line"


def _of_one_file(notice: Notice, document: Document) -> bool:
    """Whether no comment between the two assignments names a file, whose second one would be."""
    before, after = notice.setting.place, notice.other.place if notice.other is not None else None
    if before is None or after is None:
        return True
    between = document.text.split("\n")[before.line : after.line - 1]
    named = re.compile(r"\s*#\s*(\S*/)?[\w.-]*\.(env|sh|conf|service|toml|ya?ml)\b:?\s*$")
    return not any(map(named.match, between))


def _has_a_reader(notice: Notice, document: Document) -> bool:
    """Whether some program would read a variable that stays in its shell."""
    return notice.setting.name in variables()


_MEANINGS: Mapping[Oddity, Meaning] = {
    Oddity.OVERWRITTEN: Meaning(
        "overwritten",
        Severity.WARNING,
        Problem.NO_EFFECT,
        "A later assignment replaces the value before any process has seen it.",
        lambda notice: (
            f"{notice.setting.name}={_short(notice.setting)} is replaced in "
            f"{_line(notice.other)} before "
            "any process sees it"
        ),
        "keep one of the two assignments",
        traps=("T6",),
        counts=_of_one_file,
    ),
    Oddity.NOT_EXPORTED: Meaning(
        "not-exported",
        Severity.WARNING,
        Problem.NO_EFFECT,
        "A variable is set in the shell and not exported, so no process gets it.",
        lambda notice: (
            f"{notice.setting.name} is not exported: no process that is started gets it"
        ),
        "put export before it",
        Remedy(Action.EXPORT),
        ("T20",),
        _has_a_reader,
    ),
    Oddity.AFTER_START: Meaning(
        "set-after-start",
        Severity.WARNING,
        Problem.NO_EFFECT,
        "A variable is set after the process that reads it was started.",
        lambda notice: (
            f"the server reads {notice.setting.name} once, when it starts, and this comes later"
        ),
        "set it before the server's command",
        traps=("T33",),
    ),
    Oddity.LOST_BY_SPACE: Meaning(
        "lost-by-space",
        Severity.ERROR,
        Problem.WRONG_VALUE,
        "A blank where a colon belongs cuts the old value off.",
        lambda notice: (
            f"a blank ends the value of {notice.setting.name}: the shell drops the old value, and "
            "export fails if that is not empty"
        ),
        "join the two with a colon",
        traps=("T1",),
    ),
    Oddity.NEVER_READ: Meaning(
        "never-read",
        Severity.WARNING,
        Problem.NO_EFFECT,
        "A variable is set where no process that serves reads it.",
        lambda notice: (
            f"{notice.setting.name} ends with the shell of this RUN: the image does not carry it"
        ),
        "set it with ENV",
    ),
    Oddity.INTERACTIVE_ONLY: Meaning(
        "interactive-only",
        Severity.WARNING,
        Problem.NO_EFFECT,
        "A variable is set in a file that only interactive or login shells read.",
        lambda notice: (
            f"only interactive shells read this file: containers, pods and systemd units do not "
            f"get {notice.setting.name}"
        ),
        "set it where the server is started: ENV in a Dockerfile, env of a container",
        traps=("T29",),
    ),
    Oddity.NOT_PASSED: Meaning(
        "not-passed",
        Severity.WARNING,
        Problem.NO_EFFECT,
        "A variable is exported beside a container that does not get it.",
        lambda notice: (
            f"{notice.setting.name} is exported here, but the container does not get it"
        ),
        "hand it on with -e",
    ),
    Oddity.JOINED_PARSE: Meaning(
        "stray-syntax",
        Severity.WARNING,
        Problem.WRONG_VALUE,
        "The value holds characters that its reader does not take for syntax.",
        lambda notice: f"this format keeps the quotes as a part of {notice.setting.name}",
        "leave the quotes out",
    ),
}


def _short(setting: Setting) -> str:
    if looks_secret(setting.name) or holds_secret(setting.value):
        return "..."
    return setting.value if len(setting.value) <= 60 else f"{setting.value[:57]}..."


def _secrets(document: Document, situation: Situation) -> Iterator[Hit]:
    options = (option for launch in document.launches for option in launch.options)
    found = (setting for setting in (*document.settings, *options) if _secret(setting))
    if document.kind == "env":
        for setting in islice(found, 1):
            yield Hit(
                setting.name,
                f"this file holds {setting.name} and may hold more secrets in clear",
                "keep the file out of version control and readable by its owner alone",
                severity=Severity.INFO,
                place=setting.place,
            )
        return
    for setting in found:
        yield Hit(
            setting.name,
            f"{setting.name} holds a secret in clear",
            "take it from the caller's environment or a secret store",
            place=setting.place,
        )


def _secret(setting: Setting) -> bool:
    """Whether a setting gives a secret as it is, no dummy and no reference."""
    if not setting.literal or setting.origin is Origin.PROCESS or not looks_secret(setting.name):
        return False
    text = setting.value.strip()
    at = setting.value_place or setting.place
    if at is not None and re.search(rf"{re.escape(setting.name)}[= ]['\"]?<", at.text):
        return False  # NAME=<your token>: the shell takes it for a redirection
    plain = len(text) > 4 and not text.startswith(("/", "$", "./", "~")) and "\n" not in text
    return plain and not is_placeholder(text) and not _dummy(text)


_SPOKEN = """
    dummy empty none null token test testing tests fake local sample example demo default secret
    password passwd admin user key keys api apikey sk hf my your the here not needed no required
    used unused vllm openai changeme change minioadmin minio abc foo bar foobar random some any
    anything string value true false ignored notneeded auth bearer huggingface llm access id insert
    enter put paste add replace with me postgres root guest invalid mock dev development hello
    world disabled works super very strong insecure ollama lm studio lmstudio litellm llama master
    server client service redis mysql mongo rabbitmq grafana prometheus qwerty letmein pass pw pwd
    placeholder please real actual valid private public shared common temp temporary tmp noauth
    correct
"""
_DUMMIES = frozenset(_SPOKEN.split())
"""Words of which dummies are made: a value of them alone is no secret."""


def _dummy(text: str) -> bool:
    """Whether a value says of itself that it is none: EMPTY, token-abc123, hf_xxxx, sk-1234."""
    parts = re.findall(r"[a-z]+|\d+", text.lower())
    few = sum(len(part) < 3 for part in parts) <= 3  # more of them is chance
    return few and all(
        part in _DUMMIES or len(set(part)) == 1 or part in "01234567890" or part in "abcdef"
        for part in parts
    )


MAKING: tuple[Rule, ...] = (
    *rules_of(_MEANINGS),
    Rule(
        id="secret-in-clear",
        severity=Severity.WARNING,
        problem=Problem.HAZARD,
        summary="A token, key or password stands in the file.",
        text=_secrets,
    ),
)

"""Redaction: values that look like secrets never reach a ledger, profile, report or export.

A secret is recognised by the *name* it is given under (a variable, or an option such as
``--api-key``), by its shape, and by its name inside JSON (`trimtab.credentials`). The place of the
whole value is taken by a marker, ``${NAME}``: a named reference that an exported script takes
from the caller's environment.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from trimtab.credentials import holds_secret, looks_secret, secrets_in
from trimtab.errors import UsageError
from trimtab.masking import masked_prose
from trimtab.model import Check, CheckKind, Evidence, Plan, Settings

_MANY_VALUES = frozenset({"--api-key"})
"""Options that take several values (vLLM 0.32 entrypoints/openai/cli_args.py)."""


_OPTION = re.compile(r"--|-[A-Za-z]")
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_SHORTEST = 6
_POSITIONAL = "argument"
_MARKER = re.compile(r"\$\{\w+\}")


def marker(name: str) -> str:
    """Return the named reference that stands for the secret ``name``."""
    return f"${{{name}}}"


def is_marker(value: object) -> bool:
    """Return whether ``value`` is such a reference: what it stands for is not known here."""
    return isinstance(value, str) and _MARKER.fullmatch(value) is not None


def redact(env: Mapping[str, str]) -> dict[str, str]:
    """Return ``env`` with the value of every variable that looks secret replaced by its marker."""
    return {name: marker(name) if hidden(name, value) else value for name, value in env.items()}


def hidden(name: str, value: str | None) -> bool:
    """Return whether a variable holds a secret, by its name or by its value.

    Its marker is one too: what it stands for is never written.
    """
    return looks_secret(name) or (
        value is not None and (value == marker(name) or holds_secret(value))
    )


def secret_values(settings: Settings, environment: Mapping[str, str]) -> frozenset[str]:
    """Return the secrets that a server of ``settings`` can print: each as it is given to it.

    Values of under six characters are left out, because they would hide other text.
    """
    argv = settings.argv
    found = [argv[index].removeprefix(prefix) for index, prefix, _ in argv_secrets(argv)]
    given = {**environment, **dict(settings.env)}
    found += [value for name, value in given.items() if hidden(name, value)]
    parts = [part for value in found for part in secrets_in(value)]
    passwords = [part.partition(":")[2] for part in parts]
    plain = {one for one in (*found, *parts, *passwords) if len(one) >= _SHORTEST}
    plain = {one for one in plain if not is_marker(one)}
    return frozenset(plain | {_encoded(one) for one in plain})


def _encoded(secret: str) -> str:
    """Return a secret as HTTP's basic authorization sends it, without the padding."""
    return base64.b64encode(secret.encode(errors="surrogateescape")).decode().rstrip("=")


def argv_secrets(argv: Sequence[str]) -> Iterator[tuple[int, str, str]]:
    """Yield ``(index, prefix, name)`` of each argument that holds a secret.

    ``prefix`` is what precedes the secret inside the argument (``--hf-token=``, or ""); ``name``
    is the variable that stands for it (``HF_TOKEN``; ``API_KEY``, ``API_KEY_2`` for several).
    """
    option, seen = "", 0
    for index, word in enumerate(argv):
        if _OPTION.match(word):
            head, equals, value = word.partition("=")
            option, seen = head, 0
            if equals and _hides(head, value):
                yield index, f"{head}=", variable(head, 1)
            option = "" if equals else head
        elif not looks_secret(option) and (match := _ASSIGNMENT.fullmatch(word)):
            option = ""
            if hidden(match[1], match[2]):
                yield index, f"{match[1]}=", match[1]
        elif _hides(option, word):
            seen += 1
            yield index, "", variable(option or _POSITIONAL, seen)
            option = option if option.replace("_", "-") in _MANY_VALUES else ""
        elif option.replace("_", "-") not in _MANY_VALUES:
            option = ""


def _hides(option: str, value: str) -> bool:
    """Whether a value is secret: by its option's name, by itself, or because it is the marker."""
    named = bool(option) and looks_secret(option)
    own = re.escape(variable(option or _POSITIONAL, 1))
    return named or bool(re.fullmatch(rf"\$\{{{own}(_\d+)?\}}", value)) or holds_secret(value)


def redact_words(words: Sequence[str]) -> tuple[str, ...]:
    """Return the words of a command, assignments before it included, without secrets."""
    shown = list(words)
    for index, prefix, name in argv_secrets(words):
        shown[index] = prefix + marker(name)
    return tuple(shown)


def restore_words(words: Sequence[str], environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return ``words`` with each marker replaced by what it stands for in ``environment``.

    Raises:
        UsageError: a secret is not in ``environment``; the message names it.
    """
    return tuple(_restore(word, environment) for word in words)


def _restore(word: str, environment: Mapping[str, str]) -> str:
    head, found, name = word.rpartition("${")
    if not found or not is_marker(found + name):
        return word
    if (name := name.removesuffix("}")) not in environment:
        raise UsageError(
            f"the command holds a secret that no file keeps: set {name} in the environment"
        )
    return head + environment[name]


def redact_settings(settings: Settings) -> Settings:
    """Return ``settings`` without secrets, in the environment and on the command line."""
    argv = list(settings.argv)
    for index, prefix, name in argv_secrets(settings.argv):
        argv[index] = prefix + marker(name)
    env = tuple(
        (name, marker(name) if hidden(name, value) else value) for name, value in settings.env
    )
    return replace(settings, argv=tuple(argv), env=env)


def redact_plan(plan: Plan) -> Plan:
    """Return ``plan`` without secrets. A plan that has none is returned as it is."""
    return replace(
        plan,
        settings=redact_settings(plan.settings),
        checks=tuple(_redact_check(check) for check in plan.checks),
    )


def redact_evidence(evidence: Sequence[Evidence], known: Iterable[str]) -> tuple[Evidence, ...]:
    """Return evidence without secrets in what was expected and observed."""
    return tuple(
        replace(
            one,
            check=_redact_check(one.check),
            observed=marker(one.check.subject)
            if _hides_check(one.check)
            else masked_prose(one.observed, known),
        )
        for one in evidence
    )


def _hides_check(check: Check) -> bool:
    expected = check.expected if isinstance(check.expected, str) else None
    return check.kind is CheckKind.ENVIRON and hidden(check.subject, expected)


def _redact_check(check: Check) -> Check:
    if _hides_check(check) and check.expected is not None:
        return replace(check, expected=marker(check.subject))
    return check


def variable(option: str, number: int = 1) -> str:
    """Return the variable that stands for the ``number``-th secret value of an option."""
    name = re.sub(r"[^A-Z0-9]+", "_", option.upper()).strip("_")
    name = f"ARG_{name}" if not name or name[0].isdigit() else name
    return name if number == 1 else f"{name}_{number}"

"""Redaction: values that look like secrets never reach a ledger, profile, report or export.

A secret is recognised by the *name* it is given under (a variable, or an option such as
``--api-key``), never by its value. Its place is taken by a marker, ``${NAME}``: a named reference
that an exported script takes from the caller's environment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from trimtab.errors import UsageError
from trimtab.model import Check, CheckKind, Plan, Settings

_ALWAYS = ("PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "CREDENTIAL")
"""Parts that make a name a secret wherever they stand."""

_HARMLESS = frozenset(
    {"THRESHOLD", "LIMIT", "COUNT", "SIZE", "MAX", "MIN", "NUM", "LEN", "LENGTH"}
    | {"DISABLE", "ENABLE", "USE", "FILE", "PATH", "DIR", "CACHE", "TYPE", "MODE"}
    | {"IDS", "PAD", "EOS", "BOS"}
)
"""Words beside which TOKEN and KEY mean a language model's token, a cache's key, or a file.

Such as ``VLLM_MULTI_STREAM_GEMM_TOKEN_THRESHOLD`` and ``HF_HUB_DISABLE_IMPLICIT_TOKEN`` (vLLM
0.32 envs.py; huggingface_hub constants.py).
"""

_HOLDERS = frozenset(["API", "AUTH", "ACCESS", "BEARER", "REFRESH", "HF", "GITHUB"])
"""Words beside which even the plural TOKENS means credentials."""

_MANY_VALUES = frozenset({"--api-key"})
"""Options that take several values (vLLM 0.32 entrypoints/openai/cli_args.py)."""


_MARKER = re.compile(r"\$\{\w+\}")


def looks_secret(name: str) -> bool:
    """Return whether a variable or option of this name is expected to hold a secret.

    ``HF_TOKEN``, ``OPENAI_APIKEY``, ``dbPassword`` and ``--api-key`` do;
    ``TOKENIZERS_PARALLELISM``, ``MAX_NUM_BATCHED_TOKENS`` and ``--long-prefill-token-threshold``
    do not.
    """
    words = _words(name)
    if any(part in word for word in words for part in _ALWAYS):
        return True
    if _HARMLESS.intersection(words):
        return False
    if any(word.endswith(("TOKEN", "KEY")) or word == "KEYS" for word in words):
        return True
    return "TOKENS" in words and bool(_HOLDERS.intersection(words))


def marker(name: str) -> str:
    """Return the named reference that stands for the secret ``name``."""
    return f"${{{name}}}"


def is_marker(value: object) -> bool:
    """Return whether ``value`` is such a reference: what it stands for is not known here."""
    return isinstance(value, str) and _MARKER.fullmatch(value) is not None


def redact(env: Mapping[str, str]) -> dict[str, str]:
    """Return ``env`` with the value of every variable that looks secret replaced by its marker."""
    return {name: marker(name) if looks_secret(name) else value for name, value in env.items()}


def argv_secrets(argv: Sequence[str]) -> Iterator[tuple[int, str, str]]:
    """Yield ``(index, prefix, name)`` of each argument that holds a secret.

    ``prefix`` is what precedes the secret inside the argument (``--hf-token=``, or ""); ``name``
    is the variable that stands for it (``HF_TOKEN``; ``API_KEY``, ``API_KEY_2`` for several).
    """
    option, seen = "", 0
    for index, word in enumerate(argv):
        if word.startswith("--"):
            option, equals, _ = word.partition("=")
            seen = 0
            if equals and looks_secret(option):
                yield index, f"{option}=", _variable(option, 1)
            option = "" if equals or not looks_secret(option) else option
        elif option:
            seen += 1
            yield index, "", _variable(option, seen)
            option = option if option in _MANY_VALUES else ""


def redact_words(words: Sequence[str]) -> tuple[str, ...]:
    """Return the words of a command, assignments before it included, without secrets."""
    shown = list(words)
    for index, prefix, name in argv_secrets(words):
        shown[index] = prefix + marker(name)
    for index, word in enumerate(words):
        name, equals, _ = word.partition("=")
        if equals and not name.startswith("-") and looks_secret(name):
            shown[index] = f"{name}={marker(name)}"
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
        (name, marker(name) if looks_secret(name) else value) for name, value in settings.env
    )
    return replace(settings, argv=tuple(argv), env=env)


def redact_plan(plan: Plan) -> Plan:
    """Return ``plan`` without secrets. A plan that has none is returned as it is."""
    return replace(
        plan,
        settings=redact_settings(plan.settings),
        checks=tuple(_redact_check(check) for check in plan.checks),
    )


def _redact_check(check: Check) -> Check:
    hides = check.kind is CheckKind.ENVIRON and looks_secret(check.subject)
    if hides and check.expected is not None:
        return replace(check, expected=marker(check.subject))
    return check


def _words(name: str) -> list[str]:
    parted = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    return [word for word in re.split(r"[^A-Z0-9]+", parted.upper()) if word]


def _variable(option: str, number: int) -> str:
    name = re.sub(r"[^A-Z0-9]+", "_", option.upper()).strip("_")
    name = f"ARG_{name}" if not name or name[0].isdigit() else name
    return name if number == 1 else f"{name}_{number}"

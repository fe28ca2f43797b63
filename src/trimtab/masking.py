"""Text may be shown or stored only without the secrets in it: lines, messages, engine logs."""

from __future__ import annotations

import re
from collections.abc import Iterable

from trimtab.credentials import looks_secret, shapes

MASK = "***"

_NAME = re.compile(r"(?<![\w-])(?P<dashes>-{0,2})(?P<name>[A-Za-z_][\w-]*)")
_VALUE = r"""(?P<value>\[[^\]\n]*\]|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[^\s$"'\[]\S*)"""
_GIVEN = re.compile(r"""(?:\\?["'])?\s*[=:]\s*(?:\\?(?=["']))?""" + _VALUE)
_QUOTED = re.compile(r"""(?:\\?["']\s*:\s*(?:\\?(?=["']))?|=)""" + _VALUE)
_FOLLOWING = re.compile(r"""(?P<value>(?:[ \t]+(?:"[^"\n]*"|'[^'\n]*'|[^\s$"';&|\\-]\S*))+)""")
_EMPTY = frozenset({"''", '""', "[]", "None", "null", "true", "false", "True", "False", "["})


def masked(text: str, known: Iterable[str] = ()) -> str:
    """Return a text with each secret replaced by ``***``.

    A secret is what stands under a secret's name, what has a credential's shape, and each of the
    ``known`` values.
    """
    return _by_shape(_by_name(_without(text, known), prose=False))


def masked_prose(text: str, known: Iterable[str] = ()) -> str:
    """Return a message or a log without secrets: `masked`, but a colon ends a clause there."""
    return _by_shape(_by_name(_without(text, known), prose=True))


def _without(text: str, known: Iterable[str]) -> str:
    for secret in sorted(known, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


def _by_name(text: str, *, prose: bool) -> str:
    shown, at = "", 0
    for match in _NAME.finditer(text):
        if match.start() < at or not looks_secret(match["name"].replace("-", "_").upper()):
            continue
        given = (_QUOTED if prose else _GIVEN).match(text, match.end())
        if given is None and match["dashes"] and not prose:
            given = _FOLLOWING.match(text, match.end())
        if given is None or given["value"] in _EMPTY or MASK in given["value"]:
            continue
        begin, value = given.start("value"), given["value"]
        blank = len(value) - len(value.lstrip())
        shown += text[at : begin + blank] + MASK
        at = given.end("value")
    return shown + text[at:]


def _by_shape(text: str) -> str:
    shown, at = "", 0
    for begin, end in shapes(text):
        shown += text[at:begin] + MASK
        at = end
    return shown + text[at:]

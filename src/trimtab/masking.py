"""Text may be shown or stored only without the secrets in it: lines, messages, engine logs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from trimtab.credentials import WORDS, looks_secret, shapes

MASK = "***"
_LONGEST = 1 << 16
"""Characters of a line that are looked at at once."""

_NAME = re.compile(r"(?<![\w.-])(?P<dashes>-{0,2})(?P<name>[A-Za-z_][\w.-]*)")
_VALUE = r"""(?P<value>\[[^\]\n]*\]|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[^\s$"'\[]\S*)"""
_GIVEN = re.compile(r"""(?:\\?["'])?\s*[=:]\s*(?:\\?(?=["']))?""" + _VALUE)
_QUOTED = re.compile(rf"""(?:\\?["']\s*:(?! {WORDS})\s*(?:\\?(?=["']))?|=)""" + _VALUE)
"""In prose ``'api_key': 'K'`` is a pair; ``no tuning is called 'password': see 'x'`` is none."""
_FOLLOWING = re.compile(r"""(?P<value>(?:[ \t]+(?:"[^"\n]*"|'[^'\n]*'|[^\s$"';&|\\-]\S*))+)""")
_LISTED = re.compile(r"""["']\s*(?P<value>(?:,\s*(?:"[^"\n-][^"\n]*"|'[^'\n-][^'\n]*'))+)""")
"""What follows an option in a list of words: ``"--api-key", "K1", "K2"``."""

_EMPTY = frozenset({"''", '""', "[]", "None", "null", "true", "false", "True", "False", "["})


def masked(text: str, known: Iterable[str] = ()) -> str:
    """Return a text with each secret replaced by ``***``.

    A secret is what stands under a secret's name, what has a credential's shape, and each of the
    ``known`` values.
    """
    return _by_name(_by_shape(_without(text, known)), prose=False)


def masked_prose(text: str, known: Iterable[str] = ()) -> str:
    """Return a message or a log without secrets: `masked`, but a colon ends a clause there."""
    return _by_name(_by_shape(_without(text, known)), prose=True)


def mask_file(path: Path, known: Iterable[str]) -> None:
    """Replace a log, if there is one, by itself without secrets, line by line.

    Raises:
        OSError: it cannot be read, or not be written anew.
    """
    if not path.exists():
        return
    known = tuple(known)
    draft = path.with_name(f".{path.name}.masked")
    draft.unlink(missing_ok=True)
    with path.open(errors="surrogateescape", newline="") as source:
        mode = path.stat().st_mode
        with draft.open("x", errors="surrogateescape", newline="") as target:
            while piece := source.readline(_LONGEST):
                target.write(masked_prose(piece, known))
    draft.chmod(mode & 0o777)
    draft.replace(path)


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
        if given is None and match["dashes"]:
            given = _LISTED.match(text, match.end())
        if given is None and match["dashes"] and not prose:
            given = _FOLLOWING.match(text, match.end())
        if given is None or _empty(given["value"]):
            continue
        begin, value = given.start("value"), given["value"]
        blank = len(value) - len(value.lstrip(" \t,"))
        shown += text[at : begin + blank] + MASK
        at = given.end("value")
    return shown + text[at:]


def _empty(value: str) -> bool:
    """Whether a value says nothing: none, or a model's special token such as ``"<image>"``."""
    return (
        value in _EMPTY
        or value.strip("\"'[] \t") == MASK
        or re.fullmatch(r"""["']?<\|?\w+\|?>["']?[,}]*""", value) is not None
    )


def _by_shape(text: str) -> str:
    shown, at = "", 0
    for begin, end in shapes(text):
        shown += text[at:begin] + MASK
        at = end
    return shown + text[at:]

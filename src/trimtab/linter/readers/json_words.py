"""JSON on a command line: what a shell leaves of it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from trimtab.linter.readers.launch import ShellWord
from trimtab.model.document import Notice, Oddity, Origin, Setting


def flaw(written: str, words: Sequence[str]) -> str:
    """Return what the shell made of JSON that is ``written``; "" where it is whole or none."""
    first = words[0] if words else ""
    text = first.partition("=")[2] if first.startswith("--") else first
    if not text.startswith(("{", "[")) or _is_json(text):
        return ""
    if len(words) > 1 and written.startswith("$"):
        return f"the shell splits {written} at its blanks, so the option gets {text!r} alone"
    value = written.partition("=")[2] if written.startswith("--") else written
    whole = re.fullmatch(
        r'"[^"]*"', value
    )  # one pair of quotes around all of it takes nothing off
    if '"' in value and '"' not in text and not whole:
        return f"the shell takes the quotes off this JSON: the server gets {text}"
    return ""


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def notices(words: Sequence[ShellWord]) -> list[Notice]:
    """Return notes of the words of a server that are JSON no more."""
    found = []
    for index, one in enumerate(words):
        if one.flaw:
            own = one.text.startswith("--")
            name = (one if own or not index else words[index - 1]).text.partition("=")[0]
            setting = Setting(name, one.text, one.place, Origin.ARGUMENT, literal=False)
            found.append(Notice(Oddity.QUOTES_LOST, setting, said=one.flaw))
    return found

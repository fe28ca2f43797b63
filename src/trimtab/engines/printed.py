"""Values as Python prints them (``str`` of a configuration), read back. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping

from trimtab.model import Value

_ENUM = re.compile(r"<(\w+)\.(\w+): (.+)>")
_OPEN, _CLOSE = "([{<", ")]}>"


def split(text: str) -> list[str]:
    """Split at the commas that are in no bracket and no quotes; stops at what is unbalanced."""
    parts: list[str] = []
    begin, depth, quote, index = 0, 0, "", 0
    while index < len(text):
        char = text[index]
        if quote:
            if char == "\\":
                index += 1
            elif char == quote:
                quote = ""
        elif char in "'\"":
            quote = char
        elif char in _OPEN:
            depth += 1
        elif char in _CLOSE:
            depth -= 1
        elif char == "," and depth == 0:
            parts.append(text[begin:index].strip())
            begin = index + 1
        index += 1
    parts.append(text[begin:].strip())
    return [part for part in parts if part]


def scalar(text: str) -> Value:
    """Turn a printed value into ours: numbers, flags, None, enums by value, types by name."""
    if match := _ENUM.fullmatch(text):
        text = match[3]
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return plain(text)
    return value if value is None or isinstance(value, bool | int | float) else plain(str(value))


def plain(text: str) -> str:
    """Return a type's name as it is written on a command line."""
    return text.removeprefix("torch.")


def pairs(parts: Iterable[str], mark: str) -> list[tuple[str, str]]:
    """Return (key, value) of each part that holds ``mark``."""
    cut = (part.partition(mark) for part in parts)
    return [(key.strip(), value.strip()) for key, found, value in cut if found]


def literal(text: str) -> Mapping[str, object]:
    """Evaluate a printed dictionary of plain literals; empty when it is not one."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return {}
    return value if isinstance(value, Mapping) else {}

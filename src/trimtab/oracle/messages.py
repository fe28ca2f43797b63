"""The vendors' messages, one line each: without stack traces, times and process ids. Pure."""

from __future__ import annotations

import re

LONGEST = 300
_SAID = 3

_TAIL = re.compile(
    r"\n\[ERROR\].*|\n?\s*\[type=\w+, input_value.*|\n\s*For further information.*"
    r"|\nException raised from.*|\nC\+\+ CapturedTraceback.*",
    re.DOTALL,
)
_PYDANTIC = re.compile(
    r"^ValidationError: \d+ validation errors? for \w+\s+(?:\S+\s+)?"
    r"(?=Value error|Assertion failed)"
)
_WARNS = re.compile(
    r"warn|deprecat|will be removed|instead|ignor|invalid|not support|only support"
    r"|fall(?:s|ing)? back",
    re.IGNORECASE,
)
_STAMP = re.compile(
    r"^\[?[IWEF]\d{4} [\d:.]+ +\d* *|^(?:INFO|WARNING|ERROR) \d\d-\d\d [\d:]+ "
    r"|^\[[IWEF]\d+ [\d:.]+ "
)
_CHANGING = re.compile(r"0x[0-9a-f]+|\d\d:\d\d:\d\d(?:\.\d+)?|\bPID:\d+|\b\d{5,}\b")


def one_line(message: str) -> str:
    """Return a message as one line: the vendor's words, without what the runtime adds."""
    text = _TAIL.sub("", message)
    text = _PYDANTIC.sub("", " ".join(text.split()))
    text = re.sub(r"^Value error, ", "ValueError: ", text)
    text = re.sub(r"^Assertion failed, ", "AssertionError: ", text).strip()
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def is_same_message(one: str, other: str) -> bool:
    """Whether two messages are the same but for addresses, times and process ids."""
    return _CHANGING.sub("#", one_line(one)) == _CHANGING.sub("#", one_line(other))


def new_warnings(output: str, before: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the warnings in ``output`` that are not in ``before``, and lines about ``names``.

    ``before`` is what is printed without the setting.
    """
    usual = {_plain(line) for line in before.splitlines()}
    found: dict[str, None] = {}
    for line in output.splitlines():
        plain = _plain(line)
        if not plain or plain in usual or "alloc conf" in line:
            continue
        about = any(name in line for name in names) and "get env " not in line
        if _WARNS.search(line) or about:
            found.setdefault(one_line(_STAMP.sub("", line.strip())))
    return tuple(found)[:_SAID]


def _plain(line: str) -> str:
    return _CHANGING.sub("#", _STAMP.sub("", line)).strip()

"""Reading an engine's log after a failure: the lines that matter. Pure text to text."""

from __future__ import annotations

import itertools
import re

LIMIT = 5
"""Lines that a reader is shown."""

_WIDTH = 300
_PREFIX = re.compile(
    r"^(?:\([^)]*\)\s*)?(?:(?:ERROR|WARNING|INFO|CRITICAL)\s+\d\d-\d\d [\d:]+ \[[^\]]*\]\s?)?"
)
_EXCEPTION = re.compile(r"^[A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt)\b(?::|$)")
_VALIDATION = re.compile(r"\d+ validation errors? for \w+$")  # pydantic's first line
_MARKED = re.compile(r"\b(?:ERROR|CRITICAL|FATAL)\b|\berror:|Error:|Killed|Segmentation fault")
_PORT_TAKEN = re.compile(r"Address already in use|\[Errno 98\]")


def is_port_taken(log: str) -> bool:
    """Whether the server found its port in use (EADDRINUSE is 98 on Linux)."""
    return _PORT_TAKEN.search(log) is not None


_COMPILED = re.compile(
    r"torch\.compile(?: and initial profiling/warmup run together)? took ([\d.]+) s in total"
)
_STAMPED = re.compile(
    r"\d\d-\d\d (\d\d):(\d\d):(\d\d) \[[^\]]*\] "
    r"(?:(Warming up model for the compilation)|.*?(saved AOT compiled function|Warming up done))"
)
_DAY = 86_400


def compile_seconds(log: str) -> float | None:
    """Return how long vLLM compiled while it started, ``None`` if the log does not tell.

    It says so itself where it compiles piecewise. On CPU two lines bracket it, whose times have a
    resolution of a second; a short warm-up after the compiler is part of it.
    """
    stated = [float(one) for one in _COMPILED.findall(log)]
    if stated:
        return sum(stated)
    begun: int | None = None
    for found in _STAMPED.finditer(log):
        hours, minutes, seconds, begins, _ = found.groups()
        now = int(hours) * 3600 + int(minutes) * 60 + int(seconds)
        if begins:
            begun = now
        elif begun is not None:
            return float((now - begun) % _DAY)
    return None


def last_line(log: str) -> str:
    """Return the last line that says something, without its prefix; "(nothing)" if none does."""
    for line in reversed(log.splitlines()):
        if text := _bare(line):
            return text
    return "(nothing)"


def relevant_lines(log: str, limit: int = LIMIT) -> list[str]:
    """Return at most ``limit`` lines: exceptions first, then marked errors, else the last ones.

    The order is the log's own; of equal lines the first is kept, so that the cause is not
    pushed out by what repeats it.
    """
    lines = [text for line in log.splitlines() if (text := _bare(line))]
    for chosen in (
        _exceptions(lines),
        [line for line, raw in _pairs(log) if _MARKED.search(raw)],
        lines,
    ):
        distinct = list(dict.fromkeys(chosen))
        if distinct:
            return distinct[-limit:]
    return []


def _exceptions(lines: list[str]) -> list[str]:
    """Return the lines that name an exception, each with what a validation error says below."""
    found = []
    for line, below in itertools.pairwise([*lines, ""]):
        if _EXCEPTION.match(line):
            found.append(_short(f"{line}: {below}") if _VALIDATION.search(line) else line)
    return found


def _pairs(log: str) -> list[tuple[str, str]]:
    return [(text, line) for line in log.splitlines() if (text := _bare(line))]


def _bare(line: str) -> str:
    """Drop vLLM's prefix ("(APIServer pid=1) ERROR 11-22 21:19:20 [async_llm.py:906] ")."""
    return _short(_PREFIX.sub("", line).strip())


def _short(text: str) -> str:
    return text if len(text) <= _WIDTH else text[: _WIDTH - 3] + "..."

"""Recorded traces: arrival times, lengths and shared prefixes of real traffic, without its text.

Four formats, told apart by their content:
- our own JSON lines: ``{"at": seconds, "input_tokens": n, "output_tokens": n, "blocks": [ids]}``
- Mooncake JSON lines: ``timestamp`` (ms), ``input_length``, ``output_length``, ``hash_ids``
- Azure LLM inference traces, CSV: ``TIMESTAMP``, ``ContextTokens``, ``GeneratedTokens``
- BurstGPT, CSV: ``Timestamp`` (s), ``Request tokens``, ``Response tokens`` (failures have 0)

``blocks`` (Mooncake's ``hash_ids``) name blocks of `BLOCK` prompt tokens; equal names mean equal
tokens, so a replay shares the prefixes that the recorded traffic shared.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Final, TextIO

from trimtab.errors import WorkloadError

BLOCK: Final = 512
"""Prompt tokens of one block, as in Mooncake's traces (FAST25 release, README)."""

_LONGEST_LINE = 1_000_000
_LONGEST = 1_000_000


@dataclass(frozen=True, slots=True)
class TraceRequest:
    """One recorded request; ``at`` is seconds after the first one."""

    at: float
    input_tokens: int
    output_tokens: int
    blocks: tuple[int, ...] = ()


def read_trace(path: Path, count: int, speed: float = 1.0) -> tuple[TraceRequest, ...]:
    """Return the first ``count`` requests of a trace, replayed ``speed`` times as fast.

    Requests that asked for no tokens (failures in BurstGPT) are left out.

    Raises:
        WorkloadError: the file cannot be read, is none of the formats, goes back in time, or
            holds fewer requests; the message names the line.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            entries = tuple(islice(_checked(path, _parsed(path, _lines(path, file))), count))
    except OSError as error:
        raise WorkloadError(f"trace {path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise WorkloadError(f"trace {path}: must be UTF-8 text") from error
    if len(entries) < count:
        raise WorkloadError(
            f"trace {path}: the load needs {count} requests, but the trace holds {len(entries)}; "
            "lower warmup, windows or window_requests"
        )
    first = entries[0].at
    return tuple(
        TraceRequest(
            (entry.at - first) / speed, entry.input_tokens, entry.output_tokens, entry.blocks
        )
        for entry in entries
    )


def _lines(path: Path, file: TextIO) -> Iterator[str]:
    """Yield the lines of a trace.

    Raises:
        WorkloadError: one has no end, so that reading it would fill the memory.
    """
    for number, line in enumerate(iter(partial(file.readline, _LONGEST_LINE), ""), 1):
        if len(line) == _LONGEST_LINE:
            raise WorkloadError(f"trace {path}, line {number}: more than {_LONGEST_LINE} bytes")
        yield line


def _checked(path: Path, numbered: Iterable[tuple[int, TraceRequest]]) -> Iterator[TraceRequest]:
    last = float("-inf")
    for line, entry in numbered:
        if entry.at < last:
            raise WorkloadError(f"trace {path}, line {line}: its time is before the one above")
        last = entry.at
        if min(entry.input_tokens, entry.output_tokens) < 1:
            continue
        if max(entry.input_tokens, entry.output_tokens) > _LONGEST:
            raise WorkloadError(f"trace {path}, line {line}: more than {_LONGEST} tokens")
        yield entry


def _parsed(path: Path, lines: Iterable[str]) -> Iterator[tuple[int, TraceRequest]]:
    rows: Iterator[tuple[int, Mapping[str, object]]]
    source = iter(lines)
    first = next(source, "")
    if first.lstrip().startswith("{"):
        rows = _json_lines(path, first, source)
    else:
        header = [name.strip() for name in next(csv.reader([first]), [])]
        reader = csv.DictReader(source, fieldnames=header)
        rows = ((index, dict(row)) for index, row in enumerate(reader, 2))
    for line, row in rows:
        try:
            yield line, _entry(row)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise WorkloadError(
                f"trace {path}, line {line}: must be a request of trimtab's, Mooncake's, Azure's "
                f"or BurstGPT's format, but {_reason(error)}"
            ) from error


def _reason(error: Exception) -> str:
    return f"has no {error}" if isinstance(error, KeyError) else f"holds a bad value: {error}"


def _json_lines(
    path: Path, first: str, rest: Iterable[str]
) -> Iterator[tuple[int, Mapping[str, object]]]:
    for line, text in enumerate(chain((first,), rest), 1):
        if not text.strip():
            continue
        try:
            row = json.loads(text) if len(text) <= _LONGEST_LINE else None
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise WorkloadError(f"trace {path}, line {line}: must be one JSON object")
        yield line, row


def _entry(row: Mapping[str, object]) -> TraceRequest:
    if "at" in row:
        return TraceRequest(
            float(str(row["at"])),
            int(str(row["input_tokens"])),
            int(str(row["output_tokens"])),
            _blocks(row.get("blocks", ())),
        )
    if "input_length" in row:
        return TraceRequest(
            float(str(row["timestamp"])) / 1000.0,
            int(str(row["input_length"])),
            int(str(row["output_length"])),
            _blocks(row.get("hash_ids", ())),
        )
    if "ContextTokens" in row:
        # seven digits of a second are written, and datetime takes six
        moment = datetime.fromisoformat(str(row["TIMESTAMP"]).strip()[:26])
        return TraceRequest(
            (moment - datetime(2000, 1, 1, tzinfo=moment.tzinfo)).total_seconds(),
            int(str(row["ContextTokens"])),
            int(str(row["GeneratedTokens"])),
        )
    return TraceRequest(
        float(str(row["Timestamp"])),
        int(str(row["Request tokens"])),
        int(str(row["Response tokens"])),
    )


def _blocks(given: object) -> tuple[int, ...]:
    if not isinstance(given, list | tuple):
        raise TypeError("blocks must be a list of numbers")
    return tuple(int(one) for one in given)

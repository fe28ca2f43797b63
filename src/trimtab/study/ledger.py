"""The ledger: every start of a study, one JSON line each, append-only and fsynced.

The state of a study is a replay of its ledger, so resuming costs nothing and a crash loses at
most the start in flight.

Format history
    1   First line: ``{"format": 1, "question": {...}}``. Then one line for each start: the record
        ``trimtab.model.Start`` with its field names as keys, enumerations as their values and
        tuples as arrays. ASCII, numbers finite, every line ended by a newline. Fields that
        were added since have defaults, so a line without them is read: ``answers`` of a start,
        ``live`` of its request (and the phase ``host``), ``on`` of a window.
    2   A window has ``bins`` (its throughput in parts) and ``spread`` (its requests' latencies), a
        start has ``marks``. In format 1, which is still read, a start's percentiles are means over
        its windows.
    3   A start's line ends with ``"sum"``: the SHA-256, in hexadecimal, of the sum before it (for
        the first start, of the header's line) and of the line without its own. A line that is
        doubled, missing, moved, changed or another study's has another sum, and is refused. A
        start has ``times``, the seconds of its parts. Formats 1 and 2 are still read and appended
        to.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self, cast

from filelock import FileLock, Timeout

from trimtab.errors import StudyError
from trimtab.model import Start
from trimtab.storage import atomic_files
from trimtab.storage.codec import decode, encode, require

FORMAT: Final = 3
READS: Final = (1, 2, 3)
_MAX_BYTES: Final = 2 * 1024**3

CHAINED: Final = 3
"""The first format whose lines have sums."""

_SUM: Final = re.compile(rb',"sum":"([0-9a-f]{64})"}\n\Z')


class Ledger:
    """The starts of one study in one file. Open it with :meth:`create` or :meth:`open`.

    A writer holds a lock beside the file until :meth:`close`, so that two processes cannot work
    on the same study; readers need none.
    """

    def __init__(self, path: Path, lock: FileLock | None) -> None:
        self._path = path
        self._lock = lock
        self._question, self._starts, self._length, self._last = _read(path)

    @classmethod
    def create(cls, path: Path, question: Mapping[str, Any]) -> Self:
        """Begin a ledger with the question it answers (a mapping that JSON can hold).

        Raises:
            StudyError: the file is there already, is locked, or cannot be written.
        """
        lock = _locked(path)
        try:
            if path.exists():
                raise StudyError(f"{path} must not exist yet, but does: open it to go on with it")
            _write_new(path, _line({"format": FORMAT, "question": dict(question)}))
            return cls(path, lock)
        except BaseException:
            lock.release()
            raise

    @classmethod
    def open(cls, path: Path, *, readonly: bool = False) -> Self:
        """Open a ledger, ignoring a last line that a crash has torn.

        Raises:
            StudyError: there is no such ledger, it has another format or a malformed line, or
                (unless ``readonly``) another process works on this study.
        """
        if not path.exists():
            raise StudyError(f"there must be a ledger at {path}, but there is none")
        lock = None if readonly else _locked(path)
        try:
            return cls(path, lock)
        except BaseException:
            if lock is not None:
                lock.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the lock; the ledger can still be read."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    @property
    def question(self) -> dict[str, Any]:
        """The question of the header, as JSON gave it back."""
        return self._question

    def starts(self) -> list[Start]:
        """Return all starts in their order of time."""
        return list(self._starts)

    def append(self, start: Start) -> None:
        """Write a start and wait until it is on the disk.

        Raises:
            StudyError: the ledger is closed or read-only, the start is not the next one, a number
                of it is impossible, or the disk refused it; the file then holds what it held
                before.
        """
        if self._lock is None:
            raise StudyError(f"{self._path} must be open for writing to append, but is read-only")
        if why := _fault(start, len(self._starts) + 1):
            raise StudyError(f"{self._path} cannot take a start: {why}")
        line = _line(encode(start))
        last = None if self._last is None else _sum(self._last, line)
        if last is not None:
            line = line.removesuffix(b"}\n") + f',"sum":"{last}"}}\n'.encode()
        try:
            _write_at(self._path, self._length, line)
        except OSError as error:
            raise StudyError(
                f"{self._path} could not take start {start.number} ({error.strerror or error}): "
                "make room or restore access, then resume; earlier starts are kept"
            ) from error
        self._length += len(line)
        self._last = last
        self._starts.append(start)


def _locked(path: Path) -> FileLock:
    lock = FileLock(path.with_name(path.name + ".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise StudyError(
            f"{path.parent} must have one writer, but another trimtab is at work on it: wait for "
            "it, or name another study"
        ) from error
    except OSError as error:
        raise StudyError(f"{path} cannot be locked ({error.strerror or error})") from error
    return lock


def _line(value: Any) -> bytes:
    try:
        text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    except (ValueError, TypeError) as error:
        raise StudyError(
            f"a ledger line must hold finite numbers and plain values: {error}"
        ) from (error)
    return text.encode("ascii") + b"\n"


def _write_new(path: Path, line: bytes) -> None:
    """Make the file whole or not at all: a torn header would be a study without a question."""
    try:
        atomic_files.write(path, line)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise StudyError(f"{path} cannot be written ({error.strerror or error})") from error


def _write_at(path: Path, length: int, line: bytes) -> None:
    """Append ``line`` after the first ``length`` bytes; on failure leave exactly those."""
    handle = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.ftruncate(handle, length)
        try:
            done = 0
            while done < len(line):
                done += os.pwrite(handle, line[done:], length + done)
            os.fsync(handle)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(handle, length)
            raise
    finally:
        os.close(handle)


def _read(path: Path) -> tuple[dict[str, Any], list[Start], int, str | None]:
    """Return the question, the starts, the length of the part that is whole, and its last sum.

    The sum is ``None`` in a format without them.
    """
    try:
        data = atomic_files.read(path, _MAX_BYTES)
    except OSError as error:
        raise StudyError(f"{path} cannot be read ({error.strerror or error})") from error
    length = data.rfind(b"\n") + 1
    header, *lines = [one + b"\n" for one in data[:length].split(b"\n")[:-1]] or [b""]
    form, question = _question(path, header)
    last = hashlib.sha256(header).hexdigest() if form >= CHAINED else None
    starts: list[Start] = []
    for line in lines:
        try:
            if last is not None:
                line, last = _checked(line, last)
            starts.append(_start(line, len(starts) + 1))
        except (ValueError, TypeError, KeyError, ArithmeticError, RecursionError) as error:
            raise StudyError(
                f"{path} line {len(starts) + 2} must hold start {len(starts) + 1} of this study, "
                f"but does not ({error}): restore the file from a copy, or cut it before that line"
            ) from error
    return question, starts, length, last


def _start(line: bytes, number: int) -> Start:
    """Return the start of a line.

    Raises:
        ValueError: it is not start ``number``, or holds an impossible number.
    """
    start = cast("Start", decode(Start, require(dict, json.loads(line))))
    if why := _fault(start, number):
        raise ValueError(why)
    return start


def _checked(line: bytes, last: str) -> tuple[bytes, str]:
    """Return a line without its sum, and the sum, which must be that after ``last``.

    Raises:
        ValueError: it is not.
    """
    match = _SUM.search(line)
    bare = line[: match.start()] + b"}\n" if match else line
    if match is None or match[1].decode() != _sum(last, bare):
        raise ValueError("it was changed, or does not follow the line before it")
    return bare, match[1].decode()


def _sum(last: str, line: bytes) -> str:
    return hashlib.sha256(last.encode() + line).hexdigest()


_SIGNED: Final = frozenset({"margin"})
"""Metrics of a window that may be below 0: the log of a latency in its limit."""


def _fault(start: Start, number: int) -> str:
    """Return what cannot be in a start, "" if nothing."""
    if start.number != number:
        return f"it holds start {start.number}, and start {number} comes next"
    amounts = [("seconds", start.seconds), ("began", start.began), *start.metrics.items()]
    amounts += [(f"times.{name}", seconds) for name, seconds in start.times.items()]
    for window in start.windows:
        amounts += window.metrics.items()
    amounts += [("requests", window.requests) for window in start.windows]
    for name, amount in amounts:
        if not (0 <= amount < math.inf or (name in _SIGNED and math.isfinite(amount))):
            return f"{name} must be a finite number from 0, but is {amount}"
    numbers = [(name, value) for name, value in start.gate.items()]
    for window in start.windows:
        numbers += [("a window", value) for value in (window.begin, window.end, *window.bins)]
    for name, value in numbers:
        if not math.isfinite(value):
            return f"{name} must be a finite number, but is {value}"
    return ""


def _question(path: Path, line: bytes) -> tuple[int, dict[str, Any]]:
    """Return the format and the question of a header."""
    try:
        header = json.loads(line)
        found, question = header["format"], header["question"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise StudyError(f"{path} line 1 must be a ledger's header, but is not ({error})") from (
            error
        )
    if found not in READS:
        raise StudyError(
            f"{path} must have format {FORMAT} or older, but has {found!r}: use the trimtab that "
            "wrote it"
        )
    if not isinstance(question, dict):
        raise StudyError(f"{path} line 1 must hold a question, but holds {question!r}")
    return found, question

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
"""

from __future__ import annotations

import contextlib
import json
import os
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, Final, Self, Union, cast, get_args, get_origin, get_type_hints

from filelock import FileLock, Timeout

from trimtab.errors import StudyError
from trimtab.model import Start

FORMAT: Final = 2
READS: Final = (1, 2)


class Ledger:
    """The starts of one study in one file. Open it with :meth:`create` or :meth:`open`.

    A writer holds a lock beside the file until :meth:`close`, so that two processes cannot work
    on the same study; readers need none.
    """

    def __init__(self, path: Path, lock: FileLock | None) -> None:
        self._path = path
        self._lock = lock
        self._question, self._starts, self._length = _read(path)

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
            StudyError: the ledger is closed or read-only, a number of the start is not finite,
                or the disk refused it; the file then holds what it held before.
        """
        if self._lock is None:
            raise StudyError(f"{self._path} must be open for writing to append, but is read-only")
        line = _line(encode(start))
        try:
            _write_at(self._path, self._length, line)
        except OSError as error:
            raise StudyError(
                f"{self._path} could not take start {start.number} ({error.strerror or error}): "
                "make room or restore access, then resume; earlier starts are kept"
            ) from error
        self._length += len(line)
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
    fresh = path.with_name(path.name + ".new")
    try:
        fresh.write_bytes(b"")
        _write_at(fresh, 0, line)
        fresh.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise StudyError(f"{path} cannot be written ({error.strerror or error})") from error


def _write_at(path: Path, length: int, line: bytes) -> None:
    """Append ``line`` after the first ``length`` bytes; on failure leave exactly those."""
    handle = os.open(path, os.O_WRONLY)
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


def _read(path: Path) -> tuple[dict[str, Any], list[Start], int]:
    """Return the question, the starts, and the length of the part that is whole."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StudyError(f"{path} cannot be read ({error.strerror or error})") from error
    length = data.rfind(b"\n") + 1
    header, *lines = data[:length].split(b"\n")[:-1] or [b""]
    question = _question(path, header)
    starts = []
    for number, line in enumerate(lines, start=2):
        try:
            starts.append(cast("Start", decode(Start, json.loads(line))))
        except (ValueError, TypeError, KeyError) as error:
            raise StudyError(
                f"{path} line {number} must hold a start, but does not ({error}): restore the "
                "file from a copy, or cut it before that line"
            ) from error
    return question, starts, length


def _question(path: Path, line: bytes) -> dict[str, Any]:
    try:
        header = json.loads(line)
        found, question = header["format"], header["question"]
    except (ValueError, TypeError, KeyError) as error:
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
    return question


def encode(value: Any) -> Any:
    """Return a frozen record as plain JSON values."""
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value):
        return {field.name: encode(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: encode(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    return value


def decode(kind: Any, value: Any) -> Any:
    """Return the record of type ``kind`` that :func:`encode` turned into ``value``.

    Raises:
        ValueError: an unknown field or enumeration value, or a value of another type.
        TypeError: a field without default is missing.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        if any(type(value) is option for option in arguments):
            return value
        raise ValueError(f"{value!r} is none of {kind}")
    if is_dataclass(kind):
        return _decode_record(cast("type", kind), value)
    if origin is tuple:
        items = _of(list, value)
        if arguments[-1] is Ellipsis:
            return tuple(decode(arguments[0], item) for item in items)
        return tuple(decode(*pair) for pair in zip(arguments, items, strict=True))
    if origin is Mapping:
        return {key: decode(arguments[1], item) for key, item in _of(dict, value).items()}
    if issubclass(kind, Enum):
        return kind(value)
    return float(_of(int, value)) if kind is float and type(value) is int else _of(kind, value)


def _decode_record(kind: type, value: Any) -> Any:
    hints = _hints(kind)
    values = _of(dict, value)
    if unknown := values.keys() - hints.keys():
        raise ValueError(f"{kind.__name__} has no field {sorted(unknown)}")
    return kind(**{name: decode(hints[name], item) for name, item in values.items()})


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _of(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise ValueError(f"{value!r} must be of type {kind.__name__}")
    return value

"""Where interpreters of ours lie, and the record of each.

``pythons/NAME`` is whole or not there: what is being made lies in ``pythons/.work/NAME``, and is
renamed when it is finished, proven and on record. A folder without a record is none of ours.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import platformdirs

from trimtab.errors import InterpreterError, UsageError
from trimtab.interpreters.options import check_name

FORMAT = 1
"""Format of the record. History: 1, first."""

RECORD = "trimtab-python.json"
LOG = "trimtab-build.log"
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Record:
    """Where an interpreter came from, written when it was made.

    ``kind`` is "built" or "fetched". ``sha256`` maps its binaries, relative to its folder, to
    their checksums. ``source`` says which archive, with its checksum and the patches applied;
    ``options`` the optimizations; ``configure`` its arguments; ``compiler`` what built it.
    """

    name: str
    kind: str
    version: str
    sha256: Mapping[str, str]
    source: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    configure: tuple[str, ...] = ()
    compiler: str = ""
    made: str = ""


def folder() -> Path:
    """Return where interpreters lie, in the user's data folder."""
    return platformdirs.user_data_path("trimtab") / "pythons"


def work(name: str) -> Path:
    """Return where one is being made."""
    return folder() / ".work" / name


def binary(home: Path, version: str) -> Path:
    """Return the interpreter in its folder: ``bin/python3.11``."""
    first, second = version.split(".")[:2]
    return home / "bin" / f"python{first}.{second}"


def write(home: Path, record: Record) -> None:
    """Put the record into the folder, complete on disk."""
    draft = home / f".{RECORD}"
    with draft.open("w", encoding="utf-8") as out:
        json.dump({"format": FORMAT, **asdict(record)}, out, indent=1)
        out.flush()
        os.fsync(out.fileno())
    draft.replace(home / RECORD)


def read(name: str) -> Record | None:
    """Return the record of the interpreter of that name; ``None`` if there is none.

    Raises:
        InterpreterError: there is one that cannot be read.
    """
    path = folder() / name / RECORD
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data.pop("format") != FORMAT:
            raise ValueError("it is of another trimtab")
        return Record(**{**data, "configure": tuple(data["configure"])})
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InterpreterError(f"the record {path} cannot be read: {error}") from error


def list_records() -> list[Record]:
    """Return every interpreter on record, by name. One with a damaged record is left out."""
    records = []
    for path in sorted(folder().glob(f"*/{RECORD}")):
        try:
            record = read(path.parent.name)
        except InterpreterError:
            continue
        records += [record] if record is not None else []
    return records


def find(name: str) -> tuple[Record, Path]:
    """Return the record of an interpreter, and its binary.

    Raises:
        UsageError: there is none of that name.
        InterpreterError: its record cannot be read.
    """
    record = read(check_name(name))
    if record is None:
        names = ", ".join(record.name for record in list_records()) or "none yet"
        raise UsageError(
            f"no Python is called {name!r} (there are: {names}): 'trimtab python build' makes one"
        )
    return record, binary(folder() / name, record.version)


def checksums(home: Path, version: str) -> dict[str, str]:
    """Return the checksums of the interpreter, and of the libpython beside it if there is one."""
    program = binary(home, version)
    libraries = sorted(
        path for path in (home / "lib").glob("libpython3*.so*") if not path.is_symlink()
    )
    return {str(path.relative_to(home)): checksum(path) for path in (program, *libraries)}


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def require_checksum(text: str) -> str:
    """Return a SHA-256 as it was given, in lower case.

    Raises:
        UsageError: it is none.
    """
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text):
        raise UsageError(f"--sha256 must be 64 hexadecimal digits, but is {text!r}")
    return text.lower()

"""``answer.json``: a finished study as its report needs it, to be read without its machine.

Format history:
    1: the first. Enumerations are their values, records are objects with their fields as keys.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from trimtab.errors import StudyError
from trimtab.model import Advice, Conclusion, Header, Verdict
from trimtab.report import Study
from trimtab.storage import atomic_files, codec
from trimtab.study.ledger import Ledger

NAME: Final = "answer.json"
FORMAT: Final = 1
_MAX_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Record:
    """What the file holds of a study; the starts are in the ledger, ``starts`` counts them."""

    title: str
    question: Mapping[str, Any]
    conclusion: Conclusion
    starts: int
    left_out: tuple[tuple[str, Verdict, str], ...]
    risks: Mapping[str, str]
    facts: Mapping[str, str]
    files: Mapping[str, str]
    minutes: float
    command: str | None
    advice: Advice
    margin: float
    caveats: tuple[str, ...]
    measured: Header | None = None
    controls: tuple[str, ...] = ()


def write(study: Study, folder: Path) -> None:
    """Write a study's answer into its folder.

    Raises:
        StudyError: it cannot be written.
    """
    record = _Record(
        title=study.title,
        question=study.question,
        conclusion=study.conclusion,
        starts=len(study.starts),
        left_out=tuple(study.left_out),
        risks=study.risks,
        facts=study.facts,
        files=study.files,
        minutes=study.minutes,
        command=study.command,
        advice=study.advice,
        margin=study.margin,
        caveats=study.caveats,
        measured=study.measured,
        controls=study.controls,
    )
    path = folder / NAME
    content = {"format": FORMAT, **codec.encode(record)}
    try:
        atomic_files.write(path, json.dumps(content, default=str) + "\n")
    except OSError as error:
        raise StudyError(f"{path} cannot be written: {error.strerror}") from error


def read(folder: Path, ledger: Ledger) -> Study | None:
    """Return the stored answer of a study, ``None`` if there is none for all of its starts.

    Raises:
        StudyError: the file cannot be read, or does not hold an answer.
    """
    path = folder / NAME
    if not path.exists():
        return None
    try:
        content = codec.require(dict, json.loads(atomic_files.read(path, _MAX_BYTES)))
        found = content.pop("format", None)
        if found != FORMAT:
            raise ValueError(f"format must be {FORMAT}, but is {found!r}")
        record = cast("_Record", codec.decode(_Record, content))
    except OSError as error:
        raise StudyError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise StudyError(f"{path} does not hold an answer ({reason}): remove it") from error
    starts = tuple(ledger.starts())
    if record.starts != len(starts):
        return None
    return Study(
        title=record.title,
        question=record.question,
        conclusion=record.conclusion,
        starts=starts,
        left_out=record.left_out,
        risks=record.risks,
        plans={},
        facts=record.facts,
        files=record.files,
        minutes=record.minutes,
        command=record.command,
        advice=record.advice,
        margin=record.margin,
        caveats=record.caveats,
        measured=record.measured,
        controls=record.controls,
    )

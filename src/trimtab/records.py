"""What a start leaves in its folder for people and scripts, as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from trimtab.model import RequestRecord
from trimtab.storage import atomic


def write_json(path: Path, content: object) -> None:
    """Write one JSON value; what has no form in JSON as its text."""
    atomic.write(path, json.dumps(content, indent=1, default=str) + "\n")


def write_lines(path: Path, records: Sequence[RequestRecord]) -> None:
    """Write one line for each record."""
    lines = (json.dumps(asdict(record), separators=(",", ":")) + "\n" for record in records)
    atomic.write(path, "".join(lines))

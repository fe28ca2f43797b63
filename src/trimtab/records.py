"""What a start leaves in its folder for people and scripts, as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from trimtab.model import RequestRecord


def write_json(path: Path, content: object) -> None:
    """Write one JSON value; what has no form in JSON as its text."""
    path.write_text(json.dumps(content, indent=1, default=str) + "\n", encoding="utf-8")


def write_lines(path: Path, records: Sequence[RequestRecord]) -> None:
    """Write one line for each record."""
    with path.open("w", encoding="utf-8") as lines:
        for record in records:
            lines.write(json.dumps(asdict(record), separators=(",", ":")) + "\n")

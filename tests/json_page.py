"""docs/json.md as data: the keys that it gives each command and each event."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "json.md"
_CODE = re.compile(r"`([a-z_0-9]+)`")


@dataclass(frozen=True)
class Keys:
    """What an object always has, and what it has only under a condition."""

    always: frozenset[str]
    sometimes: frozenset[str]

    def require(self, data: Mapping[str, object]) -> None:
        """Assert that an object has these keys beside its format, and no others."""
        assert data["format"] == 1
        assert next(iter(data)) == "format"
        found = set(data) - {"format"}
        assert self.always <= found <= self.always | self.sometimes, found ^ self.always


def commands() -> dict[str, Keys]:
    """Return the keys by the heading of their section."""
    found = {}
    for section in PAGE.read_text().split("\n## trimtab ")[1:]:
        title, _, body = section.partition("\n")
        rows = [line.split("|") for line in body.split("\n## ")[0].splitlines() if "| `" in line]
        keys = {cells[1].strip(" `"): cells[2].strip() for cells in rows}
        sometimes = {key for key, value in keys.items() if value.startswith("only ")}
        found[title] = Keys(frozenset(keys) - sometimes, frozenset(sometimes))
    return found


def events() -> set[tuple[str, frozenset[str]]]:
    """Return the events, each with its keys."""
    lines = PAGE.read_text().partition("\n## Events\n")[2].splitlines()
    rows = [line.split("|") for line in lines if line.startswith("| `")]
    return {(cells[1].strip(" `"), frozenset(_CODE.findall(cells[2]))) for cells in rows}

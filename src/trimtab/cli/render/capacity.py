"""How ``capacity`` shows what it measured: the answer first, then each start."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rich.table import Table

from trimtab import formatting
from trimtab.cli import terminal
from trimtab.measurement import capacity
from trimtab.stats.sequential import no_interval_reason

_FEW = 500
"""Requests below which a 99th percentile is nearly the largest value."""


def show(found: Mapping[str, Any]) -> None:
    """Print a capacity for people."""
    console = terminal.console()
    console.print(f"{found['target']}: {_sentence(found)}", style="bold")
    console.print(f"SLO: {found['slo']}\n")
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="bold")
    for name in ("start", "requests/s", "probes, requests/s (x: SLO not met)"):
        table.add_column(name)
    for number, (value, probes) in enumerate(
        zip(found["each"], found["probes"], strict=True), start=1
    ):
        tried = sorted((one for one in probes if not one["void"]), key=lambda one: one["rate"])
        marks = [
            f"{formatting.number(one['rate'])}{'x' if one['margin'] > 0 else ''}" for one in tried
        ]
        table.add_row(str(number), formatting.number(value), " ".join(marks))
    console.print(table)
    console.print(_lasted(found["probe_e2e"], found["requests"]))
    console.print()
    if "p99" in found["slo"] and found["requests"] < _FEW:
        console.print(
            f"Each probe had {found['requests']} requests: a p99 of so few is nearly the largest "
            "value. --requests 1000 makes it a percentile."
        )
    for note in found["notes"]:
        console.print(f"note: {note}")


def _lasted(length: float | None, requests: int) -> str:
    """Say how long the deciding probes were beside a request, and what a short one means."""
    if length is None:
        return "How long a probe was beside a request is not known."
    many = formatting.number(length)
    said = f"The probes near the capacity lasted {many} times the end-to-end time (E2E)"
    if length >= capacity.LONG_ENOUGH:
        return f"{said}."
    more = math.ceil(requests * capacity.LONG_ENOUGH / max(length, 0.1) / 100) * 100
    return (
        f"warning: {said}. Below {capacity.LONG_ENOUGH:.0f} the queue may not have settled, and "
        f"capacity and bound are then too high: repeat with --requests {more}."
    )


def _sentence(found: Mapping[str, Any]) -> str:
    value = f"capacity {formatting.number(found['capacity'])} requests/s"
    if found["low"] is None:
        return f"{value}; no bound from {no_interval_reason(len(found['each']))}"
    low = formatting.number(found["low"])
    tried = (
        "met in fresh windows" if found["verified"] else "NOT met in fresh windows: promise less"
    )
    return f"{value}; at least {low} (95 % bound over {len(found['each'])} starts; {tried})"

"""How ``bench`` and ``compare`` show what they measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from trimtab import wording
from trimtab.commands import precision, terminal


def show(found: Mapping[str, Any]) -> None:
    """Print a measurement for people."""
    console = terminal.console()
    if "answer" in found:
        console.print(_sentence(found), style="bold")
        for name in ("a", "b"):
            console.print(f"\n{name}: {found[name]}")
            console.print(_table(found["metrics"][name]))
        console.print()
    else:
        console.print(_table(found["metrics"]))
        if found["starts"] == 1:
            console.print("One start gives no interval: what another one would give is not known.")
    for line in precision.after(found):
        console.print(line)
    for note in found["notes"]:
        console.print(f"note: {note}")


def _sentence(found: Mapping[str, Any]) -> str:
    ratio = wording.percent(found["ratio"] - 1)
    bounds = ""
    if found["low"] is not None:
        low, high = (wording.percent(found[key] - 1) for key in ("low", "high"))
        bounds = f" [{low}, {high}]"
    joined = {
        "better": "is better than",
        "worse": "is worse than",
        "equivalent": "is equivalent to",
    }
    verb = joined.get(found["answer"], "is not proven to differ from")
    pairs = wording.count(found["pairs"], "pair")
    return f"{found['b']} {verb} {found['a']}: {found['metric']} {ratio}{bounds}, {pairs}"


def _table(metrics: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="bold")
    for name in ("metric", "value", "95 % interval over starts", "unit", "starts"):
        table.add_column(name)
    for one in metrics:
        bounds = (
            "none" if one["low"] is None
            else f"{wording.number(one['low'])} to {wording.number(one['high'])}"
        )  # fmt: skip
        table.add_row(
            one["metric"], wording.number(one["value"]), bounds, one["unit"], str(one["starts"])
        )
    return table

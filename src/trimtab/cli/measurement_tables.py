"""How ``bench`` and ``compare`` show what they measured: the answer first, then one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from trimtab import formatting
from trimtab.cli import terminal
from trimtab.measurement import blocks, results

_FEW = "too few starts"
_VERBS = {
    "better": "is better than",
    "worse": "is worse than",
    "equivalent": "is equivalent to",
}


def show(found: Mapping[str, Any]) -> None:
    """Print a measurement for people."""
    console = terminal.console()
    compared = "answer" in found
    console.print(_answer(found) if compared else _value(found), style="bold")
    rows = found["table"] if compared else found["metrics"]
    console.print()
    console.print(_compared(found) if compared else _measured(found))
    hidden = len(rows) - len(_listed(found, rows))
    if hidden:
        console.print(f"{formatting.count(hidden, 'more metric')}: -v or --json")
    if not compared:
        for reason in dict.fromkeys(row["reason"] for row in rows if row.get("reason")):
            console.print(f"no interval from {reason}")
    console.print()
    for line in blocks.noise_sentences(found, verbose=terminal.is_verbose()):
        console.print(line)
    for note in found["notes"]:
        console.print(f"note: {note}")


def _answer(found: Mapping[str, Any]) -> str:
    """Return the answer of a comparison in one sentence."""
    verb = _VERBS.get(found["answer"], "is not proven to differ from")
    ends = results.informative_interval(found["low"], found["high"], found["pairs"])
    ratio = _ratio(found["ratio"], ends)
    pairs = formatting.count(found["pairs"], "pair")
    margin = found["margin"]
    within = f", margin {formatting.percent(margin)}" if found["answer"] == "equivalent" else ""
    return f"{found['b']} {verb} {found['a']}: {found['metric']} {ratio}, {pairs}{within}"


def _value(found: Mapping[str, Any]) -> str:
    """Return what one target gave on the metric that decides, in one sentence."""
    rows = {one["metric"]: one for one in found["metrics"]}
    first = rows.get(found.get("metric", "output_throughput"))
    first = first or next(iter(rows.values()), None)
    starts = formatting.count(found["starts"], "start")
    if first is None:
        return f"{found['target']}: no metric in {starts}"
    value = f"{first['metric']} {formatting.number(first['value'])} {first['unit']}".rstrip()
    return f"{found['target']}: {value} ({_bounds(first)}), {starts}"


def _compared(found: Mapping[str, Any]) -> Table:
    table = _table("metric", "A", "B", "unit", "ratio (above 1: B is better)")
    for one in _listed(found, found["table"]):
        own = one["metric"] == found["metric"]
        low, high = (found["low"], found["high"]) if own else (one["low"], one["high"])
        ratio = found["ratio"] if own else one["ratio"]
        ends = results.informative_interval(low, high, one["pairs"])
        table.add_row(
            one["metric"],
            formatting.number(one["a"]),
            formatting.number(one["b"]),
            one["unit"],
            _ratio(ratio, ends),
            style="bold" if own else "",
        )
    return table


def _measured(found: Mapping[str, Any]) -> Table:
    table = _table("metric", "value", "unit", "95 % interval over starts")
    for one in _listed(found, found["metrics"]):
        table.add_row(one["metric"], formatting.number(one["value"]), one["unit"], _bounds(one))
    return table


def _listed(
    found: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """Return the rows to print, in order of importance; the metric that decides comes first."""
    by_name = {row["metric"]: row for row in rows}
    decides = found.get("metric")
    names = sorted(results.sort_metrics(by_name), key=lambda name: name != decides)
    every = terminal.is_verbose()
    return [
        by_name[name] for name in names if every or name == decides or results.is_main_metric(name)
    ]


def _bounds(one: Mapping[str, Any]) -> str:
    if one["starts"] == 1:
        return "one start"
    ends = results.informative_interval(one["low"], one["high"], one["starts"])
    if ends is None:
        return _FEW
    return f"{formatting.number(ends[0])} to {formatting.number(ends[1])}"


def _ratio(ratio: float, ends: tuple[float, float] | None) -> str:
    value = f"{ratio:.3g}x" if ratio >= 10 else f"{ratio:.2f}x"
    return f"{value} ({_FEW})" if ends is None else f"{value} [{ends[0]:.2f}, {ends[1]:.2f}]"


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="bold")
    for name in columns:
        table.add_column(name, justify="right" if name in ("A", "B", "value") else "left")
    return table

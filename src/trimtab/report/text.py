"""The report for a terminal: the same rows as in the HTML file, as tables."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from trimtab import formatting
from trimtab.model import Verdict
from trimtab.report import pareto, rows
from trimtab.report.headline import headline
from trimtab.report.study import Study

_WIDE = 120
"""Columns from which an effect and its interval fit on one line."""

STYLES = {
    Verdict.ADOPT: "bold green",
    Verdict.AVOID: "red",
    Verdict.LIKELY: "green",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.NO_EFFECT: "cyan",
    Verdict.INEFFECTIVE: "magenta",
    Verdict.START_FAILED: "magenta",
    Verdict.NOT_TESTED: "dim",
    Verdict.NOT_APPLICABLE: "dim",
}
"""The verdict's word always stands beside its colour."""


def show(study: Study, console: Console) -> None:
    """Print the whole report of ``study``."""
    console.print(render(study, wide=console.width >= _WIDE))


def show_left_out(study: Study, console: Console) -> None:
    """Print the tunings that were not part of a study, with the reasons."""
    table = _left_out(study)
    if table.row_count:
        console.print(table)
    else:
        console.print("Every tuning of the catalogue is part of this study.")


def render(study: Study, *, wide: bool = False) -> RenderableType:
    """Return the whole report of ``study``; ``wide``: effect and interval on one line."""
    parts: list[RenderableType] = [_headline(study), _measured(study)]
    parts += _sections(study, wide=wide)
    return Group(*parts)


def _headline(study: Study) -> RenderableType:
    found = headline(study)
    detail = f"\n{found.detail}" if found.detail else ""
    return Text.assemble((found.text, "bold"), detail, f"\nNext: {found.next}")


def _measured(study: Study) -> RenderableType:
    """Return what was measured; an older answer has its title only."""
    return Text("\n".join(study.measured.lines()) if study.measured else study.title)


def _sections(study: Study, *, wide: bool) -> Iterator[RenderableType]:
    tables = (
        ("What each tuning is worth", _verdicts(study, wide=wide)),
        ("Why, and what it risks", _remarks(study)),
        (f"Against the baseline ({study.objective})", _arms(study)),
        (f"Pareto set ({', '.join(study.objectives)})", _pareto(study)),
        ("Left out", _left_out(study)),
        ("Study", _pairs(rows.totals(study))),
        ("Files", _pairs(tuple(study.files.items()))),
    )
    for title, table in tables:
        if table.row_count:
            yield Text()
            yield Text(title, style="bold")
            yield table
    for note in study.conclusion.notes:
        yield Padding(Text(f"Note: {note}"), (1, 0, 0, 0))


def _table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), expand=False)
    for name in columns:
        table.add_column(name, justify="right" if name in right else "left", overflow="fold")
    return table


def _verdicts(study: Study, *, wide: bool) -> Table:
    table = _table("tuning", "value", "verdict", "effect", "starts", "phase", right=("starts",))
    table.columns[2].no_wrap = True
    for row in rows.verdicts(study):
        effect = row.change or "-"
        table.add_row(
            Text(row.tuning),
            Text(row.value),
            Text(row.verdict.value, style=STYLES[row.verdict]),
            Text(
                ("\n", " ")[wide].join(part for part in (effect, row.interval, row.metric) if part)
            ),
            str(row.effect.starts),
            row.phase or "-",
        )
    return table


def _remarks(study: Study) -> Table:
    """Say the reason of every verdict at full width, and the risk of what was tested."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for row in rows.verdicts(study):
        told = [row.reason] if row.reason else []
        told += [f"Risk: {row.risk}"] if row.risk and row.effect.starts else []
        table.add_row(
            Text(row.tuning),
            Text(row.verdict.value, style=STYLES[row.verdict], no_wrap=True),
            Text("\n".join(told)),
        )
    return table


def _arms(study: Study) -> Table:
    compared = rows.arms(study)
    unit = compared[0].unit if compared else ""
    table = _table("arm", unit or "value", "change", "95 % interval", "starts", right=("starts",))
    table.columns[1].justify = "right"
    for row in compared:
        own = row.effect
        table.add_row(
            Text(row.arm, style="bold" if row.arm == "proven" else ""),
            formatting.number(row.value),
            "" if own is None else formatting.ratio(own) or "no estimate",
            "" if own is None else Text(formatting.interval(own) or "-"),
            str(row.starts),
        )
    return table


def _pareto(study: Study) -> Table:
    table = _table("arm", *study.objectives, "standing")
    for row in pareto.rows(study):
        told = "\n".join((row.standing, *row.advantages, *row.trades))
        cells = [Text("\n".join(cell).rstrip()) for cell in row.cells]
        table.add_row(Text(row.arm, style="bold" if row.member else "dim"), *cells, Text(told))
    if table.row_count:
        table.caption, table.caption_justify = pareto.NOTE, "left"
    return table


def _left_out(study: Study) -> Table:
    table = _table("tuning", "verdict", "reason")
    table.columns[1].no_wrap = True
    for name, verdict, reason in study.left_out:
        table.add_row(Text(name), Text(verdict.value, style=STYLES[verdict]), Text(reason))
    return table


def _pairs(pairs: tuple[tuple[str, str], ...]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for name, value in pairs:
        table.add_row(Text(name), Text(value, overflow="fold"))
    return table

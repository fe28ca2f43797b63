"""Lists of entries: a table where there is room, paragraphs at 80 columns, tabs in a pipe.

Single paragraphs have the terminal's width, and are one line in a pipe.

What a live server showed for each check of a plan, for people.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from trimtab import formatting
from trimtab.model import Check, CheckOutcome, Evidence, Proof

_ROOM = 160
"""Columns that a table of four columns needs to keep its words whole."""


def entries(
    heads: tuple[str, str, str, str], rows: Sequence[tuple[str, str, str, str]], console: Console
) -> None:
    """Print rows of (group, name, place, text)."""
    if not console.is_terminal:
        for row in rows:
            console.file.write("\t".join(row) + "\n")
    elif console.width < _ROOM:
        _paragraphs(rows, console)
    else:
        table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="bold")
        for name in heads:
            table.add_column(name, overflow="fold", no_wrap=name == heads[1])
        for row in rows:
            table.add_row(*row)
        console.print(table)


def show_comparison(
    heads: tuple[str, str, str], rows: Sequence[tuple[str, str, str]], console: Console
) -> None:
    """Print rows of (name, first, second): a table, with what is too long for it below a name.

    In a pipe a row is a line with tabs, and the heads are the first line.
    """
    if not console.is_terminal:
        for row in (heads, *rows):
            console.file.write("\t".join(row) + "\n")
        return
    name = max(len(row[0]) for row in (heads, *rows))
    room = (console.width - name - 4) // 2
    short = [row for row in (heads, *rows) if max(map(len, row[1:])) <= room]
    first = max((len(row[1]) for row in short), default=0)
    side = max(map(len, heads[1:]))
    for row in (heads, *rows):
        style = "bold" if row is heads else ""
        if row in short:
            line = f"{row[0]:<{name}}  {row[1]:<{first}}  {row[2]}".rstrip()
            console.print(Text(line, style=style), soft_wrap=True)
        elif row is not heads:
            console.print(Text(row[0]), soft_wrap=True)
            for head, value in zip(heads[1:], row[1:], strict=True):
                paragraph(console, value, f"  {head:<{side}}  ", " " * 4)


def paragraph(
    console: Console, text: str, first: str = "", rest: str = "", style: str = ""
) -> None:
    """Print a text behind ``first``, in further lines behind ``rest``.

    ``style`` is that of ``first``, or of all if there is none.
    """
    if not console.is_terminal:
        console.file.write(f"{first}{text}".rstrip() + "\n")
        return
    for number, line in enumerate(formatting.wrap_lines(text, console.width, first, rest)):
        shown = Text(line)
        if not first or number == 0:
            shown.stylize(style, 0, len(first) or len(line))
        console.print(shown, soft_wrap=True)


def _paragraphs(rows: Sequence[tuple[str, str, str, str]], console: Console) -> None:
    group = ""
    for first, name, place, text in rows:
        if first != group:
            console.print(first, style="bold")
        group = first
        head = f"  {name}  {place}" if place else f"  {name}"
        for line in (
            *_wrapped(head, 4, console.width),
            *_wrapped(f"    {text}", 4, console.width),
        ):
            console.print(line, soft_wrap=True)


def _wrapped(text: str, indent: int, width: int) -> list[str]:
    return textwrap.wrap(
        text,
        width,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


_STYLES = {
    CheckOutcome.NO: "bold red",
    CheckOutcome.UNOBSERVABLE: "yellow",
    CheckOutcome.YES: "green",
}
"""In the order in which they are printed."""

_SEEN = max(map(len, CheckOutcome))


def show(evidence: Sequence[Evidence], console: Console) -> None:
    """Print each check, refuted ones first, and the counts; in a pipe with tabs between fields.

    What proves an effect is counted apart from what only proves that a setting arrived.
    """
    order = list(_STYLES)
    for one in sorted(evidence, key=lambda one: order.index(one.verdict)):
        what = f"{one.check.kind.value} {one.check.subject}".strip()
        name, proves = one.check.tuning or "plan", one.check.proves.value
        if console.is_terminal:
            wanted = f", expected {_expected(one.check)}" if one.verdict is CheckOutcome.NO else ""
            text = f"{name}: {what} is {one.observed}{wanted} ({proves}; {one.where})"
            first = f"{one.verdict.value:<{_SEEN}}  "
            paragraph(console, text, first, " " * len(first), _STYLES[one.verdict])
        else:
            fields = (one.verdict.value, proves, name, what, _expected(one.check))
            paragraph(console, "\t".join((*fields, one.observed, one.where)))
    for kind in (Proof.EFFECT, Proof.DELIVERY):
        seen = [one.verdict for one in evidence if one.check.proves is kind]
        counts = ", ".join(f"{seen.count(outcome)} {outcome.value}" for outcome in order)
        paragraph(console, f"{kind.value}: {counts}")


def _expected(check: Check) -> str:
    return "absent" if check.expected is None else str(check.expected)

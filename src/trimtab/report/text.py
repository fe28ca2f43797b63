"""The report for a terminal: the same rows as in the HTML file, as tables."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from trimtab import formatting
from trimtab.metrics.wall_time import time_breakdown
from trimtab.model import Headline, StudyStatus, Verdict
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


LINES = 15
WIDTH = 80
_INDENT = 10
_GAINS = (Verdict.ADOPT, Verdict.LIKELY)


def summary(study: Study, width: int = WIDTH) -> list[str]:
    """Return the lines: result, tunings of the profile, counts, next command, files.

    No line is wider than ``width`` but for a single word (a path) that is. Tunings that find no
    room are counted.
    """
    found = headline(study)
    head = [*_wrapped("Result:", found.text, width), *_wrapped("", found.detail, width)]
    foot = [
        *(line for caveat in study.caveats for line in _wrapped("Caveat:", caveat, width)),
        *_wrapped("Answers:", _answers(study), width),
        *_wrapped("Tested:", _tested(study), width),
        *_wrapped("Time:", time_breakdown(study.starts).sentence(), width),
        *_wrapped("Needs:", found.needs, width),
        *_command("Next:", found.next, width),
        *_files(study, width),
        *_wrapped("Details:", _details(study), width),
    ]
    room = max(0, LINES - len(head) - len(foot))
    return [*head, *_tunings(study, found, room, width), *foot]


def _wrapped(label: str, text: str, width: int) -> list[str]:
    """Return a labelled text as lines, none if it is empty."""
    if not text:
        return []
    first, rest = label.ljust(_INDENT), " " * _INDENT
    return formatting.wrap_lines(text, width, first, rest)


def _command(label: str, command: str, width: int) -> list[str]:
    """Return a command as lines that a shell takes as one."""
    lines: list[str] = []
    line = label.ljust(_INDENT)
    for word in shell_words(command):
        if len(line) > _INDENT and len(line) + len(word) + 3 > width:
            lines.append(f"{line} \\")
            line = " " * _INDENT
        line = f"{line}{word}" if len(line) == _INDENT else f"{line} {word}"
    return [*lines, line]


def shell_words(command: str) -> list[str]:
    """Return a command's words, each as it is typed; an option's value stays beside it."""
    words: list[str] = []
    for word in map(shlex.quote, shlex.split(command)):
        if words and words[-1].startswith("--") and " " not in words[-1] and word[:1] != "-":
            words[-1] += f" {word}"
        else:
            words.append(word)
    return words


def _tunings(study: Study, found: Headline, room: int, width: int) -> Iterator[str]:
    """Yield a line for each tuning that the headline is about, as many as there is room for."""
    shown = subjects(study, found)
    cut = len(shown) > room
    fitting = shown[: max(0, room - cut)]
    names = [formatting.line(formatting.setting(row.tuning, row.value)) for row in fitting]
    wide = min(max(map(len, names), default=0), width - 50)
    for name, row in zip(names, fitting, strict=True):
        effect = " ".join(filter(None, (row.change, row.interval, row.metric)))
        yield _row(f"{name:<{wide}}", row, effect, width)
    if cut and room:
        yield f"{'':{_INDENT}}and {len(shown) - len(fitting)} more"


def _row(name: str, row: rows.VerdictRow, effect: str, width: int) -> str:
    """Return the line of a tuning; where the interval finds no room, it is left out."""
    start = f"{'':{_INDENT}}{name}  {row.verdict.value:<13} "
    line = f"{start}{effect}".rstrip()
    return line if len(line) <= width else f"{start}{row.change or ''}".rstrip()


def subjects(study: Study, found: Headline) -> Sequence[rows.VerdictRow]:
    """Return the tunings that a headline is about: its profile's, or those with a gain."""
    verdicts = rows.verdicts(study)
    if found.status is StudyStatus.NO_GAIN:
        return ()
    held = [row for row in verdicts if found.arm in row.profiles]
    return held or [row for row in verdicts if row.verdict in _GAINS]


def _tested(study: Study) -> str:
    answers = [
        answer for answer in study.conclusion.answers if answer.tuning not in study.controls
    ]
    without = [answer for answer in answers if answer.verdict is Verdict.NOT_TESTED]
    tunings = formatting.count(len(answers), "tuning")
    parts = [f"{len(answers) - len(without)} of {tunings}"]
    if without:
        parts.append(f"{len(without)} not tested")
    if study.left_out:
        parts.append(f"{len(study.left_out)} not applicable")
    starts = formatting.count(len(study.starts), "start")
    cost = f"{starts}, {formatting.duration(study.minutes * 60)}"
    notes = len(study.conclusion.notes)
    said = f" {formatting.count(notes, 'note')}." if notes else ""
    return f"{'; '.join(parts)}. {cost}.{said}"


def _answers(study: Study) -> str:
    """Say which profile changes what the model answers."""
    changed = [fidelity.arm for fidelity in study.conclusion.fidelity if not fidelity.kept]
    if not changed:
        return ""
    verb = "changes" if len(changed) == 1 else "change"
    return f"{' and '.join(changed)} {verb} what the model answers: {study.advice.show}"


def _files(study: Study, width: int) -> Iterator[str]:
    if "report" in study.files:
        yield from _wrapped("Report:", study.files["report"], width)
    names = [name.removeprefix("profile ") for name in study.files if name.startswith("profile ")]
    if names:
        path = study.files[f"profile {names[0]}"]
        stem = path.removesuffix(f"{names[0]}.yaml")
        joined = names[0] if len(names) == 1 else f"{{{','.join(names)}}}"
        yield from _wrapped("Profiles:", f"{stem}{joined}.yaml", width)


def _details(study: Study) -> str:
    return f"{study.advice.show} [--why NAME | --left-out]"

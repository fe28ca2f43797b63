"""``trimtab doctor``: what every tuning is on this machine, or in a running server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from trimtab import engines, formatting
from trimtab.cli import entry_lists as report
from trimtab.cli import terminal
from trimtab.cli.oracle_findings import OracleOption, machine_findings
from trimtab.diagnosis import inspection
from trimtab.diagnosis.inspection import Diagnosis
from trimtab.diagnosis.records import (
    TROUBLE,
    DiagnosisView,
    InspectedProcess,
    TuningDiagnosis,
    TuningState,
)
from trimtab.errors import UsageError
from trimtab.facts.parsing import format_cpu_list
from trimtab.families import families, family_of_command, family_of_packages
from trimtab.host import LocalHost
from trimtab.linter.context import parse_context
from trimtab.model.finding import Finding, Severity
from trimtab.profiles.profile import read_profile
from trimtab.run import comparability as told
from trimtab.server.live_server import LiveServer
from trimtab.verification import refutations, verify

_HELP = """Report the state of every tuning: active, wrong, in conflict, or without effect.

Without --pid: the machine, and what a server started from this environment would get. With --pid:
a running server, process by process. With --pid and --profile: whether the profile is in effect.

doctor only reads, needs no root and takes a few seconds. If it cannot read something, it prints
the reason. --oracle also asks torch_npu and vllm-ascend what they do with the Ascend settings
found, over an emulated chip; that takes longer.

Examples: trimtab doctor; trimtab doctor --pid 4242; trimtab doctor --snapshot captured/;
trimtab doctor --pid 4242 --profile profile.proven.yaml
"""


def register(root: typer.Typer) -> None:
    """Add the command to the application."""
    root.command("doctor", help=_HELP)(doctor)


def doctor(
    pid: Annotated[
        int | None, typer.Option(help="Process id of a running server's first process.")
    ] = None,
    profile: Annotated[
        Path | None, typer.Option(help="With --pid: verify that this profile is in effect.")
    ] = None,
    log: Annotated[
        Path | None,
        typer.Option(help="The engine's log. [default: where its output goes, if to a file]"),
    ] = None,
    python: Annotated[
        str | None,
        typer.Option(help="The server's interpreter. [default: that of vllm on PATH]"),
    ] = None,
    snapshot: Annotated[
        Path | None, typer.Option(help="Look at a captured machine instead of this one.")
    ] = None,
    image: Annotated[
        str, typer.Option(help="Look at what this image bakes in, instead of this environment.")
    ] = "",
    capture: Annotated[
        Path | None, typer.Option(help="Save all that doctor reads to this new folder.")
    ] = None,
    context: Annotated[
        str, typer.Option(help="Facts that the machine does not show: graphs=on,hosts=2 ...")
    ] = "",
    layer: Annotated[str, typer.Option(help="Only this layer's tunings.")] = "",
    everything: Annotated[
        bool, typer.Option("--all", help="Print every row, stock and not applicable ones too.")
    ] = False,
    wide: Annotated[
        bool, typer.Option("--wide", help="One line for each row, as long as it is.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    oracle: OracleOption = False,
) -> None:
    """Diagnose, print, and set the exit code."""
    if profile is not None:
        if pid is None:
            raise UsageError("--profile needs --pid: the server in which to verify it")
        _verify(pid, profile, log, as_json=as_json)
        return
    if snapshot is not None and (pid is not None or capture is not None):
        raise UsageError("--snapshot shows a captured machine: leave --pid and --capture out")
    if image and (pid is not None or snapshot is not None):
        raise UsageError("--image shows what an image bakes in: leave --pid and --snapshot out")
    situation = parse_context(context)
    if image:
        view = inspection.view_of_image(image, situation)
    else:
        view = inspection.view(situation, pid, log, python, snapshot, capture)
    diagnosis = inspection.diagnose(view, layer)
    if oracle:
        diagnosis = replace(diagnosis, findings=(*diagnosis.findings, *machine_findings(view)))
    if as_json:
        terminal.print_json(diagnosis.as_data())
    else:
        _print(diagnosis, everything=everything, wide=wide)
    if diagnosis.has_trouble:
        raise typer.Exit(1)


def _print(diagnosis: Diagnosis, *, everything: bool, wide: bool) -> None:

    console = terminal.console(soft_wrap=True)
    layout = Layout(
        width=console.width if console.is_terminal and not wide else 0,
        tabs=not console.is_terminal,
        everything=everything or terminal.is_verbose(),
        brief=terminal.is_quiet(),
    )
    show(
        diagnosis.view, diagnosis.rows, diagnosis.findings, diagnosis.differences, console, layout
    )


def _verify(pid: int, profile: Path, log: Path | None, *, as_json: bool) -> None:
    """Verify the server under ``pid`` against ``profile``, and print the evidence."""
    wanted = read_profile(profile)
    server = LiveServer(pid, engines.observer(wanted.engine.name), log)
    for sentence in server.unread if wanted.plan.checks else ():
        terminal.say(sentence)
    evidence = verify(wanted.plan, server, LocalHost())
    if as_json:
        terminal.print_json({"evidence": [asdict(one) for one in evidence]})
    else:
        if evidence:
            report.show(evidence, terminal.console())
        else:
            typer.echo(told.verdict(wanted.name, wanted.plan, evidence))
    if refutations(evidence):
        raise typer.Exit(1)


_MEANINGS = {TuningState.STOCK: "left at its default"}
"""What a state means, where its name alone does not say it."""
_STATE = max(len(state.value) for state in TuningState)
_HANG = _STATE + 4
"""Column of the tunings: the states stand before them."""
_VERSIONS = ("torch", "torch-npu", "cann", "driver")


@dataclass(frozen=True, slots=True)
class Layout:
    """``width`` in columns, 0 for lines of any length. ``tabs``: rows for programs, in a pipe.

    ``everything`` prints every row. ``brief`` leaves out the header and the next step.
    """

    width: int = 0
    tabs: bool = False
    everything: bool = False
    brief: bool = False


@dataclass(frozen=True, slots=True)
class StyledLine:
    """One line; ``style`` is of `rich`, for its first ``styled`` characters, 0 for all."""

    text: str
    style: str = ""
    styled: int = 0


_STYLES = {
    TuningState.ACTIVE: "green",
    TuningState.STOCK: "dim",
    TuningState.NOT_APPLICABLE: "dim",
    TuningState.UNKNOWN: "yellow",
    **dict.fromkeys(TROUBLE, "bold red"),
}
_SEVERITIES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}


def show(
    view: DiagnosisView,
    rows: Sequence[TuningDiagnosis],
    findings: Sequence[Finding],
    differences: Sequence[str],
    console: Console,
    layout: Layout,
) -> None:
    """Print a diagnosis; to a pipe without styles, and with tabs as they are."""
    for line in lines(view, rows, findings, differences, layout):
        if console.is_terminal:
            text = Text(line.text)
            text.stylize(line.style, 0, line.styled or len(line.text))
            console.print(text, soft_wrap=True)
        else:
            console.file.write(f"{line.text}\n")


def lines(
    view: DiagnosisView,
    rows: Sequence[TuningDiagnosis],
    findings: Sequence[Finding],
    differences: Sequence[str],
    layout: Layout,
) -> Iterator[StyledLine]:
    """Yield a diagnosis, line by line."""
    if not layout.brief:
        yield from _wrapped(_machine(view), layout, style="bold")
        yield from _wrapped(_server(view), layout)
    if view.live:
        for process in view.processes:
            yield from _wrapped(_process(process), layout, rest="  ")
    yield from _rows([row for row in rows if layout.everything or is_notable(row)], layout)
    for finding in sorted(findings, key=lambda one: -one.severity.rank):
        said = f"{finding.message}: {finding.fix}" if finding.fix else finding.message
        kind = finding.severity.value
        text = f"{kind}: {said} [{finding.rule}]"
        yield from _wrapped(
            text, layout, rest="  ", style=_SEVERITIES[finding.severity], styled=kind
        )
    for said in differences:
        yield from _wrapped(f"differs: {said}", layout, rest="  ")
    for reason in view.unread:
        yield from _wrapped(f"not read: {reason}", layout, rest="  ", style="yellow")
    yield from _wrapped(_counts(rows, everything=layout.everything), layout)
    if not layout.brief:
        yield from _wrapped(_next(view, rows), layout)


def is_notable(row: TuningDiagnosis) -> bool:
    """Whether a row says something that is not what every machine says."""
    if row.state in TROUBLE or row.findings:
        return True
    return row.state is TuningState.ACTIVE or (
        row.state is TuningState.UNKNOWN and bool(row.where)
    )


def _rows(rows: Sequence[TuningDiagnosis], layout: Layout) -> Iterator[StyledLine]:
    """Yield rows by layer; in a pipe a line each, with tabs between its six fields."""
    layers = list(dict.fromkeys(row.layer for row in rows))
    layer = ""
    for row in sorted(rows, key=lambda row: layers.index(row.layer)):
        if layout.tabs:
            fields = (row.layer, row.tuning, row.state.value, row.observed, row.where, row.todo)
            yield StyledLine("\t".join(map(formatting.line, fields)).rstrip("\t"))
            continue
        if row.layer != layer:
            yield StyledLine(row.layer, "bold")
        layer = row.layer
        yield from _row(row, layout)


def _row(row: TuningDiagnosis, layout: Layout) -> Iterator[StyledLine]:
    where = f" ({row.where})" if row.observed and row.where else ""
    seen = f"{row.observed}{where}" or row.where
    said = f"{row.tuning}: {seen}" if seen else row.tuning
    hang = " " * _HANG
    first = f"  {row.state.value.ljust(_STATE)}  "
    style = _STYLES[row.state]
    if layout.width == 0 and row.todo:
        said = f"{said}. {_sentence(row.todo)}"
    yield from _wrapped(said, layout, first, hang, style=style, styled=first.rstrip())
    if layout.width and row.todo:
        yield from _wrapped(_sentence(row.todo), layout, hang, hang)


def _sentence(text: str) -> str:
    """Return what to do as a sentence; a name or a path at its beginning stays as it is."""
    word = text.partition(" ")[0]
    return text[:1].upper() + text[1:] if word.isalpha() and word.islower() else text


def _wrapped(
    text: str,
    layout: Layout,
    first: str = "",
    rest: str = "",
    *,
    style: str = "",
    styled: str = "",
) -> Iterator[StyledLine]:
    """Yield a text in lines of the layout's width, the first with a style."""
    if not layout.width:
        yield StyledLine(first + formatting.line(text), style, len(styled))
        return
    for number, line in enumerate(formatting.wrap_lines(text, layout.width, first, rest)):
        yield StyledLine(line, style if number == 0 or not styled else "", len(styled))


def _server(view: DiagnosisView) -> str:
    """Return which environment was looked at, or what to name because none was found."""
    commands = (family_of_command(one.scene.argv) for one in view.processes)
    serving = next(filter(None, commands), None) if view.live else None
    family = serving or family_of_packages(view.situation.versions)
    version = family.version(view.situation.versions) if family is not None else ""
    titles = " or ".join(one.title for one in families())
    if not view.interpreter and not version and serving is None:
        return (
            f"No {titles} is on PATH: name the server's interpreter with --python, or its process "
            "with --pid."
        )
    known = family if version or serving is not None else None
    named = f"no {titles}" if known is None else f"{known.title} {version}".strip()
    return f"Server environment: {named}, {view.interpreter or 'no interpreter'}"


def _next(view: DiagnosisView, rows: Sequence[TuningDiagnosis]) -> str:
    """Return the one next step."""
    if any(row.state in TROUBLE for row in rows):
        return "Next: correct the rows above that are wrong, and run trimtab doctor again."
    if view.live:
        return "Next: trimtab tune --dry-run -- COMMAND lists what a study would test here."
    return "Next: trimtab doctor --pid PID checks what a running server really got."


def _machine(view: DiagnosisView) -> str:
    here, facts = view.situation, view.facts
    npus = f"({here.npus} NPUs)" if here.npus else ""
    parts = [
        facts.kernel.os_name.value or here.distribution or "unknown distribution",
        f"kernel {here.kernel or 'unknown'}",
        f"{here.arch or 'unknown architecture'}",
        f"{here.cpus or '?'} CPUs on {formatting.count(here.numa_nodes or 1, 'NUMA node')}",
        " ".join(word for word in (here.platform, here.chip, npus) if word),
        f"in a container ({facts.container.kind.value})" if here.container else "no container",
    ]
    engines = (name for family in families() for name in family.distributions)
    shown = [name for name in (*engines, *_VERSIONS) if name in here.versions]
    parts += [f"{name} {here.versions[name]}" for name in shown]
    return "; ".join(parts)


def _process(process: InspectedProcess) -> str:
    """Return what one process of a server shows, in a line."""
    mapped = process.allocator.mapped
    names = [path.rpartition("/")[2] for path in mapped or ()]
    heap = ", ".join(names) if names else "glibc" if mapped is not None else "not readable"
    sizes = {"huge pages": process.huge, "swapped": process.swapped}
    sizes |= {f"NUMA node {node}": size for node, size in process.nodes.items()}
    parts = ", ".join(f"{name} {_size(size)}" for name, size in sizes.items())
    cpus = format_cpu_list(process.allowed) if process.allowed else "not readable"
    threads = formatting.count(process.threads, "thread") if process.threads else "? threads"
    return (
        f"{process.label}: {threads}, CPUs {cpus}, memory {_size(process.resident)} "
        f"({parts}), allocator {heap}"
    )


def _size(size: int | None) -> str:
    return "?" if size is None else f"{size / 2**20:.0f} MiB"


def _counts(rows: Sequence[TuningDiagnosis], *, everything: bool) -> str:
    counts = Counter(row.state for row in rows)
    said = ", ".join(
        f"{counts[state]} {state.value}" + (f" ({_MEANINGS[state]})" if state in _MEANINGS else "")
        for state in TuningState
        if counts[state]
    )
    return f"{said}{'' if everything else '; --all shows every row'}"

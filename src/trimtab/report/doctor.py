"""What ``trimtab doctor`` prints: rows by layer, findings, processes; and the same as data."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from trimtab import facts as all_facts
from trimtab.diagnosis.row import TROUBLE, Inspected, Row, State, View
from trimtab.facts.text import format_cpu_list
from trimtab.lint.interest import interesting as interesting_name
from trimtab.model.finding import Finding
from trimtab.redaction import hidden, redact_words

_STYLES = {
    State.ACTIVE: "green",
    State.STOCK: "dim",
    State.NOT_APPLICABLE: "dim",
    State.UNKNOWN: "yellow",
    **dict.fromkeys(TROUBLE, "bold red"),
}


def interesting(row: Row) -> bool:
    """Whether a row says something that is not what every machine says."""
    if row.state in TROUBLE or row.findings:
        return True
    return row.state is State.ACTIVE or (row.state is State.UNKNOWN and bool(row.where))


def show(
    view: View,
    table: Sequence[Row],
    findings: Sequence[Finding],
    differences: Sequence[str],
    console: Console,
    *,
    everything: bool,
) -> None:
    """Print a diagnosis."""
    console.print(Text(_machine(view), style="bold"))
    console.print(Text(_server(view)))
    if view.live:
        console.print(_processes(view.processes))
    layers = list(dict.fromkeys(row.layer for row in table))
    shown = [row for row in table if everything or interesting(row)]
    shown.sort(key=lambda row: layers.index(row.layer))
    console.print(_rows(shown))
    for one in findings:
        said = f"{one.message}: {one.fix}" if one.fix else one.message
        console.print(Text(f"{one.severity.value}: {said} [{one.rule}]"))
    for said in differences:
        console.print(Text(f"differs: {said}"))
    for reason in view.unread:
        console.print(Text(f"not read: {reason}", style="yellow"))
    console.print(Text(_counts(table, everything=everything)))
    console.print(Text(_next(view, table)))


def _server(view: View) -> str:
    """Return which environment was looked at, or what to name because none was found."""
    version = view.situation.versions.get("vllm")
    if not view.interpreter and not version:
        return (
            "No vLLM is on PATH: name the server's interpreter with --python, or its process "
            "with --pid."
        )
    named = f"vLLM {version}" if version else "no vLLM"
    return f"Server environment: {named}, {view.interpreter or 'no interpreter'}"


def _next(view: View, table: Sequence[Row]) -> str:
    """Return the one next step."""
    if any(row.state in TROUBLE for row in table):
        return "Next: correct the rows above that are wrong, and run trimtab doctor again."
    if view.live:
        return "Next: trimtab tune --dry-run -- COMMAND lists what a study would test here."
    return "Next: trimtab doctor --pid PID checks what a running server really got."


def _machine(view: View) -> str:
    here, facts = view.situation, view.facts
    npus = f"({here.npus} NPUs)" if here.npus else ""
    parts = [
        facts.kernel.os_name.value or here.distribution or "unknown distribution",
        f"kernel {here.kernel or 'unknown'}",
        f"{here.arch or 'unknown architecture'}",
        f"{here.cpus or '?'} CPUs on {here.numa_nodes or '?'} NUMA nodes",
        " ".join(word for word in (here.platform, here.chip, npus) if word),
        f"in a container ({facts.container.kind.value})" if here.container else "no container",
    ]
    parts += [f"{name} {here.versions[name]}" for name in _TOLD if name in here.versions]
    return "; ".join(parts)


_TOLD = ("vllm", "vllm-ascend", "torch", "torch-npu", "cann", "driver")


def _rows(rows: Sequence[Row]) -> Table:
    table = _plain("layer", "tuning", "state", "observed", "what to do")
    table.columns[1].no_wrap = table.columns[2].no_wrap = True
    layer = ""
    for row in rows:
        seen = f"{row.observed} ({row.where})" if row.observed and row.where else row.observed
        first = row.layer if row.layer != layer else ""
        layer = row.layer
        state = Text(row.state.value, style=_STYLES[row.state])
        table.add_row(first, row.tuning, state, seen or row.where, row.todo)
    return table


def _plain(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="bold")
    for name in columns:
        table.add_column(name, overflow="fold")
    return table


def _processes(processes: Sequence[Inspected]) -> Table:
    table = _plain("process", "threads", "CPUs", "memory", "huge", "swap", "nodes", "allocator")
    for one in processes:
        mapped = one.allocator.mapped
        names = [path.rpartition("/")[2] for path in mapped or ()]
        heap = ", ".join(names) if names else "glibc" if mapped is not None else "not readable"
        table.add_row(
            one.label,
            str(one.threads or "?"),
            format_cpu_list(one.allowed) if one.allowed else "?",
            _size(one.resident),
            _size(one.huge),
            _size(one.swapped),
            ", ".join(f"{node}: {_size(size)}" for node, size in one.nodes.items()),
            heap,
        )
    return table


def _size(size: int | None) -> str:
    return "?" if size is None else f"{size / 2**20:.0f} MiB"


def _counts(table: Sequence[Row], *, everything: bool) -> str:
    counts = Counter(row.state for row in table)
    said = ", ".join(f"{counts[state]} {state.value}" for state in State if counts[state])
    return f"{said}{'' if everything else '; --all shows every row'}"


def telling(name: str) -> bool:
    """Whether a variable is about serving or loading; what else is there is nobody's business."""
    return interesting_name(name) or name.startswith(("LD_", "PYTHON", "HF_", "VLLM"))


def as_data(
    view: View, table: Sequence[Row], findings: Sequence[Finding], differences: Sequence[str]
) -> dict[str, Any]:
    """Return the diagnosis as one JSON object; secrets are left out."""
    everything = [*findings, *(one for row in table for one in row.findings)]
    return {
        "situation": _known(asdict(view.situation)),
        "facts": all_facts.to_dict(view.facts),
        "python": _known(asdict(view.build)),
        "packages": dict(view.packages),
        "url": view.url,
        "config": dict(view.config),
        "tunings": [_row(row) for row in table],
        "findings": [_finding(one) for one in dict.fromkeys(everything)],
        "processes": [_process(one) for one in view.processes],
        "differences": list(differences),
        "unread": list(view.unread),
    }


def _known(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if value not in (None, "")}


def _row(row: Row) -> dict[str, Any]:
    return {
        "tuning": row.tuning,
        "layer": row.layer,
        "state": row.state.value,
        "observed": row.observed,
        "where": row.where,
        "todo": row.todo,
        "rules": [one.rule for one in row.findings],
    }


def _finding(one: Finding) -> dict[str, Any]:
    return {
        "rule": one.rule,
        "severity": one.severity.value,
        "tuning": one.tuning,
        "setting": one.setting,
        "message": one.message,
        "fix": one.fix,
    }


def _process(one: Inspected) -> dict[str, Any]:
    scene, heap = one.scene, one.allocator
    return {
        "role": one.name,
        "pid": scene.pid,
        "command": list(redact_words(scene.argv)),
        "environment_whole": one.whole,
        "environment": {
            name: "..." if hidden(name, made.value) else made.value
            for name, made in sorted(scene.env.items())
            if telling(name)
        }
        if scene.pid is not None
        else {},
        "threads": one.threads,
        "cpus": None if one.allowed is None else format_cpu_list(one.allowed),
        "open_files": _limit(one.nofile),
        "locked_memory": _limit(one.memlock),
        "resident": one.resident,
        "swapped": one.swapped,
        "huge_pages": one.huge,
        "numa_nodes": {str(node): size for node, size in one.nodes.items()},
        "allocator": {
            "preloaded": list(heap.preloaded),
            "missing": list(heap.missing),
            "mapped": None if heap.mapped is None else list(heap.mapped),
            "serving": heap.serving,
            "reason": heap.reason,
        },
    }


def _limit(value: float | None) -> float | str | None:
    return "unlimited" if value is not None and math.isinf(value) else value

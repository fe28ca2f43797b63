"""What ``--dry-run`` of ``bench``, ``compare`` and ``capacity`` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trimtab import formatting
from trimtab.cli import terminal
from trimtab.cli.terminal import say
from trimtab.errors import UsageError
from trimtab.load.workload import load_workload
from trimtab.measurement import blocks
from trimtab.measurement.blocks import MeasurementTarget
from trimtab.measurement.remote_server import RemoteServer
from trimtab.measurement.runs import announce, announce_pair
from trimtab.measurement.targets import open_pair, open_target
from trimtab.metrics.table import parse_slo
from trimtab.report.rows import command_line
from trimtab.stats.sequential import LOOKS
from trimtab.study.options import AUTO, Options, parse_share, parse_windows
from trimtab.study.session import Session


def planned_bench(
    url: str | None, target: str, options: Options, count: int, *, resume: bool
) -> dict[str, Any]:
    """Return what a measurement of one target would be."""
    _require_new(resume=resume)
    if url is not None:
        return _live(url, options)
    session, one = open_target(target, options, say, install=False)
    windows = None if options.windows == AUTO else session.workload.windows
    expects = blocks.interval_forecast(session.noise, count, windows)
    return _planned(session, _announced(session), [one], (count, count), expects)


def planned_compare(
    names: tuple[str, str], options: Options, margin: str, pairs: int, *, resume: bool
) -> dict[str, Any]:
    """Return what a comparison would be."""
    _require_new(resume=resume)
    parse_share("--margin", margin)
    if "," in options.objective:
        raise UsageError(f"--objective must be one metric here, but is {options.objective!r}")
    (session, first), (other, second) = open_pair(names, options, say, install=False)
    measured = announce_pair(session, other, terminal.reporter()).as_data()
    made = (2 * min(LOOKS[0], pairs), 2 * pairs)
    return _planned(
        session,
        measured,
        [first, second],
        made,
        blocks.comparison_forecast(session.noise, pairs),
    )


def planned_capacity(
    url: str | None, target: str, options: Options, count: int, requests: int, *, resume: bool
) -> dict[str, Any]:
    """Return what a search for a capacity would be; how long a start takes is not known."""
    _require_new(resume=resume)
    assert options.slo is not None
    parse_slo(options.slo)
    if url is not None:
        return _live(url, options)
    session, one = open_target(target, options, say, install=False)
    expects = blocks.bound_forecast(session.noise, count, requests)
    found = _planned(
        session,
        _announced(session),
        [one],
        (count, count + 1),
        expects,
    )
    return {**found, "minutes": None}


def _announced(session: Session) -> dict[str, Any]:
    return announce(session, terminal.reporter()).as_data()


def _require_new(*, resume: bool) -> None:
    if resume:
        raise UsageError("--dry-run starts nothing: leave --resume out")


def _live(url: str, options: Options) -> dict[str, Any]:
    workload = load_workload(options.workload or "mixed-small", parse_windows(options.windows))
    measured = RemoteServer(url, options, say).announce(workload).as_data()
    return {
        "dry_run": True,
        "measures": measured,
        "starts": [0, 0],
        "minutes": None,
        "expects": "the server that runs is measured once: no interval",
        "commands": {},
    }


def _planned(
    session: Session,
    measured: Mapping[str, Any],
    targets: Sequence[MeasurementTarget],
    starts: tuple[int, int],
    expects: str,
) -> dict[str, Any]:
    each = session.engine.expected_seconds[0]
    return {
        "dry_run": True,
        "measures": measured,
        "starts": list(starts),
        "minutes": [round(count * each / 60, 1) for count in starts],
        "expects": expects,
        "commands": {target.name: command_line(target.plan) for target in targets},
    }


def show(found: Mapping[str, Any], *, as_json: bool) -> None:
    """Print a plan, for people or as JSON."""
    if as_json:
        terminal.print_json(found)
        return
    least, most = found["starts"]
    if most:
        many = formatting.count(most, "start") if least == most else f"{least} to {most} starts"
        terminal.print_line(f"Would make {many}{_time(found['minutes'])}.")
    terminal.print_line(f"{found['expects'][0].upper()}{found['expects'][1:]}.")
    for name, command in found["commands"].items():
        terminal.print_line(f"\n{name}:")
        for line in command.splitlines():
            terminal.print_line(f"  {line}")


def _time(minutes: Sequence[float] | None) -> str:
    if minutes is None:
        return ""
    ends = [formatting.duration(60 * one) for one in dict.fromkeys(minutes)]
    return f", about {' to '.join(ends)}"

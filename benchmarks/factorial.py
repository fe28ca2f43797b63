#!/usr/bin/env python3
r"""A full two-level factorial on a real engine, as data that a simulated machine replays.

    python benchmarks/factorial.py --tunings one-process-engine eager tcmalloc log-stats \
        --repeats 3 --folder factorial --out src/trimtab/simulated/landscapes/L6.yaml

Every cell is started once in each of ``--repeats`` blocks, in random order, with the same requests
inside a block and new ones in the next. An interrupted run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
from rich.console import Console

from trimtab.model import Candidate, Phase, Start, StartRequest, candidate
from trimtab.storage import strict_yaml
from trimtab.study.executors.live import run_trial
from trimtab.study.ledger import Ledger
from trimtab.study.options import Options
from trimtab.study.progress import open_display
from trimtab.study.session import Session, open_session
from trimtab.study.signals import Stop

METRIC = "output_throughput"
TRIES = 3


def cells(session: Session) -> list[Candidate]:
    """Return every subset of the session's tunings but the dummy, as candidates."""
    values = {one.tuning: one.value for one in session.space.factors if not one.dummy}
    names = sorted(values)
    return [
        candidate({name: values[name] for name in on})
        for size in range(len(names) + 1)
        for on in combinations(names, size)
    ]


def arm(chosen: Candidate) -> str:
    """Return a cell's name."""
    return "+".join(name for name, _ in chosen) or "stock"


def measure(session: Session, ledger: Ledger, folder: Path, repeats: int, stop: Stop) -> None:
    """Make what is missing of the blocks; a start that is not measured is made again."""
    display = open_display(Console(stderr=True), METRIC)
    display.state("factorial")
    every = cells(session)
    for block in range(repeats):
        rng = np.random.default_rng((session.options.seed, 8, block))
        for index in rng.permutation(len(every)):
            for _ in range(TRIES):
                made = ledger.starts()
                if any(
                    s.valid and (s.request.block, s.request.arm) == (block, arm(every[index]))
                    for s in made
                ):
                    break
                stop.check()
                request = StartRequest(
                    Phase.SCREEN, block, arm(every[index]), every[index], 1000 + block
                )
                number = len(made) + 1
                display.begin_start(number, request)
                where = folder / "starts" / f"{number:03d}"
                start = run_trial(session, request, number, where, display, stop)
                ledger.append(start)
                display.end_start(start)
    display.close()


def landscape(session: Session, starts: list[Start], command: str) -> dict[str, object]:
    """Return the landscape file's content."""
    every = cells(session)
    names = [name for name, _ in every[-1]]
    cpu = session.facts.cpu
    return {
        "name": "L6",
        "summary": (
            f"A replay of {len(starts)} real starts: all {len(every)} combinations of "
            f"{', '.join(names)} on {session.engine.name} {session.engine.version}, "
            f"{len(cpu.online.value or ())} cores of {cpu.model.value}, workload "
            f"{session.workload.name}. Made by: {command}"
        ),
        "tunings": {
            "dummy": {"dummy": True},
            **{
                one.tuning: {"prior": one.prior, "lead": bool(one.lead)}
                for one in session.space.factors
                if not one.dummy
            },
        },
        "replay": [
            {
                "on": [name for name, _ in chosen],
                "starts": [
                    [round(window.metrics[METRIC], 4) for window in s.windows if not window.void]
                    for s in starts
                    if s.valid and s.request.arm == arm(chosen)
                ],
            }
            for chosen in every
        ],
        "start_seconds": round(float(np.mean([s.seconds for s in starts])), 1),
    }


def main() -> int:
    """Measure and write the landscape."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tunings", nargs="+", required=True)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--workload")
    parser.add_argument("--model")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    options = Options(only=tuple(asked.tunings), workload=asked.workload, model=asked.model)
    session = open_session(options, lambda line: print(line, file=sys.stderr))
    found = {one.tuning for one in session.space.factors}
    if absent := sorted(set(asked.tunings) - found):
        why = {one.name: one.reason for one in session.left_out}
        parser.error("; ".join(f"{name}: {why.get(name, 'unknown')}" for name in absent))
    asked.folder.mkdir(parents=True, exist_ok=True)
    path = asked.folder / "ledger.jsonl"
    opened = (
        Ledger.open(path)
        if path.exists()
        else Ledger.create(path, {"question": session.question()})
    )
    with opened as ledger, Stop().listening() as stop:
        measure(session, ledger, asked.folder, asked.repeats, stop)
        starts = ledger.starts()
    command = shlex.join(["python", *sys.argv])
    asked.out.write_text(strict_yaml.dump(landscape(session, starts, command)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

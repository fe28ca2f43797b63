#!/usr/bin/env python3
"""Trimtab's search against other tuners' schemes, over simulated machines whose truth is known.

    python benchmarks/search.py --studies 1000 --peer-studies 100 --out t.md --figure t.png

Every tuner gets the same number of server starts on the same machines (same seeds). What counts is
not only the gain it finds, but whether what it says is true.
"""

from __future__ import annotations

import argparse
import math
import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from peer_bench import Bench, Claim
from peers import PEERS, SLOW
from search_results import (
    Case,
    Result,
    cached_landscape,
    coverage,
    errors,
    keeps,
    mean,
    near,
    rate,
)
from search_table import read
from search_targets import judged

from trimtab.model import Budget, Verdict, candidate
from trimtab.search import History, PhasedStrategy, conclude
from trimtab.simulated import NAMES, Landscape, SimulatedMachine, play, space_of

OURS = ("trimtab proven", "trimtab max")
LIKELY = "trimtab proven + likely"


def one_study(case: Case, seed: int, tuners: Sequence[str]) -> list[Result]:
    """Run one seed of a case with trimtab and every other tuner named."""
    landscape = case.load()
    machine = SimulatedMachine(landscape, seed)
    best = machine.best()
    claims = _ours(landscape, machine, case, seed)
    for name in tuners:
        bench = Bench(SimulatedMachine(landscape, seed), case.starts)
        claims[name] = PEERS[name](bench, np.random.default_rng((seed, 77)))
    return [_result(name, claim, machine, best) for name, claim in claims.items()]


def _ours(
    landscape: Landscape, machine: SimulatedMachine, case: Case, seed: int
) -> dict[str, Claim]:
    space = space_of(landscape, Budget(starts=case.starts), seed)
    found = conclude(History.of(space, play(PhasedStrategy(), space, machine)))
    won = frozenset(one.tuning for one in found.answers if one.verdict is Verdict.ADOPT)
    likely = won | {one.tuning for one in found.answers if one.verdict is Verdict.LIKELY}
    by_arm = {one.arm: one.effect for one in found.confirmed}
    claims = {}
    for name, arm, chosen in zip(OURS, ("proven", "max"), (found.proven, found.best), strict=True):
        effect = by_arm.get(arm)
        if effect is None and chosen == found.proven:
            effect = by_arm.get("proven")
        kept = won if arm == "proven" else frozenset(dict(chosen))
        if effect is None or effect.ratio is None or effect.low is None or effect.high is None:
            silent = chosen != ()  # a profile without a total; an empty one claims no gain
            claims[name] = Claim(chosen, math.nan if silent else 0.0, kept=kept)
        else:
            claims[name] = Claim(
                chosen, math.log(effect.ratio), math.log(effect.low), math.log(effect.high), kept
            )
    values = {factor.tuning: factor.value for factor in space.factors}
    chosen = candidate({name: values[name] for name in likely})
    claims[LIKELY] = Claim(chosen, math.nan if likely else 0.0, kept=frozenset(likely))
    return claims


def _result(name: str, claim: Claim, machine: SimulatedMachine, best: float) -> Result:
    true = machine.truth(claim.chosen)
    values = dict(claim.chosen)
    kept = candidate({one: values.get(one, machine.on(one)) for one in claim.kept})
    useless = {
        one
        for one in claim.kept
        if machine.truth(tuple(pair for pair in kept if pair[0] != one)) >= machine.truth(kept)
    }
    covered = None
    if claim.low is not None and claim.high is not None:
        covered = claim.low <= true <= claim.high
    null = sum(machine.average(*one) <= 0 for one in kept)
    return Result(name, true, claim.gain, covered, claim.kept, null, len(useless), best)


COLUMNS: Mapping[str, Callable[[Sequence[Result]], str]] = {
    "any null kept": lambda own: rate(sum(one.null > 0 for one in own), len(own)),
    "null among kept, %": lambda own: mean([one.null / max(1, len(one.kept)) for one in own]),
    "useless among kept, %": lambda own: mean(
        [one.useless / max(1, len(one.kept)) for one in own]
    ),
    "claim − truth, pp": lambda own: mean(errors(own)),
    "interval holds truth": lambda own: rate(*coverage(own)),
    "5 % gain kept": lambda own: rate(*keeps(own, "gain-5")),
    "2 % gain kept": lambda own: rate(*keeps(own, "gain-3")),
    "95 % of the best found": lambda own: rate(*near(own)),
    "regret, pp": lambda own: mean([one.regret for one in own]),
}


def rows(case: Case, results: Sequence[Result]) -> list[str]:
    """Return the rows of one case."""
    where = f"{case.landscape}, {100 * case.noise:g} %, {case.starts}"
    lines = []
    for name in dict.fromkeys(one.tuner for one in results):
        own = [one for one in results if one.tuner == name]
        lines.append(f"| {where} | {name} | {' | '.join(of(own) for of in COLUMNS.values())} |")
    return lines


HEAD = (
    f"| landscape, noise, starts | tuner | {' | '.join(COLUMNS)} |\n"
    f"|---|---|{'---|' * len(COLUMNS)}"
)


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=300, help="Of trimtab, in each cell.")
    parser.add_argument("--peer-studies", type=int, help="Of each peer; as many by default.")
    parser.add_argument("--landscapes", nargs="*", default=[*NAMES])
    parser.add_argument("--noise", nargs="*", type=float, default=[0.005, 0.01, 0.02, 0.05])
    parser.add_argument("--starts", nargs="*", type=int, default=[24, 40])
    fast = [name for name in PEERS if name not in SLOW]
    parser.add_argument("--peers", nargs="*", default=fast, choices=list(PEERS))
    parser.add_argument("--out", type=Path, help="A Markdown file of the tables.")
    parser.add_argument("--figure", type=Path, help="A PNG.")
    asked = parser.parse_args(argv)
    needed = {"TPE": "optuna", "SMAC": "smac"}
    for peer in asked.peers:
        package = needed.get(peer.split()[0])
        if package is not None and find_spec(package) is None:
            parser.error(
                f"{peer} needs {package}: pip install -e '.[bench]', or name other --peers"
            )
    return asked


def cases(asked: argparse.Namespace) -> list[Case]:
    """Return the cells; a replay has one noise, that of its machine."""
    found = []
    for landscape in asked.landscapes:
        own = [0.0] if cached_landscape(landscape).replay else asked.noise
        found += [Case(landscape, noise, starts) for noise in own for starts in asked.starts]
    return found


def main() -> int:
    """Run the benchmark and write its tables."""
    asked = parse()
    peers = asked.studies if asked.peer_studies is None else asked.peer_studies
    cells: dict[Case, list[Result]] = {}
    print(HEAD)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for case in cases(asked):
            runs = [
                pool.submit(one_study, case, seed, asked.peers if seed < peers else ())
                for seed in range(max(asked.studies, peers))
            ]
            cells[case] = [one for run in runs for one in run.result()]
            print("\n".join(rows(case, cells[case])), flush=True)
    if asked.out:
        asked.out.write_text(page(asked, peers, cells), encoding="utf-8")
    if asked.figure:
        from search_figure import draw

        draw(read(table(cells)), asked.figure)
    return 0


def page(asked: argparse.Namespace, peers: int, cells: Mapping[Case, Sequence[Result]]) -> str:
    """Return the tables as a page."""
    lines = [
        f"Made by `python {shlex.join(sys.argv)}`: {asked.studies} studies of trimtab and {peers}",
        "of each peer in each cell. Gains are logarithmic; rates carry exact 95 % intervals.",
        "",
        *judged(cells),
        "",
        *table(cells),
        "",
    ]
    return "\n".join(lines)


def table(cells: Mapping[Case, Sequence[Result]]) -> list[str]:
    """Return the lines of the table of cells."""
    found = [line for case, results in cells.items() for line in rows(case, results)]
    return [*HEAD.splitlines(), *found]


if __name__ == "__main__":
    raise SystemExit(main())

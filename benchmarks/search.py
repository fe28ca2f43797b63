#!/usr/bin/env python3
"""Trimtab's search against other tuners' schemes, over simulated machines whose truth is known.

    python benchmarks/search.py --studies 300 --out benchmarks/search.md

Every tuner gets the same number of server starts on the same machines (same seeds). What counts is
not only the gain it finds, but whether what it says is true.
"""

from __future__ import annotations

import argparse
import math
import os
import shlex
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from peers import PEERS, SLOW, Bench, Claim
from scipy import stats

from trimtab.model import Budget, Verdict, candidate
from trimtab.search import Phased, conclude
from trimtab.simulated import Landscape, Machine, load_landscape, play, space_of

OURS = ("trimtab proven", "trimtab max")
PROBABLE = "trimtab proven + probable"


@dataclass(frozen=True)
class Case:
    """One cell of the benchmark: a landscape at a noise between starts, and a budget."""

    landscape: str
    noise: float
    starts: int

    def load(self) -> Landscape:
        """Return the landscape with the case's noise; a replay has its own."""
        found = load_landscape(self.landscape)
        if found.replay:
            return found
        noise = found.noise.model_copy(
            update={"start": self.noise, "window": self.noise / 2, "walk": 0.3 * self.noise}
        )
        return found.model_copy(update={"noise": noise})


@dataclass(frozen=True)
class Result:
    """How one study of one tuner went. Gains are log ratios."""

    tuner: str
    true: float
    claimed: float
    covered: bool | None
    kept: int
    false: int
    regret: float
    found_5: bool


def one_study(case: Case, seed: int, tuners: Sequence[str]) -> list[Result]:
    """Run one seed of a case with every tuner."""
    landscape = case.load()
    machine = Machine(landscape, seed)
    best = machine.best()
    claims = _ours(landscape, machine, case, seed)
    for name in tuners:
        bench = Bench(Machine(landscape, seed), case.starts)
        claims[name] = PEERS[name](bench, np.random.default_rng((seed, 77)))
    return [_result(name, claim, machine, best) for name, claim in claims.items()]


def _ours(landscape: Landscape, machine: Machine, case: Case, seed: int) -> dict[str, Claim]:
    space = space_of(landscape, Budget(starts=case.starts), seed)
    found = conclude(space, play(Phased(), space, machine))
    won = frozenset(one.tuning for one in found.answers if one.verdict is Verdict.WIN)
    probable = won | {one.tuning for one in found.answers if one.verdict is Verdict.PROBABLE}
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
    chosen = candidate({name: values[name] for name in probable})
    claims[PROBABLE] = Claim(chosen, math.nan if probable else 0.0, kept=frozenset(probable))
    return claims


def _result(name: str, claim: Claim, machine: Machine, best: float) -> Result:
    true = machine.truth(claim.chosen)
    kept = candidate({one: machine.on(one) for one in claim.kept})
    useless = {
        one
        for one in claim.kept
        if machine.truth(tuple(pair for pair in kept if pair[0] != one)) >= machine.truth(kept)
    }
    covered = None
    if claim.low is not None and claim.high is not None:
        covered = claim.low <= true <= claim.high
    return Result(
        name, true, claim.gain, covered, len(claim.kept), len(useless), best - true,
        "gain-5" in claim.kept,
    )  # fmt: skip


def rate(hits: int, of: int) -> str:
    """Return a rate with its exact 95 % interval."""
    if of == 0:
        return "-"
    low, high = stats.binomtest(hits, of).proportion_ci(method="exact")
    return f"{hits / of:.2f} [{low:.2f}, {high:.2f}]"


def mean(values: Sequence[float]) -> str:
    """Return a mean in percentage points with its 95 % interval; "none" of fewer than two."""
    if len(values) < 2:
        return "none"
    half = 1.96 * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return f"{100 * float(np.mean(values)):+.1f} ± {100 * half:.1f}"


HEAD = (
    "| landscape, noise, starts | tuner | any useless kept | useless among kept | "
    "claim − truth, pp | interval holds truth | 5 % gain kept | true gain, % | regret, pp |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


def rows(case: Case, results: Sequence[Result]) -> list[str]:
    """Return the rows of one case."""
    lines = []
    where = f"{case.landscape}, {100 * case.noise:g} %, {case.starts}"
    for name in dict.fromkeys(one.tuner for one in results):
        own = [one for one in results if one.tuner == name]
        covered = [one.covered for one in own if one.covered is not None]
        kept = sum(one.kept for one in own)
        useless = f"{sum(one.false for one in own) / kept:.2f}" if kept else "-"
        lines.append(
            f"| {where} | {name} | {rate(sum(one.false > 0 for one in own), len(own))} | "
            f"{useless} | "
            f"{mean([one.claimed - one.true for one in own if not math.isnan(one.claimed)])} | "
            f"{rate(sum(covered), len(covered))} | "
            f"{rate(sum(one.found_5 for one in own), len(own))} | "
            f"{mean([one.true for one in own])} | {mean([one.regret for one in own])} |"
        )
    return lines


def main() -> int:
    """Run the benchmark and write its tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=300)
    parser.add_argument("--landscapes", nargs="*", default=["L0", "L1", "L2", "L3", "L4"])
    parser.add_argument("--noise", nargs="*", type=float, default=[0.005, 0.01, 0.02, 0.05])
    parser.add_argument("--starts", nargs="*", type=int, default=[24, 40])
    parser.add_argument(
        "--peers",
        nargs="*",
        default=[name for name in PEERS if name not in SLOW],
        choices=list(PEERS),
    )
    parser.add_argument("--out", type=Path)
    parser.add_argument("--figure", type=Path, help="A PNG of the fewest starts.")
    asked = parser.parse_args()
    lines = [
        "# The search against other tuners' schemes",
        "",
        f"Made by `python {shlex.join(sys.argv)}`: {asked.studies} studies in each cell.",
        "Gains are logarithmic; rates carry exact 95 % intervals. A tuning is useless if taking",
        "it out of what is kept loses nothing. A peer's claim is the gain of what it recommends.",
        "",
        HEAD,
    ]
    print("\n".join(lines))
    cells: dict[Case, list[Result]] = {}
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for landscape in asked.landscapes:
            for noise in asked.noise:
                for starts in asked.starts:
                    case = Case(landscape, noise, starts)
                    runs = [
                        pool.submit(one_study, case, seed, asked.peers)
                        for seed in range(asked.studies)
                    ]
                    cells[case] = [one for run in runs for one in run.result()]
                    made = rows(case, cells[case])
                    print("\n".join(made), flush=True)
                    lines += made
    if asked.out:
        asked.out.write_text("\n".join([*lines, ""]), encoding="utf-8")
    if asked.figure:
        from search_figure import draw

        draw(cells, asked.figure)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

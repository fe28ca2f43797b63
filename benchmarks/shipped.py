#!/usr/bin/env python3
"""Do the profiles that studies write start, and hold their SLO? On simulated machines.

A profile counts as never started if the landscape's crashes (at 50 % or more) hit its combination,
and as breaking the SLO if its true latency is above the limit and above the baseline's.

    python benchmarks/shipped.py L1 L3 --studies 60 --starts 24 40
    python benchmarks/shipped.py slow.yaml --slo 'ttft_p99<=110' --studies 60
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from trimtab.model import BASELINE, Budget, Candidate, Space, Start
from trimtab.search import History, PhasedStrategy, conclude
from trimtab.simulated import SimulatedMachine, load_landscape, play, space_of

METRIC = "ttft_p99"
STOCK_MS = 100.0
"""The baseline's true latency on every landscape."""


@dataclass(frozen=True)
class Shipped:
    """One written profile of one study."""

    profile: str
    empty: bool
    crashes: bool
    broken: bool
    ran: bool
    gain: float


def shipped(
    machine: SimulatedMachine, space: Space, starts: Sequence[Start], name: str, chosen: Candidate
) -> Shipped:
    """Judge one profile by the truth of the landscape."""
    names = {tuning for tuning, _ in chosen}
    crashes = any(
        set(one.when) <= names and one.probability >= 0.5 for one in machine.landscape.crashes
    )
    cost = sum(
        machine.landscape.tunings[n].latency for n in names if n in machine.landscape.tunings
    )
    latency = STOCK_MS * math.exp(cost - machine.truth(chosen))
    broken = any(
        latency > max(limit, STOCK_MS) * (1 + 1e-9)
        for metric, limit in space.limits
        if metric == METRIC
    )
    ran = chosen == BASELINE or any(s.valid and s.request.candidate == chosen for s in starts)
    return Shipped(name, chosen == BASELINE, crashes, broken, ran, machine.truth(chosen))


def studies(
    landscape: str, noise: float, starts: int, count: int, limits: tuple[tuple[str, float], ...]
) -> Iterator[tuple[Shipped, Shipped]]:
    """Play studies with seeds from 0 on and judge both profiles of each."""
    known = load_landscape(landscape)
    scatter = known.noise.model_copy(update={"start": noise, "window": noise / 2})
    known = known.model_copy(update={"noise": scatter})
    for seed in range(count):
        machine = SimulatedMachine(known, seed)
        space = replace(space_of(known, Budget(starts=starts), seed), limits=limits)
        made = play(PhasedStrategy(), space, machine)
        found = conclude(History.of(space, made))
        yield (
            shipped(machine, space, made, "proven", found.proven),
            shipped(machine, space, made, "max", found.best),
        )


def row(label: str, each: Sequence[Shipped]) -> str:
    """Return one line of the table."""
    gain = 100 * sum(-1.0 if one.crashes else one.gain for one in each) / len(each)
    counts = [sum(getattr(one, what) for one in each) for what in ("broken", "crashes", "empty")]
    never = sum(not one.ran for one in each)
    return f"| {label} | {counts[0]} | {counts[1]} | {never} | {counts[2]} | {gain:+.1f} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("landscapes", nargs="+", metavar="LANDSCAPE")
    parser.add_argument("--studies", type=int, default=60)
    parser.add_argument("--starts", type=int, nargs="+", default=[24, 40])
    parser.add_argument("--noise", type=float, default=0.02)
    parser.add_argument("--slo", default="", help=f"'{METRIC}<=110': the limit in ms")
    asked = parser.parse_args()
    limits = ((METRIC, float(asked.slo.split("<=")[1])),) if asked.slo else ()
    print(f"{asked.studies} studies each, noise {asked.noise:.1%}, SLO {asked.slo or 'none'}")
    counted = "breaks SLO | cannot start | not started | baseline"
    print(f"| landscape, starts, profile | {counted} | gain, pp |")
    print("|---|---|---|---|---|---|")
    for name in asked.landscapes:
        for starts in asked.starts:
            both = list(studies(name, asked.noise, starts, asked.studies, limits))
            for each in zip(*both, strict=True):
                print(
                    row(f"{name.rsplit('/')[-1]}, {starts}, {each[0].profile}", each), flush=True
                )


if __name__ == "__main__":
    main()

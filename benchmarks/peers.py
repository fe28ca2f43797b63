"""How other tuners choose, as schemes over the same simulated machine.

Each scheme gets a budget of server starts and answers with what it keeps and what gain it claims.
Only the decision scheme is rebuilt, from the tools' published code and documents; their load
generators play no part, since the simulated machine measures for all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count

import numpy as np
from scipy import stats

from trimtab.model import Candidate, Phase, StartRequest, candidate
from trimtab.simulated import Machine
from trimtab.simulated.machine import OBJECTIVE


@dataclass(frozen=True)
class Claim:
    """What a tuner ends with: the candidate it recommends and the gain it claims (log ratio).

    ``low`` and ``high`` are the claimed interval, ``None`` where the tuner gives none. ``kept``
    are the tunings it says are worth having.
    """

    chosen: Candidate
    gain: float
    low: float | None = None
    high: float | None = None
    kept: frozenset[str] = frozenset()


@dataclass
class Bench:
    """Makes starts on a machine and counts them."""

    machine: Machine
    budget: int
    numbers: count[int] = field(default_factory=lambda: count(1))
    used: int = 0

    @property
    def names(self) -> list[str]:
        """The tunings, the inert one included: a peer cannot know that it is."""
        return list(self.machine.landscape.tunings)

    def candidate(self, names: set[str] | frozenset[str]) -> Candidate:
        """Return the candidate with these tunings on."""
        return candidate({name: self.machine.on(name) for name in names})

    def measure(self, names: set[str] | frozenset[str]) -> float:
        """Make one start and return its log throughput; a failed one counts, and is -inf."""
        self.used += 1
        request = StartRequest(Phase.SCREEN, self.used, "arm", self.candidate(names), self.used)
        start = self.machine.start(request, next(self.numbers))
        return math.log(start.metrics[OBJECTIVE]) if start.valid else -math.inf


Scheme = Callable[[Bench, np.random.Generator], Claim]


def best_of(bench: Bench, seen: Mapping[frozenset[str], float], base: float) -> Claim:
    """Return the claim of a tuner that takes the best single measurement as it is."""
    best = max(seen, key=lambda names: seen[names])
    if seen[best] <= base:
        best, gain = frozenset[str](), 0.0
    else:
        gain = seen[best] - base
    return Claim(bench.candidate(best), gain, kept=best)


def random_search(bench: Bench, rng: np.random.Generator) -> Claim:
    """Measure random candidates once each, and take the best."""
    base = bench.measure(frozenset())
    seen: dict[frozenset[str], float] = {}
    while bench.used < bench.budget:
        names = frozenset(name for name in bench.names if rng.random() < 0.5)
        seen[names] = max(seen.get(names, -math.inf), bench.measure(names))
    return best_of(bench, seen, base)


def tpe(bench: Bench, rng: np.random.Generator) -> Claim:
    """Optuna's TPE, one measurement a trial, the best trial wins (auto-tuning-vllm's scheme)."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    base = bench.measure(frozenset())
    sampler = optuna.samplers.TPESampler(
        n_startup_trials=min(10, bench.budget // 2), seed=int(rng.integers(2**31))
    )
    study = optuna.create_study(direction="maximize", sampler=sampler)
    seen: dict[frozenset[str], float] = {}
    while bench.used < bench.budget:
        trial = study.ask()
        names = frozenset(
            name for name in bench.names if trial.suggest_categorical(name, [False, True])
        )
        value = bench.measure(names)
        seen[names] = max(seen.get(names, -math.inf), value)
        study.tell(trial, value if math.isfinite(value) else base - 5.0)
    return best_of(bench, seen, base)


def one_at_a_time(bench: Bench, rng: np.random.Generator) -> Claim:
    """Try each tuning alone, as often as the budget allows, and keep what gains 1 %."""
    names = bench.names
    repeats = max(1, bench.budget // (len(names) + 1))
    base = float(np.mean([bench.measure(frozenset()) for _ in range(repeats)]))
    gains = {
        name: float(np.mean([bench.measure({name}) for _ in range(repeats)])) - base
        for name in names
    }
    kept = frozenset(name for name, gain in gains.items() if gain > 0.01)
    return Claim(bench.candidate(kept), sum(gains[name] for name in kept), kept=kept)


def t_tests(bench: Bench, rng: np.random.Generator) -> Claim:
    """Try each tuning alone three times; keep what an uncorrected t-test calls better."""
    names = bench.names[: max(1, bench.budget // 3 - 1)]
    base = [bench.measure(frozenset()) for _ in range(3)]
    gains, kept = {}, set()
    for name in names:
        values = [bench.measure({name}) for _ in range(3)]
        gains[name] = float(np.mean(values) - np.mean(base))
        finite = bool(np.isfinite(values).all())
        if finite and stats.ttest_ind(values, base, alternative="greater").pvalue < 0.05:
            kept.add(name)
    return Claim(bench.candidate(kept), sum(gains[n] for n in kept), kept=frozenset(kept))


def sweep(bench: Bench, rng: np.random.Generator) -> Claim:
    """Start every cell of a grid once and take the best (`vllm bench sweep serve`).

    Its repeats (``--num-runs``) are loads of the same start, so they share its luck. The grid
    holds as many tunings, the most promising first, as the budget has room for.
    """
    landscape = bench.machine.landscape.tunings
    names = sorted(bench.names, key=lambda name: -landscape[name].prior)
    names = names[: int(math.log2(bench.budget))]
    cells = [
        frozenset(name for i, name in enumerate(names) if cell >> i & 1)
        for cell in range(2 ** len(names))
    ]
    seen = {cell: bench.measure(cell) for cell in cells}
    return best_of(bench, seen, seen[frozenset()])


def greedy(bench: Bench, rng: np.random.Generator) -> Claim:
    """Add one tuning after another in random order; keep it if the measurement rose."""
    base = best = bench.measure(frozenset())
    kept: frozenset[str] = frozenset()
    while bench.used < bench.budget:
        for name in rng.permutation(bench.names):
            if bench.used >= bench.budget:
                break
            tried = kept ^ {str(name)}
            value = bench.measure(tried)
            if value > best:
                kept, best = tried, value
    return Claim(bench.candidate(kept), best - base, kept=kept)


def smac(repeats: int) -> Scheme:
    """Return MLOS's scheme with SMAC."""

    def scheme(bench: Bench, rng: np.random.Generator) -> Claim:
        from smac_peer import smac

        return smac(bench, rng, repeats)

    return scheme


PEERS: Mapping[str, Scheme] = {
    "random": random_search,
    "TPE (auto-tuning-vllm)": tpe,
    "grid (vllm bench sweep)": sweep,
    "one at a time": one_at_a_time,
    "t-tests, 3 repeats": t_tests,
    "greedy": greedy,
    "SMAC (MLOS), 1 repeat": smac(1),
    "SMAC (MLOS), 3 repeats": smac(3),
}

SLOW = tuple(name for name in PEERS if name.startswith("SMAC"))
"""Seconds for a study: left out unless they are named."""

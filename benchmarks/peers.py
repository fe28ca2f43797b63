"""How other tuners choose, as schemes over the same simulated machine.

Each scheme gets a budget of server starts and answers with what it keeps and what gain it claims.
Only the decision scheme is rebuilt, from the tools' published code and documents; their load
generators play no part, since the simulated machine measures for all of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import product

import numpy as np
from peer_bench import Bench, Claim, Scheme, best_of, claimed, setting
from scipy import stats
from smac_peer import smac_scheme

from trimtab.model import BASELINE, Candidate, Value


def random_search(bench: Bench, rng: np.random.Generator) -> Claim:
    """Measure random candidates once each, and take the best."""
    base = bench.measure(BASELINE)
    seen: dict[Candidate, float] = {}
    while bench.used < bench.budget:
        values = setting(
            {
                name: of[len(of) - 1 - int(rng.random() * len(of))]
                for name, of in bench.choices.items()
            }
        )
        seen[values] = max(seen.get(values, -math.inf), bench.measure(values))
    return best_of(seen, base)


def tpe(bench: Bench, rng: np.random.Generator) -> Claim:
    """Optuna's TPE, one measurement a trial, the best trial wins (auto-tuning-vllm's scheme).

    A switch is categorical, an integer tuning one over its levels.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    base = bench.measure(BASELINE)
    sampler = optuna.samplers.TPESampler(
        n_startup_trials=min(10, bench.budget // 2), seed=int(rng.integers(2**31))
    )
    study = optuna.create_study(direction="maximize", sampler=sampler)
    seen: dict[Candidate, float] = {}
    while bench.used < bench.budget:
        trial = study.ask()
        values = setting(
            {
                name: of[
                    trial.suggest_categorical(name, [False, True])
                    if len(of) == 2
                    else trial.suggest_int(name, 0, len(of) - 1)
                ]
                for name, of in bench.choices.items()
            }
        )
        value = bench.measure(values)
        seen[values] = max(seen.get(values, -math.inf), value)
        study.tell(trial, value if math.isfinite(value) else base - 5.0)
    return best_of(seen, base)


def one_at_a_time(bench: Bench, rng: np.random.Generator) -> Claim:
    """Try each value alone, as often as the budget allows, and keep what gains 1 %."""
    alone = _alone(bench)
    repeats = max(1, bench.budget // (len(alone) + 1))
    base = float(np.mean([bench.measure(BASELINE) for _ in range(repeats)]))
    gains = {
        pair: float(np.mean([bench.measure((pair,)) for _ in range(repeats)])) - base
        for pair in alone
    }
    return _together({pair: gain for pair, gain in gains.items() if gain > 0.01})


def t_tests(bench: Bench, rng: np.random.Generator) -> Claim:
    """Try each value alone three times; keep what an uncorrected t-test calls better."""
    base = [bench.measure(BASELINE) for _ in range(3)]
    gains = {}
    for pair in _alone(bench)[: max(1, bench.budget // 3 - 1)]:
        values = [bench.measure((pair,)) for _ in range(3)]
        finite = bool(np.isfinite(values).all())
        if finite and stats.ttest_ind(values, base, alternative="greater").pvalue < 0.05:
            gains[pair] = float(np.mean(values) - np.mean(base))
    return _together(gains)


def _alone(bench: Bench) -> list[tuple[str, Value]]:
    """Return every value but stock of every tuning."""
    return [(name, one) for name, of in bench.choices.items() for one in of if one is not None]


def _together(gains: Mapping[tuple[str, Value], float]) -> Claim:
    """Return the claim of the best value of each tuning, whose gains are added up."""
    best: dict[str, tuple[float, Value]] = {}
    for (name, value), gain in gains.items():
        if name not in best or gain > best[name][0]:
            best[name] = (gain, value)
    chosen = setting({name: value for name, (_, value) in best.items()})
    return claimed(chosen, sum(gain for gain, _ in best.values()))


def sweep(bench: Bench, rng: np.random.Generator) -> Claim:
    """Start every cell of a grid once and take the best (`vllm bench sweep serve`).

    Its repeats (``--num-runs``) are loads of the same start, so they share its luck. The grid
    holds as many tunings, the most promising first, as the budget has room for.
    """
    landscape = bench.machine.landscape.tunings
    names = sorted(bench.choices, key=lambda name: -landscape[name].prior)
    while math.prod(len(bench.choices[name]) for name in names) > bench.budget:
        names.pop()
    names.reverse()
    seen = {}
    for cell in product(*(bench.choices[name] for name in names)):
        values = setting(dict(zip(names, cell, strict=True)))
        seen[values] = bench.measure(values)
    return best_of(seen, seen[BASELINE])


def greedy(bench: Bench, rng: np.random.Generator) -> Claim:
    """Change one tuning after another in random order; keep it if the measurement rose."""
    base = best = bench.measure(BASELINE)
    kept: dict[str, Value] = {}
    while bench.used < bench.budget:
        for name in map(str, rng.permutation(list(bench.choices))):
            if bench.used >= bench.budget:
                break
            others = [one for one in bench.choices[name] if one != kept.get(name)]
            other = others[0] if len(others) == 1 else others[int(rng.integers(len(others)))]
            value = bench.measure(setting({**kept, name: other}))
            if value > best:
                kept, best = {**kept, name: other}, value
    return claimed(setting(kept), best - base)


PEERS: Mapping[str, Scheme] = {
    "random": random_search,
    "TPE (auto-tuning-vllm)": tpe,
    "grid (vllm bench sweep)": sweep,
    "one at a time": one_at_a_time,
    "t-tests, 3 repeats": t_tests,
    "greedy": greedy,
    "SMAC (MLOS), 1 repeat": smac_scheme(1),
    "SMAC (MLOS), 3 repeats": smac_scheme(3),
}

SLOW = tuple(name for name in PEERS if name.startswith("SMAC"))
"""Seconds for a study: left out unless they are named."""

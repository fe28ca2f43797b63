"""SMAC as MLOS drives it, with a fixed number of repeats of each configuration.

MLOS (`mlos_bench`, 0.6) starts what SMAC suggests ``trial_config_repeat_count`` times, tells SMAC
every score, and recommends the best. Its default is one repeat; of three the mean counts here,
which is kinder than the best single score.
"""

from __future__ import annotations

import logging
import math
import tempfile
from pathlib import Path

import numpy as np
from peer_bench import Bench, Claim, Scheme, best_of, setting

from trimtab.model import BASELINE, Candidate

_FAILED = 5.0
"""Cost of a start that failed, above the baseline's (log scale)."""


def smac_scheme(repeats: int) -> Scheme:
    """Return MLOS's scheme with SMAC, which starts each configuration ``repeats`` times."""

    def scheme(bench: Bench, rng: np.random.Generator) -> Claim:
        return smac(bench, rng, repeats)

    return scheme


def smac(bench: Bench, rng: np.random.Generator, repeats: int) -> Claim:
    """Let SMAC's hyperparameter facade choose, and take the candidate with the best mean."""
    from ConfigSpace import Categorical, ConfigurationSpace, Integer
    from smac import HyperparameterOptimizationFacade, Scenario
    from smac.runhistory.dataclasses import TrialValue

    base = float(np.mean([bench.measure(BASELINE) for _ in range(repeats)]))
    seed = int(rng.integers(2**31))
    space = ConfigurationSpace(seed=seed)
    space.add(
        [
            Categorical(name, [False, True]) if len(of) == 2 else Integer(name, (0, len(of) - 1))
            for name, of in bench.choices.items()
        ]
    )
    seen: dict[Candidate, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        scenario = Scenario(
            space, n_trials=bench.budget, seed=seed, deterministic=True,
            output_directory=Path(folder),
        )  # fmt: skip
        first = HyperparameterOptimizationFacade.get_initial_design(
            scenario, n_configs=min(10, bench.budget // (2 * repeats))
        )
        facade = HyperparameterOptimizationFacade(
            scenario, lambda config, seed=0: 0.0, initial_design=first,
            overwrite=True, logging_level=logging.ERROR,
        )  # fmt: skip
        while bench.used + repeats <= bench.budget:
            asked = facade.ask()
            values = setting(
                {name: of[int(asked.config[name])] for name, of in bench.choices.items()}
            )
            value = float(np.mean([bench.measure(values) for _ in range(repeats)]))
            seen[values] = max(seen.get(values, -math.inf), value)
            cost = -value if math.isfinite(value) else _FAILED - base
            facade.tell(asked, TrialValue(cost=cost))
    return best_of(seen, base)

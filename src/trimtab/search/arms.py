"""Arms and candidates: names, membership, conflicts, and the seeds of blocks.

An arm's name is "baseline", a preset's ("guide"), "proven", "max", ``tuning=value`` for a lead
alone, ``row-N`` for a row of the screen's design, ``without-tuning`` for the proven profile less
one of its tunings, ``for-metric`` or "compromise" for a further objective. ``tuning=value`` and
``without-tuning`` with ``/N`` behind are plot N of a host setting; one that is ``live`` alternates
inside a start of the arm ``tuning=value``. A second
attempt of an arm in the same block is analysed as the arm (``StartRequest.stem``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from trimtab.model import Candidate, Factor, Phase, Space, Start, StartRequest, candidate
from trimtab.presets import DOCUMENTED

BASELINE_ARM: Final = "baseline"
PROVEN_ARM: Final = "proven"
MAX_ARM: Final = "max"

_WITHOUT: Final = "without-"

SOME: Final[Candidate] = (("any tuning", None),)
"""Stands for a tuned candidate that is not known yet, to ask for its price."""

_STREAMS: Final = (
    *(Phase.LEAD, Phase.SCREEN, Phase.REFINE, Phase.CONFIRM),
    *(Phase.HOST, Phase.FOLLOW, Phase.ANSWERS),
)
"""The numbers of the phases in all seeds: a new one comes last, so that no study changes."""


def leave_one_out_arms(factors: Sequence[Factor]) -> tuple[tuple[str, Candidate], ...]:
    """Return the arms that leave each of ``factors`` out of all in turn; none for a single one."""
    if len(factors) < 2:
        return ()
    return tuple(
        (arm_without(out), candidate_of(other for other in factors if other is not out))
        for out in factors
    )


def arm_without(factor: Factor) -> str:
    """Return the name of the arm that leaves a factor out."""
    return _WITHOUT + factor.tuning


def is_preset(arm: str) -> bool:
    """Whether an arm is a preset as it stands, contradictions included."""
    return arm in DOCUMENTED


def is_leave_one_out(arm: str) -> bool:
    """Whether an arm is the proven profile less one of its tunings."""
    return arm.startswith(_WITHOUT)


def is_on(factor: Factor, values: Candidate) -> bool:
    """Whether a candidate sets the factor's tuning to the factor's value."""
    return (factor.tuning, factor.value) in values


def candidate_of(factors: Iterable[Factor]) -> Candidate:
    """Return the candidate that has all ``factors`` on."""
    return candidate({factor.tuning: factor.value for factor in factors})


def starts_of_phase(starts: Sequence[Start], phase: Phase) -> list[Start]:
    """Return the starts of one phase."""
    return [start for start in starts if start.request.phase is phase]


def clash(space: Space, factor: Factor, others: Iterable[Factor]) -> Factor | None:
    """Return the first of ``others`` that must not be on together with ``factor``."""
    for other in others:
        if frozenset((factor.tuning, other.tuning)) in space.conflicts:
            return other
    return None


def compatible_factors(space: Space, ordered: Iterable[Factor]) -> tuple[Factor, ...]:
    """Return the factors in order, leaving out each that clashes with one kept before it."""
    kept: list[Factor] = []
    for factor in ordered:
        if clash(space, factor, kept) is None:
            kept.append(factor)
    return tuple(kept)


def block_rng(space: Space, phase: Phase, block: int) -> np.random.Generator:
    """Return the randomness that belongs to one block (or with block -1, to a phase)."""
    entropy = (space.seed, _STREAMS.index(phase), block + 1)
    return np.random.default_rng(np.random.SeedSequence(entropy))


def block_seed(space: Space, phase: Phase, block: int) -> int:
    """Return the seed of a block's load, below 2**31.

    The phase and the block are in its low bits, so no two blocks of a study share a seed and the
    confirmation's requests are fresh.
    """
    high = int(np.random.SeedSequence((space.seed, 99)).generate_state(1)[0])
    return (high % 2**19) << 12 ^ _STREAMS.index(phase) << 10 ^ block


def requests(
    space: Space, phase: Phase, block: int, arms: Iterable[tuple[str, Candidate]]
) -> tuple[StartRequest, ...]:
    """Return the requests of a block, in the order of ``arms``."""
    seed = block_seed(space, phase, block)
    return tuple(StartRequest(phase, block, arm, values, seed) for arm, values in arms)


def shuffled_requests(
    space: Space, phase: Phase, block: int, arms: Sequence[tuple[str, Candidate]]
) -> tuple[StartRequest, ...]:
    """Return the requests of a block in the random order that belongs to it."""
    order = block_rng(space, phase, block).permutation(len(arms))
    return requests(space, phase, block, [arms[index] for index in order])

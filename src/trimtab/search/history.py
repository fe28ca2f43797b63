"""Arms and candidates: names, membership, conflicts, and the seeds of blocks.

An arm's name is "baseline", a preset's ("guide"), "proven", "max", ``tuning=value`` for a lead
alone, ``row-N`` for a row of the screen's design, ``without-tuning`` for the proven profile less
one of its tunings, ``for-metric`` or "compromise" for a further objective. ``tuning=value`` and
``without-tuning`` with ``/N`` behind are plot N of a host setting; one that is ``live`` alternates
inside a start of the arm ``tuning=value``. A second
attempt of an arm in the same block is analysed as the arm (``StartRequest.stem``).

Starts made comparable: every arm of a block is judged by the same requests.

A slow server may run out of load time before it has seen all windows. Its block is then judged
by the windows that all its measured starts have, because later windows hold other requests, and
a warmer server.

Answers that are asked for again and again about the same starts, worked out once.

The phases ask each other what the starts say, several times for each block. All of it is a pure
function of the question and the starts, so the last answers are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache, wraps
from itertools import groupby
from typing import Final, Generic, TypeVar

import numpy as np

from trimtab.metrics.aggregate import start_metrics
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


def block_count(starts: Sequence[Start], phase: Phase) -> int:
    """Return how many blocks of a phase have begun."""
    return len({start.request.block for start in starts if start.request.phase is phase})


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


_KEPT: Final = 64
"""Answers kept of each function: those of the study at hand."""

_Record = TypeVar("_Record")
_Answer = TypeVar("_Answer")


class IdentityKey(Generic[_Record]):
    """Records that equal others when each is the very same object.

    Records never change, and to compare all that a ledger holds of two starts would cost what is
    saved.
    """

    __slots__ = ("records",)

    def __init__(self, *records: _Record) -> None:
        self.records = records

    def __hash__(self) -> int:
        return hash(tuple(map(id, self.records)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, IdentityKey):
            return NotImplemented
        return [*map(id, self.records)] == [*map(id, other.records)]


def memoize(
    of: Callable[[Space, Sequence[Start]], _Answer],
) -> Callable[[Space, Sequence[Start]], _Answer]:
    """Return a pure function of a question and its starts that keeps its last answers."""

    @lru_cache(maxsize=_KEPT)
    def known(space: IdentityKey[Space], starts: IdentityKey[Start]) -> _Answer:
        return of(space.records[0], starts.records)

    @wraps(of)
    def answered(space: Space, starts: Sequence[Start]) -> _Answer:
        return known(IdentityKey(space), IdentityKey(*starts))

    return answered


def comparable_starts(starts: Sequence[Start]) -> list[Start]:
    """Return the starts with metrics over the windows that their whole block shares.

    Metrics of the start itself (``startup``) stay. A block that shares no window keeps its
    starts as they are: each was measured, only not on the same requests.
    """
    found: dict[int, Start] = {}
    order = sorted(starts, key=lambda start: (start.request.phase, start.request.block))
    for _, block in groupby(order, key=lambda start: (start.request.phase, start.request.block)):
        members = list(block)
        for start in _shared(members):
            found[start.number] = start
    return [found[start.number] for start in starts]


def _shared(members: Sequence[Start]) -> list[Start]:
    usable = {
        start.number: {window.index for window in start.windows if not window.void}
        for start in members
        if start.valid and start.windows
    }
    common = set.intersection(*usable.values()) if usable else set()
    if not common:
        return list(members)
    shared = frozenset(common)
    return [
        _over(IdentityKey(start), shared) if start.number in usable else start for start in members
    ]


@lru_cache(maxsize=1024)
def _over(key: IdentityKey[Start], common: frozenset[int]) -> Start:
    (start,) = key.records
    windows = [window for window in start.windows if window.index in common]
    own = {name: start.metrics[name] for name in start.metrics if name not in windows[0].metrics}
    return replace(start, metrics={**own, **start_metrics(windows)})

"""What a study of host overhead asks first: the tunings that act on the host's part of a step.

On a device that takes no time the catalogue's priors do not hold: they are about servers whose
device computes. Here is the one place that says what takes their place. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trimtab.catalog._tuning import Tuning
from trimtab.model import Value


@dataclass(frozen=True, slots=True)
class _Expected:
    """A tuning of the set, and the expected gain (log scale) of a value; ``None``: of any."""

    entry: str
    prior: float = 0.0
    value: Value = None


_SET = (
    # two cores over the stand-in: 1.39 [1.33, 1.46] times as fast without the queue, and with the
    # guide, whose queue is at level 2, 0.97 [0.87, 1.08] (docs/rehearsal.md)
    _Expected("task-queue", 0.3, "0"),
    _Expected("task-queue", 0.0, "2"),
    _Expected("jemalloc", 0.02),
    _Expected("tcmalloc", 0.01),
    _Expected("omp-threads"),
    _Expected("cpu-affinity-conf"),
    _Expected("interpreter", 0.05),
    _Expected("api-server-count"),
    _Expected("distributed-executor-backend"),
)
"""The guide's host-side tunings, in the order in which a budget has room for them."""

TRIES = {
    "task-queue": ("2", "0"),
    "api-server-count": ("2",),
    "distributed-executor-backend": ("mp",),
}
"""Values to try of tunings whose recommended one is not all that such a study asks about."""


def with_tries(asked: Mapping[str, str]) -> dict[str, str]:
    """Return what to try, as ``Context.tries``: as asked, and of a tuning not asked for `TRIES`.

    A further value stands under the name of an entry of its own, ``tuning=value``.
    """
    entries = {name.partition("=")[0] for name in asked}
    found = dict(asked)
    for entry, (first, *others) in TRIES.items():
        if entry not in entries:
            found |= {entry: first, **{f"{entry}={value}": value for value in others}}
    return found


def place(tuning: Tuning, value: Value) -> int:
    """Return where a tuning's value comes in the order of proposals, from 0; others are last."""
    known = _of(tuning, value)
    return len(_SET) if known is None else _SET.index(known)


def prior(tuning: Tuning, value: Value) -> float:
    """Return the expected gain on the log scale: 0 of what is not in the set."""
    known = _of(tuning, value)
    return 0.0 if known is None else known.prior


def _of(tuning: Tuning, value: Value) -> _Expected | None:
    same = (one for one in _SET if one.entry == tuning.entry)
    return next((one for one in same if one.value in (None, value)), None)

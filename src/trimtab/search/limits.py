"""The SLO as a constraint: a profile that breaks it is not adopted, however fast it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trimtab import wording
from trimtab.metrics import METRICS, geometric_mean
from trimtab.model import Space, Start


def broken(space: Space, own: Sequence[Start], stock: Sequence[Start]) -> tuple[str, ...]:
    """Return what the starts of a profile break, a phrase for each limit.

    A latency is the geometric mean over starts. Where the baseline itself is above a limit, the
    profile must not be above the baseline.
    """
    return tuple(_broken(space, own, stock))


def untold(space: Space, starts: Sequence[Start]) -> Iterator[str]:
    """Yield a sentence for each limit on a metric that no measured start has: nothing kept it."""
    measured = [start for start in starts if start.valid]
    for metric, limit in space.limits:
        if measured and not any(metric in start.metrics for start in measured):
            yield (
                f"no start has a value of {metric}: its limit of {wording.number(limit)} "
                f"{METRICS[metric].unit} was not enforced"
            )


def _broken(space: Space, own: Sequence[Start], stock: Sequence[Start]) -> Iterator[str]:
    for metric, limit in space.limits:
        value, before = _mean(own, metric), _mean(stock, metric)
        if value is None or value <= max(limit, before or 0.0):
            continue
        unit = METRICS[metric].unit
        yield f"{metric} {wording.number(value)} {unit} > {wording.number(limit)} {unit}"


def _mean(starts: Sequence[Start], metric: str) -> float | None:
    values = [start.metrics[metric] for start in starts if start.valid and metric in start.metrics]
    return geometric_mean(values) if values else None

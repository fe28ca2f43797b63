"""When a load's warm-up is over: by a rule, capped, and marked where the rule was not met.

Steady is when the last five bins of the server's output show neither much scatter nor a trend.
The classic bins of ten seconds, 2 % of variation and 1 % of slope suit loads of hundreds of
requests a bin (in the manner of Georges et al., OOPSLA 2007). Most loads here are shorter, so the
bins are a fifth of what the planned warm-up took, ten seconds at most; a bin of fewer than
`PER_BIN` requests scatters more by chance, as 1 / sqrt(n), and may; and a slope counts only where
it is larger than its own noise. Output is counted in bytes of the stream as they arrive: whole
answers come in clumps, because streams that begin together end together.

In closed loop the warm-up goes on until then with *spare* requests, of the same kind and from the
same seed, sent after the planned ones and before the first measured one; they are not counted
where windows are cut. So every arm of a block sees the same requests in the same windows, behind
the same number of streams, however long it warmed up. Where the order itself is the plan (an open
loop's schedule, conversations on their stream, prompts from a file, none of which may be sent
twice) nothing can be put in between without changing what the windows hold: such a warm-up is
judged and not extended. A start that ends up unsteady is marked, and counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import fmean, stdev
from typing import Final

from trimtab.load.connection import Exchange
from trimtab.load.workload import SHORTEST_WARMUP, Workload
from trimtab.model import Request, RequestRecord
from trimtab.stats.effects import trend

MARK: Final = "no-steady-state"

BINS: Final = 5
LONGEST_BIN: Final = 10.0
LONGEST: Final = 300.0
"""Seconds after which a warm-up ends, steady or not."""

PER_BIN: Final = 300
SCATTER: Final = 0.03
"""Largest coefficient of variation of bins of `PER_BIN` requests. Steady windows of 24 requests on
a quiet machine vary by 3 to 8 %, which is 0.8 to 2.3 % of 300: not all of them would meet 2 %."""

SLOPE: Final = 0.01
"""Largest slope times span, of the mean, that is none; a larger one must be beyond chance."""

SURE: Final = 3.182
"""Student's t that five bins without a trend exceed in 5 % of cases (3 degrees of freedom)."""


def unsteady_reason(values: Sequence[float], requests: float, *, arriving: bool = False) -> str:
    """Return why bins are not steady, "" if they are.

    Args:
        values: what each of the `BINS` bins held, in any unit.
        requests: how many requests one of them stands for.
        arriving: the bins follow arrivals, whose scatter is no sign of the server.
    """
    mean = fmean(values)
    if mean <= 0:
        return "nothing was answered"
    scatter = stdev(values) / mean
    limit = SCATTER * max(1.0, (PER_BIN / max(requests, 1.0)) ** 0.5)
    if scatter > limit and not arriving:
        return f"the last {BINS} bins scattered by {scatter:.0%}, above {limit:.0%}"
    line = trend(values)
    rise = line.rise / mean
    if abs(rise) > SLOPE and abs(line.t) > SURE:
        return f"the last {BINS} bins went {'up' if rise > 0 else 'down'} by {abs(rise):.0%}"
    return ""


def arrival_unsteadiness(warmup: Sequence[RequestRecord]) -> str:
    """Return why the warm-up of an open loop left no steady state, "" if it did.

    Throughput follows the schedule there, so the times to the first token are looked at.
    """
    waits = [record.chunks[0] - record.intended for record in warmup if record.chunks]
    if len(waits) < SHORTEST_WARMUP:
        return ""
    edges = [len(waits) * i // BINS for i in range(BINS + 1)]
    bins = [fmean(waits[a:b]) for a, b in pairwise(edges)]
    why = unsteady_reason(bins, len(waits) / BINS, arriving=True)
    return why and f"times to the first token: {why}"


class WarmUp:
    """The warm-up of a closed loop: how much longer it goes on.

    ``spent`` counts the spare requests sent; ``unsteady`` is why the state was not steady when
    it ended, "" if it was or the warm-up is too short to be judged.
    """

    def __init__(self, workload: Workload, spare: Sequence[Request]) -> None:
        self.spent = 0
        self.unsteady = ""
        self._spare = spare
        self._over = workload.warmup < SHORTEST_WARMUP
        self._bin = 0.0
        self._next_look = 0.0

    def more(
        self, begun: float, now: float, ended: Sequence[Exchange], running: Iterable[Exchange]
    ) -> Request | None:
        """Return a spare request to send, ``None`` when the measured ones follow.

        Asked whenever the first measured request is next; instants are of ``perf_counter``.
        """
        if self._over or not ended:  # more streams than requests: nothing to judge by
            self._over = True
            return None
        if not self._bin:
            self._bin = min(LONGEST_BIN, (now - begun) / BINS)
        if now >= self._next_look:
            self._next_look = now + self._bin
            self._look(now, ended, running)
        self._over = not self.unsteady or self.spent == len(self._spare) or now - begun > LONGEST
        if self._over:
            return None
        self.spent += 1
        return self._spare[self.spent - 1]

    def _look(self, now: float, ended: Sequence[Exchange], running: Iterable[Exchange]) -> None:
        values = [0.0] * BINS
        first = now - BINS * self._bin
        recent = [
            exchange for exchange in ended if exchange.done is None or exchange.done >= first
        ]
        for exchange in (*recent, *running):
            for instant, body in exchange.pieces:
                if first <= instant < now:
                    values[min(BINS - 1, int((instant - first) / self._bin))] += len(body)
        self.unsteady = unsteady_reason(values, len(recent) / BINS)

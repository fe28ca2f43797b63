"""What makes a window unfit for use, as pure functions over records and CPU readings.

Each guard returns sentences (none when all is well); a window with any is void: recorded, never
used, never dropped.

"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median, stdev
from typing import Final

from trimtab.model import Request, RequestRecord
from trimtab.stats.effects import Trend, trend

LAG_LIMIT: Final = 0.010
"""Largest median delay between intended and actual send, in seconds: inference-perf's bound."""

RATE_LIMIT: Final = 0.01
"""Largest relative difference between the scheduled and the achieved arrival rate; one arrival
(1 / n of n) where they are few, for a window does not resolve less."""

COARSEST_RATE: Final = 0.05
"""What that limit is at most, however few the arrivals."""

CLIENT_LIMIT: Final = 0.5
"""Largest share of one core that the client may use before it is taken for the bottleneck."""

FOREIGN_LIMIT: Final = 0.05
"""Largest share of the machine's CPU time that others may use. A neighbour that shares saturated
cores gets little of them and costs much: an OpenMP server on two cores was seen at a third of its
speed beside one that got 4 to 9 %, and a quiet machine shows 0 to 2 %."""

STEAL_LIMIT: Final = 0.10
"""Largest share of CPU time that the hypervisor may take."""

SCATTER_LIMIT: Final = 0.2
"""Largest standard deviation of log throughput between the windows of a start in closed loop.
A quiet machine shows 0.03 to 0.08; one whose cores another guest of the same host shares, unseen
in any counter of ours, has shown 0.45."""

FEWEST_WINDOWS: Final = 5
"""Windows from which on a scatter can be judged."""

SHORTEST_JUDGED: Final = 0.4
"""Seconds below which a window's CPU readings are not judged. They come in steps of 10 ms for each
process and core (USER_HZ): over 0.4 s and two cores a handful of them is some 5 % of the machine.
And taking them costs the client milliseconds, once for each window, whatever its length."""


@dataclass(frozen=True, slots=True)
class HostCpu:
    """CPU seconds of the whole machine since boot, summed over its logical CPUs."""

    busy: float
    steal: float
    total: float


@dataclass(frozen=True, slots=True)
class Readings:
    """CPU seconds used so far: by this process, by the server's tree, by the machine.

    ``None`` where it could not be read. Two of them, from a window's two ends, are compared.
    """

    client: float
    server: float | None = None
    host: HostCpu | None = None


def void_reasons(
    ended: Sequence[RequestRecord],
    due: Sequence[RequestRecord],
    asked: Mapping[int, Request],
    seconds: float,
    used: Mapping[str, float],
) -> tuple[str, ...]:
    """Return every reason why a window of ``seconds`` must not be used.

    ``ended`` are the requests that ended in the window, ``due`` those that a schedule intended
    for it (empty in closed loop); ``asked`` maps an index to what was sent. ``used`` is what
    :func:`shares` found.
    """
    if seconds <= 0:
        return ("the window has no length",)
    return (
        *errors(ended),
        *token_counts(ended, asked),
        *dispatch(due),
        *interference(used),
    )


def errors(ended: Sequence[RequestRecord]) -> tuple[str, ...]:
    """Void the window if any request that ended in it failed."""
    failed = [record for record in ended if record.error]
    if not failed:
        return ()
    return (f"{len(failed)} of {len(ended)} requests failed, the first with: {failed[0].error}",)


def token_counts(ended: Sequence[RequestRecord], asked: Mapping[int, Request]) -> tuple[str, ...]:
    """Void the window if an answer has another length than asked for, or a prompt than sent."""
    whole = [(record, asked[record.index]) for record in ended if not record.error]
    answers = [(r.output_tokens, a.output_tokens) for r, a in whole]
    prompts = [(r.prompt_tokens, len(a.prompt)) for r, a in whole]
    return (
        *_lengths(answers, "{} answers have another length than asked for"),
        *_lengths(prompts, "{} prompts were read with another length than sent"),
    )


def _lengths(pairs: Sequence[tuple[int, int]], sentence: str) -> tuple[str, ...]:
    """Return the sentence if the first number of any pair is not the second."""
    wrong = [(got, wanted) for got, wanted in pairs if got != wanted]
    if not wrong:
        return ()
    got, wanted = wrong[0]
    said = sentence.format(f"{len(wrong)} of {len(pairs)}")
    return (f"{said}, the first {got} tokens and not {wanted}",)


def dispatch(due: Sequence[RequestRecord]) -> tuple[str, ...]:
    """Void the window if an open loop did not keep its schedule. Empty ``due``: closed loop."""
    if not due:
        return ()
    reasons = []
    lag = median(record.sent - record.intended for record in due)
    if lag > LAG_LIMIT:
        reasons.append(f"the client sent its requests late, by {lag * 1000:.1f} ms at the median")
    intended = [record.intended for record in due]
    sent = [record.sent for record in due]
    planned, taken = max(intended) - min(intended), max(sent) - min(sent)
    # rate = (n - 1) / span, so the rates compare as the spans do, inverted
    limit = min(COARSEST_RATE, max(RATE_LIMIT, 1 / len(due)))
    if planned > 0 and (taken <= 0 or abs(planned / taken - 1.0) > limit):
        got = f"{planned / taken:.1%} of the scheduled" if taken > 0 else "an infinite"
        reasons.append(f"the client reached {got} arrival rate")
    return tuple(reasons)


def shares(before: Readings, after: Readings, seconds: float) -> dict[str, float]:
    """Return who used how much: what can be read of ``client``, ``foreign`` and ``steal``.

    ``client`` is this process's share of one core. ``foreign`` is the share of the machine that
    was busy with neither server nor client, ``steal`` what the hypervisor took of it. Of less than
    ``SHORTEST_JUDGED`` seconds nothing is returned.
    """
    if seconds < SHORTEST_JUDGED:
        return {}
    found = {"client": (after.client - before.client) / seconds}
    if before.host is None or after.host is None:
        return found
    total = after.host.total - before.host.total
    if total <= 0:
        return found
    if before.server is not None and after.server is not None:
        ours = after.client - before.client + after.server - before.server
        found["foreign"] = max(0.0, (after.host.busy - before.host.busy - ours) / total)
    return {**found, "steal": (after.host.steal - before.host.steal) / total}


def scatter_reason(throughputs: Sequence[float]) -> str:
    """Return why a start's windows are no measurement, "" if they are steady enough.

    ``throughputs`` are those of its valid windows, in closed loop: the load is constant then.
    """
    if len(throughputs) < FEWEST_WINDOWS or min(throughputs) <= 0:
        return ""
    scatter = stdev(math.log(throughput) for throughput in throughputs)
    if scatter <= SCATTER_LIMIT:
        return ""
    return f"throughput scattered by {scatter:.0%} between windows, above {SCATTER_LIMIT:.0%}"


def interference(used: Mapping[str, float]) -> tuple[str, ...]:
    """Void the window if the client may have been the bottleneck, or others took the machine.

    ``used`` is what :func:`shares` found; what it could not read is not judged.
    """
    limits = (
        ("client", CLIENT_LIMIT, "the load client used {} of a core"),
        ("foreign", FOREIGN_LIMIT, "others used {} of the machine"),
        ("steal", STEAL_LIMIT, "the hypervisor took {} of the machine"),
    )
    return tuple(
        f"{sentence.format(f'{used[name]:.0%}')}, above {limit:.0%}"
        for name, limit, sentence in limits
        if used.get(name, 0.0) > limit
    )


MARK: Final = "over-saturated"

BINS: Final = 10
"""Means of so many groups of requests are looked at, and not single ones: a queue remembers, and
neighbours in it are no independent observations."""

FEWEST: Final = 40
"""Requests from which on a rise can be told from a burst."""

SURE: Final = 2.896
"""Student's t that ten bins without a trend exceed in 1 % of cases (8 degrees of freedom)."""

GROWTH: Final = 2.0
"""How many times higher than its begin the line must end: a queue near its capacity wanders."""

BEHIND: Final = 0.1
"""Share of the arrivals by which the requests in flight must have risen: the server did less than
nine tenths of what came. On simulated queues of 1 to 32 servers and 200 arrivals it speaks up in
none of 200 loads at 80 % of their capacity, and in 85 % and more of those at 130 %."""

FEWEST_BEHIND: Final = 15
"""Requests by which they must have risen, however few the arrivals."""


def over_saturation(
    records: Sequence[RequestRecord], waiting: Sequence[float], begin: float, end: float
) -> str:
    """Return why requests that were due in ``(begin, end]`` came too fast, "" if they did not.

    Args:
        records: the requests that ended, all of the load.
        waiting: when those were due that had not ended yet.
        begin: seconds of the records' clock.
        end: likewise.
    """
    due = sorted([*(record.intended for record in records), *waiting])
    ends = sorted(record.done for record in records)
    inside = [at for at in due if begin < at <= end]
    flying = [bisect_right(due, at) - bisect_right(ends, at) for at in inside]
    waits = [
        record.chunks[0] - record.intended
        for record in sorted(records, key=lambda one: one.intended)
        if record.chunks and begin < record.intended <= end
    ]
    if min(len(flying), len(waits)) < FEWEST:
        return ""
    count, wait = _line(flying), _line(waits)
    behind = max(FEWEST_BEHIND, BEHIND * len(inside))
    if not (_grows(count) and _grows(wait) and count.rise > behind):
        return ""
    return (
        f"over-saturated: requests in flight rose from {max(count.first, 0):.0f} to "
        f"{count.last:.0f} and times to the first token from {1000 * max(wait.first, 0):.0f} to "
        f"{1000 * wait.last:.0f} ms"
    )


def _line(values: Sequence[float]) -> Trend:
    edges = [len(values) * i // BINS for i in range(BINS + 1)]
    return trend([fmean(values[a:b]) for a, b in pairwise(edges)])


def _grows(line: Trend) -> bool:
    return line.t > SURE and line.last > GROWTH * line.first

"""What makes a window unfit for use, as pure functions over records and CPU readings.

Each guard returns sentences (none when all is well); a window with any is void: recorded, never
used, never dropped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from trimtab.model import RequestRecord

LAG_LIMIT: Final = 0.010
"""Largest median delay between intended and actual send, in seconds: inference-perf's bound."""

RATE_LIMIT: Final = 0.05
"""Largest relative difference between the scheduled and the achieved arrival rate; the few
arrivals of a short window do not resolve a smaller one."""

CLIENT_LIMIT: Final = 0.5
"""Largest share of one core that the client may use before it is taken for the bottleneck."""

FOREIGN_LIMIT: Final = 0.10
"""Largest share of the machine's CPU time that others may use. A neighbour that shares saturated
cores gets little of them and costs much: a pinned OpenMP server on two cores loses a factor of
three to one."""

STEAL_LIMIT: Final = 0.10
"""Largest share of CPU time that the hypervisor may take."""

SHORTEST_JUDGED: Final = 1.0
"""Machine CPU readings come in steps of 10 ms a core (USER_HZ), so a shorter window tells
nothing about foreign load."""


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
    asked: Mapping[int, int],
    seconds: float,
    before: Readings,
    after: Readings,
) -> tuple[str, ...]:
    """Return every reason why a window of ``seconds`` must not be used.

    ``ended`` are the requests that ended in the window, ``due`` those that a schedule intended
    for it (empty in closed loop); ``asked`` maps a request's index to the output tokens it
    asked for.
    """
    if seconds <= 0:
        return ("the window has no length",)
    return (
        *errors(ended),
        *token_counts(ended, asked),
        *dispatch(due),
        *client_share(before, after, seconds),
        *foreign_load(before, after, seconds),
    )


def errors(ended: Sequence[RequestRecord]) -> tuple[str, ...]:
    """Void the window if any request that ended in it failed."""
    failed = [record for record in ended if record.error]
    if not failed:
        return ()
    return (f"{len(failed)} of {len(ended)} requests failed, the first with: {failed[0].error}",)


def token_counts(ended: Sequence[RequestRecord], asked: Mapping[int, int]) -> tuple[str, ...]:
    """Void the window if any answer has another length than it was asked for."""
    wrong = [
        record
        for record in ended
        if not record.error and record.output_tokens != asked[record.index]
    ]
    if not wrong:
        return ()
    first, all_of = wrong[0], f"{len(wrong)} of {len(ended)}"
    got = f"{first.output_tokens} tokens and not {asked[first.index]}"
    return (f"{all_of} answers have another length than asked for, the first {got}",)


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
    if planned > 0 and (taken <= 0 or abs(planned / taken - 1.0) > RATE_LIMIT):
        got = f"{planned / taken:.1%} of the scheduled" if taken > 0 else "an infinite"
        reasons.append(f"the client reached {got} arrival rate")
    return tuple(reasons)


def client_share(before: Readings, after: Readings, seconds: float) -> tuple[str, ...]:
    """Void the window if the client itself may have been the bottleneck."""
    share = (after.client - before.client) / seconds
    if share <= CLIENT_LIMIT:
        return ()
    return (f"the load client used {share:.0%} of a core, above {CLIENT_LIMIT:.0%}",)


def foreign_load(before: Readings, after: Readings, seconds: float) -> tuple[str, ...]:
    """Void the window if others used the machine, or the hypervisor took it away.

    Foreign load is what the machine was busy with beyond the server and the client; it is not
    judged where the server's share is unknown.
    """
    if before.host is None or after.host is None or seconds < SHORTEST_JUDGED:
        return ()
    total = after.host.total - before.host.total
    if total <= 0:
        return ()
    reasons = []
    if before.server is not None and after.server is not None:
        ours = after.client - before.client + after.server - before.server
        foreign = (after.host.busy - before.host.busy - ours) / total
        if foreign > FOREIGN_LIMIT:
            reasons.append(f"others used {foreign:.0%} of the machine, above {FOREIGN_LIMIT:.0%}")
    steal = (after.host.steal - before.host.steal) / total
    if steal > STEAL_LIMIT:
        reasons.append(f"the hypervisor took {steal:.0%} of the machine, above {STEAL_LIMIT:.0%}")
    return tuple(reasons)

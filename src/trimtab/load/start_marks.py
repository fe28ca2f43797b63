"""What a load says of its start besides numbers, and when it need not go on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from trimtab.load import saturation, steady_state
from trimtab.load.connection import Exchange
from trimtab.load.driver import LoadRun
from trimtab.load.records import record_of
from trimtab.load.workload import Workload
from trimtab.model import RequestRecord

GiveUp = Callable[[Sequence[RequestRecord]], bool]
"""Whether a load may end early, from the records so far, warm-up included."""


class EarlyStop:
    """Decides whether an open loop need not run to its end; decodes each answer once.

    ``why`` is the sentence if it need not. It looks each time another eighth of the measured
    requests have ended, so that chance gets few tries.
    """

    def __init__(self, workload: Workload, give_up: GiveUp) -> None:
        self.why = ""
        self._give_up = give_up
        self._warmup = workload.warmup
        self._step = max(1, (workload.measured - workload.warmup) // 8)
        self._records: list[RequestRecord] = []
        self._next_look = workload.warmup + self._step

    def __call__(
        self, begun: float, ended: Sequence[Exchange], running: Sequence[Exchange]
    ) -> str:
        """Return why the load need not go on, "" while it must."""
        if len(ended) < self._next_look:
            return ""
        self._next_look = len(ended) + self._step
        self._records += [record_of(one, begun) for one in ended[len(self._records) :]]
        why = _over_saturated(begun, self._warmup, self._records, running)
        if why and self._give_up(self._records):
            self.why = why
        return self.why


def _over_saturated(
    begun: float,
    warmup: int,
    records: Sequence[RequestRecord],
    running: Sequence[Exchange],
) -> str:
    """Return why the arrivals after the warm-up's were too fast for the server, or ""."""
    waiting = [one.intended - begun for one in running if one.intended is not None]
    measured = [one.intended for one in records if one.index >= warmup]
    if not measured:
        return ""
    return saturation.over_saturation(records, waiting, min(measured), max(measured))


def marks_of(
    run: LoadRun, workload: Workload, records: Sequence[RequestRecord], left_out: Sequence[str]
) -> dict[str, str]:
    """Return what a reader must know of the load, by kind."""
    why, saturated = run.unsteady, ""
    if workload.concurrency is None and workload.arrival.ramp_to is None:  # a ramp is to rise
        why = steady_state.arrival_unsteadiness(
            [one for one in records if one.index < workload.warmup]
        )
        saturated = _over_saturated(run.begun, workload.warmup, records, run.unfinished)
    unsteady = f"after {workload.warmup + run.spare} requests of warm-up {why}" if why else ""
    marks = {
        steady_state.MARK: unsteady,
        saturation.MARK: saturated,
        "prompts-left-out": "; ".join(left_out),
    }
    return {kind: sentence for kind, sentence in marks.items() if sentence}

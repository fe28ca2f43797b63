"""The load of one start: a verified server, what is driven against it, and what that gives."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from trimtab.engines import api_key
from trimtab.load import guards
from trimtab.load.alternation import Toggle
from trimtab.load.client import greedy_tokens
from trimtab.load.guards import scatter_reason
from trimtab.load.preflight import require_completions
from trimtab.load.runner import GiveUp, LoadResult, run_guarded, run_load
from trimtab.load.workload import Workload
from trimtab.metrics.aggregate import start_metrics
from trimtab.model import BASELINE, Phase, Plan, RequestRecord, StartRequest, Window
from trimtab.search import rounds
from trimtab.server.launcher import Server
from trimtab.study.progress import Display
from trimtab.study.session import Session
from trimtab.study.signals import Stop


@dataclass(frozen=True, slots=True)
class VerifiedServer:
    """A verified server of one start, ready for load."""

    session: Session
    """Session of the study."""
    plan: Plan
    """Plan that the server runs."""
    server: Server
    """The running server."""
    display: Display
    """Display of the progress."""
    stop: Stop
    """Event that ends the study."""
    toggle: Toggle | None = None
    """How the load alternates a setting; ``None`` if it does not."""

    @property
    def key(self) -> str | None:
        """API key that the server demands; ``None`` if it demands none."""
        return api_key(self.plan.settings, os.environ)

    def greedy(self) -> tuple[tuple[int, ...], ...]:
        """Return the server's greedy answers to the fixed prompts; empty if it gives none."""
        self.display.state("answers")
        session, url, key = self.session, self.server.url, self.key
        name = session.engine.served_name(url, key=key)
        return greedy_tokens(url, name, session.vocab, session.workload.vocabulary_floor, key)

    def run(self, workload: Workload, seed: int, give_up: GiveUp | None = None) -> LoadResult:
        """Drive one load, to its end unless a stop is asked for, or it is hopeless.

        Raises:
            KeyboardInterrupt: a stop was asked for.
            EndpointMissingError: the server completes no prompts.
            ClientLimitError: this process has too few open files.
        """
        session, url, key = self.session, self.server.url, self.key
        name = session.engine.served_name(url, key=key)
        require_completions(url, name, key, workload)
        load = partial(
            run_load,
            url,
            name,
            workload,
            seed,
            vocab=session.vocab,
            key=key,
            slo=session.slo,
            alive=self.server.alive,
            server_cpu=self.server.cpu_seconds,
            stop=self.stop.event,
            progress=self.display.state,
            shared_host=session.options.shared_host,
            toggle=self.toggle,
            give_up=give_up,
        )
        result = run_guarded(url, key, load)
        self.stop.check()
        return result


@dataclass(frozen=True, slots=True)
class DriveResult:
    """The windows of a start's load, and the metrics that follow from them."""

    windows: tuple[Window, ...]
    """Measured windows, void ones included."""
    metrics: Mapping[str, float]
    """Metric → value; empty if no window is valid or the load is void."""
    failed: str = ""
    """Why the server did not serve the load; "" if it did."""
    records: tuple[RequestRecord, ...] = ()
    """What happened to each request."""
    client: Mapping[str, float] = field(default_factory=dict)
    """Readings of the load client."""
    answers: tuple[tuple[int, ...], ...] = ()
    """Token ids of the greedy answers; empty if not taken."""
    void: str = ""
    """Why the whole load is void; "" if it is valid."""
    marks: Mapping[str, str] = field(default_factory=dict)
    """Kind → remark on the load."""


Drive = Callable[[VerifiedServer, StartRequest], DriveResult]


def drive_workload(loaded: VerifiedServer, request: StartRequest) -> DriveResult:
    """Drive the session's workload once: what a study measures.

    Where profiles are confirmed, and of the baseline in any phase, the server's greedy answers are
    taken too, after the load. A
    start on an unsteady machine is void, as is one that the arrivals over-saturate; a second one
    counts as it is, for the arm may be so. One in which a setting alternates is void unless a
    round of its windows is whole.
    """
    load = loaded.run(loaded.session.workload, request.seed)
    valid = [window for window in load.windows if not window.void]
    metrics = start_metrics(valid) if valid else {}
    closed = loaded.session.workload.concurrency is not None
    first = request.arm == request.stem
    speed = [window.metrics.get("output_throughput", 0.0) for window in valid]
    scattered = scatter_reason(speed) if closed else ""
    void = (scattered or load.marks.get(guards.MARK, "")) if first else ""
    if request.live:  # what alternates may well change the speed
        void = "" if rounds(load.windows) else "no round of its windows is whole and valid"
    result = DriveResult(
        load.windows, {}, load.failed, load.records, load.client, void=void, marks=load.marks
    )
    if void and not load.failed:
        return result
    compared = request.phase in (Phase.CONFIRM, Phase.ANSWERS) or request.candidate == BASELINE
    answers = loaded.greedy() if compared and metrics and not load.failed else ()
    return replace(result, metrics=metrics, answers=answers, void="")

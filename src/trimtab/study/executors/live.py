"""One start: compile, gate, apply, launch, verify, load, and what came of it as a record.

Everything that can go wrong with one start ends here as an outcome of that start, because a
crash is an answer about the candidate; only an interruption, or trouble that is no candidate's
fault (a full disk, a missing engine), leaves as an exception.

A start in which a setting of the host alternates: what holds throughout, what is switched.

What a start leaves in its folder for people and scripts, as JSON.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

from trimtab.engines import api_key
from trimtab.errors import ServerLostError, SettingRefusedError, StartFailedError
from trimtab.host import Host
from trimtab.host_settings.transaction import Switch, temporary_writes
from trimtab.load import guards
from trimtab.load.alternation import Toggle
from trimtab.load.client import greedy_tokens
from trimtab.load.guards import scatter_reason
from trimtab.load.preflight import require_completions
from trimtab.load.runner import GiveUp, LoadResult, run_guarded, run_load
from trimtab.load.workload import Workload
from trimtab.metrics.aggregate import start_metrics
from trimtab.metrics.table import StartSample, measure_start
from trimtab.metrics.wall_time import COMPILE, Stopwatch
from trimtab.model import (
    BASELINE,
    CheckOutcome,
    Evidence,
    HostWrite,
    Outcome,
    Phase,
    Plan,
    RequestRecord,
    Start,
    StartRequest,
    Window,
)
from trimtab.presets import DOCUMENTED
from trimtab.redaction import mask_prose, redact_evidence, redact_plan, secret_values
from trimtab.search import ROUND, alternation, rounds
from trimtab.server import launcher
from trimtab.server.launcher import Server, launch
from trimtab.storage import atomic_files
from trimtab.study import gate
from trimtab.study.gate import with_auto_windows, with_gate_history
from trimtab.study.progress import Display
from trimtab.study.session import Session
from trimtab.study.signals import Stop
from trimtab.verification import ServerView, refutations, verify


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


@dataclass(slots=True)
class AlternatingSetting:
    """The live tuning of one start, as a plan of its own."""

    request: StartRequest
    """Request of the start."""
    plan: Plan
    """Writes and checks of the live tuning alone."""
    evidence: list[Evidence] = field(default_factory=list)
    """Outcome of the checks when the tuning was first on, or the refusal of a write."""

    @property
    def writes(self) -> tuple[HostWrite, ...]:
        """Writes that switch the tuning on; empty without a live tuning."""
        return self.plan.writes

    def toggle(self, switch: Switch, view: ServerView, session: Session) -> Toggle | None:
        """Return how a load of the session is to alternate; ``None`` if nothing does."""
        request = self.request
        if not request.live:
            return None
        order = alternation(request.block, session.workload.windows)
        turn = partial(self._turn, switch, view, session.host)
        return Toggle(request.live, order, turn, ROUND)

    def _turn(self, switch: Switch, view: ServerView, host: Host, on: bool) -> None:
        try:
            switch(on)
        except SettingRefusedError as error:
            self.evidence[:] = [
                Evidence(check, CheckOutcome.NO, str(error), check.subject)
                for check in self.plan.checks
            ]
            raise
        if on and not self.evidence:
            self.evidence += verify(self.plan, view, host)


def split_plan(
    session: Session, plan: Plan, request: StartRequest
) -> tuple[Plan, AlternatingSetting]:
    """Split a start's plan into the part that holds throughout and the part that alternates."""
    steady = session.compile(request.steady) if request.live else plan
    writes = tuple(write for write in plan.writes if write not in steady.writes)
    live = session.catalog[request.live].entry if request.live else ""
    checks = tuple(check for check in plan.checks if check.tuning == live)
    return steady, AlternatingSetting(request, replace(plan, writes=writes, checks=checks))


def write_json(path: Path, content: object) -> None:
    """Write one JSON value. A value without a form in JSON is written as text."""
    atomic_files.write(path, json.dumps(content, indent=1, default=str) + "\n")


def write_lines(path: Path, records: Sequence[RequestRecord]) -> None:
    """Write one line for each record."""
    lines = (json.dumps(asdict(record), separators=(",", ":")) + "\n" for record in records)
    atomic_files.write(path, "".join(lines))


STARTS = "starts"
"""Name of the folder of a study that holds those of its starts."""

JOURNAL = "host.journal"
"""Name of the journal of host settings in a start's folder."""

COMPILED = "compiled"
"""Name of the folder of a study in which its starts keep what they compile."""


@dataclass(frozen=True, slots=True)
class LiveExecutor:
    """Makes the starts of a session on live servers of this machine."""

    session: Session
    """Session of the study."""
    starts: Callable[[], Sequence[Start]]
    """Returns the starts made so far. They decide how many windows are best, and how fast the
    machine was.
    """
    folder: Path
    """Folder of the study; each start has a folder below it."""
    display: Display
    """Display of the progress."""
    stop: Stop
    """Event that ends the study."""

    def run(self, request: StartRequest, number: int) -> Start:
        """Make one start; see `trimtab.study.executors.Executor`."""
        made = self.starts()
        own = with_gate_history(with_auto_windows(self.session, made, request), made)
        place = self.folder / STARTS / f"{number:03d}"
        return run_trial(own, request, number, place, self.display, self.stop)


@dataclass(slots=True)
class _Findings:
    """What is known of a start so far; becomes the :class:`Start` however it ends."""

    outcome: Outcome = Outcome.START_FAILED
    detail: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    windows: tuple[Window, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    answers: tuple[tuple[int, ...], ...] = ()
    marks: Mapping[str, str] = field(default_factory=dict)
    watch: Stopwatch = field(default_factory=Stopwatch)


def run_trial(
    session: Session,
    request: StartRequest,
    number: int,
    folder: Path,
    display: Display,
    stop: Stop,
) -> Start:
    """Run the start ``request`` asks for in ``folder`` and return its record.

    Raises:
        KeyboardInterrupt: the user or the system asked trimtab to stop; the server is gone.
        TrimtabError: trouble that is not the candidate's (no room on disk, no privilege).
    """
    plan = session.compile(request.candidate, guide=request.stem in DOCUMENTED)
    return run_plan(session, plan, request, number, folder, display, stop)


def run_plan(
    session: Session,
    plan: Plan,
    request: StartRequest,
    number: int,
    folder: Path,
    display: Display,
    stop: Stop,
    drive: Drive = drive_workload,
) -> Start:
    """Run one start of a plan, whatever made it, under whatever load; otherwise as `run_trial`."""
    began, clock = time.time(), time.monotonic()
    findings = _Findings()
    folder.mkdir(parents=True, exist_ok=True)
    shown = redact_plan(plan)
    write_json(folder / "plan.json", asdict(shown))
    display.state("gate")
    readings = gate.wait(
        stop.event,
        patience=session.gate_patience,
        earlier=session.readings,
        say=display.state,
    )
    findings.watch.lap("gate")
    _attempt(session, plan, request, folder, display, stop, drive, findings)
    stop.check()
    return Start(
        number=number,
        request=request,
        plan=shown.digest,
        outcome=findings.outcome,
        metrics=findings.metrics,
        windows=findings.windows,
        evidence=findings.evidence,
        gate=readings,
        seconds=time.monotonic() - clock,
        began=began,
        detail=mask_prose(findings.detail, secret_values(plan.settings, os.environ)),
        answers=findings.answers,
        marks=findings.marks,
        times=findings.watch.times,
    )


def _attempt(
    session: Session,
    plan: Plan,
    request: StartRequest,
    folder: Path,
    display: Display,
    stop: Stop,
    drive: Drive,
    findings: _Findings,
) -> None:
    """Launch, verify and drive; what the candidate does wrong ends here."""
    watch = findings.watch
    steady, live = split_plan(session, plan, request)
    try:
        with temporary_writes(
            steady.writes, session.host, folder / JOURNAL, live=live.writes
        ) as switch:
            display.state("starting")
            with launch(
                steady,
                session.engine,
                folder,
                deadline=session.start_deadline,
                stop=stop.event,
                compiled=folder.parent.parent / COMPILED,
            ) as server:
                watch.lap("startup")
                watch.times.update(_compiled(server))
                toggle = live.toggle(switch, server, session)
                loaded = VerifiedServer(session, steady, server, display, stop, toggle)
                _examine(loaded, request, folder, drive, findings)
    except (StartFailedError, SettingRefusedError) as error:
        stop.check()
        findings.outcome, findings.detail = Outcome.START_FAILED, str(error)
    except ServerLostError as error:
        stop.check()
        findings.outcome, findings.detail = Outcome.LOAD_FAILED, str(error)
    watch.lap("end" if "startup" in watch.times else "startup")
    if live.evidence:
        findings.evidence = (*findings.evidence, *live.evidence)
        write_json(folder / "evidence.json", [asdict(evidence) for evidence in findings.evidence])


def _examine(
    loaded: VerifiedServer, request: StartRequest, folder: Path, drive: Drive, findings: _Findings
) -> None:
    """Verify the live server and, if the plan is in effect, drive the load."""
    server = loaded.server
    loaded.display.state("verifying")
    known = secret_values(loaded.plan.settings, os.environ)
    findings.evidence = redact_evidence(verify(loaded.plan, server, loaded.session.host), known)
    findings.watch.lap("verify")
    write_json(folder / "evidence.json", [asdict(evidence) for evidence in findings.evidence])
    if gone := server.alive():
        raise ServerLostError(gone)  # what a dead tree does not show refutes nothing
    if wrong := refutations(findings.evidence):
        findings.outcome = Outcome.INEFFECTIVE
        findings.detail = "; ".join(
            f"{evidence.check.tuning or 'plan'}: {evidence.check.subject} should be "
            f"{evidence.check.expected}, "
            f"but {evidence.observed}"
            for evidence in wrong
        )
        return
    loaded.display.state("load")
    try:
        driven = drive(loaded, request)
    finally:
        findings.watch.lap("load")
    write_lines(folder / "requests.jsonl", driven.records)
    write_json(
        folder / "load.json", {"client": dict(driven.client), "windows": len(driven.windows)}
    )
    _judge(loaded, driven, findings)


def _judge(loaded: VerifiedServer, driven: DriveResult, findings: _Findings) -> None:
    findings.windows, findings.answers = driven.windows, driven.answers
    findings.marks = driven.marks
    if driven.failed:
        findings.outcome, findings.detail = Outcome.LOAD_FAILED, driven.failed
    elif not driven.metrics:
        findings.outcome = Outcome.VOID
        reasons = sorted({reason for window in driven.windows for reason in window.void})
        findings.detail = driven.void or "; ".join(reasons) or "no window was completed"
    else:
        findings.outcome = Outcome.MEASURED
        findings.metrics = {**driven.metrics, **_of_start(loaded.session, loaded.server)}


def _compiled(server: Server) -> dict[str, float]:
    """Return how long the engine compiled, if its log tells it."""
    seconds = launcher.compile_seconds(server.log_text())
    return {} if seconds is None else {COMPILE: min(seconds, server.startup)}


def _of_start(session: Session, server: Server) -> Mapping[str, float]:
    """Return the metrics of scope "start" that a verified and loaded server shows."""
    sample = StartSample(
        startup=server.startup,
        cold=session.engine.cold_start(server.log_text()),
        peak_memory=server.peak_memory(),
    )
    return measure_start(sample)

"""One start: compile, gate, apply, launch, verify, load, and what came of it as a record.

Everything that can go wrong with one start ends here as an outcome of that start, because a
crash is an answer about the candidate; only an interruption, or trouble that is no candidate's
fault (a full disk, a missing engine), leaves as an exception.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

from trimtab import gate
from trimtab.apply import applied
from trimtab.engines import api_key
from trimtab.errors import ServerLostError, SettingRefusedError, StartFailedError
from trimtab.load import saturation
from trimtab.load.greedy import greedy
from trimtab.load.guarded import guarded
from trimtab.load.guards import unsteady
from trimtab.load.marks import GiveUp
from trimtab.load.run import LoadResult, run_load
from trimtab.load.workload import Workload
from trimtab.model import (
    Evidence,
    Outcome,
    Phase,
    Plan,
    RequestRecord,
    Start,
    StartRequest,
    Window,
)
from trimtab.pooled import over_windows
from trimtab.progress import Display
from trimtab.redaction import redact_plan
from trimtab.server import Server, launch
from trimtab.session import Session
from trimtab.stop import Stop
from trimtab.verify import refuted, verify

JOURNAL = "host.journal"
"""Name of the journal of host settings in a start's folder."""

COMPILED = "compiled"
"""Name of the folder of a study in which its starts keep what they compile."""


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


@dataclass(frozen=True, slots=True)
class Loaded:
    """A verified server of one start, ready for load."""

    session: Session
    plan: Plan
    server: Server
    display: Display
    stop: Stop

    @property
    def key(self) -> str | None:
        """The API key that the server demands, if it does."""
        return api_key(self.plan.settings, os.environ)

    def greedy(self) -> tuple[tuple[int, ...], ...]:
        """Return the server's greedy answers to the fixed prompts; empty if it gives none."""
        self.display.state("answers")
        session, url, key = self.session, self.server.url, self.key
        name = session.engine.served_name(url, key=key)
        return greedy(url, name, session.vocab, session.workload.vocabulary_floor, key)

    def run(self, workload: Workload, seed: int, give_up: GiveUp | None = None) -> LoadResult:
        """Drive one load, to its end unless a stop is asked for, or it is hopeless.

        Raises:
            KeyboardInterrupt: a stop was asked for.
        """
        session, url, key = self.session, self.server.url, self.key
        load = partial(
            run_load,
            url,
            session.engine.served_name(url, key=key),
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
            give_up=give_up,
        )
        found = guarded(url, key, load)
        self.stop.check()
        return found


@dataclass(frozen=True, slots=True)
class Driven:
    """What the load of a start gave: its windows, and the metrics that follow from them.

    ``failed`` is the sentence why the server did not serve it, or "". ``metrics`` is empty where
    no window is valid, or the whole is ``void`` for that reason.
    """

    windows: tuple[Window, ...]
    metrics: Mapping[str, float]
    failed: str = ""
    records: tuple[RequestRecord, ...] = ()
    client: Mapping[str, float] = field(default_factory=dict)
    answers: tuple[tuple[int, ...], ...] = ()
    void: str = ""
    marks: Mapping[str, str] = field(default_factory=dict)


Drive = Callable[[Loaded, StartRequest], Driven]


def one_load(loaded: Loaded, request: StartRequest) -> Driven:
    """Drive the session's workload once: what a study measures.

    Where profiles are confirmed, the server's greedy answers are taken too, after the load. A
    start on an unsteady machine is void, as is one that the arrivals over-saturate; a second one
    counts as it is, for the arm may be so.
    """
    load = loaded.run(loaded.session.workload, request.seed)
    valid = [window for window in load.windows if not window.void]
    metrics = over_windows(valid) if valid else {}
    closed = loaded.session.workload.concurrency is not None
    first = request.arm == request.stem
    scattered = unsteady([_throughput(one) for one in valid]) if closed else ""
    void = (scattered or load.marks.get(saturation.MARK, "")) if first else ""
    found = Driven(
        load.windows, {}, load.failed, load.records, load.client, void=void, marks=load.marks
    )
    if void and not load.failed:
        return found
    wanted = request.phase is Phase.CONFIRM and metrics and not load.failed
    answers = loaded.greedy() if wanted else ()
    return replace(found, metrics=metrics, answers=answers, void="")


def _throughput(window: Window) -> float:
    return window.metrics.get("output_throughput", 0.0)


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
    plan = session.compile(request.candidate, guide=request.stem == "guide")
    return run_plan(session, plan, request, number, folder, display, stop)


def run_plan(
    session: Session,
    plan: Plan,
    request: StartRequest,
    number: int,
    folder: Path,
    display: Display,
    stop: Stop,
    drive: Drive = one_load,
) -> Start:
    """Run one start of a plan, whatever made it, under whatever load; otherwise as `run_trial`."""
    began, clock = time.time(), time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    shown = redact_plan(plan)
    _write(folder / "plan.json", asdict(shown))
    display.state("gate")
    readings = gate.wait(stop.event, patience=session.gate_patience, say=display.state)
    findings = _Findings()
    try:
        with applied(plan.writes, session.host, folder / JOURNAL):
            display.state("starting")
            with launch(
                plan,
                session.engine,
                folder,
                deadline=session.start_deadline,
                stop=stop.event,
                compiled=folder.parent.parent / COMPILED,
            ) as server:
                loaded = Loaded(session, plan, server, display, stop)
                _examine(loaded, request, folder, drive, findings)
    except (StartFailedError, SettingRefusedError) as error:
        stop.check()
        findings.outcome, findings.detail = Outcome.START_FAILED, str(error)
    except ServerLostError as error:
        stop.check()
        findings.outcome, findings.detail = Outcome.LOAD_FAILED, str(error)
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
        detail=findings.detail,
        answers=findings.answers,
        marks=findings.marks,
    )


def _examine(
    loaded: Loaded, request: StartRequest, folder: Path, drive: Drive, findings: _Findings
) -> None:
    """Verify the live server and, if the plan is in effect, drive the load."""
    server = loaded.server
    loaded.display.state("verifying")
    findings.evidence = verify(loaded.plan, server, loaded.session.host)
    _write(folder / "evidence.json", [asdict(one) for one in findings.evidence])
    if gone := server.alive():
        raise ServerLostError(gone)  # what a dead tree does not show refutes nothing
    if wrong := refuted(findings.evidence):
        findings.outcome = Outcome.INEFFECTIVE
        findings.detail = "; ".join(
            f"{one.check.tuning or 'plan'}: {one.check.subject} should be {one.check.expected}, "
            f"but {one.observed}"
            for one in wrong
        )
        return
    loaded.display.state("load")
    driven = drive(loaded, request)
    _write_records(folder / "requests.jsonl", driven.records)
    _write(folder / "load.json", {"client": dict(driven.client), "windows": len(driven.windows)})
    _judge(loaded, driven, findings)


def _judge(loaded: Loaded, driven: Driven, findings: _Findings) -> None:
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
        findings.metrics = {**driven.metrics, **_startup(loaded.session, loaded.server)}


def _startup(session: Session, server: Server) -> Mapping[str, float]:
    """Return ``startup`` in seconds; nothing for a start known to have filled a compile cache.

    Compile caches are compared warm: the first start of a configuration compiles what every
    later one loads. Where the log does not tell, the start counts, and adds to the noise.
    """
    cold = session.engine.cold_start(server.log_text())
    return {} if cold else {"startup": server.startup}


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1, default=str) + "\n", encoding="utf-8")


def _write_records(path: Path, records: Sequence[RequestRecord]) -> None:
    with path.open("w", encoding="utf-8") as lines:
        for record in records:
            lines.write(json.dumps(asdict(record), separators=(",", ":")) + "\n")

"""One start: compile, gate, apply, launch, verify, load, and what came of it as a record.

Everything that can go wrong with one start ends here as an outcome of that start, because a
crash is an answer about the candidate; only an interruption, or trouble that is no candidate's
fault (a full disk, a missing engine), leaves as an exception.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from trimtab import gate
from trimtab.apply import applied
from trimtab.engines import api_key
from trimtab.errors import ServerLostError, SettingRefusedError, StartFailedError
from trimtab.load.run import LoadResult, run_load
from trimtab.metrics import over_windows
from trimtab.model import (
    Evidence,
    Outcome,
    Plan,
    RequestRecord,
    Start,
    StartRequest,
    Window,
)
from trimtab.progress import Display
from trimtab.redaction import redact_plan
from trimtab.server import Server, launch
from trimtab.session import Session
from trimtab.stop import Stop
from trimtab.verify import refuted, verify

JOURNAL = "host.journal"
"""Name of the journal of host settings in a start's folder."""


@dataclass(slots=True)
class _Findings:
    """What is known of a start so far; becomes the :class:`Start` however it ends."""

    outcome: Outcome = Outcome.START_FAILED
    detail: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    windows: tuple[Window, ...] = ()
    evidence: tuple[Evidence, ...] = ()


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
) -> Start:
    """Run one start of a plan, whatever made it; otherwise as `run_trial`."""
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
            ) as server:
                _examine(session, request, plan, server, folder, display, stop, findings)
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
    )


def _examine(
    session: Session,
    request: StartRequest,
    plan: Plan,
    server: Server,
    folder: Path,
    display: Display,
    stop: Stop,
    findings: _Findings,
) -> None:
    """Verify the live server and, if the plan is in effect, drive the load."""
    display.state("verifying")
    findings.evidence = verify(plan, server, session.host)
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
    display.state("load")
    key = api_key(plan.settings, os.environ)
    load = run_load(
        server.url,
        session.engine.served_name(server.url, key=key),
        session.workload,
        request.seed,
        vocab=session.vocab,
        key=key,
        slo=session.slo,
        alive=server.alive,
        server_cpu=server.cpu_seconds,
        stop=stop.event,
        progress=display.state,
    )
    stop.check()
    _write_records(folder / "requests.jsonl", load.records)
    _write(folder / "load.json", {"client": dict(load.client), "windows": len(load.windows)})
    _judge(session, server, load, findings)


def _judge(session: Session, server: Server, load: LoadResult, findings: _Findings) -> None:
    findings.windows = load.windows
    valid = [window for window in load.windows if not window.void]
    if load.failed:
        findings.outcome, findings.detail = Outcome.LOAD_FAILED, load.failed
    elif not valid:
        findings.outcome = Outcome.VOID
        reasons = sorted({reason for window in load.windows for reason in window.void})
        findings.detail = "; ".join(reasons) or "no window was completed"
    else:
        findings.outcome = Outcome.MEASURED
        findings.metrics = {**over_windows(valid), **_startup(session, server)}


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

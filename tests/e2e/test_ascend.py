"""Verification on a genuine vllm-ascend process tree: what is set is seen, what is not is missed.

On the rehearsal by default; TRIMTAB_TEST_ENGINE=vllm runs the same on hardware ('make
test-ascend').
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from trimtab import verify
from trimtab.catalog import CATALOG
from trimtab.engines import available
from trimtab.host import LocalHost
from trimtab.model import Candidate, Evidence, Proves, Seen, candidate
from trimtab.plan import compile_plan
from trimtab.question import Options
from trimtab.server import Server, launch
from trimtab.session import Session, open_session

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ENGINE = os.environ.get("TRIMTAB_TEST_ENGINE", "ascend-rehearsal")

SET: dict[str, str | bool | int] = {
    "jemalloc": "libjemalloc.so.2",
    "omp-threads": 1,
    "task-queue": "1",
    "cpu-affinity-conf": "1",
    "npu-max-split-size": "250",
    "async-scheduling": False,
    "prefix-caching": False,
    "log-stats": True,
}
"""What the first tree is given, and the second is not."""

SHOWN = ("jemalloc", "task-queue", "cpu-affinity-conf", "async-scheduling", "prefix-caching")
"""Of these the effect shows in a process or in the engine's report; of the others, arrival."""


PROCESSES: dict[str, str | int] = {
    "api-server-count": 2,
    "distributed-executor-backend": "mp",
    "task-queue": "0",
    "dummy": "1",
}
"""Two API servers and a worker, and what is to be seen in spite of their titles."""


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    if ENGINE not in {engine.name for engine in available()}:
        pytest.skip(f"the engine {ENGINE} is not installed: trimtab engine install {ENGINE}")
    opened = open_session(Options(engine=ENGINE), lambda _: None)
    # Of two visible devices each gets a slice of the CPUs; of one, all of them.
    env = {**dict(opened.base.env), "ASCEND_RT_VISIBLE_DEVICES": "0,1"}
    return replace(opened, base=replace(opened.base, env=tuple(sorted(env.items()))))


def given(session: Session) -> dict[str, str | bool | int]:
    """Return what of SET can be set on this machine."""
    has = session.facts.libraries.path("libjemalloc.so.2").value is not None
    return {name: value for name, value in SET.items() if has or name != "jemalloc"}


@contextmanager
def served(session: Session, chosen: Candidate, folder: Path) -> Iterator[Server]:
    plan = compile_plan(chosen, session.base, session.facts)
    with launch(plan, session.engine, folder, deadline=560) as server:
        server.settle(1.0)
        yield server


def observe(session: Session, server: Server) -> dict[str, tuple[Evidence, ...]]:
    """Verify the plan of each setting alone against a tree."""
    found = {}
    for name, value in {**PROCESSES, **given(session)}.items():
        plan = compile_plan(candidate({name: value}), session.base, session.facts)
        found[name] = verify.verify(plan, server, LocalHost())
    return found


@pytest.fixture(scope="module")
def with_it(
    session: Session, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, tuple[Evidence, ...]]:
    folder = tmp_path_factory.mktemp("set")
    with served(session, candidate(given(session)), folder) as server:
        assert {one.role for one in server.processes()} >= {"api", "engine"}
        return observe(session, server)


@pytest.fixture(scope="module")
def without_it(
    session: Session, with_it: object, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, tuple[Evidence, ...]]:
    folder = tmp_path_factory.mktemp("stock")
    with served(session, candidate({"task-queue": "0"}), folder) as server:
        return observe(session, server)


@pytest.mark.parametrize("name", SET)
def test_a_tree_that_has_the_value_is_accepted(
    name: str, session: Session, with_it: Mapping[str, tuple[Evidence, ...]]
) -> None:
    if name not in given(session):
        pytest.skip("jemalloc is not installed")
    evidence = [one for one in with_it[name] if one.check.tuning == name]
    assert not verify.refuted(evidence), evidence
    assert any(one.verdict is Seen.YES for one in evidence), evidence
    if name in SHOWN:
        effects = [one for one in evidence if one.check.proves is Proves.EFFECT]
        assert any(one.verdict is Seen.YES for one in effects), evidence


@pytest.mark.parametrize("name", SET)
def test_a_tree_that_has_it_not_is_refused(
    name: str, session: Session, without_it: Mapping[str, tuple[Evidence, ...]]
) -> None:
    if name not in given(session):
        pytest.skip("jemalloc is not installed")
    evidence = [one for one in without_it[name] if one.check.tuning == name]
    assert verify.refuted(evidence), evidence
    if name in SHOWN:
        effects = [one for one in evidence if one.check.proves is Proves.EFFECT]
        assert verify.refuted(effects), evidence


def test_more_processes_are_seen_and_so_is_what_they_were_given(
    session: Session, tmp_path: Path
) -> None:
    chosen = candidate(PROCESSES)
    with served(session, chosen, tmp_path) as server:
        roles = [one.role for one in server.processes()]
        found = verify.verify(
            compile_plan(chosen, session.base, session.facts), server, LocalHost()
        )
    assert [roles.count(one) for one in ("api", "engine", "worker")] == [2, 1, 1]
    assert not verify.refuted(found), found
    for name in PROCESSES:
        own = [one for one in found if one.check.tuning == name]
        assert any(one.verdict is Seen.YES for one in own), own


@pytest.mark.parametrize("name", ["api-server-count", "distributed-executor-backend"])
def test_two_processes_are_no_more(
    name: str, without_it: Mapping[str, tuple[Evidence, ...]]
) -> None:
    assert verify.refuted(without_it[name])


def test_every_entry_that_a_study_would_try_here_is_covered(session: Session) -> None:
    tried = {
        factor.tuning
        for factor in session.space.factors
        if "ascend" in CATALOG[factor.tuning].platforms
    }
    covered = {*SET, "npu-expandable-segments"}  # vllm-ascend's own default: no tree is without
    assert tried <= covered

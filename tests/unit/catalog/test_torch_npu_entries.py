"""Entries of torch_npu: where binding does nothing, and what of a setting shows in threads."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.contracts.machines import context_of, facts_of, plain_host
from trimtab.catalog import CATALOG, Context
from trimtab.facts.ascend import Npu
from trimtab.model import Check, CheckKind, Fact, Settings

AFFINITY = CATALOG["cpu-affinity-conf"]
HERE = facts_of(plain_host(), "ascend")
ASCEND = replace(HERE, packages={"torch-npu": "2.13.0"})


def on(cpus: int, npus: int | None, **env: str) -> Context:
    """Return the context of a machine with CPUs and NPUs, whose baseline sets ``env``."""
    found = [Npu(number, 0, "910B3", "OK", "", None) for number in range(npus or 0)]
    shown = Fact.unknown("test", "no npu-smi") if npus is None else Fact(tuple(found), "test")
    facts = replace(
        HERE,
        cpu=replace(HERE.cpu, online=Fact(tuple(range(cpus)), "test")),
        ascend=replace(HERE.ascend, npus=shown),
    )
    base = Settings(("vllm", "serve", "m"), tuple(sorted(env.items())))
    return context_of(facts, platform="ascend", baseline=base)


@pytest.mark.parametrize(
    ("context", "says"),
    [
        (on(2, 8), "8 NPUs are visible and 2 CPUs, so that no slice has a CPU"),
        (on(2, 8, ASCEND_RT_VISIBLE_DEVICES="0,1,2"), "3 NPUs are visible and 2 CPUs"),
        (on(2, 1), "one NPU's is all of them"),
        (on(64, 8, ASCEND_RT_VISIBLE_DEVICES="3"), "one NPU's is all of them"),
    ],
)
def test_cpus_are_not_bound_where_torch_npu_makes_nothing_of_it(
    context: Context, says: str
) -> None:
    assert says in (AFFINITY.applies(context) or "")


@pytest.mark.parametrize(
    "context",
    [
        on(2, 8, ASCEND_RT_VISIBLE_DEVICES="0,1"),
        on(8, 8),
        on(2, None),
        replace(on(64, 1), tries={"cpu-affinity-conf": "2"}),  # a CPU for each thread
    ],
)
def test_cpus_are_bound_elsewhere(context: Context) -> None:
    assert AFFINITY.applies(context) is None


def effects(name: str, value: str, **env: str) -> list[Check]:
    checks = CATALOG[name].checks
    assert checks is not None
    given = {CATALOG[name].knob.place: value, **env}
    found = checks(value, ASCEND, Settings((), tuple(given.items())))
    assert found[0].kind is CheckKind.ENVIRON
    return list(found[1:])


def test_launch_blocking_shows_as_a_queue_that_is_missing() -> None:
    absent = [Check(CheckKind.THREAD_NAMED, "acl_thread", False)]
    assert effects("ascend-launch-blocking", "1") == absent
    assert effects("ascend-launch-blocking", "2", TASK_QUEUE_ENABLE="1") == absent
    assert effects("ascend-launch-blocking", "0") == []
    assert effects("ascend-launch-blocking", "1", TASK_QUEUE_ENABLE="0") == []  # none anyway


def test_a_queue_for_each_stream_shows_as_several_threads() -> None:
    assert effects("per-stream-queue", "1") == [Check(CheckKind.THREADS_NAMED, "acl_thread", 2)]
    assert effects("per-stream-queue", "0") == []
    assert effects("per-stream-queue", "1", TASK_QUEUE_ENABLE="0") == []
    assert effects("per-stream-queue", "1", ASCEND_LAUNCH_BLOCKING="1") == []


@pytest.mark.parametrize("name", ["ascend-launch-blocking", "per-stream-queue"])
def test_without_torch_npu_only_the_delivery_is_looked_at(name: str) -> None:
    checks = CATALOG[name].checks
    assert checks is not None
    assert len(checks("1", replace(ASCEND, packages={}), Settings(()))) == 1

"""What a study of host overhead asks, and in which order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.contracts.machines import context_of, facts_of, rich_host
from trimtab import search
from trimtab.catalog import CATALOG, Context, space, with_tries
from trimtab.model import Budget, Factor, RiskLevel, Settings, Space
from trimtab.study.options import Options, parse_tries
from trimtab.study.session import open_session

SET = (
    *("task-queue=0", "task-queue", "jemalloc", "tcmalloc", "omp-threads", "cpu-affinity-conf"),
    *("interpreter", "api-server-count", "distributed-executor-backend"),
)


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    """Return the emulator's context on a machine that has everything."""
    host = rich_host(tmp_path_factory.mktemp("rich") / "host")
    return context_of(
        facts_of(host, "ascend"),
        engine_name="ascend-emulator",
        engine_version="0.23.0",
        platform="ascend",
        packages={"vllm": "0.23.0", "vllm-ascend": "0.23.0", "torch-npu": "2.13.0"},
        baseline=Settings(
            argv=("vllm", "serve", "m", "--enforce-eager"),
            env=(("ASCEND_RT_VISIBLE_DEVICES", "0,1"),),
        ),
        objective="e2e_mean",
        host_overhead=True,
        tries=with_tries({}),
    )


def asked(context: Context, *only: str) -> list[Factor]:
    factors, _, _ = space(context, only, (), RiskLevel.MEDIUM)
    return factors


def test_the_host_side_comes_first_with_both_levels_of_the_queue(context: Context) -> None:
    factors = asked(context)
    names = [one.tuning for one in factors]
    assert tuple(names[: len(SET)]) == SET
    assert {"log-stats", "access-log", "dummy"} <= set(names[len(SET) :])
    values = {one.tuning: one.value for one in factors}
    assert (values["task-queue=0"], values["task-queue"]) == ("0", "2")
    assert all(one.prior == 0 for one in factors[len(SET) :])
    assert max(factors, key=lambda one: one.prior).tuning == "task-queue=0"


def test_what_hardware_decides_leads_no_study_of_host_overhead(context: Context) -> None:
    assert not any(one.lead for one in asked(context))
    throughput = replace(context, host_overhead=False, tries={})
    (queue,) = (one for one in asked(throughput) if one.tuning == "task-queue")
    assert queue.lead
    assert queue.prior == CATALOG["task-queue"].prior


@pytest.mark.parametrize("starts", [24, 30])
def test_a_usual_budget_has_room_for_the_whole_set(context: Context, starts: int) -> None:
    factors, _, conflicts = space(context, (), (), RiskLevel.MEDIUM)
    asked_of = Space(tuple(factors), conflicts, budget=Budget(starts=starts))
    assert set(SET) <= set(search.design(asked_of, 0.05).screened)


def test_the_users_word_on_a_tuning_is_all_that_is_tried_of_it() -> None:
    assert with_tries({})["task-queue=0"] == "0"
    found = with_tries(parse_tries(["task-queue=0", "interpreter=plain"]))
    assert "task-queue=0" not in found
    assert found["task-queue"] == "0"
    assert found["interpreter"] == "plain"
    assert found["api-server-count"] == "2"


def test_the_objective_decides_and_nothing_else() -> None:
    options = Options(engine="scripted", objective="e2e_mean", only=("dtype",))
    opened = open_session(options, lambda _: None)
    assert not opened.context.host_overhead
    assert opened.context.tries == {}

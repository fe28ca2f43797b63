"""Compiling: deterministic, pure, in the catalogue's order; conflicts end in their sentence."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contracts.machines import STOCK, context_of, facts_of, plain_host
from trimtab import presets
from trimtab.catalog import CATALOG, Context, conflict
from trimtab.errors import LibraryMissingError, UnknownTuningError, UsageError
from trimtab.model import BASELINE, CheckKind, Fact, Proof, Settings, Value, candidate
from trimtab.plan import compile_plan, delivery_plan

CONTEXT = context_of(facts_of(plain_host()))
ALTERNATIVES = {
    name: tuning.values_for(CONTEXT)[1]
    for name, tuning in CATALOG.items()
    if len(tuning.values_for(CONTEXT)) > 1 and not tuning.package and name != "process-affinity"
}


def test_the_empty_candidate_is_the_base() -> None:
    plan = compile_plan(BASELINE, STOCK, CONTEXT.facts)
    assert plan.settings == STOCK
    assert plan.writes == ()
    assert plan.checks == ()


@given(st.lists(st.sampled_from(sorted(ALTERNATIVES)), unique=True), st.randoms())
def test_order_never_matters(names: list[str], dice: random.Random) -> None:
    shuffled = list(names)
    dice.shuffle(shuffled)
    plans = [
        compile_plan(
            tuple((name, ALTERNATIVES[name]) for name in order),
            STOCK,
            CONTEXT.facts,
            allow_conflicts=True,
        )
        for order in (names, shuffled)
    ]
    assert plans[0] == plans[1]
    assert plans[0].digest == plans[1].digest
    assert {check.tuning for check in plans[0].checks} == set(names)
    for name in names:
        found = CATALOG[name].knob.parse(plans[0].settings, plans[0].writes)
        assert found == ALTERNATIVES[name]


def test_a_known_candidate_compiles_to_known_settings() -> None:
    values: dict[str, Value] = {
        "dtype": "float32",
        "one-process-engine": "0",
        "aot-compile": "0",
        "prefix-caching": False,
    }
    plan = compile_plan(candidate(values), STOCK, CONTEXT.facts)
    assert plan.settings.argv == (
        *STOCK.argv,
        "--dtype",
        "float32",
        "--no-enable-prefix-caching",
    )
    assert dict(plan.settings.env) == {
        **dict(STOCK.env),
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_USE_AOT_COMPILE": "0",
    }
    expected = {c.subject: c.expected for c in plan.checks if c.kind is CheckKind.CONFIG}
    assert expected["dtype"] == "float32"
    assert expected["enable_prefix_caching"] is False
    assert expected["args.enable_prefix_caching"] is False


def test_none_takes_away_what_the_base_sets() -> None:
    base = Settings(
        argv=("vllm", "serve", "m", "--enforce-eager"), env=(("MALLOC_ARENA_MAX", "1"),)
    )
    plan = compile_plan((("eager", None), ("malloc-arenas", None)), base, CONTEXT.facts)
    assert plan.settings.argv == ("vllm", "serve", "m")
    assert plan.settings.env == ()
    assert plan.settings.unset == ("MALLOC_ARENA_MAX",)
    (check,) = plan.checks
    assert (check.subject, check.expected) == ("MALLOC_ARENA_MAX", None)


@pytest.mark.parametrize(
    "pair",
    [
        (one, relation.name)
        for one, tuning in CATALOG.items()
        for relation in tuning.conflicts
        if one in ALTERNATIVES and relation.name in ALTERNATIVES
    ],
)
def test_conflicts_are_refused_with_the_entrys_sentence(pair: tuple[str, str]) -> None:
    sentence = conflict(CATALOG, *pair)
    assert sentence
    both = candidate({name: ALTERNATIVES[name] for name in pair})
    with pytest.raises(UsageError) as caught:
        compile_plan(both, STOCK, CONTEXT.facts)
    assert str(caught.value).endswith(sentence)
    assert compile_plan(both, STOCK, CONTEXT.facts, allow_conflicts=True).candidate == both


def test_a_conflict_with_the_base_is_refused_unless_it_is_taken_away() -> None:
    base = Settings(argv=("vllm", "serve", "m", "--enforce-eager"))
    with pytest.raises(UsageError, match="which the baseline sets"):
        compile_plan((("aot-compile", "0"),), base, CONTEXT.facts)
    plan = compile_plan((("aot-compile", "0"), ("eager", None)), base, CONTEXT.facts)
    assert "--enforce-eager" not in plan.settings.argv


def test_stock_values_never_conflict() -> None:
    both = (("block-size", 128), ("omp-bind", None), ("one-process-engine", "0"))
    assert compile_plan(both, STOCK, CONTEXT.facts).settings.argv[-1] == "128"


def test_auto_is_not_expected_in_the_configuration() -> None:
    plan = compile_plan((("dtype", "auto"),), STOCK, CONTEXT.facts)
    assert [check.subject for check in plan.checks] == ["args.dtype"]


def test_unknown_and_missing_are_one_line() -> None:
    with pytest.raises(UnknownTuningError, match="eager"):
        compile_plan((("eagre", True),), STOCK, CONTEXT.facts)
    with pytest.raises(LibraryMissingError, match="libjemalloc2"):
        compile_plan((("jemalloc", "libjemalloc.so.2"),), STOCK, CONTEXT.facts)


def test_stock_preset_is_the_baseline(plain: Context) -> None:
    assert presets.stock(plain) == BASELINE
    assert {"stock", "guide", "guide-v1", "guide-v2", "image-a2"} < set(presets.PRESETS)


def test_a_preset_is_proven_as_given_not_as_the_server_takes_it(plain: Context) -> None:
    chosen = presets.PRESETS["image-a2"](plain)
    plan = compile_plan(chosen, STOCK, plain.facts, allow_conflicts=True)
    left = delivery_plan(plan)
    assert {CheckKind.CONFIG, CheckKind.ROLES} < {check.kind for check in plan.checks}
    assert {check.kind for check in left.checks} == {CheckKind.ENVIRON}
    assert {check.tuning for check in left.checks} == set(dict(chosen))
    assert left.settings == plan.settings


def test_the_guide_on_the_recorded_machine(plain: Context) -> None:
    chosen = presets.guide(plain)
    assert dict(chosen) == {
        "npu-expandable-segments": "True",
        "task-queue": "2",
        "cpu-affinity-conf": "1",
        "hccl-op-expansion": "AIV",
    }
    plan = compile_plan(chosen, STOCK, plain.facts, allow_conflicts=True)
    env = dict(plan.settings.env)
    assert env["PYTORCH_NPU_ALLOC_CONF"] == "expandable_segments:True"
    assert env["TASK_QUEUE_ENABLE"] == "2"
    assert {check.proves for check in plan.checks} == {Proof.DELIVERY}  # no torch_npu is here
    skipped = {one.name: one.reason for one in presets.skipped_guide_steps(plain)}
    assert "not installed" in skipped["jemalloc"]
    assert "no swap" in skipped["swappiness"]
    assert "no kernel.sched_migration_cost_ns" in skipped["sched-migration-cost"]
    assert set(skipped).isdisjoint(dict(chosen))


def test_the_guide_verbatim_preloads_both_allocators(rich: Context) -> None:
    chosen = presets.guide(rich)
    with pytest.raises(UsageError, match="only the first preloaded"):
        compile_plan(chosen, STOCK, rich.facts)
    plan = compile_plan(chosen, STOCK, rich.facts, allow_conflicts=True)
    names = [path.rpartition("/")[2] for path in plan.settings.preload]
    assert names == ["libjemalloc.so.2", "libtcmalloc.so.4"]
    proves = {c.tuning: c.proves for c in plan.checks if c.kind is CheckKind.MAPPED}
    assert proves == {"jemalloc": Proof.EFFECT, "tcmalloc": Proof.DELIVERY}


def test_the_guides_host_settings_by_edition(rich: Context) -> None:
    swap = replace(rich.facts.memory, swap_total=Fact(2**30, "assumed"))
    rich = replace(rich, facts=replace(rich.facts, memory=swap))
    skipped = {one.name: one.reason for one in presets.skipped_guide_steps(rich)}
    assert "--allow-host" in skipped["swappiness"]
    allowed = replace(rich, allow_host=True)
    new = dict(presets.guide(allowed))
    assert new["swappiness"] == 0
    assert new["sched-migration-cost"] == 50000
    assert new["cpu-governor"] == "performance"
    plan = compile_plan(candidate(new), STOCK, rich.facts, allow_conflicts=True)
    governors = [write for write in plan.writes if write.path.endswith("scaling_governor")]
    assert len(governors) == 4
    assert "swappiness" not in dict(presets.PRESETS["guide-v1"](allowed))

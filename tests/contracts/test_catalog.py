"""Every entry of the catalogue: complete, sourced, total on known and on unknown machines."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.contracts.machines import STOCK, context_of, facts_of, plain_host
from trimtab.catalog import CATALOG, Context, Tuning, conflict, space, with_further_values
from trimtab.catalog.schema import no_lead
from trimtab.errors import UnknownTuningError, UsageError
from trimtab.facts import Facts
from trimtab.facts.cuda import Gpu
from trimtab.model import (
    CheckKind,
    Fact,
    Factor,
    Proof,
    RestartCost,
    RiskLevel,
    Settings,
    Value,
    Verdict,
    candidate,
)
from trimtab.plan import compile_plan
from trimtab.presets import guide, skipped_guide_steps

entries = pytest.mark.parametrize("tuning", CATALOG.values(), ids=CATALOG.keys())


def chosen(context: Context, **options: Any) -> dict[str, Factor]:
    factors, _, _ = space(context, **options)
    return {factor.tuning: factor for factor in factors}


def reasons(context: Context, **options: Any) -> dict[str, str]:
    _, left_out, _ = space(context, **options)
    return {one.name: one.reason for one in left_out}


def with_flags(facts: Facts, *flags: str) -> Facts:
    return replace(facts, cpu=replace(facts.cpu, flags=Fact(frozenset(flags), "test")))


def with_cpus(facts: Facts, count: int) -> Facts:
    cpus = tuple(range(count))
    return replace(
        facts,
        cpu=replace(
            facts.cpu,
            online=Fact(cpus, "test"),
            cores=Fact(tuple((cpu,) for cpu in cpus), "test"),
            nodes=Fact(((0, cpus),), "test"),
        ),
        limits=replace(facts.limits, allowed=Fact(cpus, "test")),
    )


@entries
def test_entry_is_complete(tuning: Tuning) -> None:
    assert tuning.name == tuning.name.lower().replace("_", "-")
    assert tuning.sources
    assert all(source.title and source.where for source in tuning.sources)
    for sentence in (tuning.summary, tuning.risk.sentence):
        assert sentence.endswith(".")
        assert sentence[0].isupper()
    assert tuning.stock
    assert tuning.layer


@entries
def test_relations_name_entries_and_are_symmetrical(tuning: Tuning) -> None:
    for relation in (*tuning.conflicts, *tuning.requires):
        assert relation.name in CATALOG
        assert relation.name != tuning.name
        assert relation.sentence
    for relation in tuning.conflicts:
        assert conflict(CATALOG, tuning.name, relation.name) == relation.sentence
        assert conflict(CATALOG, relation.name, tuning.name) == relation.sentence


@entries
def test_every_alternative_compiles_and_has_a_check(tuning: Tuning, rich: Context) -> None:
    for value in tuning.values_for(rich)[1:]:
        plan = compile_plan(candidate({tuning.name: value}), STOCK, rich.facts)
        assert plan.checks
        assert {check.tuning for check in plan.checks} == {tuning.name}
        assert plan.settings != STOCK or plan.writes


UNKNOWN = {"value": None, "source": "test", "reason": "made unknown"}


def blank(group: Any) -> Any:
    """The same group of facts with every fact unknown."""
    return replace(
        group,
        **{
            field.name: Fact(None, "test", "made unknown")
            for field in fields(group)
            if isinstance(getattr(group, field.name), Fact)
        },
    )


GROUPS = ("cpu", "memory", "kernel", "limits", "container", "privileges", "ascend", "cuda")
KNOWN = facts_of(plain_host())


@settings(max_examples=60)
@given(
    unknown=st.sets(st.sampled_from(GROUPS)),
    platform=st.sampled_from(["cpu", "cuda", "ascend"]),
    engine=st.sampled_from(["vllm-cpu", "python", "scripted"]),
    version=st.sampled_from(["0.32.0", "0.32.0+cpu", "0.40", "", "main"]),
    dtype=st.sampled_from([None, "bfloat16", "float16", "float32"]),
    concurrency=st.sampled_from([None, 1, 8, 1000]),
    allow_host=st.booleans(),
)
def test_the_space_is_total_and_says_why(unknown: set[str], **known: Any) -> None:
    facts = replace(KNOWN, **{name: blank(getattr(KNOWN, name)) for name in unknown})
    context = context_of(
        facts,
        platform=known["platform"],
        engine_name=known["engine"],
        engine_version=known["version"],
        packages={},
        checkpoint_dtype=known["dtype"],
        concurrency=known["concurrency"],
        allow_host=known["allow_host"],
    )
    factors, left_out, pairs = space(context)
    names = {factor.tuning for factor in factors}
    assert "dummy" in names
    assert names.isdisjoint(one.name for one in left_out)
    asked = {name for name, tuning in CATALOG.items() if not tuning.advisory}
    assert names | {one.name for one in left_out} == asked
    assert all(one.reason and "\n" not in one.reason for one in left_out)
    assert all(pair <= names and len(pair) == 2 for pair in pairs)
    for factor in factors:
        assert factor.value is not None
        compile_plan(candidate({factor.tuning: factor.value}), STOCK, facts)


def test_the_recorded_machine(plain: Context) -> None:
    factors = chosen(plain, max_risk=RiskLevel.MEDIUM)
    assert {name for name, factor in factors.items() if factor.lead} == {
        "dtype",
        "one-process-engine",
        "omp-bind",
    }
    assert factors["dtype"].value == "float32"
    assert factors["one-process-engine"].value == "0"
    assert factors["omp-bind"].value == "0-1"
    assert factors["max-num-seqs"].value == 8
    assert factors["prefix-caching"].value is False
    assert factors["aot-compile"].metric == "startup"
    assert factors["dummy"].dummy
    why = reasons(plain)
    assert "libtcmalloc-minimal4" in why["tcmalloc"]
    assert "--allow-host" in why["thp"]
    assert "no swap" in why["swappiness"]
    assert "whatever is asked" in why["async-scheduling"]
    assert "ascend" in why["task-queue"]
    assert "inherited" in why["process-affinity"]


def test_conflicts_are_pairs_of_the_space(plain: Context) -> None:
    _, _, pairs = space(plain)
    assert frozenset({"one-process-engine", "omp-bind"}) in pairs
    assert frozenset({"eager", "aot-compile"}) in pairs
    _, _, fewer = space(plain, skip=["eager"])
    assert frozenset({"eager", "aot-compile"}) not in fewer


def test_the_rich_machine_has_more(rich: Context) -> None:
    factors = chosen(replace(rich, allow_host=True))
    assert {"jemalloc", "tcmalloc", "libiomp", "process-affinity"} <= set(factors)
    assert {"thp", "cpu-governor", "sched-migration-cost"} <= set(factors)
    assert factors["thp"].of_host
    assert not factors["thp"].live
    assert factors["cpu-governor"].live
    assert factors["process-affinity"].value == "0-1"


def test_what_needs_another_tuning_waits_until_the_baseline_has_it(rich: Context) -> None:
    assert "omp-threads" not in chosen(rich)
    reason = {one.name: one.reason for one in space(rich)[1]}["omp-threads"]
    assert "needs one-process-engine in the baseline" in reason
    today = replace(rich.baseline, env=(("VLLM_ENABLE_V1_MULTIPROCESSING", "0"),))
    assert chosen(replace(rich, baseline=today))["omp-threads"].value == 4


@pytest.mark.parametrize(
    ("flags", "dtype", "lead", "tested"),
    [
        (("avx2",), "bfloat16", True, True),
        (("avx2", "avx512f", "avx512_bf16"), "bfloat16", False, False),
        (("avx2", "amx_bf16"), "bfloat16", False, False),
        (("avx2",), "float16", False, True),
        (("avx2", "avx512_fp16"), "float16", False, False),
        (("avx2",), "float32", True, True),  # auto narrows it to bfloat16
        (("avx2", "amx_bf16"), "float32", False, False),
        (("avx2",), "float64", False, False),
        (("avx2",), None, False, False),
    ],
)
def test_dtype_follows_the_instruction_set(
    plain: Context, flags: tuple[str, ...], dtype: str | None, lead: bool, tested: bool
) -> None:
    context = replace(plain, facts=with_flags(plain.facts, *flags), checkpoint_dtype=dtype)
    factors = chosen(context)
    assert ("dtype" in factors) is tested
    assert bool(factors["dtype"].lead if tested else "") is lead


@pytest.mark.parametrize(("count", "lead"), [(1, False), (2, True), (4, True), (5, False)])
def test_one_process_is_a_lead_on_few_cpus_only(plain: Context, count: int, lead: bool) -> None:
    factors = chosen(replace(plain, facts=with_cpus(plain.facts, count)))
    assert bool(factors["one-process-engine"].lead) is lead


@pytest.mark.parametrize(("count", "lead"), [(2, True), (4, True), (5, False)])
def test_binding_every_core_is_a_lead_on_few_cores_only(
    plain: Context, count: int, lead: bool
) -> None:
    factors = chosen(replace(plain, facts=with_cpus(plain.facts, count)))
    assert bool(factors["omp-bind"].lead) is lead


def test_the_task_queue_is_a_lead_where_no_graph_refuses_it(plain: Context) -> None:
    npu = replace(plain, platform="ascend")
    eager = Settings(argv=("vllm", "serve", "model", "--enforce-eager"))
    assert "dispatched by the host" in chosen(replace(npu, baseline=eager))["task-queue"].lead
    assert "graphs" in reasons(npu)["task-queue"]
    assert CATALOG["task-queue"].lead(npu) == ""


def test_whatever_expects_a_fifth_or_more_is_tested_first(plain: Context) -> None:
    large = {name for name, one in CATALOG.items() if one.prior >= 0.18 and not one.metric}
    ruled = {name for name, one in CATALOG.items() if one.lead is not no_lead}
    assert large == ruled == {"dtype", "one-process-engine", "omp-bind", "task-queue"}


def test_a_quota_below_the_cpus_limits_the_threads(plain: Context) -> None:
    facts = with_cpus(plain.facts, 8)
    throttled = replace(facts, limits=replace(facts.limits, cpu_quota=Fact(2.0, "cpu.max")))
    assert "omp-threads" not in chosen(replace(plain, facts=facts))
    one_process = replace(plain.baseline, env=(("VLLM_ENABLE_V1_MULTIPROCESSING", "0"),))
    found = chosen(replace(plain, facts=throttled, baseline=one_process))
    assert found["omp-threads"].value == 2


def test_the_interpreter_to_test_is_an_optimized_one(plain: Context, rich: Context) -> None:
    assert "trimtab python build" in reasons(plain)["interpreter"]
    assert CATALOG["interpreter"].values_for(rich) == (None, "optimized", "plain")
    assert chosen(rich)["interpreter"].value == "optimized"
    assert chosen(replace(rich, tries={"interpreter": "plain"}))["interpreter"].value == "plain"
    with pytest.raises(UsageError, match="must be one of optimized, plain"):
        chosen(replace(rich, tries={"interpreter": "another"}))
    (_, slow) = rich.facts.environments
    only_plain = replace(rich, facts=replace(rich.facts, environments=(slow,)))
    assert "no value here other than stock" in reasons(only_plain)["interpreter"]


def test_the_interpreter_is_proved_in_every_process(rich: Context) -> None:
    fast, _ = rich.facts.environments
    plan = compile_plan((("interpreter", "optimized"),), STOCK, rich.facts)
    assert plan.settings.argv == (f"{fast.folder}/bin/vllm", *STOCK.argv[1:])
    (check,) = plan.checks
    assert (check.kind, check.expected) == (CheckKind.EXECUTABLE, fast.executable)
    assert check.roles == ("api", "engine", "worker")
    own = ("/opt/own/bin/python3.11", "-m", "vllm.entrypoints.cli.main", "serve", "m")
    by_module = compile_plan((("interpreter", "plain"),), Settings(argv=own), rich.facts)
    assert by_module.settings.argv[0].endswith("vllm-cpu@plain/bin/python")
    assert by_module.settings.argv[1:] == own[1:]


def test_large_pages_keep_jemalloc_out(rich: Context) -> None:
    memory = replace(rich.facts.memory, page_size=Fact(65536, "test"))
    context = replace(rich, facts=replace(rich.facts, memory=memory))
    assert "65536" in reasons(context)["jemalloc"]
    assert "tcmalloc" in chosen(context)


@pytest.mark.parametrize(
    ("argv", "env", "name", "part"),
    [
        (("--dtype", "float32"), (), "dtype", "already sets it"),
        (("--dtype=float32",), (), "dtype", "already sets it"),
        ((), (("VLLM_ENABLE_V1_MULTIPROCESSING", "0"),), "one-process-engine", "already"),
        ((), (("VLLM_ENABLE_V1_MULTIPROCESSING", "0"),), "omp-bind", "baseline sets one-process"),
        (("--enforce-eager",), (), "aot-compile", "baseline sets eager"),
        ((), (("LD_PRELOAD", "/x/libjemalloc.so.2"),), "malloc-arenas", "baseline sets jemalloc"),
        (("-tp", "2"), (), "one-process-engine", "several workers"),
        (("--no-enable-prefix-caching",), (), "prefix-caching", "already sets it"),
    ],
)
def test_what_the_baseline_has_is_left_out(
    plain: Context,
    argv: tuple[str, ...],
    env: tuple[tuple[str, str], ...],
    name: str,
    part: str,
) -> None:
    baseline = Settings(argv=("vllm", "serve", "m", *argv), env=env)
    assert part in reasons(replace(plain, baseline=baseline))[name]
    assert name in chosen(plain)


def test_another_value_in_the_baseline_is_still_tested(plain: Context) -> None:
    baseline = Settings(argv=("vllm", "serve", "m", "--max-num-seqs", "64"))
    assert chosen(replace(plain, baseline=baseline))["max-num-seqs"].value == 8


def test_only_skip_and_risk(plain: Context) -> None:
    only = chosen(plain, only=["dtype", "log-*"])
    assert set(only) == {"dtype", "log-stats", "dummy"}
    assert reasons(plain, only=["dtype"])["eager"] == "not among --only"
    skipped = chosen(plain, skip=["d*"])
    assert "dummy" in skipped
    assert "dtype" not in skipped
    careful = reasons(plain, max_risk=RiskLevel.LOW)
    assert "risk is medium" in careful["one-process-engine"]
    assert "scheduler" in careful["one-process-engine"]


def test_an_unknown_name_names_the_nearest(plain: Context) -> None:
    with pytest.raises(UnknownTuningError, match=r"'tcmaloc'.*tcmalloc"):
        space(plain, only=["tcmaloc"])
    with pytest.raises(UnknownTuningError, match="trimtab catalog"):
        space(plain, skip=["*zzz*"])


def test_host_settings_need_permission_root_and_the_host(rich: Context) -> None:
    assert "--allow-host" in reasons(rich)["thp"]
    allowed = replace(rich, allow_host=True)
    assert "thp" in chosen(allowed)
    facts = rich.facts
    user = replace(facts, privileges=replace(facts.privileges, root=Fact(False, "test")))
    assert "root" in reasons(replace(allowed, facts=user))["thp"]
    inside = replace(facts, container=replace(facts.container, kind=Fact("docker", "test")))
    assert "docker" in reasons(replace(allowed, facts=inside))["thp"]
    steps = {one.name: one.reason for one in skipped_guide_steps(replace(allowed, facts=inside))}
    assert "docker" in steps["cpu-governor"]
    assert "cpu-governor" not in dict(guide(replace(allowed, facts=inside)))
    assert "cpu-governor" in dict(guide(allowed))
    now = {**facts.kernel.settings, CATALOG["thp"].knob.place: Fact("always", "test")}
    done = replace(facts, kernel=replace(facts.kernel, settings=now))
    assert "already" in reasons(replace(allowed, facts=done))["thp"]


def test_superseded_and_fidelity_are_left_out(
    plain: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    import trimtab.catalog as module

    lowering = replace(CATALOG["eager"], lowers_fidelity=(True,))
    old = replace(CATALOG["log-stats"], superseded_by="another")
    gone = replace(CATALOG["access-log"], removed_in="0.30")
    cold = replace(CATALOG["max-num-seqs"], restart=RestartCost.REBOOT)
    future = replace(CATALOG["block-size"], since="0.99")
    changed = {**CATALOG}
    for tuning in (lowering, old, gone, cold, future):
        changed[tuning.name] = tuning
    monkeypatch.setattr(module, "CATALOG", changed)
    _, left_out, _ = space(plain)
    found = {one.name: one for one in left_out}
    assert found["log-stats"].verdict is Verdict.NOT_APPLICABLE
    assert "removed in 0.30" in found["access-log"].reason
    assert "reboots no machine" in found["max-num-seqs"].reason
    assert "since 0.99" in found["block-size"].reason
    assert "--only eager" in found["eager"].reason
    assert "eager" in chosen(plain, only=["eager"])
    assert "eager" not in chosen(plain, only=["eag*"])


AVX512 = ("avx512f", "avx512bw", "avx512dq", "avx512vl")
LOWERING = ("kv-cache-dtype", "quantization", "dtype")


def on_gpu(context: Context, capability: str) -> Context:
    gpu = Gpu(0, "test", None, capability, None)
    cuda = replace(context.facts.cuda, gpus=Fact((gpu,), "test"))
    return replace(context, platform="cuda", facts=replace(context.facts, cuda=cuda))


def test_what_may_change_answers_is_marked_and_waits_to_be_named(plain: Context) -> None:
    marked = {name for name, one in CATALOG.items() if one.lowers_fidelity}
    assert marked == set(LOWERING)
    words = ("vllm", "serve", "model", "--dtype", "float32")
    wide = replace(plain, checkpoint_dtype="float32", baseline=Settings(argv=words))
    amx = replace(wide, facts=with_flags(plain.facts, *AVX512, "amx_bf16", "amx_tile"))
    cases = {
        "kv-cache-dtype": (on_gpu(plain, "8.9"), "fp8"),
        "quantization": (on_gpu(plain, "9.0"), "fp8_per_tensor"),
        "dtype": (amx, "bfloat16"),
    }
    for name, (context, value) in cases.items():
        assert f"--only {name}" in reasons(context)[name]
        assert name not in chosen(context, only=["*"])
        assert chosen(context, only=[name])[name].value == value
        assert CATALOG[name].warning(value).startswith("May change answers.")
    assert chosen(on_gpu(wide, "8.0"), only=["dtype"])["dtype"].value == "bfloat16"
    assert "8.0" in reasons(on_gpu(wide, "7.5"), only=["dtype"])["dtype"]
    assert "the platform is cuda" in reasons(on_gpu(plain, "8.0"))["dtype"]
    avx2 = replace(wide, facts=with_flags(plain.facts, "avx2"))
    assert "slower" in reasons(avx2, only=["dtype"])["dtype"]
    assert not CATALOG["dtype"].warning("float32").startswith("May")


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (("avx2",), "AVX-512 or AMX"),
        (("avx2", "avx512f"), "AVX-512 or AMX"),
        (AVX512, ""),
        (("amx_tile",), ""),
    ],
)
def test_an_fp8_cache_on_cpu_needs_what_vllm_asks_of_it(
    plain: Context, flags: tuple[str, ...], reason: str
) -> None:
    context = replace(plain, facts=with_flags(plain.facts, *flags))
    found = reasons(context, only=["kv-cache-dtype"]).get("kv-cache-dtype", "")
    assert reason in found
    assert bool(found) is bool(reason)


def test_eight_bits_stay_off_gpus_that_do_not_compute_them(plain: Context) -> None:
    for name in ("kv-cache-dtype", "quantization"):
        assert "8.9" in reasons(on_gpu(plain, "8.6"), only=[name])[name]
        assert "unknown" in reasons(on_gpu(plain, "[N/A]"), only=[name])[name]
        npu = replace(plain, platform="npu")
        assert "the platform is npu" in reasons(npu, only=[name])[name]


def test_a_named_entry_that_no_study_tries_says_so(plain: Context) -> None:
    assert "no study tries it" in reasons(plain, only=["attention-backend"])["attention-backend"]
    assert "attention-backend" not in reasons(plain)


def test_one_process_is_proven_by_the_tree_and_the_masks(plain: Context) -> None:
    plan = compile_plan((("one-process-engine", "0"),), STOCK, plain.facts)
    kinds = {check.kind: check for check in plan.checks}
    assert kinds[CheckKind.ENVIRON].proves is Proof.DELIVERY
    assert (kinds[CheckKind.ROLES].subject, kinds[CheckKind.ROLES].expected) == ("worker", 0)
    assert kinds[CheckKind.THREAD_AFFINITY].expected == "0-1"
    assert kinds[CheckKind.THREAD_AFFINITY].roles == ("engine",)


@pytest.mark.parametrize("value", ["0-1", "0,1"])
def test_binding_is_proven_by_pinned_threads(plain: Context, value: Value) -> None:
    plan = compile_plan((("omp-bind", value),), STOCK, plain.facts)
    pinned = [check for check in plan.checks if check.kind is CheckKind.THREAD_AFFINITY]
    assert [(check.subject, check.expected, check.roles) for check in pinned] == [
        ("pinned", "0-1", ("worker",))
    ]
    loose = compile_plan((("omp-bind", "nobind"),), STOCK, plain.facts)
    assert {check.kind for check in loose.checks} == {CheckKind.ENVIRON}


def test_omp_threads_are_proven_by_the_threads_that_compute(plain: Context) -> None:
    chosen = candidate({"omp-threads": 2, "one-process-engine": "0"})
    plan = compile_plan(chosen, STOCK, plain.facts)
    own = [check for check in plan.checks if check.tuning == "omp-threads"]
    effects = [check for check in own if check.proves is Proof.EFFECT]
    assert [(one.kind, one.subject, one.expected) for one in effects] == [
        (CheckKind.CONFIG, "torch_threads", 2)
    ]
    assert (CheckKind.ROLES, "worker") in [(one.kind, one.subject) for one in own]


@pytest.mark.parametrize(
    ("name", "value", "subject", "expected"),
    [
        ("aot-compile", "0", "aot_compile", False),
        ("log-stats", True, "disable_log_stats", True),
    ],
)
def test_what_the_engine_reports_proves_the_effect(
    plain: Context, name: str, value: Value, subject: str, expected: Value
) -> None:
    plan = compile_plan(candidate({name: value}), STOCK, plain.facts)
    effects = [check for check in plan.checks if check.proves is Proof.EFFECT]
    assert [(one.kind, one.subject, one.expected) for one in effects] == [
        (CheckKind.CONFIG, subject, expected)
    ]


def test_host_files_prove_delivery_and_huge_pages_the_effect(rich: Context) -> None:
    for name in ("thp", "swappiness", "cpu-governor"):
        tuning = CATALOG[name]
        for value in tuning.values_for(rich)[1:]:
            plan = compile_plan(candidate({name: value}), STOCK, rich.facts)
            files = [check for check in plan.checks if check.kind is CheckKind.HOST_FILE]
            assert {check.proves for check in files} == {Proof.DELIVERY}
            pages = [check.expected for check in plan.checks if check.proves is Proof.EFFECT]
            wanted = {"always": [True], "never": [False]} if name == "thp" else {}
            assert pages == wanted.get(str(value), [])


def on_ascend(context: Context, arch: str, plugin: str, *argv: str) -> Context:
    facts = replace(context.facts, cpu=replace(context.facts.cpu, arch=Fact(arch, "test")))
    return replace(
        context,
        facts=facts,
        platform="ascend",
        packages={"vllm": "0.18.0", "vllm-ascend": plugin},
        baseline=Settings(("vllm", "serve", "m", "--enforce-eager", *argv)),
    )


@pytest.mark.parametrize(
    ("arch", "plugin", "argv", "tested"),
    [
        ("aarch64", "0.18.0rc1", (), False),
        ("aarch64", "0.20.1", ("--additional-config", '{"enable_cpu_binding": true}'), False),
        ("aarch64", "0.20.1", ("--additional-config", "not json"), False),
        ("aarch64", "0.20.1", ("--additional-config", '{"enable_cpu_binding": false}'), True),
        ("aarch64", "0.17.0", (), True),
        ("aarch64", "main", (), True),
        ("x86_64", "0.18.0", (), True),
    ],
)
def test_cpus_are_left_to_vllm_ascend_where_it_binds_them(
    plain: Context, arch: str, plugin: str, argv: tuple[str, ...], tested: bool
) -> None:
    context = on_ascend(plain, arch, plugin, *argv)
    assert ("cpu-affinity-conf" in chosen(context)) is tested
    if not tested:
        assert "binds the CPUs itself" in reasons(context)["cpu-affinity-conf"]


def test_collectives_need_several_workers(plain: Context) -> None:
    one = on_ascend(plain, "aarch64", "0.18.0")
    assert "one worker" in reasons(one)["hccl-op-expansion"]
    for words in (("--tensor-parallel-size", "2"), ("-pp", "2"), ("-dp", "4")):
        many = on_ascend(plain, "aarch64", "0.18.0", *words)
        assert chosen(many)["hccl-op-expansion"].value == "AIV"


def emulated(plain: Context, *args: str) -> Context:
    """Return the emulator's context, without graphs unless other arguments are given."""
    return replace(
        plain,
        engine_name="ascend-emulator",
        engine_version="0.23.0",
        platform="ascend",
        packages={"vllm": "0.23.0", "vllm-ascend": "0.23.0", "torch-npu": "2.13.0"},
        baseline=Settings(argv=("vllm", "serve", "m", *(args or ("--enforce-eager",)))),
    )


def test_another_value_can_be_tried(plain: Context) -> None:
    ascend = emulated(plain)
    values = {}
    for tries in ({}, {"task-queue": "0"}):
        factors, _, _ = space(replace(ascend, tries=tries), (), (), RiskLevel.MEDIUM)
        (one,) = (factor for factor in factors if factor.tuning == "task-queue")
        values[one.value] = bool(one.lead)
    assert values == {"2": True, "0": False}  # the published lead speaks of its own value only
    with pytest.raises(UsageError, match="task-queue must be one of 2, 1, 0, but is '7'"):
        CATALOG["task-queue"].recommended_for(replace(ascend, tries={"task-queue": "7"}))


QUEUES = {"task-queue": "2", "task-queue=0": "0"}


def test_a_further_value_is_an_entry_that_excludes_the_first(plain: Context) -> None:
    context = replace(emulated(plain), tries=QUEUES)
    factors, _, pairs = space(context, ["task-queue", "jemalloc"], (), RiskLevel.MEDIUM)
    found = {factor.tuning: factor.value for factor in factors}
    assert found.items() >= QUEUES.items()
    assert [name for name in found if name in QUEUES] == list(QUEUES)  # one behind the other
    assert frozenset(QUEUES) in pairs
    assert not any(frozenset((name, "dummy")) in pairs for name in QUEUES)
    left = reasons(context, only=["jemalloc"])
    assert left.keys() >= QUEUES.keys()
    with pytest.raises(UsageError, match="task-queue must be one of 2, 1, 0, but is '7'"):
        chosen(replace(context, tries={"task-queue": "2", "task-queue=7": "7"}))


def test_what_forbids_one_value_leaves_the_other(plain: Context) -> None:
    graphs = replace(emulated(plain, "-tp", "1"), tries=QUEUES)
    assert "graphs are captured" in reasons(graphs)["task-queue"]
    assert chosen(graphs)["task-queue=0"].value == "0"


def test_a_further_value_may_replace_what_the_baseline_sets(plain: Context) -> None:
    baked = replace(emulated(plain).baseline, env=(("TASK_QUEUE_ENABLE", "1"),))
    context = replace(emulated(plain), baseline=baked, tries=QUEUES)
    assert chosen(context).keys() >= QUEUES.keys()
    catalog = with_further_values(CATALOG, QUEUES)
    plan = compile_plan((("task-queue=0", "0"),), baked, plain.facts, catalog=catalog)
    assert dict(plan.settings.env)["TASK_QUEUE_ENABLE"] == "0"
    assert plan.candidate == (("task-queue", "0"),)
    assert {check.tuning for check in plan.checks} == {"task-queue"}
    with pytest.raises(UsageError, match="two values of one setting"):
        compile_plan(tuple(QUEUES.items()), baked, plain.facts, catalog=catalog)


def test_an_entry_that_excludes_one_excludes_its_further_values() -> None:
    catalog = with_further_values(CATALOG, ["jemalloc=/b.so"])
    for one, other in (("jemalloc=/b.so", "tcmalloc"), ("tcmalloc", "jemalloc=/b.so")):
        assert conflict(catalog, one, other) == conflict(catalog, "jemalloc", "tcmalloc")
    assert conflict(catalog, "jemalloc", "tcmalloc")

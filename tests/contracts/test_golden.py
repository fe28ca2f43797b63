"""Golden data: what studies ask and conclude, plan digests, ledger bytes and exports.

A change that keeps behaviour leaves all of it equal. One that changes behaviour on purpose writes
the data anew, and its commit says why: ``python -m tests.contracts.test_golden --write``.
Sentences are no part of it. Numbers have eight significant digits, because libraries may differ
in the last ones.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import groupby, product
from pathlib import Path
from typing import Any, Final

import pytest

from tests.contracts.machines import HOSTS, STOCK, context_of
from tests.contracts.test_export import ARTEFACTS, WRITES
from tests.support.show_samples import PLANS, PROFILE
from trimtab import presets
from trimtab.catalog import Context
from trimtab.export import Order, render
from trimtab.facts import inspect, situation
from trimtab.host import SnapshotHost
from trimtab.model import (
    Budget,
    Candidate,
    Comparison,
    Conclusion,
    Effect,
    Space,
    Start,
    TuningVerdict,
)
from trimtab.plan import compile_plan
from trimtab.search import History, PhasedStrategy, conclude
from trimtab.simulated import NAMES, Landscape, SimulatedMachine, load_landscape, play, space_of
from trimtab.study.executors.simulated import SimulatedExecutor, open_simulated_session
from trimtab.study.ledger import Ledger
from trimtab.study.options import Options

FOLDER: Final = Path(__file__).parents[1] / "data" / "golden"
SEEDS: Final = (1, 2, 3)
BUDGETS: Final = (24, 40)

HOST_SETTINGS: Final = Landscape.model_validate({
    "name": "host-settings",
    "summary": "Settings of the host beside tunings of a process, with a reading of the machine.",
    "tunings": {
        "gain": {"effect": 0.08, "lead": True},
        "small": {"effect": 0.03},
        "level": {"numeric": {"stock": 64, "published": 256, "best": 300, "curvature": 0.02}},
        "thp": {"effect": 0.05, "host": True},
        "switch": {"effect": 0.04, "live": True},
        **{f"null-{index}": {} for index in range(4)},
    },
    "noise": {"start": 0.01, "window": 0.01, "plot": 0.01, "walk": 0.01, "gate": 0.003},
})  # fmt: skip

EVERY: Final = tuple(presets.DOCUMENTED)
PACKAGES: Final = {
    "vllm-cpu": {"vllm": "0.32.0"},
    "vllm": {"vllm": "0.32.0", "vllm-ascend": "0.18.0"},
}
MACHINES: Final = tuple(sorted(path.name for path in HOSTS.iterdir() if path.is_dir()))


def _variants() -> Iterator[tuple[str, Landscape, Mapping[str, Any], int]]:
    """Yield the studies: name, landscape, what differs from its plain question, and seed."""
    for seed in SEEDS:
        for name in NAMES:
            for starts in BUDGETS:
                given = {"budget": Budget(starts=starts)}
                yield f"{name} {starts} starts seed {seed}", load_landscape(name), given, seed
        wide = {"budget": Budget(starts=90)}
        yield f"host settings 90 starts seed {seed}", HOST_SETTINGS, wide, seed
        further: dict[str, Mapping[str, Any]] = {
            "L4 2 h": {"budget": Budget(seconds=7200.0)},
            "L2 limit": {"budget": Budget(starts=48), "limits": (("ttft_p99", 480.0),)},
            "L3 90 starts": {"budget": Budget(starts=90)},
            "L1 Pareto": {
                "budget": Budget(starts=64), "objectives": ("ttft_p99", "startup"),
            },
            "L1 preset": {
                "budget": Budget(starts=40), "guide": (("gain-8", "on"), ("null-1", "on")),
            },
        }  # fmt: skip
        for title, changes in further.items():
            yield f"{title} seed {seed}", load_landscape(title.split()[0]), changes, seed


STUDIES: Final = {name: (given, changes, seed) for name, given, changes, seed in _variants()}


def _short(data: object) -> str:
    text = data if isinstance(data, str) else json.dumps(data, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _number(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.8g}")


def _settings(values: Candidate) -> str:
    return " ".join(f"{name}={value}" for name, value in values) or "-"


def _effect(effect: Effect | None) -> list[float | None]:
    if effect is None:
        return []
    numbers = (effect.ratio, effect.low, effect.high, effect.p, effect.starts)
    return [_number(number) for number in numbers]


def _verdict(verdict: TuningVerdict) -> list[Any]:
    return [
        verdict.verdict.value, verdict.value, verdict.metric, verdict.phase,
        _effect(verdict.effect), _effect(verdict.removal),
    ]  # fmt: skip


def _comparison(comparison: Comparison) -> list[Any]:
    levels = [_number(comparison.baseline), _number(comparison.value)]
    return [comparison.arm, comparison.metric, *levels, _effect(comparison.effect)]


def _details(conclusion: Conclusion) -> list[Any]:
    """Return what a conclusion holds besides verdicts, profiles and sentences."""
    spread = conclusion.spread
    return [
        [_comparison(comparison) for comparison in conclusion.confirmed],
        _comparison(conclusion.guide) if conclusion.guide else None,
        [_number(conclusion.sd), _number(conclusion.detectable)],
        [[one.arm, _number(one.agreement), one.diverges_at] for one in conclusion.fidelity],
        [
            [
                arm.arm, arm.candidate, arm.dominated_by,
                [_comparison(comparison) for comparison in arm.comparisons],
                [[each.metric, each.shown, each.open] for each in arm.advantages],
            ]
            for arm in conclusion.pareto
        ],
        spread and [_number(spread.between), _number(spread.within)],
        conclusion.within_slo,
    ]  # fmt: skip


def _blocks(starts: Sequence[Start]) -> list[str]:
    """Return one line for each block: its arms in the order in which they were started."""
    runs = groupby(starts, key=lambda start: (start.request.phase, start.request.block))
    return [
        f"{phase} {block}: {' '.join(start.request.arm for start in run)}"
        for (phase, block), run in runs
    ]


def study_data(name: str) -> dict[str, Any]:
    """Return what a simulated study asks and concludes."""
    landscape, changes, seed = STUDIES[name]
    space = replace(space_of(landscape, Budget(starts=24), seed), **changes)
    starts = play(PhasedStrategy(), space, SimulatedMachine(landscape, seed))
    conclusion = conclude(History.of(space, starts))
    requests = [
        [start.request.candidate, start.request.seed, start.request.live, start.outcome]
        for start in starts
    ]
    return {
        "asked": _blocks(starts),
        "requests": _short(requests),
        "verdicts": {one.tuning: one.verdict.value for one in conclusion.answers},
        "effects": _short({one.tuning: _verdict(one) for one in conclusion.answers}),
        "proven": _settings(conclusion.proven),
        "max": _settings(conclusion.best),
        "conclusion": _short(_details(conclusion)),
        "on the way": _short(_on_the_way(space, starts)),
    }


def _on_the_way(space: Space, starts: Sequence[Start]) -> list[Any]:
    """Return what an unfinished study concludes, after every eighth start."""
    return [
        [[_verdict(one) for one in conclusion.answers], conclusion.proven, conclusion.best]
        for count in range(0, len(starts), 8)
        for conclusion in (conclude(History.of(space, starts[:count])),)
    ]


@cache
def _context(machine: str, engine: str) -> Context:
    packages = PACKAGES[engine]
    facts = inspect(SnapshotHost(HOSTS / machine), packages, "cpu")
    platform = situation.platform(facts)
    return context_of(
        facts, platform=platform, allow_host=True, engine_name=engine, packages=packages
    )


def plan_data(name: str) -> dict[str, str]:
    """Return the digest of a preset's plan on every recorded machine, for two engines."""
    digests = {}
    for machine, engine in product(MACHINES, PACKAGES):
        here = _context(machine, engine)
        chosen = presets.PRESETS[name](here)
        plan = compile_plan(tuple(chosen), STOCK, here.facts, allow_conflicts=True)
        digests[f"{machine} {engine}"] = plan.digest
    return digests


def export_data(name: str) -> str:
    """Return the digest of an artefact of one profile."""
    plan = replace(PLANS["max"], writes=WRITES)
    caveat = "host overhead over a stand-in device; says nothing about NPU speed"
    profile = replace(PROFILE, plan=plan, engine=replace(PROFILE.engine, caveat=caveat))
    hosts = 2 if name == "leaderworkerset.yaml" else 1
    order = Order(profile, Path("profile.max.yaml"), hosts=hosts, memory=64, cpus=16)
    return _short(render(ARTEFACTS[name], order).replace(str(Path.cwd()), "/here"))


def _rounded(start: Start) -> Start:
    def numbers(metrics: Mapping[str, float]) -> dict[str, float]:
        return {name: float(f"{value:.8g}") for name, value in metrics.items()}

    return replace(
        start,
        began=1_795_383_282.0 + 60 * start.number,
        metrics=numbers(start.metrics),
        gate=numbers(start.gate),
        windows=tuple(
            replace(window, metrics=numbers(window.metrics)) for window in start.windows
        ),
    )


def ledger_data() -> dict[str, Any]:
    """Return the lines of the ledger of a simulated study, each as its digest."""
    options = Options(engine="simulated", landscape="L3", seed=5, budget="24", slo="ttft_p99<=1s")
    session = open_simulated_session(options)
    assert session.machine is not None
    executor, strategy = SimulatedExecutor(session, session.machine), PhasedStrategy()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.jsonl"
        with Ledger.create(path, {**session.question(), "trimtab": "any"}) as ledger:
            while requests := strategy.ask(History.of(session.space, ledger.starts())):
                for request in requests:
                    number = len(ledger.starts()) + 1
                    ledger.append(_rounded(executor.run(request, number)))
        lines = path.read_text().splitlines(keepends=True)
    return {"header": _short(lines[0]), "starts": [_short(line) for line in lines[1:]]}


SECTIONS: Final[Mapping[str, Callable[[], dict[str, Any]]]] = {
    "studies": lambda: {name: study_data(name) for name in STUDIES},
    "plans": lambda: {name: plan_data(name) for name in EVERY},
    "ledger": ledger_data,
    "exports": lambda: {name: export_data(name) for name in ARTEFACTS},
}


def golden(section: str) -> dict[str, Any]:
    """Return the stored data of a section."""
    data: dict[str, Any] = json.loads((FOLDER / f"{section}.json").read_text())
    return data


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_asks_and_concludes_as_before(name: str) -> None:
    assert study_data(name) == golden("studies")[name]


@pytest.mark.parametrize("name", EVERY)
def test_a_preset_compiles_to_the_same_plans(name: str) -> None:
    assert plan_data(name) == golden("plans")[name]


@pytest.mark.parametrize("name", ARTEFACTS)
def test_an_export_has_the_same_bytes(name: str) -> None:
    assert export_data(name) == golden("exports")[name]


def test_a_ledger_has_the_same_bytes() -> None:
    assert ledger_data() == golden("ledger")


@pytest.mark.parametrize(
    ("section", "names"), [("studies", STUDIES), ("plans", EVERY), ("exports", ARTEFACTS)]
)
def test_nothing_stored_is_left_out(section: str, names: Sequence[str]) -> None:
    assert set(golden(section)) == set(names)


def write() -> None:
    """Write the data of all sections anew, one entry a line."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for section, make in SECTIONS.items():
        lines = (f"{json.dumps(name)}: {json.dumps(data)}" for name, data in make().items())
        (FOLDER / f"{section}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python -m tests.contracts.test_golden --write")
    write()

"""Capacity: the solver on known curves, and the search over a server that is a formula."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.cli import capacity as render
from trimtab.errors import UsageError
from trimtab.load.presets import PRESETS
from trimtab.load.runner import GiveUp, LoadResult
from trimtab.load.workload import Workload, load_workload
from trimtab.measurement.capacity import (
    LENGTH,
    CapacityQuestion,
    conclude,
    margin,
    probe_length,
    search,
)
from trimtab.metrics.table import parse_slo
from trimtab.model import BASELINE, Outcome, Phase, RequestRecord, Start, StartRequest, Window
from trimtab.stats.capacity import CLIP, Probe, crossing, next_rate

SHARE = 0.8  # of its saturated rate, at which the curve below meets the SLO


def curve(rate: float, capacity: float) -> float:
    """Return the margin of a single queue, log of 1 / (1 - rho) against the SLO's."""
    rho = SHARE * rate / capacity
    return math.log((1 - SHARE) / (1 - rho)) if rho < 0.999 else math.inf


def walk(capacity: float, first: float, noise: float, rng: np.random.Generator) -> list[Probe]:
    probes: list[Probe] = []
    while (rate := next_rate(probes, first)) is not None:
        probes.append(Probe(rate, curve(rate, capacity) + noise * float(rng.normal())))
        assert len(probes) < 60
    return probes


@given(
    capacity=st.floats(0.01, 1000.0),
    below=st.floats(0.02, 20.0),
)
def test_without_noise_the_crossing_is_found(capacity: float, below: float) -> None:
    probes = walk(capacity, capacity * below, 0.0, np.random.default_rng(0))
    found = crossing(probes)
    assert found is not None
    # the curve is bent, and the line through it errs on the safe side
    assert 0.97 * capacity < found < 1.005 * capacity


def test_noise_of_a_probe_hardly_reaches_the_estimate() -> None:
    rng = np.random.default_rng(3)
    found = []
    for _ in range(300):
        at = crossing(walk(1.0, 0.3 * math.exp(0.3 * rng.normal()), 0.15, rng))
        assert at is not None
        found.append(math.log(at))
    # methods.md section 3: 1.9 % for one start at 1 % start noise, so less without any
    assert float(np.std(found)) < 0.02
    assert -0.025 < float(np.mean(found)) < 0.005


@given(st.lists(st.tuples(st.floats(0.01, 100.0), st.floats(-5, 5)), max_size=30))
def test_any_probes_have_an_answer_inside_them(points: list[tuple[float, float]]) -> None:
    probes = [Probe(*point) for point in points]
    found = crossing(probes)
    both = any(one.margin > 0 for one in probes) and any(one.margin <= 0 for one in probes)
    assert (found is not None) == both
    if found is not None:
        rates = [one.rate for one in probes]
        assert min(rates) * 0.85 <= found <= max(rates) * 1.18
    after = next_rate(probes, 1.0)
    assert after is None or 0 < after < math.inf


def test_a_rate_that_is_always_or_never_met_ends_the_search() -> None:
    for sign in (-1.0, 1.0):
        probes: list[Probe] = []
        while (rate := next_rate(probes, 1.0)) is not None:
            probes.append(Probe(rate, sign))
        assert len(probes) < 20
        assert crossing(probes) is None


class Formula:
    """A server whose time to first token is that of a queue with a saturated rate."""

    def __init__(self, saturated: float, *, void: int = 0, breaks: float = math.inf) -> None:
        self.saturated, self.void, self.breaks = saturated, void, breaks
        self.loads: list[Workload] = []

    def __call__(self, workload: Workload, seed: int, give_up: GiveUp | None = None) -> LoadResult:
        self.loads.append(workload)
        rate = workload.arrival.rate or self.saturated
        rho = min(rate / self.saturated, 0.999)
        ttft = 0.1 / (1 - rho)
        error = "HTTP 500" if rate > self.breaks else ""
        records = tuple(
            RequestRecord(i, i / rate, i / rate, (i / rate + ttft,), i / rate + ttft, 8, 1, error)
            for i in range(workload.measured)
        )
        quiet = len(self.loads) > self.void
        window = Window(
            0, 0.0, 1.0, workload.window_requests, {"request_throughput": min(rate, 9e9)},
            () if quiet else ("others used the machine",),
        )  # fmt: skip
        return LoadResult(records, (window,), workload.warmup, {}, error)


class Impatient(Formula):
    """The same server in a client that ends an overload as soon as it may."""

    def __call__(self, workload: Workload, seed: int, give_up: GiveUp | None = None) -> LoadResult:
        whole = super().__call__(workload, seed)
        part = whole.records[: len(whole.records) // 2]
        if workload.concurrency or give_up is None or not give_up(part):
            return whole
        return replace(whole, records=part, windows=(), marks={"over-saturated": "rose"})


SLO = parse_slo("ttft_p90<=500ms")  # 0.1 / (1 - rho) = 0.5: four fifths of the saturated rate


def asked(workload: Workload | None = None) -> CapacityQuestion:
    return CapacityQuestion(SLO, workload or load_workload("tiny"), 40)


@pytest.mark.parametrize("saturated", [0.5, 7.0, 400.0])
def test_the_search_finds_the_formula(saturated: float) -> None:
    server = Formula(saturated)
    found = search(asked(), server, 1)
    assert found.capacity == pytest.approx(0.8 * saturated, rel=0.03)
    assert found.failed == ""
    assert server.loads[0].concurrency == 4
    assert all(load.window_requests == 40 for load in server.loads)
    assert {load.concurrency for load in server.loads[1:]} == {None}
    assert [window.index for window in found.windows] == list(range(len(server.loads) - 1))


def test_an_overload_that_ends_early_changes_no_estimate() -> None:
    whole, early = (search(asked(), server(7.0), 1) for server in (Formula, Impatient))
    assert early.capacity == whole.capacity
    ended = [one for one in early.windows if one.end == 0.0]
    assert ended, "the search has tried a rate far too high"
    for one in ended:
        assert one.metrics["margin"] >= CLIP
        assert one.requests < 40
    assert all(one.metrics["margin"] < CLIP for one in early.windows if one not in ended)


def test_requests_that_fail_are_beyond_the_capacity() -> None:
    found = search(asked(), Formula(10.0, breaks=6.0), 1)
    assert found.capacity == pytest.approx(6.0, rel=0.15)
    assert found.capacity is not None
    assert found.capacity <= 6.2


def test_a_window_that_others_spoilt_is_tried_once_more() -> None:
    one = search(asked(), Formula(10.0, void=2), 1)
    assert one.capacity == pytest.approx(8.0, rel=0.03)
    assert one.windows[0].void
    never = search(asked(), Formula(10.0, void=99), 1)
    assert (never.capacity, never.failed) == (None, "")
    assert len(never.windows) == 2


def test_an_slo_out_of_reach_says_so() -> None:
    found = search(
        CapacityQuestion(parse_slo("ttft_p90<=1ms"), load_workload("tiny"), 40), Formula(10.0), 1
    )
    assert found.capacity is None
    assert "not even" in found.failed


def test_no_rate_is_claimed_that_was_not_tried() -> None:
    server = Formula(1e6)
    found = search(asked(), server, 1)
    assert found.capacity is None
    assert "no rate breaks" in found.failed
    assert max(load.arrival.rate or 0 for load in server.loads) == 10_000
    assert "1e+04 requests/s still meet it" in found.failed


def test_the_margin_is_that_of_the_worst_term() -> None:
    record = RequestRecord(0, 0.0, 0.0, (1.0, 3.0), 3.0, 8, 2)
    assert margin([record], parse_slo("ttft_p50<=2s")) == pytest.approx(math.log(0.5))
    assert margin([record], parse_slo("ttft_p95<=2s,e2e_mean<=1s")) == pytest.approx(math.log(3))
    assert margin([replace(record, error="lost")], parse_slo("ttft_p50<=2s")) == math.inf
    assert margin([], parse_slo("ttft_p50<=2s")) == math.inf


def test_arrivals_keep_their_shape_and_a_trace_is_refused() -> None:
    bursts = Workload.model_validate({
        **load_workload("tiny").model_dump(exclude_none=True),
        "arrival": {"rate": 1.0, "burstiness": 0.5, "ramp_to": 2.0},
    })  # fmt: skip
    arrival = asked(bursts).at(3.0).arrival
    assert (arrival.rate, arrival.burstiness, arrival.ramp_to) == (3.0, 0.5, None)
    trace = load_workload("tiny").arrival.model_copy(update={"concurrency": None, "trace": "t"})
    with pytest.raises(UsageError, match="has its own rate"):
        asked(load_workload("tiny").model_copy(update={"arrival": trace}))


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_can_be_probed_at_a_rate(name: str) -> None:
    preset = load_workload(name)
    found = search(CapacityQuestion(SLO, preset, 40), Formula(10.0), 1)
    assert found.capacity == pytest.approx(8.0, rel=0.03)
    probe = CapacityQuestion(SLO, preset, 40).at(2.0)
    assert (probe.turns, probe.arrival.rate, probe.concurrency) == (preset.turns, 2.0, None)
    assert probe.streams == (preset.concurrency if preset.turns is not None else None)


@pytest.mark.parametrize("name", ["summarise", "agent"])
def test_a_probe_that_does_not_fit_in_memory_is_refused_at_once(name: str) -> None:
    with pytest.raises(UsageError, match=r"--requests must be lower than 1000.*prompt tokens"):
        CapacityQuestion(SLO, load_workload(name), 1000)


def start(number: int, **metrics: float) -> Start:
    request = StartRequest(Phase.CONFIRM, number, "1:stock", BASELINE, 1)
    return Start(number, request, "0" * 16, Outcome.MEASURED, metrics)


def test_the_answer_is_a_lower_bound_over_starts() -> None:
    made = [start(number, capacity=one) for number, one in enumerate((10.0, 11.0, 10.5, 10.5), 1)]
    found = conclude(made)
    assert found.value == pytest.approx(10.49, abs=0.01)
    assert found.low == pytest.approx(10.02, abs=0.03)  # one-sided t at 3 degrees of freedom
    assert conclude(made[:3]).low is None
    assert found.verified is None
    single = conclude([start(1, capacity=10.0)])
    assert single.value == pytest.approx(10.0)
    assert single.low is None
    tried = [start(1, capacity=10.0), start(2, capacity=10.1)]
    assert conclude([*tried, start(3, verified=2.0)]).verified is True
    assert conclude([*tried, start(3, verified=1.0)]).verified is False


def probe(rate: float, long: float | None, void: tuple[str, ...] = ()) -> Window:
    metrics = {"rate": rate, "margin": 0.0, **({} if long is None else {LENGTH: long})}
    return Window(0, 0.0, 1.0, 20, metrics, void)


def test_the_probes_that_decide_say_how_long_they_were() -> None:
    windows = (probe(2.0, 90.0), probe(9.5, 4.0), probe(10.5, 6.0), probe(20.0, 1.0))
    assert probe_length(windows, 10.0) == 5.0
    assert probe_length((probe(10.0, 3.0, ("steal",)), probe(11.0, 7.0)), 10.0) == 7.0
    assert probe_length((probe(2.0, 90.0),), 10.0) == 90.0
    assert probe_length((probe(10.0, None),), 10.0) is None


def test_a_probe_is_as_long_as_its_window_in_end_to_end_times() -> None:
    records = tuple(
        RequestRecord(
            number, float(number), float(number), (number + 0.5, number + 2.0), 0.0, 8, 4
        )
        for number in range(24)
    )
    busy = Window(0, 0.0, 1.0, 1, {"request_throughput": 4.0})

    def run(workload: Workload, seed: int, give_up: GiveUp | None = None) -> LoadResult:
        if workload.arrival.rate is None:
            return LoadResult((), (busy,), 4, {})
        return LoadResult(records, (Window(0, 4.0, 44.0, 20, {}),), 4, {})

    asked = CapacityQuestion(parse_slo("ttft_p90<=600ms"), load_workload("poisson-small"), 20)
    windows = search(asked, run, 1).windows
    assert windows
    assert all(one.metrics[LENGTH] == pytest.approx(40.0 / 2.0) for one in windows)


@pytest.mark.parametrize(("found", "said"), [(8.0, "warning: "), (400.0, "The probes near")])
def test_a_short_probe_is_warned_of(found: float, said: str) -> None:
    line = render._lasted(found, 200)
    assert line.startswith(said)
    assert ("--requests 2500" in line) is (found == 8.0)
    assert "not known" in render._lasted(None, 200)

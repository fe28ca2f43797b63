"""Guards, both ways: each voids what it must, and lets pass what it must."""

from __future__ import annotations

import pytest

from trimtab.load import guards
from trimtab.load.driver import client_cpu, host_cpu, parse_stat
from trimtab.load.guards import HostCpu, Readings, interference, shares, void_reasons
from trimtab.model import Request, RequestRecord

QUIET = Readings(0.0, 0.0, HostCpu(0.0, 0.0, 0.0))
BUSY = Readings(1.0, 15.0, HostCpu(17.0, 0.0, 20.0))


def record(
    index: int = 0,
    *,
    intended: float = 0.0,
    sent: float | None = None,
    tokens: int = 4,
    prompt: int = 8,
    error: str = "",
) -> RequestRecord:
    moment = intended if sent is None else sent
    return RequestRecord(index, intended, moment, (moment + 1,), moment + 1, prompt, tokens, error)


def reasons(
    ended: list[RequestRecord] | None = None,
    due: list[RequestRecord] | None = None,
    *,
    seconds: float = 10.0,
    after: Readings = BUSY,
) -> tuple[str, ...]:
    asked = {index: Request(index, (1,) * 8, 4) for index in range(100)}
    used = shares(QUIET, after, seconds) if seconds else {}
    return void_reasons(ended or [record()], due or [], asked, seconds, used)


def test_a_good_window_is_not_void() -> None:
    assert reasons() == ()
    schedule = [record(i, intended=i / 10, sent=i / 10 + 0.001) for i in range(50)]
    assert reasons(schedule, schedule) == ()


def test_a_window_without_length_is_void() -> None:
    assert reasons(seconds=0.0) == ("the window has no length",)


def test_any_error_voids_and_is_quoted() -> None:
    (reason,) = reasons([record(0), record(1, error="HTTP 500: no")])
    assert "1 of 2" in reason
    assert "HTTP 500: no" in reason


@pytest.mark.parametrize("tokens", [3, 5, 0])
def test_another_length_than_asked_voids(tokens: int) -> None:
    (reason,) = reasons([record(0), record(1, tokens=tokens)])
    assert f"{tokens} tokens and not 4" in reason


@pytest.mark.parametrize("prompt", [7, 9, 0])
def test_another_prompt_than_sent_voids(prompt: int) -> None:
    (reason,) = reasons([record(0), record(1, prompt=prompt)])
    assert reason.startswith("1 of 2 prompts")
    assert f"{prompt} tokens and not 8" in reason


def test_the_length_of_a_failed_answer_is_no_second_reason() -> None:
    assert len(reasons([record(0, tokens=0, error="lost")])) == 1


def test_late_dispatch_voids_by_its_median() -> None:
    lags = [0.0, 0.0, 0.011, 0.011, 0.011]
    late = [record(i, intended=float(i), sent=i + lag) for i, lag in enumerate(lags)]
    (reason,) = guards.dispatch(late)
    assert "11.0 ms" in reason
    lags = [0.0, 0.009, 5.0, 0.009, 0.0]
    some = [record(i, intended=float(i), sent=i + lag) for i, lag in enumerate(lags * 100)]
    assert guards.dispatch(some) == ()


@pytest.mark.parametrize(
    ("count", "stretch", "void"),
    [
        *[(10, 1.04, False), (10, 1.06, True), (10, 0.94, True)],
        *[(50, 1.015, False), (50, 1.03, True)],
        *[(1000, 1.008, False), (1000, 1.012, True), (1000, 0.988, True)],
    ],
)
def test_a_missed_rate_voids_as_far_as_the_arrivals_resolve_it(
    count: int, stretch: float, void: bool
) -> None:
    due = [record(i, intended=i / 1e5, sent=i / 1e5 * stretch) for i in range(count)]
    assert bool(guards.dispatch(due)) == void


def test_requests_sent_all_at_once_are_a_missed_rate() -> None:
    due = [record(i, intended=i / 1000, sent=0.1) for i in range(100)]
    assert any("infinite" in reason for reason in guards.dispatch(due))
    assert guards.dispatch([record()]) == ()


@pytest.mark.parametrize(("used", "void"), [(4.9, False), (5.1, True)])
def test_a_busy_client_voids(used: float, void: bool) -> None:
    assert bool(interference(shares(QUIET, Readings(used), 10.0))) == void


def after(busy: float, server: float | None = 10.0, steal: float = 0.0) -> Readings:
    return Readings(1.0, server, HostCpu(busy, steal, 20.0))


@pytest.mark.parametrize(("busy", "void"), [(11.9, False), (12.1, True)])
def test_foreign_load_is_what_neither_server_nor_client_used(busy: float, void: bool) -> None:
    found = interference(shares(QUIET, after(busy), 10.0))
    assert bool(found) == void
    assert all("others used" in reason for reason in found)


@pytest.mark.parametrize(("steal", "void"), [(1.9, False), (2.1, True)])
def test_steal_voids_even_where_the_servers_share_is_unknown(steal: float, void: bool) -> None:
    found = interference(shares(Readings(0.0, None, QUIET.host), after(19.0, None, steal), 10.0))
    assert bool(found) == void
    assert all("hypervisor" in reason for reason in found)


def test_unknown_readings_and_short_windows_are_not_judged() -> None:
    assert shares(Readings(0.0), after(20.0), 10.0) == {"client": 0.1}
    assert shares(QUIET, Readings(0.0, 0.0), 10.0) == {"client": 0.0}
    assert shares(QUIET, after(20.0), 0.39) == {}
    assert shares(QUIET, QUIET, 10.0) == {"client": 0.0}
    assert interference({}) == ()


def test_a_short_window_is_judged_too() -> None:
    used = shares(QUIET, Readings(0.01, 0.4, HostCpu(0.6, 0.0, 1.0)), 0.5)
    assert used["foreign"] == pytest.approx(0.19)
    assert len(interference(used)) == 1


def test_reasons_add_up() -> None:
    found = reasons([record(error="x"), record(1, tokens=1)], after=after(20.0, 0.0, 5.0))
    assert len(found) == 4


STAT = "cpu  100 20 30 4000 50 6 7 80 9 0\ncpu0 1 2 3 4 5 6 7 8 9 0\nintr 5\n"


def test_proc_stat() -> None:
    cpu = parse_stat(STAT, 100.0)
    assert cpu is not None
    assert (cpu.busy, cpu.steal, cpu.total) == pytest.approx((1.63, 0.8, 1.63 + 0.8 + 40.5))


@pytest.mark.parametrize("text", ["", "cpu\n", "cpu  1 2 3\n", STAT[5:], "cpu a b c d e f g h i"])
def test_another_proc_stat_is_unknown(text: str) -> None:
    assert parse_stat(text, 100.0) is None


def test_the_real_readings_grow() -> None:
    before = client_cpu()
    sum(range(10**6))
    assert client_cpu() > before
    cpu = host_cpu()
    assert cpu is not None
    assert 0 < cpu.busy < cpu.total


@pytest.mark.parametrize(
    ("throughputs", "says"),
    [
        ([205, 798, 568, 474, 327, 692, 571], "scattered by 4"),  # a start seen on a shared host
        ([935, 872, 864, 1020, 1028, 1080, 1083, 862], ""),
        ([100, 900, 100, 900], ""),  # too few to judge
        ([0, 1, 2, 3, 4, 5], ""),
    ],
)
def test_windows_that_scatter_are_no_measurement(throughputs: list[float], says: str) -> None:
    found = guards.scatter_reason(throughputs)
    assert (says in found) if says else found == ""

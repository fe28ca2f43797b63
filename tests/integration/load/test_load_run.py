"""A whole load against the scripted server: windows, endings, and every way it can fail."""

from __future__ import annotations

import asyncio
import gc
import itertools
import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.scripted import free_port, scripted
from trimtab.errors import UsageError
from trimtab.load import guards
from trimtab.load.guards import HostCpu
from trimtab.load.runner import LoadResult, run_load
from trimtab.load.workload import Workload, load_workload
from trimtab.metrics.table import parse_slo

VOCAB = 1000
SLOW_ANSWER = 60.0


def tiny(**changes: object) -> Workload:
    return Workload.model_validate({**load_workload("tiny").model_dump(), **changes})


def load(
    url: str, workload: Workload, *, alive: Callable[[], str | None] = lambda: None
) -> LoadResult:
    return run_load(url, "scripted-model", workload, 7, vocab=VOCAB, alive=alive)


def faults(**what: object) -> dict[str, object]:
    return {"faults": what}


def test_windows_tile_one_continuous_load(tmp_path: Path) -> None:
    workload = load_workload("tiny")
    with scripted(tmp_path) as server:
        result = run_load(
            server.url, "scripted-model", workload, 7, vocab=VOCAB, slo=parse_slo("ttft_p99<=60s")
        )
        assert server.metric("vllm:generation_tokens_total") >= 8 * len(result.records)
    assert result.failed == ""
    assert result.warmup == workload.warmup
    assert [window.index for window in result.windows] == [0, 1]
    assert [window.requests for window in result.windows] == [12, 12]
    first, second = result.windows
    assert 0 < first.begin < first.end == second.begin < second.end
    assert sum(one.done <= first.begin for one in result.records) == workload.warmup
    for window in result.windows:
        assert window.metrics["error_rate"] == 0.0
        assert window.metrics["goodput"] == window.metrics["request_throughput"]
        assert window.metrics["request_throughput"] == pytest.approx(
            12 / (window.end - window.begin)
        )
    for record in result.records:
        assert record.error == ""
        assert (record.prompt_tokens, record.output_tokens) == (8, 8)
        assert len(record.chunks) <= 8
        assert (
            record.intended <= record.sent < record.chunks[0] <= record.chunks[-1] <= record.done
        )
    assert [one.index for one in result.records] == sorted(one.index for one in result.records)


def test_a_load_is_driven_where_an_event_loop_runs_already(tmp_path: Path) -> None:
    """A notebook's kernel runs the cells in its own."""

    async def cell(url: str) -> LoadResult:
        return load(url, load_workload("tiny"))

    with scripted(tmp_path) as server:
        result = asyncio.run(cell(server.url))
    assert result.failed == ""
    assert all(window.requests > 0 for window in result.windows)


def test_a_stream_is_used_again_when_its_answer_ended(tmp_path: Path) -> None:
    with scripted(tmp_path) as server:
        records = load(server.url, load_workload("tiny")).records
    ends = sorted(one.done for one in records)
    assert all(one.intended == one.sent for one in records), "a closed loop has no schedule"
    for before, one in zip(ends, sorted(records, key=lambda one: one.sent)[4:], strict=False):
        assert before <= one.sent, "more than four at a time"


def test_conversations_arrive_by_the_schedule_in_open_loop(tmp_path: Path) -> None:
    workload = tiny(
        turns=3, conversations=2, arrival={"rate": 200.0}, warmup=2, windows=1, window_requests=8
    )
    with scripted(tmp_path) as server:
        result = load(server.url, workload)
    assert result.failed == ""
    assert len(result.windows) == 1
    lengths = {one.index: one.prompt_tokens for one in result.records}
    assert [lengths[index] for index in range(6)] == [8, 8, 24, 24, 40, 40]


def test_self_checks(tmp_path: Path) -> None:
    with scripted(tmp_path) as server:
        result = load(server.url, load_workload("tiny"))
    assert result.client["failed"] == 0.0
    assert 0.0 <= result.client["unfinished"] <= 4.0
    assert 0.0 <= result.client["lag_p50_ms"] <= result.client["lag_p99_ms"]
    assert 0.0 <= result.client["coalesced_share"] < 1.0
    assert result.client["cpu_share"] > 0.0


def test_the_last_window_counts_streams_that_are_cut_off(tmp_path: Path) -> None:
    workload = tiny(
        output_tokens=[4, 4000], arrival={"concurrency": 2}, warmup=0, windows=1, window_requests=1
    )
    with scripted(tmp_path) as server:
        result = load(server.url, workload)
    (window,) = result.windows
    assert [one.output_tokens for one in result.records] == [4]
    assert result.client["unfinished"] == 2.0
    tokens = window.metrics["output_throughput"] * (window.end - window.begin)
    assert 4.5 < tokens < 4000


def test_no_further_window_is_begun_past_the_cap(tmp_path: Path) -> None:
    with scripted(tmp_path) as server:
        result = load(server.url, tiny(windows=50, max_seconds=0.001))
    assert len(result.windows) == 1
    assert result.failed == ""


def test_the_cap_ends_a_window_that_hangs_once_one_is_complete(tmp_path: Path) -> None:
    with scripted(tmp_path, faults(hang_after=16)) as server:
        result = load(server.url, tiny(max_seconds=0.3, request_deadline=SLOW_ANSWER))
    assert len(result.windows) == 1
    assert len(result.records) == 16
    assert (result.failed, result.client["unfinished"]) == ("", 4.0)


def test_open_loop_keeps_the_schedule(tmp_path: Path) -> None:
    workload = tiny(arrival={"rate": 400.0})
    with scripted(tmp_path) as server:
        result = load(server.url, workload)
        again = load(server.url, workload)
    assert result.failed == ""
    assert len(result.windows) == 2
    first, second = result.windows
    assert first.end == second.begin
    done = {one.index: one.done for one in result.records}
    assert first.begin == max(done[index] for index in range(4))
    assert first.end == max(done[index] for index in range(16))
    assert second.end == max(done[index] for index in range(28))
    same = {one.index: one.intended for one in again.records}
    for record in result.records:
        assert record.sent >= record.intended
        if record.index in same:
            assert record.intended == pytest.approx(same[record.index], abs=1e-9)


def test_wrong_lengths_fail_the_load(tmp_path: Path) -> None:
    with scripted(tmp_path, faults(wrong_tokens=1)) as server:
        result = load(server.url, load_workload("tiny"))
    assert "another length than asked for" in result.failed
    assert len(result.windows) == 2
    for window in result.windows:
        assert any("7 tokens and not 8" in reason for reason in window.void)


def test_http_errors_end_the_load(tmp_path: Path) -> None:
    with scripted(tmp_path, faults(http_500_after=10)) as server:
        result = load(server.url, load_workload("tiny"))
    assert result.failed == "the last 4 requests failed: HTTP 500: scripted failure"
    assert sum(bool(one.error) for one in result.records) >= 4
    assert 0 < sum(not one.error for one in result.records) <= 10
    assert result.windows == ()


def test_error_events_in_the_stream_fail_the_load(tmp_path: Path) -> None:
    with scripted(tmp_path, faults(error_event_after=20)) as server:
        result = load(server.url, load_workload("tiny"))
    failed = [one for one in result.records if one.error]
    assert {one.error for one in failed} == {"scripted failure"}
    assert {one.output_tokens for one in failed} == {0}
    assert sum(not one.error for one in result.records) == 20
    assert any("requests failed" in reason for reason in result.windows[-1].void)
    assert "requests failed, the first with: scripted failure" in result.failed


def test_a_server_that_fails_every_request_fails_the_load(tmp_path: Path) -> None:
    with scripted(tmp_path, faults(error_event_after=0)) as server:
        result = load(server.url, load_workload("tiny"))
    # Requests that are still under way when the load gives up may fail too.
    pattern = r"(\d+) of \1 requests failed, the first with: scripted failure"
    assert re.fullmatch(pattern, result.failed)


def test_a_server_that_dies_in_mid_stream_fails_the_load(tmp_path: Path) -> None:
    with scripted(tmp_path, faults(die_after_requests=9)) as server:
        result = load(server.url, load_workload("tiny"))
    assert "requests failed" in result.failed
    cut = [one for one in result.records if "connection" in one.error or "reset" in one.error]
    assert cut
    assert all(one.output_tokens == 0 for one in cut)


def test_a_hanging_server_meets_the_deadline(tmp_path: Path) -> None:
    with scripted(tmp_path, faults(hang_after=0)) as server:
        result = load(server.url, tiny(request_deadline=0.2))
    assert result.failed == (
        "the last 4 requests failed: no complete answer within the deadline of 0.2 s: "
        "raise the workload's request_deadline"
    )
    assert result.windows == ()


def test_nobody_listens() -> None:
    result = load(f"http://127.0.0.1:{free_port()}", load_workload("tiny"))
    assert "cannot connect" in result.failed
    assert result.windows == ()


def test_a_lost_server_ends_the_load_with_its_sentence(tmp_path: Path) -> None:
    answers = itertools.chain([None, None], itertools.repeat("the worker is gone"))
    with scripted(tmp_path, faults(hang_after=0)) as server:
        result = load(server.url, tiny(request_deadline=SLOW_ANSWER), alive=lambda: next(answers))
    assert result.failed == "the worker is gone"
    assert (result.records, result.client["unfinished"]) == ((), 4.0)


def test_a_stop_ends_the_load(tmp_path: Path) -> None:
    stop = threading.Event()
    said: list[str] = []

    def progress(text: str) -> None:
        said.append(text)
        stop.set()

    with scripted(tmp_path, faults(hang_after=2)) as server:
        result = run_load(
            server.url,
            "scripted-model",
            tiny(request_deadline=SLOW_ANSWER),
            7,
            vocab=VOCAB,
            stop=stop,
            progress=progress,
        )
    assert result.failed == "stopped before the load was complete"
    assert said == ["warm-up: 2 of 4 requests"]


@pytest.mark.parametrize(
    ("server_share", "shared", "void"),
    [(0.1, False, True), (0.97, False, False), (0.1, True, False)],
)
def test_cpu_readings_reach_the_guards(
    server_share: float, shared: bool, void: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guards, "SHORTEST_JUDGED", 0.0)
    cuts = itertools.count()
    busy = threading.local()  # a cut's two readings are taken in one thread

    def server_cpu() -> float:
        busy.seconds = 1000.0 * next(cuts)
        return server_share * float(busy.seconds)

    def host() -> HostCpu:
        return HostCpu(busy=busy.seconds, steal=0.0, total=busy.seconds)

    with scripted(tmp_path) as server:
        result = run_load(
            server.url,
            "scripted-model",
            load_workload("tiny"),
            7,
            vocab=VOCAB,
            server_cpu=server_cpu,
            host_cpu=host,
            shared_host=shared,
        )
    assert all("foreign" in window.readings for window in result.windows)
    foreign = [
        reason for window in result.windows for reason in window.void if "others used" in reason
    ]
    assert bool(foreign) == void


def test_the_garbage_collector_is_as_before(tmp_path: Path) -> None:
    seen: list[bool] = []

    def alive() -> str | None:
        seen.append(gc.isenabled())
        return "enough"

    with scripted(tmp_path, faults(hang_after=0)) as server:
        load(server.url, tiny(request_deadline=SLOW_ANSWER), alive=alive)
        assert gc.isenabled()
        gc.disable()
        try:
            load(server.url, tiny(request_deadline=SLOW_ANSWER), alive=alive)
            assert not gc.isenabled()
        finally:
            gc.enable()
    assert seen == [False, False]
    assert gc.get_freeze_count() == 0


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(UsageError, match="http://"):
        load("ftp://127.0.0.1:1", load_workload("tiny"))

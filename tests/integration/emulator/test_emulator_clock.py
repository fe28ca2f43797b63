"""The stand-in's clock: the roofline's formula, streams, events, graphs, two threads."""

from __future__ import annotations

import ctypes
import threading
import time

import pytest

from tests.support.emulator import GCC, Runtime

pytestmark = pytest.mark.skipif(GCC is None, reason="no gcc on PATH")


@pytest.fixture
def runtime(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    """Return a runtime whose device takes time by a roofline of round numbers."""
    monkeypatch.setenv("TRIMTAB_STANDIN_CLOCK", "chip")
    monkeypatch.setenv("TRIMTAB_STANDIN_BANDWIDTH", "1000000000")  # a byte a nanosecond
    monkeypatch.setenv("TRIMTAB_STANDIN_FLOPS", "1000000000000")
    monkeypatch.setenv("TRIMTAB_STANDIN_LATENCY", "1000")
    runtime.c.standin_cost.restype = ctypes.c_int64
    return runtime


def cost(runtime: Runtime, name: str) -> int:
    found = int(runtime.c.standin_cost(name.encode()))
    runtime.c.standin_forget()
    return found


def lengths(runtime: Runtime, *values: int) -> None:
    array = (ctypes.c_int64 * len(values))(*values)
    runtime.c.aclCreateIntArray(array, ctypes.c_uint64(len(values)))


def test_an_operator_moves_its_tensors(runtime: Runtime) -> None:
    runtime.tensor(1000, 8)
    runtime.tensor(1000, kind=0)
    assert cost(runtime, "aclnnAdd") == 16000 + 4000 + 1000
    assert cost(runtime, "aclnnAdd") == 1000, "what was described is used up"


def test_a_product_takes_its_arithmetic_if_that_is_longer(runtime: Runtime) -> None:
    for shape in ((4096, 256), (256, 512), (4096, 512)):
        runtime.tensor(*shape)
    computing = 2 * 4096 * 256 * 512 / 1e3  # nanoseconds at 10^12 a second
    moving = 2 * (4096 * 256 + 256 * 512 + 4096 * 512)
    assert moving > computing
    assert cost(runtime, "aclnnMatmul") == moving + 1000
    for shape in ((4096, 65536), (65536, 512), (4096, 512)):
        runtime.tensor(*shape)
    runtime.tensor(0)
    expected = 2 * 4096 * 65536 * 512 / 1e12 * 1e9 + 1000
    moved = 2 * (4096 * 65536 + 65536 * 512 + 4096 * 512) + 1000
    assert cost(runtime, "aclnnMatmul") == max(expected, moved)


def test_an_attention_reads_the_lengths_and_not_the_cache(runtime: Runtime) -> None:
    runtime.tensor(2, 1, 64)  # query
    for _ in range(2):  # key and value cache: 1000 blocks of 128 tokens
        runtime.tensor(1000, 128, 64)
    lengths(runtime, 1, 2)  # of the queries, as the places where they end
    lengths(runtime, 100, 28)  # of keys and values
    assert cost(runtime, "aclnnFusedInferAttentionScoreV3") == 2 * 64 * 2 + 2 * 128 * 64 * 2 + 1000


def test_a_scatter_does_not_move_the_cache(runtime: Runtime) -> None:
    runtime.tensor(1000, 128, 64)
    runtime.tensor(2, 64)
    assert cost(runtime, "aclnnScatterPaKvCache") == 2 * 2 * 64 * 2 + 1000


def test_a_stream_is_busy_and_who_waits_for_it_sleeps(runtime: Runtime) -> None:
    stream, event = (
        runtime.handle(f"aclrtCreate{one}") for one in ("StreamWithConfig", "EventExWithFlag")
    )
    status = ctypes.c_int()
    start = time.monotonic()
    for _ in range(3):
        runtime.tensor(100_000_000)  # 200 ms
        runtime.c.plan_add(None)
        runtime.c.launch_add(stream)
    runtime.c.aclrtRecordEvent(event, stream)
    runtime.c.aclrtQueryEventStatus(event, ctypes.byref(status))
    assert status.value == 0, "launching does not wait"
    runtime.c.aclrtStreamQuery(stream, ctypes.byref(status))
    assert status.value != 0
    other = runtime.handle("aclrtCreateStreamWithConfig")
    runtime.c.aclrtStreamQuery(other, ctypes.byref(status))
    assert status.value == 0, "another stream is idle"
    runtime.c.aclrtStreamWaitEvent(other, event)
    runtime.c.aclrtSynchronizeStream(other)
    assert time.monotonic() - start >= 0.6
    runtime.c.aclrtQueryEventStatus(event, ctypes.byref(status))
    assert status.value == 1


def test_plans_of_one_thread_are_launched_by_another_in_order(runtime: Runtime) -> None:
    stream = runtime.handle("aclrtCreateStreamWithConfig")
    events = [runtime.handle("aclrtCreateEventExWithFlag") for _ in range(3)]

    def plan() -> None:
        for size in (5_000_000, 15_000_000):
            runtime.tensor(size)
            runtime.c.plan_add(None)

    thread = threading.Thread(target=plan)
    thread.start()
    thread.join()
    runtime.c.aclrtRecordEvent(events[0], stream)
    for event in events[1:]:
        runtime.c.launch_add(stream)
        runtime.c.aclrtRecordEvent(event, stream)
    spent = ctypes.c_float()
    runtime.c.aclrtEventElapsedTime(ctypes.byref(spent), events[1], events[2])
    assert spent.value == pytest.approx(30, abs=0.01)


def test_a_graph_takes_the_sum_of_its_operators(runtime: Runtime) -> None:
    stream, graph = runtime.handle("aclrtCreateStreamWithConfig"), ctypes.c_void_p()
    runtime.c.aclmdlRICaptureBegin(stream, 0)
    for _ in range(2):
        runtime.tensor(10_000_000)
        runtime.c.plan_add(None)
        runtime.c.launch_add(stream)
    runtime.c.aclmdlRICaptureEnd(stream, ctypes.byref(graph))
    status = ctypes.c_int()
    runtime.c.aclrtStreamQuery(stream, ctypes.byref(status))
    assert status.value == 0, "a capture runs nothing"
    start = time.monotonic()
    runtime.c.aclmdlRIExecuteAsync(graph, stream)
    runtime.c.aclrtSynchronizeStream(stream)
    assert time.monotonic() - start >= 0.04


def test_a_fixed_time_for_every_operator(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIMTAB_STANDIN_CLOCK", "fixed:2500.5")
    start = time.monotonic()
    for _ in range(20):
        runtime.c.plan_add(None)
        runtime.c.launch_add(None)
    runtime.c.aclrtSynchronizeDevice()
    assert time.monotonic() - start >= 0.05


def test_without_the_clock_nothing_takes_time(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TRIMTAB_STANDIN_CLOCK")
    stream, status = runtime.handle("aclrtCreateStreamWithConfig"), ctypes.c_int(-1)
    runtime.tensor(1_000_000_000_000)  # half an hour by the clock
    runtime.c.plan_add(None)
    runtime.c.launch_add(stream)
    runtime.c.aclrtStreamQuery(stream, ctypes.byref(status))
    assert status.value == 0, "the stream is idle at once"
    runtime.c.aclrtSynchronizeDevice()

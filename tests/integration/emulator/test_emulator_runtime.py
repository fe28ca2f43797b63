"""The stand-in's runtime: devices, memory, faults."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.emulator import FULL, GCC, GIB, LOST, Runtime

pytestmark = pytest.mark.skipif(GCC is None, reason="no gcc on PATH")


@pytest.mark.parametrize(
    ("listed", "count"),
    [(None, 4), ("0", 1), ("3,1", 2), ("0,1,2,3", 4), ("1,9,2", 1), ("", 0), ("0-3", 1)],
)
def test_visible_devices(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, listed: str | None, count: int
) -> None:
    monkeypatch.setenv("TRIMTAB_STANDIN_DEVICES", "4")
    if listed is not None:
        monkeypatch.setenv("ASCEND_RT_VISIBLE_DEVICES", listed)
    assert runtime.count() == count
    assert runtime.c.aclrtSetDevice(count) != 0, "one past the last"


def test_the_chip_is_told(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    assert runtime.c.aclrtGetSocName() == b"Ascend910B3"
    monkeypatch.setenv("TRIMTAB_STANDIN_SOC", "Ascend310P3")
    monkeypatch.setenv("TRIMTAB_STANDIN_CORES", "8")
    value = ctypes.c_int64()
    assert runtime.c.aclGetDeviceCapability(0, 1, ctypes.byref(value)) == 0
    assert (runtime.c.aclrtGetSocName(), value.value) == (b"Ascend310P3", 16)


def test_free_memory_falls_and_comes_back(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIMTAB_STANDIN_MEMORY", str(2 * GIB))
    before = runtime.free()
    assert before == 2 * GIB - (1 << 28), "the driver's share"
    error, block = runtime.malloc(GIB - 5)
    assert (error, runtime.free()) == (0, before - GIB), "rounded to pages"
    assert runtime.malloc(GIB)[0] == FULL
    assert runtime.c.aclrtFree(block) == 0
    assert runtime.free() == before
    assert runtime.c.aclrtFree(None) == 0


def test_each_device_has_its_own_memory(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_STANDIN_MEMORY", str(GIB))
    monkeypatch.setenv("ASCEND_RT_VISIBLE_DEVICES", "5,2")
    runtime.c.aclrtSetDevice(1)
    _, block = runtime.malloc(GIB // 2)
    runtime.c.aclrtSetDevice(0)
    assert runtime.malloc(GIB // 2)[0] == 0
    before = runtime.free()
    assert runtime.c.aclrtFree(block) == 0, "freed while another device is current"
    assert runtime.free() == before


def test_memory_of_expandable_segments(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    before = runtime.free()
    address, handle = ctypes.c_void_p(), ctypes.c_void_p()
    size = ctypes.c_size_t(1 << 21)
    runtime.c.aclrtReserveMemAddress(ctypes.byref(address), size, 0, None, 0)
    assert runtime.free() == before, "addresses are no memory"
    assert runtime.c.aclrtMallocPhysical(ctypes.byref(handle), size, None, 0) == 0
    assert runtime.free() == before - size.value
    ctypes.memset(address, 7, size.value)
    runtime.c.aclrtFreePhysical(handle)
    assert runtime.free() == before
    assert runtime.c.aclrtReleaseMemAddress(address) == 0


OTHER = """
import ctypes, sys, time
c = ctypes.CDLL(sys.argv[1])
c.aclrtSetDevice(3)
block = ctypes.c_void_p()
assert c.aclrtMalloc(ctypes.byref(block), ctypes.c_size_t(1 << 30), 0) == 0
print("ready", flush=True)
time.sleep(60)
"""


def test_another_process_on_the_device_is_seen_while_it_lives(
    runtime: Runtime, standin_library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIMTAB_STANDIN_STATE", str(tmp_path))
    # of a process that ended, and whose number another got
    (tmp_path / f"3.{os.getppid()}").write_bytes(GIB.to_bytes(8, "little"))
    words = [sys.executable, "-c", OTHER, str(standin_library)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == "ready\n"
            runtime.c.aclrtSetDevice(2)
            alone = runtime.free()
            runtime.c.aclrtSetDevice(3)
            assert runtime.free() == alone - GIB
        finally:
            other.kill()
    assert runtime.free() == alone, "what a killed process took is free again"


@pytest.mark.parametrize(
    ("fault", "errors"),
    [
        ("memory:full", [FULL, FULL]),
        ("memory:full:1", [0, FULL]),
        ("memory:lost", [LOST, LOST]),
        ("memory:207018", [207018, 0]),
        ("memory:507899:1", [0, 507899, 0]),
        ("aclrtFree:full", [0, 0]),
    ],
)
def test_faults_of_memory(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, fault: str, errors: list[int]
) -> None:
    monkeypatch.setenv("TRIMTAB_STANDIN_FAULT", fault)
    assert [runtime.malloc(4096)[0] for _ in errors] == errors
    said = runtime.c.aclGetRecentErrMsg()
    assert (b"injected by trimtab" in said) == any(errors)


def test_a_lost_device_stays_lost(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_STANDIN_FAULT", "aclrtSynchronizeStream:lost:1")
    synchronise = runtime.c.aclrtSynchronizeStream
    assert [synchronise(None) for _ in range(3)] == [0, LOST, LOST]
    assert runtime.malloc(4096)[0] == LOST
    assert runtime.c.launch_add(None) == LOST


def test_a_slow_call_is_slow_each_time(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_STANDIN_FAULT", "launch:slow30,aclnnMatmul:lost")
    start = time.monotonic()
    assert [runtime.c.launch_add(None) for _ in range(2)] == [0, 0]
    assert time.monotonic() - start >= 0.06
    assert runtime.c.launch_matmul(None) == LOST, "an operator by its own name"


def test_communicators_have_names_and_differ(runtime: Runtime) -> None:
    root = ctypes.create_string_buffer(4108)
    assert runtime.c.HcclGetRootInfo(root) == 0
    made, other, name = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.create_string_buffer(128)
    assert runtime.c.HcclCommInitRootInfo(2, root, 1, ctypes.byref(made)) == 0
    assert runtime.c.HcclCommInitRootInfoConfig(2, root, 0, None, ctypes.byref(other)) == 0
    assert made.value != other.value
    assert runtime.c.HcclGetCommName(made, name) == 0
    assert name.value == root.value
    assert runtime.c.HcclCommDestroy(made) == 0


def test_near_cpus_are_told_by_dcmi(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    cpus, length = ctypes.create_string_buffer(32), ctypes.c_int()
    ask = runtime.c.dcmi_get_affinity_cpu_info_by_device_id
    assert ask(0, 0, cpus, ctypes.byref(length)) != 0, "not said"
    monkeypatch.setenv("TRIMTAB_STANDIN_AFFINITY", "0-3,8;4-7")
    assert (ask(0, 0, cpus, ctypes.byref(length)), cpus.value, length.value) == (0, b"0-3,8", 5)
    assert (ask(1, 0, cpus, ctypes.byref(length)), cpus.value) == (0, b"4-7")
    assert ask(2, 0, cpus, ctypes.byref(length)) != 0


@pytest.mark.parametrize("backwards", [False, True])
def test_a_sampled_token_is_one_of_the_vocabulary(runtime: Runtime, backwards: bool) -> None:
    chosen, narrower = (ctypes.c_int64 * 2)(7, 8), (ctypes.c_int32 * 2)(7, 8)
    parameters = {"scores": ((2, 100), 1, None), "chosen": ((2,), 9, chosen)}
    names = list(parameters)[:: -1 if backwards else 1]  # as a compiler evaluates them
    made = {
        name: runtime.tensor(
            *parameters[name][0], kind=parameters[name][1], data=parameters[name][2]
        )
        for name in names
    }
    runtime.c.plan_argmax(made["scores"])
    assert list(chosen) == [64, 64]
    chosen[0] = 5
    order = [("to", 3, narrower), ("from", 9, chosen)][:: -1 if backwards else 1]
    made = {name: runtime.tensor(2, kind=kind, data=data) for name, kind, data in order}
    runtime.c.plan_copy(made["to"])
    assert (list(narrower), list(chosen)) == ([5, 64], [5, 64])
    runtime.c.plan_argmax(None)  # without tensors


def test_a_graph_is_captured_and_replayed(runtime: Runtime) -> None:
    stream = runtime.handle("aclrtCreateStreamWithConfig")
    status, graph = ctypes.c_int(), ctypes.c_void_p()
    assert runtime.c.aclmdlRICaptureEnd(stream, ctypes.byref(graph)) != 0, "not capturing"
    runtime.c.aclmdlRICaptureBegin(stream, 0)
    runtime.c.aclmdlRICaptureGetInfo(stream, ctypes.byref(status), None)
    assert status.value == 1
    assert runtime.c.aclmdlRICaptureEnd(stream, ctypes.byref(graph)) == 0
    runtime.c.aclmdlRICaptureGetInfo(stream, ctypes.byref(status), None)
    assert (status.value, bool(graph.value)) == (0, True)
    assert runtime.c.aclmdlRIExecuteAsync(graph, stream) == 0
    assert runtime.c.aclmdlRIDestroy(graph) == 0

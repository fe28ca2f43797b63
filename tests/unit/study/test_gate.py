import threading
from collections.abc import Iterator, Mapping
from types import SimpleNamespace

import psutil
import pytest

from trimtab.study import gate


def readings(busy: float, steal: float = 0.0) -> dict[str, float]:
    return {"busy": busy, "steal": steal}


def scripted(*values: Mapping[str, float]) -> Iterator[Mapping[str, float]]:
    yield from values


def test_probe_reads_this_machine() -> None:
    found = gate.probe(seconds=0.5)
    always = {"busy", "steal", "gflops", "copy_gbps", "available_gb"}
    assert always <= set(found) <= always | {"mhz", "celsius"}
    assert all(found.get(name, 1.0) > 0 for name in ("mhz", "celsius")), "unknown is absent"
    assert found["gflops"] > 0
    assert found["copy_gbps"] > 0
    assert 0 <= found["busy"] <= 1


def test_a_short_look_tells_no_shares() -> None:
    found = gate.probe(seconds=0.05)
    assert not {"busy", "steal"} & set(found)
    assert gate.wait(threading.Event(), patience=0.0, probe=lambda _: found)["waited"] == 0.0


def test_a_quiet_machine_is_measured_at_once() -> None:
    source = scripted(readings(0.1))
    found = gate.wait(threading.Event(), probe=lambda _: next(source))
    assert found == {"busy": 0.1, "steal": 0.0, "waited": 0.0}


def test_a_busy_machine_is_waited_for_and_the_reason_is_said() -> None:
    said: list[str] = []
    source = scripted(readings(0.9), readings(0.0, steal=0.5), readings(0.0))
    found = gate.wait(Quick(), probe=lambda _: next(source), say=said.append)
    assert found["busy"] == 0.0
    assert len(said) == 2
    assert "90%" in said[0]


@pytest.mark.parametrize(
    ("clock", "sensors", "expected"),
    [
        (SimpleNamespace(current=2600.0), {"cpu": [SimpleNamespace(current=61.0)]}, (2600, 61)),
        (SimpleNamespace(current=0.0), {}, (None, None)),
        (None, {"fan": [SimpleNamespace(current=0.0)]}, (None, None)),
    ],
)
def test_what_the_system_does_not_tell_is_absent(
    monkeypatch: pytest.MonkeyPatch, clock: object, sensors: object, expected: tuple[object, ...]
) -> None:
    monkeypatch.setattr(psutil, "cpu_freq", lambda: clock)
    monkeypatch.setattr(psutil, "sensors_temperatures", lambda: sensors, raising=False)
    found = gate.probe(seconds=0.01)
    assert (found.get("mhz"), found.get("celsius")) == expected


def test_a_clock_that_no_file_tells_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise NotImplementedError

    monkeypatch.setattr(psutil, "cpu_freq", refuse)
    monkeypatch.delattr(psutil, "sensors_temperatures", raising=False)
    assert not {"mhz", "celsius"} & set(gate.probe(seconds=0.01))


def at(gflops: float, copy: float = 20.0) -> dict[str, float]:
    return {**readings(0.0), "gflops": gflops, "copy_gbps": copy}


def test_a_machine_slower_than_before_is_waited_for() -> None:
    earlier = [at(100.0), at(98.0), at(104.0)]
    said: list[str] = []
    source = scripted(at(89.0), at(100.0, copy=17.0), at(91.0))
    found = gate.wait(Quick(), earlier=earlier, probe=lambda _: next(source), say=said.append)
    assert found["gflops"] == 91.0
    assert "89 GFLOP/s in a matrix product, and 100 before" in said[0]
    assert "17 GB/s in a memory copy" in said[1]


def test_a_machine_that_stays_slow_is_measured_all_the_same() -> None:
    found = gate.wait(Quick(), earlier=[at(100.0)] * 3, probe=lambda _: at(50.0), patience=0.0)
    assert found["gflops"] == 50.0


def test_what_is_usual_takes_three_readings_and_the_reading_itself() -> None:
    assert gate.slowdown(at(50.0), [at(100.0)] * 2) == ""
    assert gate.slowdown(readings(0.0), [at(100.0)] * 3) == ""
    assert gate.slowdown(at(50.0), [readings(0.0)] * 3) == ""
    assert gate.slowdown(at(50.0), [at(100.0)] * 3)


def test_a_probe_that_scatters_anyway_is_no_reason_to_wait() -> None:
    scattered = [at(speed) for speed in (135.0, 180.0, 227.0, 122.0, 255.0)]
    assert gate.slowdown(at(130.0), scattered) == ""
    assert gate.slowdown(at(20.0), scattered)


def test_patience_ends_and_the_readings_tell() -> None:
    found = gate.wait(Quick(), probe=lambda _: readings(0.9), patience=0.0)
    assert found["busy"] == 0.9


def test_a_stop_ends_the_wait() -> None:
    stop = threading.Event()
    stop.set()
    assert gate.wait(stop, probe=lambda _: readings(1.0))["busy"] == 1.0


class Quick(threading.Event):
    """An event whose wait returns at once."""

    def wait(self, timeout: float | None = None) -> bool:
        return self.is_set()

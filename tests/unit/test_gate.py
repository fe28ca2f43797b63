import threading
from collections.abc import Iterator, Mapping

from trimtab import gate


def readings(busy: float, steal: float = 0.0) -> dict[str, float]:
    return {"busy": busy, "steal": steal}


def scripted(*values: Mapping[str, float]) -> Iterator[Mapping[str, float]]:
    yield from values


def test_probe_reads_this_machine() -> None:
    found = gate.probe(seconds=0.05)
    assert set(found) == {"busy", "steal", "gflops", "copy_gbps", "available_gb"}
    assert found["gflops"] > 0
    assert found["copy_gbps"] > 0
    assert 0 <= found["busy"] <= 1


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

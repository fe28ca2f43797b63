"""``--url``: what is measured on a server that runs already, and when it is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.scripted import Running, scripted
from trimtab.commands import capacities, measuring
from trimtab.commands.bench import bench
from trimtab.engines import loopback
from trimtab.errors import ServerLostError, UsageError
from trimtab.load import drained
from trimtab.question import Options

OPTIONS = Options(workload="tiny", shared_host=True)
PAGE = "vllm:num_requests_running {}\nprocess_start_time_seconds {}\n"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    with scripted(tmp_path) as running:
        yield running


def metrics(monkeypatch: pytest.MonkeyPatch, *pages: str) -> None:
    """Let the server's /metrics be these pages, one after the other; the last one stays."""
    left = list(pages)
    real = loopback.get

    def get(url: str, path: str, timeout: float, key: str | None = None) -> bytes | None:
        if path != "/metrics":
            return real(url, path, timeout, key)
        return (left.pop(0) if len(left) > 1 else left[0]).encode()

    monkeypatch.setattr(loopback, "get", get)


def test_a_quiet_server_is_measured(server: Running) -> None:
    found = measuring.of_url(server.url, OPTIONS)
    assert found["starts"] == 1
    values = {one["metric"]: one for one in found["metrics"]}
    assert values["output_throughput"]["value"] > 0
    assert values["output_throughput"]["low"] is None


def test_a_server_that_works_for_others_is_refused(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "drain", lambda url, key: drained.drain(url, key, patience=0))
    metrics(monkeypatch, PAGE.format(3, 1))
    with pytest.raises(UsageError, match="works on 3 requests of others"):
        measuring.of_url(server.url, OPTIONS)
    assert server.metric("vllm:generation_tokens_total") == 0, "no load was sent"


def test_a_server_restarted_meanwhile_is_refused(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    idle, before, after = PAGE.format(0, 1), PAGE.format(0, 1), PAGE.format(0, 2)
    metrics(monkeypatch, idle, before, after)
    with pytest.raises(UsageError, match="was restarted while it was measured"):
        measuring.of_url(server.url, OPTIONS)


def test_a_server_that_dies_under_load_is_said_to(tmp_path: Path) -> None:
    with (
        scripted(tmp_path, {"faults": {"die_after_requests": 6}}) as server,
        pytest.raises(UsageError, match="cannot be measured: "),
    ):
        measuring.of_url(server.url, OPTIONS)


def test_capacity_is_refused_on_the_same_grounds(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics(monkeypatch, PAGE.format(0, 1), PAGE.format(0, 1), PAGE.format(0, 2))
    asked = Options(workload="tiny", shared_host=True, slo="ttft_p99<=10s")
    with pytest.raises(UsageError, match="was restarted"):
        capacities.of_url(server.url, asked, 20)


def test_an_address_that_is_none_and_a_server_that_is_not_there() -> None:
    with pytest.raises(UsageError, match="--url must be such as"):
        measuring.of_url("https://127.0.0.1:8000", OPTIONS)
    with pytest.raises(ServerLostError):
        measuring.of_url("http://127.0.0.1:9", OPTIONS)


def test_a_running_server_has_neither_a_target_nor_anything_to_resume() -> None:
    for wrong in ({"target": "a.sh"}, {"resume": True}):
        with pytest.raises(UsageError, match="leave the target and --resume out"):
            bench(url="http://127.0.0.1:8000", **wrong)

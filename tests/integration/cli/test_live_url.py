"""``--url``: what is measured on a server that runs already, and when it is refused."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.support.scripted import Running, scripted
from trimtab.cli.bench import bench
from trimtab.engines.openai_api import served_name
from trimtab.errors import LoadFailedError, ServerLostError, UsageError
from trimtab.http_client import loopback
from trimtab.load import isolation
from trimtab.measurement import capacity, remote_server
from trimtab.study.options import Options

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
    found = remote_server.measure_url(server.url, OPTIONS, print).as_data()
    assert found["starts"] == 1
    values = {one["metric"]: one for one in found["metrics"]}
    assert values["output_throughput"]["value"] > 0
    assert values["output_throughput"]["low"] is None


def test_a_server_that_works_for_others_is_refused(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        remote_server, "drain", lambda url, key: isolation.drain(url, key, patience=0)
    )
    metrics(monkeypatch, PAGE.format(3, 1))
    with pytest.raises(LoadFailedError, match="works on 3 requests of others"):
        remote_server.measure_url(server.url, OPTIONS, print)
    assert server.metric("vllm:generation_tokens_total") == 0, "no load was sent"


def test_a_server_restarted_meanwhile_is_refused(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    idle, before, after = PAGE.format(0, 1), PAGE.format(0, 1), PAGE.format(0, 2)
    metrics(monkeypatch, idle, before, after)
    with pytest.raises(LoadFailedError, match="was restarted while it was measured"):
        remote_server.measure_url(server.url, OPTIONS, print)


def test_a_server_that_dies_under_load_is_said_to(tmp_path: Path) -> None:
    with (
        scripted(tmp_path, {"faults": {"die_after_requests": 6}}) as server,
        pytest.raises(LoadFailedError, match="cannot be measured: "),
    ):
        remote_server.measure_url(server.url, OPTIONS, print)


def test_capacity_is_refused_on_the_same_grounds(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics(monkeypatch, PAGE.format(0, 1), PAGE.format(0, 1), PAGE.format(0, 2))
    asked = Options(workload="tiny", shared_host=True, slo="ttft_p99<=10s")
    with pytest.raises(LoadFailedError, match="was restarted"):
        capacity.measure_url_capacity(server.url, asked, 20, print)


def test_an_address_that_is_none_and_a_server_that_is_not_there() -> None:
    with pytest.raises(UsageError, match="--url must be such as"):
        remote_server.measure_url("ftp://127.0.0.1:8000", OPTIONS, print)
    with pytest.raises(ServerLostError, match=r"127\.0\.0\.1:9: connection refused: start it, or"):
        remote_server.measure_url("http://127.0.0.1:9", OPTIONS, print)


def test_what_answers_but_is_no_vllm_is_told(tmp_path: Path) -> None:
    for status, says in (
        (401, "/v1/models answers HTTP 401: set VLLM_API_KEY to the key"),
        (404, "/v1/models answers HTTP 404: start it, or give its address"),
        (200, "the answer of /v1/models is no JSON: start it"),
    ):
        with answering(status) as url, pytest.raises(ServerLostError, match=says):
            remote_server.measure_url(url, OPTIONS, print)
        with answering(status) as url, pytest.raises(ServerLostError, match="/v1/models"):
            served_name(url)


@contextmanager
def answering(status: int) -> Iterator[str]:
    """A server that gives every request the same answer without a body."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_request(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_running_server_has_neither_a_target_nor_anything_to_resume() -> None:
    for wrong in ({"target": "a.sh"}, {"resume": True}):
        with pytest.raises(UsageError, match=r"leave (the target|--resume) out"):
            bench(url="http://127.0.0.1:8000", **wrong)


def test_a_path_in_the_url_is_used(server: Running) -> None:
    with pytest.raises(ServerLostError, match="/llm: /v1/models answers HTTP 404"):
        remote_server.measure_url(f"{server.url}/llm", OPTIONS, print)


def test_prompts_that_do_not_fit_are_refused_before_the_load(tmp_path: Path) -> None:
    with scripted(tmp_path, None, "--max-model-len", "4") as server:
        with pytest.raises(UsageError, match=r"/v1/models allows 4: lower input_tokens"):
            remote_server.measure_url(server.url, OPTIONS, print)
        assert server.metric("vllm:generation_tokens_total") == 0

"""A workload from counters: the same traffic back, and one-line refusals."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from typer.testing import CliRunner

from trimtab.cli.app import app
from trimtab.errors import ServerLostError, TrimtabError, UsageError, WorkloadError
from trimtab.load.from_metrics import parse, workload_of
from trimtab.load.requests import build_requests
from trimtab.load.workload import Workload, load_workload

BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


def page(prompts: list[int], outputs: list[int], hits: int = 0) -> str:
    registry = CollectorRegistry()
    labels = {"model_name": "m", "engine": "0"}
    for name, values in (("prompt", prompts), ("generation", outputs)):
        histogram = Histogram(
            f"vllm:request_{name}_tokens", "tokens", list(labels), buckets=BUCKETS,
            registry=registry,
        )  # fmt: skip
        for value in values:
            histogram.labels(**labels).observe(value)
    for name, value in (("queries", sum(prompts)), ("hits", hits)):
        counter = Counter(f"vllm:prefix_cache_{name}", "tokens", list(labels), registry=registry)
        counter.labels(**labels).inc(value)
    return generate_latest(registry).decode()


def test_the_traffic_comes_back() -> None:
    rng = np.random.default_rng(1)
    prompts = [int(one) for one in rng.lognormal(6.0, 0.5, 2000)]
    outputs = [int(one) + 1 for one in rng.exponential(100, 2000)]
    found = workload_of(parse(page(prompts, outputs)), seconds=400.0)
    assert found["arrival"] == {"rate": 5.0}
    workload = Workload.model_validate({"name": "observed", **found})
    drawn = build_requests(workload.model_copy(update={"windows": 10}), 1, 8192)
    for asked, given in (
        ([len(one.prompt) for one in drawn], prompts),
        ([one.output_tokens for one in drawn], outputs),
    ):
        # a bin is even inside, so quantiles come back to within a bin
        for share in (25, 50, 75):
            wanted = float(np.percentile(given, share))
            assert float(np.percentile(asked, share)) == pytest.approx(wanted, rel=0.4)


def test_what_the_cache_served_becomes_the_shared_prefix() -> None:
    found = workload_of(parse(page([300] * 50, [10] * 50, hits=50 * 150)), seconds=None)
    assert found["arrival"] == {"concurrency": 16}
    assert found["shared_prefix"] == pytest.approx(175, abs=26)  # of a bin from 201 to 500
    workload = Workload.model_validate({"name": "observed", **found})
    assert workload.input_tokens is not None
    assert workload.input_tokens.longest + workload.shared_prefix == 500


def test_lengths_of_one_are_lengths() -> None:
    found = workload_of(parse(page([1] * 30, [1] * 15 + [2] * 15)), seconds=1.0)
    workload = Workload.model_validate({"name": "observed", **found})
    assert workload.input_tokens is not None
    assert workload.input_tokens.longest == 1


def test_an_open_last_bucket_has_an_end() -> None:
    seen = parse(page([9000] * 30, [3] * 30))
    assert math.inf in seen.prompt
    workload = Workload.model_validate({"name": "observed", **workload_of(seen, 1.0)})
    assert workload.input_tokens is not None
    assert workload.input_tokens.longest == 10_000


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "disable-log-stats"),
        ("<html>no</html>\n", "not a page|disable-log-stats"),
        ("vllm:num_requests_running 0.0\n", "disable-log-stats"),
    ],
)
def test_another_page_is_refused(text: str, says: str) -> None:
    with pytest.raises(WorkloadError, match=says):
        parse(text)


def test_a_restart_in_between_is_noticed() -> None:
    early, late = parse(page([100] * 50, [5] * 50)), parse(page([100] * 10, [5] * 10))
    with pytest.raises(WorkloadError, match="restarted"):
        late.since(early)


def test_too_few_requests_say_nothing() -> None:
    with pytest.raises(WorkloadError, match="3 requests were finished, and 20"):
        workload_of(parse(page([100] * 3, [5] * 3)), seconds=60.0)


@pytest.fixture
def server() -> Iterator[str]:
    text = page([100] * 50, [5] * 50)

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Page) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{found.server_port}"
        found.shutdown()


def test_the_command_writes_a_file_that_loads(server: str, tmp_path: Path) -> None:
    out = tmp_path / "mine.yaml"
    ran = CliRunner().invoke(
        app, ["workload", "from-metrics", server, "--since-start", "--out", str(out)]
    )
    assert ran.exit_code == 0, ran.output
    assert load_workload(str(out)).concurrency == 16
    shown = CliRunner().invoke(app, ["workload", "show", str(out)])
    assert "edges" in shown.output


def test_presets_are_listed_and_shown() -> None:
    listed = CliRunner().invoke(app, ["workload", "list"])
    assert "chat" in listed.output.splitlines()
    shown = CliRunner().invoke(app, ["workload", "show", "chat"])
    assert "shared_prefix: 256" in shown.output


@pytest.mark.parametrize(
    ("address", "error", "code"),
    [
        ("http://127.0.0.1:9", ServerLostError, 1),
        ("ftp://x", UsageError, 2),
        ("file:///etc/passwd", UsageError, 2),
        ("http://127.0.0.1:9/v1", UsageError, 2),
    ],
)
def test_no_server_is_one_line(address: str, error: type[TrimtabError], code: int) -> None:
    ran = CliRunner().invoke(app, ["workload", "from-metrics", address, "--since-start"])
    assert isinstance(ran.exception, error)
    assert error.exit_code == code

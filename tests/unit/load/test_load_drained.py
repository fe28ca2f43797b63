"""The guard that waits for an idle server."""

from __future__ import annotations

import pytest

from trimtab.http_client import loopback
from trimtab.load import isolation

PAGE = """# HELP vllm:num_requests_running Number of requests in model execution batches.
vllm:num_requests_running{engine="0",model_name="m"} 3.0
vllm:num_requests_waiting{engine="0",model_name="m"} 2.0
vllm:num_requests_waiting_by_reason{engine="0",reason="capacity"} 2.0
"""
IDLE = "vllm:num_requests_running 0\nvllm:num_requests_waiting 0\n"


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """What the server answers, page by page; the last one stays."""
    answers: list[str | None] = []

    def get(url: str, path: str, timeout: float, key: str | None = None) -> bytes | None:
        assert path == "/metrics"
        page = answers.pop(0) if len(answers) > 1 else answers[0]
        return None if page is None else page.encode()

    monkeypatch.setattr(loopback, "get", get)
    return answers


def test_running_and_waiting_requests_are_counted(pages: list[str | None]) -> None:
    pages.append(PAGE)
    assert isolation.requests_in_flight("http://x") == 5


@pytest.mark.parametrize(
    "page",
    [
        None,
        "",
        "other_metric 3",
        "vllm:num_requests_running 1e999\nvllm:num_requests_waiting NaN\n",
        "vllm:num_requests_running 1.2.3e.\n",
        "vllm:num_requests_running{" + "a" * 3_000_000,
        "vllm:num_requests_running",
    ],
    ids=["no page", "empty", "another", "not finite", "no number", "no end", "no value"],
)
def test_a_server_that_does_not_tell_is_idle(pages: list[str | None], page: str | None) -> None:
    pages.append(page)
    assert isolation.requests_in_flight("http://x") is None
    assert isolation.drain("http://x") == 0


@pytest.mark.parametrize(
    ("sample", "count"),
    [
        (r'{model_name="a}b \" 7"} 3', 3),
        ("{} 4 1796094742649", 4),
        ('\t5 # {trace="x"} 9', 5),
        (" 6\r", 6),
        (' 2\nvllm:num_requests_running{engine="1"} +Inf', 2),
    ],
    ids=["a brace and a quote in a label", "a timestamp", "an exemplar", "CRLF", "one infinite"],
)
def test_samples_are_read_in_every_form(
    pages: list[str | None], sample: str, count: float
) -> None:
    pages.append(f"vllm:num_requests_running{sample}\n")
    assert isolation.requests_in_flight("http://x") == count


def test_it_waits_until_the_server_is_idle(pages: list[str | None]) -> None:
    pages += [PAGE, PAGE, IDLE]
    slept: list[float] = []
    assert isolation.drain("http://x", sleep=slept.append) == 0
    assert slept == [0.5, 0.5]


def test_patience_ends(pages: list[str | None]) -> None:
    pages.append(PAGE)
    assert isolation.drain("http://x", patience=2.0, sleep=lambda _: None) == 5


def test_a_server_is_told_from_its_successor(pages: list[str | None]) -> None:
    began = "# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds {}\n"
    pages += [began.format("1.7e+09"), began.format("1.8e+09"), None]
    assert isolation.incarnation("http://x") == 1.7e9
    assert isolation.incarnation("http://x") == 1.8e9
    assert isolation.incarnation("http://x") is None

"""What an earlier load left behind: in the prefix cache, and in the queue."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.http_client import loopback
from trimtab.load import runner as module
from trimtab.load.isolation import cache_counts, carry_over, parse, reusable_tokens
from trimtab.load.requests import build_requests
from trimtab.load.runner import LoadResult, run_guarded
from trimtab.load.workload import Workload, load_workload
from trimtab.model import Window

PAGE = """# TYPE vllm:prefix_cache_queries_total counter
vllm:prefix_cache_queries_total{engine="0"} 1000.0
vllm:prefix_cache_queries_total{engine="1"} 500.0
# TYPE vllm:prefix_cache_hits_total counter
vllm:prefix_cache_hits_total{engine="0"} 300.0
vllm:prefix_cache_hits_total{engine="1"} 100.0
"""


def test_both_counters_are_summed_over_engines() -> None:
    assert parse(PAGE.encode()) == (1500.0, 400.0)


@pytest.mark.parametrize("page", ["", "vllm:prefix_cache_hits_total 3", "x{", "# TYPE a b c"])
def test_a_page_without_them_tells_nothing(page: str) -> None:
    assert parse(page.encode()) is None


prompts = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=8).map(tuple), max_size=12)


@given(prompts)
def test_reusable_is_what_a_perfect_cache_serves(given: list[tuple[int, ...]]) -> None:
    kept: set[tuple[int, ...]] = set()
    served = 0
    for prompt in given:
        parts = [prompt[: i + 1] for i in range(len(prompt))]
        served += sum(part in kept for part in parts)
        kept.update(parts)
    assert reusable_tokens(given) == served


def test_a_preset_explains_its_shared_prefix_and_no_more() -> None:
    asked = load_workload("rag")
    requests = build_requests(asked, 3, 8192)
    explained = reusable_tokens(one.prompt for one in requests)
    shared = asked.shared_prefix * (len(requests) - 1)
    assert shared <= explained < shared + 8 * len(requests)


@pytest.mark.parametrize(
    ("hits", "explained", "void"),
    [(0, 0, False), (9, 0, False), (11, 0, True), (500, 495, False), (500, 480, True)],
)
def test_more_hits_than_the_load_explains_were_carried_over(
    hits: float, explained: int, void: bool
) -> None:
    found = carry_over((100.0, 50.0), (1100.0, 50.0 + hits), explained)
    assert bool(found) == void


def test_unknown_counters_give_no_verdict() -> None:
    assert carry_over(None, (1.0, 1.0), 0) == ""
    assert carry_over((1.0, 1.0), None, 0) == ""
    assert carry_over((5.0, 5.0), (5.0, 5.0), 0) == ""


def load(reusable: int = 0) -> LoadResult:
    windows = (Window(0, 0.0, 1.0, 9, {}), Window(1, 1.0, 2.0, 9, {}, ("others",)))
    return LoadResult((), windows, 0, {}, reusable=reusable)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """A server whose counters grow with each look: 1,000 tokens asked for, ``hits`` found."""
    told = {"hits": 0, "busy": 0}
    looks: Iterator[int] = count()

    def get(url: str, path: str, timeout: float, key: str | None = None) -> bytes:
        n = next(looks)
        return (
            PAGE.replace("1000.0", str(1000 + 1000 * n))
            .replace("300.0", str(300 + told["hits"] * n))
            .encode()
        )

    monkeypatch.setattr(loopback, "get", get)
    monkeypatch.setattr(module, "drain", lambda *_: told["busy"])
    return told


def test_a_quiet_and_empty_server_voids_nothing(server: dict[str, int]) -> None:
    assert cache_counts("http://x") == (1500.0, 400.0)
    assert run_guarded("http://x", None, load) == load()


def test_carry_over_voids_every_window_and_keeps_its_reason(server: dict[str, int]) -> None:
    server["hits"] = 500
    first, second = run_guarded("http://x", None, load).windows
    (reason,) = first.void
    assert reason.startswith(
        "the prefix cache served 50% of the prompt tokens, and the load's own"
    )
    assert second.void == ("others", *first.void)
    assert run_guarded("http://x", None, lambda: load(500)).windows == load().windows


def test_a_server_that_is_not_drained_voids_every_window(server: dict[str, int]) -> None:
    server["busy"] = 3
    for window in run_guarded("http://x", None, load).windows:
        assert window.void[-1] == (
            "not drained: the server still worked on 3 earlier requests when the load began"
        )


def test_the_same_load_twice_is_explained_once() -> None:
    asked = Workload.model_validate({**load_workload("tiny").model_dump(), "input_tokens": 64})
    prompts = [one.prompt for one in build_requests(asked, 3, 8192)]
    once, twice = reusable_tokens(prompts), reusable_tokens([*prompts, *prompts])
    assert once < 0.05 * sum(map(len, prompts))
    assert twice - once == sum(map(len, prompts))

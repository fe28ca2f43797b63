"""Requests: the same seed gives the same load, lengths are exact, prompts are distinct."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.errors import WorkloadError
from trimtab.load.presets import PRESETS
from trimtab.load.requests import build_requests
from trimtab.load.workload import Workload, load_workload

VOCAB = 8192


def workload(**changes: object) -> Workload:
    base: dict[str, object] = {
        "name": "w",
        "input_tokens": 16,
        "output_tokens": 4,
        "arrival": {"concurrency": 2},
    }
    return Workload.model_validate({**base, **changes})


@pytest.mark.parametrize(
    "name", [name for name in PRESETS if name != "batch" and "turns" not in PRESETS[name]]
)
def test_presets_give_what_they_say(name: str) -> None:
    asked = load_workload(name)
    requests = build_requests(asked, 3, VOCAB)
    assert [one.index for one in requests] == list(range(asked.requests + asked.spare))
    prefix = asked.shared_prefix
    assert len({one.prompt[:prefix] for one in requests}) == 1
    assert len({one.prompt[prefix : prefix + 8] for one in requests}) == len(requests)
    for one in requests:
        assert asked.input_tokens is not None
        assert asked.output_tokens is not None
        assert 1 <= len(one.prompt) - prefix <= asked.input_tokens.longest
        assert 1 <= one.output_tokens <= asked.output_tokens.longest
        assert all(asked.vocabulary_floor <= token < VOCAB * 9 // 10 for token in one.prompt)
        assert (one.at is None) == (asked.concurrency is not None)


@given(st.integers(0, 2**63))
@settings(max_examples=20)
def test_the_seed_is_all_that_matters(seed: int) -> None:
    asked = workload(arrival={"rate": 5.0}, input_tokens={"min": 4, "max": 20})
    first = build_requests(asked, seed, VOCAB)
    assert build_requests(asked, seed, VOCAB) == first
    other = build_requests(asked, seed + 1, VOCAB)
    assert [one.prompt for one in other] != [one.prompt for one in first]
    assert [one.at for one in other] != [one.at for one in first]


def test_another_vocabulary_changes_neither_lengths_nor_arrivals() -> None:
    asked = workload(arrival={"rate": 5.0}, input_tokens=[4, 8, 9], output_tokens=[1, 2])
    one, two = build_requests(asked, 1, VOCAB), build_requests(asked, 1, 500)
    assert [(len(r.prompt), r.output_tokens, r.at) for r in one] == [
        (len(r.prompt), r.output_tokens, r.at) for r in two
    ]


def test_a_list_is_drawn_without_replacement_so_that_windows_weigh_the_same() -> None:
    asked = workload(input_tokens=[4, 5, 6], warmup=6, windows=2, window_requests=6)
    lengths = [len(one.prompt) for one in build_requests(asked, 0, VOCAB)]
    for begin in range(0, 18, 6):
        assert Counter(lengths[begin : begin + 6]) == {4: 2, 5: 2, 6: 2}


def test_a_range_reaches_both_ends() -> None:
    asked = workload(input_tokens={"min": 4, "max": 6}, windows=20)
    lengths = {len(one.prompt) for one in build_requests(asked, 0, VOCAB)}
    assert lengths == {4, 5, 6}


def test_poisson_arrivals_have_their_rate_and_their_spread() -> None:
    asked = workload(arrival={"rate": 50.0}, windows=100, window_requests=100)
    instants = [one.at for one in build_requests(asked, 0, VOCAB) if one.at is not None]
    gaps = [after - before for before, after in pairwise(instants)]
    mean = sum(gaps) / len(gaps)
    spread = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert min(gaps) > 0
    assert mean == pytest.approx(1 / 50, rel=0.05)
    assert spread / mean == pytest.approx(1.0, rel=0.05)


def test_a_vocabulary_without_room_is_refused() -> None:
    with pytest.raises(WorkloadError, match="vocabulary_floor"):
        build_requests(workload(), 0, 300)
    with pytest.raises(WorkloadError, match="distinct prompts of 1 tokens"):
        build_requests(workload(input_tokens=1, vocabulary_floor=0), 0, 10)
    assert build_requests(workload(input_tokens=2, vocabulary_floor=0), 0, 100)


@pytest.mark.parametrize("name", ["chat", "agent"])
def test_conversations_grow_on_their_stream(name: str) -> None:
    asked = load_workload(name)
    requests = build_requests(asked, 3, VOCAB)
    streams = asked.concurrency
    assert streams is not None
    assert asked.turns is not None
    prefix = requests[0].prompt[: asked.shared_prefix]
    turns: list[int] = []
    for stream in range(streams):
        own = requests[stream::streams]
        count = 0
        for before, after in pairwise(own):
            count += 1
            said = len(before.prompt) + before.output_tokens
            if after.prompt[: len(before.prompt)] == before.prompt:
                assert len(after.prompt) > said
            else:
                turns.append(count)
                count = 0
                assert after.prompt[: len(prefix)] == prefix
                assert len(after.prompt) <= len(prefix) + asked.input_tokens.longest  # type: ignore[union-attr]
    assert asked.turns.least <= min(turns) <= max(turns) <= asked.turns.longest
    assert len(set(turns)) > 1
    assert build_requests(asked, 3, VOCAB) == requests


def test_open_conversations_take_turns_on_the_schedule() -> None:
    asked = workload(turns=3, conversations=2, arrival={"rate": 5.0})
    requests = build_requests(asked, 3, VOCAB)
    assert len(requests) == asked.measured + asked.window_requests
    assert all(one.at is not None for one in requests)
    for first, second in zip(requests[:2], requests[2:4], strict=True):
        assert second.prompt[: len(first.prompt)] == first.prompt
    assert requests[6].prompt[:8] != requests[4].prompt[:8], "a new one after three turns"


def test_turns_need_streams() -> None:
    with pytest.raises(ValueError, match=r"beside an arrival.rate"):
        workload(turns=3, arrival={"rate": 1.0})
    for wrong in ({"turns": 3, "conversations": 2}, {"conversations": 2}):
        with pytest.raises(ValueError, match=r"with turns and an arrival.rate only"):
            workload(**wrong)
    with pytest.raises(ValueError, match="may hold at most"):
        workload(turns=1000, input_tokens=1000)


def test_spare_requests_leave_the_others_as_they_are() -> None:
    plain = workload(warmup=20, warmup_max=20, output_tokens={"min": 2, "max": 9})
    longer = workload(warmup=20, output_tokens={"min": 2, "max": 9})
    assert (plain.spare, longer.spare) == (0, 40)
    requests = build_requests(longer, 3, VOCAB)
    assert requests[: plain.requests] == build_requests(plain, 3, VOCAB)
    assert len({one.prompt[:8] for one in requests}) == plain.requests + 40


@pytest.mark.parametrize(
    "changes",
    [
        {"arrival": {"rate": 2.0}},
        {"turns": 2},
        {"input_tokens": None, "output_tokens": None, "prompts": "file"},
        {"warmup": 9},
    ],
)
def test_where_the_order_is_the_plan_nothing_is_spare(changes: dict[str, object]) -> None:
    assert workload(**{"warmup": 20, **changes}).spare == 0

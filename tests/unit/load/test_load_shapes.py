"""Every stream shape gives exactly the latencies and counts of the table, at any split."""

from __future__ import annotations

import asyncio
import importlib.util
from importlib.machinery import SourceFileLoader
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.stream_shapes import PROMPT_TOKENS, SHAPES, Part, Shape, stream, text, usage
from trimtab.load.connection import Connection, Exchange
from trimtab.load.records import record_of, records_of
from trimtab.metrics.slo import Latency
from trimtab.metrics.table import LATENCIES
from trimtab.model import Request, RequestRecord

ROOT = Path(__file__).parents[3]


class Wire:
    """A socket that swallows what is written."""

    def write(self, data: bytes) -> None:
        """Take it."""

    def abort(self) -> None:
        """Close."""


def received(parts: tuple[Part, ...], index: int = 0) -> Exchange:
    """Return what the client makes of an answer whose parts arrive at these milliseconds."""
    exchange = Exchange(Request(index, (1,) * PROMPT_TOKENS, 4), 0.0)

    async def run() -> None:
        connection = Connection(lambda *_: None, lambda _: None, lambda: None)
        connection.connection_made(Wire())
        connection.send(exchange, b"", 3600.0)
        for at, data in parts:
            if exchange.done is not None:
                break
            if data is None:
                connection.connection_lost(None)
            else:
                connection.data_received(data, at / 1000.0)
        connection.abort()

    asyncio.run(run())
    return exchange


def measured(record: RequestRecord) -> dict[str, list[float]]:
    return {
        latency.value: [1000.0 * value for value in values(record)]
        for latency, values in LATENCIES.items()
    }


@pytest.mark.parametrize("shape", SHAPES, ids=lambda one: f"{one.group}: {one.name}")
def test_a_shape_is_measured_exactly(shape: Shape) -> None:
    record = record_of(received(shape.parts), 0.0)
    assert shape.error in record.error
    assert bool(shape.error) is bool(record.error)
    if shape.error:
        return
    found = measured(record)
    assert found[Latency.TTFT] == pytest.approx([shape.ttft])
    assert found[Latency.ITL] == pytest.approx(list(shape.itl))
    assert found[Latency.TPOT] == pytest.approx([] if shape.tpot is None else [shape.tpot])
    assert (record.prompt_tokens, record.output_tokens) == (PROMPT_TOKENS, shape.tokens)


@given(st.sampled_from(SHAPES), st.lists(st.integers(0, 10_000), max_size=20))
@settings(max_examples=300, deadline=None)
def test_a_shape_is_measured_alike_at_any_split(shape: Shape, cuts: list[int]) -> None:
    """The pieces of a part arrive together, so that only the framing may differ."""
    split: list[Part] = []
    for at, data in shape.parts:
        if data is None:
            split.append((at, None))
            continue
        edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
        split += [(at, data[begin:end]) for begin, end in pairwise(edges)]
    whole, parted = (record_of(received(parts), 0.0) for parts in (shape.parts, tuple(split)))
    assert (parted.chunks, parted.output_tokens, parted.error) == (
        whole.chunks,
        whole.output_tokens,
        whole.error,
    )


def test_an_opening_without_text_is_a_token_where_other_answers_have_none() -> None:
    """vLLM that lags hands over several tokens a chunk, and sends incomplete characters."""
    done = (85.0, usage(6) + b"data: [DONE]\n\n")
    opened = received(stream((40, text("")), (60, text("abc")), (80, text("d", "length")), done))
    plain = received(stream((40, text("ab")), (80, text("cd", "length")), done), 1)
    assert [record.chunks[0] for record in records_of([opened, plain], 0.0)] == [0.04, 0.04]
    assert [record.chunks[0] for record in records_of([opened, opened], 0.0)] == [0.06, 0.06]


def test_the_page_of_shapes_is_current() -> None:
    loader = SourceFileLoader("shapes", str(ROOT / "scripts" / "make_stream_shapes.py"))
    spec = importlib.util.spec_from_loader("shapes", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    page = (ROOT / "docs" / "stream-shapes.md").read_text(encoding="utf-8")
    assert page == module.page(), "run scripts/make_stream_shapes.py"

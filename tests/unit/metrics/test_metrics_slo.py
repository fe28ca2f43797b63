"""SLO expressions: read exactly, and refused by the token that is wrong."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.errors import SloError
from trimtab.metrics.slo import STATISTICS, Latency, Slo, SloTerm, parse_slo


def test_the_example() -> None:
    assert parse_slo("ttft_p99<=500ms,tpot_p99<50ms") == Slo(
        (
            SloTerm(Latency.TTFT, "p99", 0.5),
            SloTerm(Latency.TPOT, "p99", 0.05, strict=True),
        )
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("e2e_mean<=2s", 2.0), ("itl_p50 <= 50 us", 5e-05), (" ttft_p95<=1.5ms ", 0.0015)],
)
def test_units(text: str, seconds: float) -> None:
    assert parse_slo(text).terms[0].limit == seconds


TERMS = st.builds(
    SloTerm,
    st.sampled_from(Latency),
    st.sampled_from(STATISTICS),
    st.floats(min_value=1e-300, max_value=1e6, exclude_min=True),
    st.booleans(),
)


@given(st.lists(TERMS, min_size=1, unique_by=lambda term: (term.latency, term.statistic)))
def test_what_is_written_reads_back(terms: list[SloTerm]) -> None:
    slo = Slo(tuple(terms))
    assert parse_slo(str(slo)) == slo


def refusal(text: str) -> str | None:
    try:
        parse_slo(text)
    except SloError as error:
        return str(error)
    return None


@given(st.text() | st.from_regex(r"(ttft|tpot)_p9[59]?(<|<=|=)[0-9.]{1,4}(ms|s|)", fullmatch=True))
def test_any_text_parses_or_is_refused_in_one_line(text: str) -> None:
    refused = refusal(text)
    if refused is None:
        assert parse_slo(text).terms
    else:
        assert refused.startswith("SLO: ")
        assert len(refused.splitlines()) == 1


@given(TERMS, st.floats(min_value=0, allow_nan=False))
def test_a_limit_is_kept_below_and_broken_above(term: SloTerm, seconds: float) -> None:
    assert term.met(seconds) == (
        seconds < term.limit or (seconds == term.limit and not term.strict)
    )


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "''"),
        ("ttft_p99<=500ms,,tpot_p99<=5ms", "''"),
        ("ttft_p99", "ttft_p99"),
        ("speed_p99<=5ms", "speed_p99"),
        ("ttft<=5ms", "ttft_p99"),
        ("ttft_p12<=5ms", "ttft_p12"),
        ("TTFT_p99<=5ms", "TTFT_p99"),
        ("ttft_p99>=5ms", ">="),
        ("ttft_p99=5ms", "'='"),
        ("ttft_p99<=500", "'500'"),
        ("ttft_p99<=5min", "'min'"),
        ("ttft_p99<=-5ms", "-5ms"),
        ("ttft_p99<=fast", "fast"),
        ("ttft_p99<=1e3ms", "1e3ms"),
        ("ttft_p99<=nanms", "nanms"),
        ("ttft_p99<=0ms", "0ms"),
        ("ttft_p99<=" + "9" * 400 + "s", "finite"),
        ("ttft_p99<=5ms,ttft_p99<=6ms", "'ttft_p99'"),
        ("tpot_p99<=5ms,ttft_p99<=6", "ttft_p99<=6"),
    ],
)
def test_the_wrong_token_is_named(text: str, named: str) -> None:
    with pytest.raises(SloError, match=re.escape(named)):
        parse_slo(text)

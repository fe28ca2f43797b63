"""Arrival processes: mean rate, spread of the gaps, and the ramp."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import default_rng

from trimtab.load.workload import Arrival, instants


def gaps(arrival: Arrival, count: int = 20_000) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    times = [one for one in instants(arrival, count, default_rng(4)) if one is not None]
    assert len(times) == count
    return np.diff([0.0, *times])


@pytest.mark.parametrize(
    ("arrival", "spread"),
    [
        (Arrival(rate=5.0), 1.0),
        (Arrival(rate=5.0, burstiness=0.25), 2.0),
        (Arrival(rate=5.0, burstiness=4.0), 0.5),
        (Arrival(rate=5.0, constant=True), 0.0),
    ],
    ids=["poisson", "bursts", "smooth", "constant"],
)
def test_gaps_have_the_mean_and_the_spread(arrival: Arrival, spread: float) -> None:
    """A gamma distribution of shape b has a coefficient of variation of 1/sqrt(b)."""
    found = gaps(arrival)
    assert float(found.mean()) == pytest.approx(0.2, rel=0.05)
    assert float(found.std() / found.mean()) == pytest.approx(spread, abs=0.05)


def test_a_ramp_begins_and_ends_at_its_rates() -> None:
    found = gaps(Arrival(rate=10.0, ramp_to=40.0, constant=True), 10_000)
    assert 1 / float(found[:50].mean()) == pytest.approx(10, rel=0.02)
    assert 1 / float(found[-50:].mean()) == pytest.approx(40, rel=0.02)
    assert float(found.sum()) == pytest.approx(2 * 10_000 / 50, rel=1e-6)


@given(
    rate=st.floats(0.01, 1000),
    last=st.floats(0.01, 1000),
    burstiness=st.floats(0.05, 50),
    count=st.integers(1, 200),
)
def test_time_never_goes_back(rate: float, last: float, burstiness: float, count: int) -> None:
    arrival = Arrival(rate=rate, ramp_to=last, burstiness=burstiness)
    times = [one for one in instants(arrival, count, default_rng(1)) if one is not None]
    assert times == sorted(times)
    assert all(np.isfinite(times))


def test_a_closed_loop_has_no_times() -> None:
    assert instants(Arrival(concurrency=3), 4, default_rng(0)) == [None] * 4

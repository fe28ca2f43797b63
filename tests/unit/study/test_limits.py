"""A limit that nothing measures must not seem to be kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.simulated import machine_of
from trimtab import search
from trimtab.errors import UsageError
from trimtab.simulated.machine import play
from trimtab.study.executors.simulated import open_simulated_session
from trimtab.study.options import Options


def asked(slo: str) -> Options:
    return Options(engine="simulated", landscape="L1", budget="24", slo=slo)


@pytest.mark.parametrize("slo", ["tpot_p99<=50ms", "ttft_p99<=500ms,e2e_mean<=3s", "ttft_p50<=1s"])
def test_a_landscape_refuses_what_it_does_not_tell(slo: str) -> None:
    with pytest.raises(UsageError, match=r"tells ttft_p99 only: --slo cannot limit \w+ here"):
        open_simulated_session(asked(slo))


def test_a_limit_on_a_metric_that_no_start_has_is_said() -> None:
    session = open_simulated_session(asked("ttft_p99<=500ms"))
    space = replace(session.space, limits=(*session.space.limits, ("tpot_p99", 50.0)))
    starts = play(search.PhasedStrategy(), space, machine_of(session))
    notes = search.conclude(search.History.of(space, starts)).notes
    assert [note for note in notes if "not enforced" in note] == [
        "no start has a value of tpot_p99: its limit of 50.0 ms was not enforced"
    ]
    assert not any(
        "not enforced" in note for note in search.conclude(search.History.of(space, [])).notes
    )

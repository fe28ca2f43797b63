"""What every executor owes the study loop: one start, with the record of what was asked for."""

from collections.abc import Callable
from pathlib import Path

import pytest

from trimtab.model import Outcome, Phase, StartRequest
from trimtab.study.executors import Executor
from trimtab.study.executors.live import LiveExecutor
from trimtab.study.executors.simulated import SimulatedExecutor, open_simulated_session
from trimtab.study.options import Options
from trimtab.study.progress import SilentDisplay
from trimtab.study.session import open_session
from trimtab.study.signals import Stop

Make = Callable[[Path, Stop], Executor]


def simulated(folder: Path, stop: Stop) -> Executor:
    session = open_simulated_session(Options(engine="simulated", landscape="L1"))
    assert session.machine is not None
    return SimulatedExecutor(session, session.machine)


def live(folder: Path, stop: Stop) -> Executor:
    session = open_session(Options(engine="scripted", shared_host=True), lambda _: None)
    return LiveExecutor(session, tuple, folder, SilentDisplay(), stop)


EXECUTORS: dict[str, Make] = {"simulated": simulated, "live": live}


@pytest.mark.parametrize("name", EXECUTORS)
def test_a_start_is_the_record_of_its_request(name: str, tmp_path: Path) -> None:
    request = StartRequest(Phase.CONFIRM, 2, "baseline", (), 7)
    start = EXECUTORS[name](tmp_path, Stop()).run(request, 5)
    assert (start.number, start.request, start.outcome) == (5, request, Outcome.MEASURED)
    assert start.metrics["output_throughput"] > 0
    assert start.windows
    assert start.plan
    assert start.began > 0


@pytest.mark.parametrize("name", EXECUTORS)
def test_starts_of_one_candidate_have_one_plan(name: str, tmp_path: Path) -> None:
    executor = EXECUTORS[name](tmp_path, Stop())
    requests = [StartRequest(Phase.CONFIRM, block, "baseline", (), block) for block in (0, 1)]
    first, second = (executor.run(one, number) for number, one in enumerate(requests, start=1))
    assert first.plan == second.plan
    assert first.windows[0].metrics != second.windows[0].metrics, "a block has its own requests"


def test_a_live_start_is_stopped_and_leaves_nothing(tmp_path: Path) -> None:
    stop = Stop()
    stop.event.set()
    with pytest.raises(KeyboardInterrupt):
        live(tmp_path, stop).run(StartRequest(Phase.CONFIRM, 0, "baseline", (), 1), 1)
    assert not list((tmp_path / "starts" / "001").glob("*.pid"))

"""Where the wall time of a study goes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.show_samples import STUDY
from trimtab.metrics.wall_time import Stopwatch, time_breakdown
from trimtab.report.text import summary
from trimtab.server.launcher import compile_seconds

PARTS = {"startup": 40.0, "compile": 22.0, "load": 12.0, "gate": 2.0, "verify": 1.0, "end": 1.0}


def test_a_stopwatch_gives_each_part_its_time() -> None:
    now = iter([10.0, 12.0, 52.0, 53.0, 60.0])
    watch = Stopwatch(clock=lambda: next(now))
    for part in ("gate", "startup", "verify", "startup"):
        watch.lap(part)
    assert watch.times == {"gate": 2.0, "startup": 47.0, "verify": 1.0}


def test_the_parts_add_up_to_the_whole() -> None:
    starts = [replace(one, seconds=60.0, times=PARTS) for one in STUDY.starts[:3]]
    found = time_breakdown(starts)
    assert found.seconds == 180.0
    assert sum(found.parts.values()) == pytest.approx(180.0)
    assert found.parts["other"] == pytest.approx(12.0)
    assert found.compiled == 66.0
    assert found.as_data()["startup"] == 120.0
    assert found.sentence() == (
        "start-up 67 % (compiling 37 %), load 20 %, waiting for a quiet machine 3 %, "
        "verification 2 %, ending servers 2 %"
    )


def test_starts_of_an_older_ledger_tell_no_parts() -> None:
    found = time_breakdown([replace(one, times={}) for one in STUDY.starts])
    assert found.sentence() == ""
    assert set(found.parts) == {"other"}
    assert found.compiled is None
    assert time_breakdown([]).sentence() == ""


def test_the_end_of_a_study_says_where_its_time_went() -> None:
    known = replace(STUDY, starts=[replace(o, seconds=60.0, times=PARTS) for o in STUDY.starts])
    lines = summary(known)
    assert len(lines) <= 15
    assert any(line.startswith("Time:     start-up 67 % (compiling 37 %), load") for line in lines)
    assert not any(line.startswith("Time:") for line in summary(STUDY))


CPU = """\
(Worker pid=7) INFO 12-01 {0} [cpu.py:87] Warming up model for the compilation...
(Worker pid=7) WARNING 12-01 {0} [d.py:333] [backbone] Compiling model again due to a load failure
(Worker pid=7) INFO 12-01 {1} [d.py:743] [backbone] saved AOT compiled function to /x/model
(Worker pid=7) INFO 12-01 {1} [cpu.py:91] Warming up done.
"""
PIECES = (
    "INFO 1 [m.py:4] torch.compile and initial profiling/warmup run together took 8.71 s in total"
)


@pytest.mark.parametrize(
    ("log", "seconds"),
    [
        (CPU.format("01:37:33", "01:38:17"), 44.0),
        (CPU.format("23:59:50", "00:00:20"), 30.0),
        ("INFO 12-01 01:00:00 [monitor.py:45] torch.compile took 12.50 s in total\n", 12.5),
        (PIECES, 8.71),
        ("INFO 12-01 01:37:33 [x.py:1] Warming up model for the compilation...\n", None),
        ("", None),
    ],
)
def test_the_engine_log_tells_how_long_it_compiled(log: str, seconds: float | None) -> None:
    assert compile_seconds(log) == seconds

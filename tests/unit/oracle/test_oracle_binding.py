"""Which NPUs of a recorded machine get a worker for vllm-ascend's plan, and what is said of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from trimtab.emulator.machine import EmulatedMachine
from trimtab.errors import EngineError
from trimtab.host import SnapshotHost
from trimtab.oracle import binding
from trimtab.oracle.binding import busy_listing, chips, missing_sentence
from trimtab.oracle.executor import CheckRequest
from trimtab.oracle.model import VLLM_ASCEND, CheckRun

HOSTS = Path(__file__).parents[2] / "hosts"
IDLE = "| No running processes found in NPU 0 |"
HEADER = "| NPU     Chip | Process id | Process name | Process memory(MB) |"


def listing(machine: str) -> str:
    return SnapshotHost(HOSTS / machine).run(("npu-smi", "info"))


def mapping(machine: str) -> str:
    return SnapshotHost(HOSTS / machine).run(("npu-smi", "info", "-m"))


def workers(text: str) -> list[tuple[int, int]]:
    """Return (card, chip) of the table's processes, read as vllm-ascend reads it."""
    below = text[text.index("Process id") :].splitlines()[1:]
    rows = [line.strip("|").split("|") for line in below if line.startswith("| ")]
    words = [row[0].split() for row in rows if len(row) > 1]
    return [(int(card), int(chip)) for card, chip in words]


@pytest.mark.parametrize(
    ("machine", "shown"),
    [
        ("a3", [(card, chip) for card in range(8) for chip in (0, 1)]),
        ("a2-openeuler", [(card, 0) for card in range(8)]),
        ("310p", [(2, 0), (2, 1)]),
        ("k8s-pod", [(5, 0)]),
    ],
)
def test_every_npu_of_a_machine_can_have_a_worker(
    machine: str, shown: list[tuple[int, int]]
) -> None:
    assert chips(listing(machine), mapping(machine)) == shown
    assert chips(listing(machine), "") == shown, "an npu-smi that knows no -m"
    assert set(workers(busy_listing(listing(machine), shown))) == set(shown)


def test_npus_come_in_the_order_of_their_logical_ids() -> None:
    rows = ["NPU ID   Chip ID   Chip Logic ID   Chip Name", "0  0  1  910", "1  0  0  910"]
    assert chips("", "\n".join(rows)) == [(1, 0), (0, 0)]


def test_processes_of_others_stay() -> None:
    other = "| 2       0 | 77 | python | 1 |"
    text = busy_listing("\n".join(["| head |", HEADER, IDLE, other]), [(0, 0)])
    assert workers(text) == [(0, 0), (2, 0)]
    assert IDLE not in text


def test_a_worker_without_a_plan_is_said() -> None:
    assert missing_sentence(8, 8, 16) == ""
    assert missing_sentence(2, 8, 2).endswith("plans for 2 of 8 workers: the machine shows 2 NPUs")
    assert missing_sentence(1, 8, 1).endswith("plans for 1 of 8 workers: the machine shows 1 NPU")
    assert missing_sentence(1, 8, 8).endswith(
        "plans for 1 of 8 workers: it makes no plan for the rest"
    )


class Planner:
    """Stands for the child program: keeps the machine it was handed, and plans as it is told."""

    plans: dict[str, Any]
    machine: str

    def __init__(self, python: Path, kind: str, env: object) -> None:
        self.scratch = Path(self.machine).parent

    def run(self, checks: list[CheckRequest]) -> list[CheckRun]:
        assert checks[0].stages == ("binding",)
        assert dict(checks[0].env)["ORACLE_MACHINE"] == self.machine
        return [CheckRun(VLLM_ASCEND, ("binding",), seen={"binding": self.plans})]

    def close(self) -> None:
        """Nothing to end."""


@pytest.fixture
def planner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> type[Planner]:
    Planner.machine = str(tmp_path / "machine.json")
    monkeypatch.setattr(binding, "Zygote", Planner)
    monkeypatch.setattr(binding, "environment", lambda python, machine: {})
    return Planner


def test_a_machine_with_fewer_npus_gets_a_plan_and_a_note(planner: type[Planner]) -> None:
    planner.plans = {"0": {"main": [1]}, "1": {"main": [2]}}
    host = SnapshotHost(HOSTS / "310p")
    found = binding.plan(Path("python"), host, EmulatedMachine(chip="310P"), 8)
    assert found.npus == planner.plans
    assert "2 of 8 workers" in found.note
    assert binding.plan(Path("python"), host, EmulatedMachine(chip="310P"), 2).note == ""


def test_no_plan_at_all_is_an_error(planner: type[Planner]) -> None:
    planner.plans = {}
    with pytest.raises(EngineError, match="plans no CPU binding here for any of 4 workers"):
        binding.plan(Path("python"), SnapshotHost(HOSTS / "a3"), EmulatedMachine(chip="910_93"), 4)

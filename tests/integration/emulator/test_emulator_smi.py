"""The stand-in's npu-smi and tree: read by trimtab's own facts, and as vllm-ascend parses them."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
from pathlib import Path

import pytest

from trimtab.emulator import tree
from trimtab.emulator.machine import CHIPS, EmulatedHost, EmulatedMachine
from trimtab.errors import HostError, UsageError
from trimtab.facts import ascend

PRODUCTS = {"A2": "A2", "A3": "A3", "_310P": "310P", "A5": "950"}


def machine(folder: Path) -> tree.SmiMachine:
    return tree.SmiMachine(**json.loads((folder / "machine.json").read_text()))


@pytest.mark.parametrize("chip", sorted(CHIPS))
def test_facts_of_a_played_machine(tmp_path: Path, chip: str) -> None:
    played = EmulatedMachine(
        chip=chip, devices=4, memory_gib=16, near=("0-1", "0-1", "2,3", "2,3")
    )
    tree.write_tree(played, tmp_path, os.environ["PATH"])
    facts = ascend.read(EmulatedHost(tmp_path))
    assert facts.devices.value == (0, 1, 2, 3)
    assert facts.managers.value == ascend.MANAGERS
    assert facts.chip.value == PRODUCTS[CHIPS[chip].build]
    assert facts.npus.value is not None
    assert facts.mapping.value is not None
    assert facts.topology.value is not None
    assert [npu.memory for npu in facts.npus.value] == [(256, 16384)] * 4
    assert sorted(facts.mapping.value.values()) == [0, 1, 2, 3]
    assert facts.topology.value.near["NPU2"] == (2, 3)
    assert facts.topology.value.links["NPU0", "NPU3"] == "HCCS"
    assert facts.driver.value == facts.cann.value == tree.DRIVER, "no version that exists"


def test_cann_is_told_as_played(tmp_path: Path) -> None:
    said = tree.write_tree(EmulatedMachine(cann="8.5.0"), tmp_path, "/bin")
    assert ascend.read(EmulatedHost(tmp_path)).cann.value == "8.5.0"
    assert Path(said["ASCEND_HOME_PATH"], "runtime").is_dir()
    assert Path(said["ASCEND_OPP_PATH"]).is_dir()
    assert said["PATH"] == f"{tmp_path}/bin:/bin"


def test_what_is_not_an_npus_is_this_machines(tmp_path: Path) -> None:
    tree.write_tree(EmulatedMachine(), tmp_path, "/bin")
    host = EmulatedHost(tmp_path)
    assert host.read("/proc/self/status")
    assert host.listdir("/usr/local/Ascend") == ("ascend-toolkit", "driver")
    assert host.run(["echo", "yes"]) == "yes\n"
    with pytest.raises(HostError, match="does not know 'info -t ecc'"):
        host.run(["npu-smi", "info", "-t", "ecc"])


def test_processes_are_listed_while_they_live(tmp_path: Path) -> None:
    tree.write_tree(EmulatedMachine(chip="910_93", devices=4), tmp_path, "/bin")
    state = tmp_path / "state"
    (state / f"3.{os.getpid()}").write_bytes((5 << 20).to_bytes(8, "little"))
    (state / "2.4194305").write_bytes(bytes(8))  # above the largest pid
    (state / f"1.{os.getppid()}").write_bytes(bytes(8))  # its owner ended: no lock
    (state / "note.txt").write_text("")
    with (state / f"3.{os.getpid()}").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        (found,) = tree.processes(state)
    assert (found.device, found.pid, found.taken) == (3, os.getpid(), 5 << 20)
    text = tree.listing(machine(tmp_path), [found])
    assert ascend.parse_list(text)[3].memory == (261, 8192)
    row = next(line for line in text.splitlines() if str(os.getpid()) in line)
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[0].split() == ["1", "1"], "card and chip"
    assert cells[3] == "5"
    assert "No running processes found in NPU 0" in text


def test_devices_are_spread_over_the_nodes(tmp_path: Path) -> None:
    tree.write_tree(EmulatedMachine(devices=4), tmp_path, "/bin")
    nodes = tmp_path / "nodes"
    for number, cpus in enumerate(["0-3", "4-7", ""]):  # the last has memory only
        (nodes / f"node{number}").mkdir(parents=True)
        (nodes / f"node{number}" / "cpulist").write_text(f"{cpus}\n")
    assert tree.near_cpus(machine(tmp_path), nodes) == ["0-3", "0-3", "4-7", "4-7"]
    assert len(tree.near_cpus(machine(tmp_path), tmp_path / "none")) == 4


def test_another_machine_is_laid_over_the_first(tmp_path: Path) -> None:
    tree.write_tree(EmulatedMachine(devices=8), tmp_path, "/bin")
    tree.write_tree(EmulatedMachine(chip="310P", devices=2), tmp_path, "/bin")
    facts = ascend.read(EmulatedHost(tmp_path))
    assert (facts.devices.value, facts.chip.value) == ((0, 1), "310P")


def test_the_board_of_a_chip(tmp_path: Path) -> None:
    tree.write_tree(EmulatedMachine(chip="910_93"), tmp_path, "/bin")
    text = tree.command_output(machine(tmp_path), ["info", "-t", "board", "-i", "1", "-c", "1"])
    assert text is not None
    assert text.splitlines()[-1].split()[-1] == tree.bus(3)


def test_the_program_runs_alone(tmp_path: Path) -> None:
    said = tree.write_tree(EmulatedMachine(), tmp_path, "/usr/bin:/bin")
    words = ["npu-smi", "info", "-m"]
    done = subprocess.run(words, env=said, capture_output=True, text=True, check=True)
    assert len(ascend.parse_mapping(done.stdout)) == 8


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"chip": "H100"}, "the chip must be one of 910B1"),
        ({"devices": 0}, "devices must be 1 to 64"),
        ({"memory_gib": 0}, "memory_gib must be 1 to 128"),
        ({"near": ("0-3",)}, "a CPU list for each of 8 devices"),
        ({"devices": 1, "near": ("all",)}, "CPU lists such as 0-23"),
        ({"fault": "memory:broken"}, "call:kind"),
        ({"clock": "fast"}, "chip or fixed:MICROSECONDS"),
    ],
)
def test_what_cannot_be_played_is_said(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        EmulatedMachine(**wrong).environment(Path("/libraries"))  # type: ignore[arg-type]


def test_only_what_is_asked_for_is_set() -> None:
    plain = EmulatedMachine().environment(Path("/libraries"), "/mine")
    assert plain["PYTHONPATH"].endswith("placeholders:/mine")
    assert not {"TRIMTAB_STANDIN_FAULT", "TRIMTAB_STANDIN_CLOCK"} & plain.keys()
    asked = EmulatedMachine(
        chip="950", fault="memory:full:3,launch:slow5", clock="fixed:2.5", arm=True
    )
    found = asked.environment(Path("/libraries"))
    assert found["TRIMTAB_STANDIN_SOC"] == "Ascend950PR_9599"
    assert found["TRIMTAB_STANDIN_FAULT"] == "memory:full:3,launch:slow5"
    assert (found["TRIMTAB_STANDIN_CLOCK"], found["TRIMTAB_STANDIN_ARM"]) == ("fixed:2.5", "1")

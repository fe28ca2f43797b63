"""NPU facts: npu-smi in the shapes of A2, A3, 310P and 950, version files, and nothing at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contracts.machines import HOSTS
from trimtab.facts import ascend
from trimtab.host import SnapshotHost


def facts(name: str) -> ascend.AscendFacts:
    return ascend.read(SnapshotHost(HOSTS / name))


def test_eight_npus_of_an_a2() -> None:
    found = facts("a2-openeuler")
    npus = found.npus.value
    assert npus is not None
    assert [npu.card for npu in npus] == list(range(8))
    assert npus[3].memory == (3321, 65536), "the number touches the slash there"
    assert (npus[0].name, npus[0].health, npus[0].bus) == ("910B3", "OK", "0000:C1:00.0")
    assert found.chip.value == "A2"
    assert found.mapping.value == {(card, 0): card for card in range(8)}
    topology = found.topology.value
    assert topology is not None
    assert topology.links["NPU0", "NPU7"] == "HCCS"
    assert ("NPU0", "NPU0") not in topology.links
    assert topology.near["NPU4"] == tuple(range(24))
    assert (found.driver.value, found.cann.value) == ("25.0.rc1.1", "8.5.0")
    assert found.firmware.value == "7.7.0.1.231"
    assert found.install.value is not None
    assert found.install.value["Driver_Install_Type"] == "full"


def test_two_chips_on_each_card_of_an_a3() -> None:
    found = facts("a3")
    npus = found.npus.value
    assert npus is not None
    assert [(npu.card, npu.chip) for npu in npus] == [(c, i) for c in range(8) for i in (0, 1)]
    assert found.chip.value == "A3"
    assert found.mapping.value is not None
    assert found.mapping.value[7, 1] == 15
    assert found.devices.value == tuple(range(16))
    assert found.topology.value is None
    assert "npu-smi info -t topo" in found.topology.reason


def test_a_310p_without_hbm() -> None:
    found = facts("310p")
    assert found.chip.value == "310P"
    assert found.npus.value is not None
    assert [npu.memory for npu in found.npus.value] == [(1555, 21527), (1556, 21527)]


def test_a_machine_without_an_npu_says_why() -> None:
    found = facts("cuda")
    assert not found.present
    assert found.npus.value is None
    assert "npu-smi" in found.npus.reason
    assert found.chip.reason == found.npus.reason


def test_mapping_and_topology_of_a_950() -> None:
    text = (
        "\tNPU ID     Slot ID     Chip ID     Chip Phy-ID     Chip Name\n"
        "\t0          8           0           0               Ascend 950\n"
        "\t1          9           0           1               Ascend 950\n"
    )
    assert ascend.parse_mapping(text) == {(0, 0): 0, (1, 0): 1}
    matrix = "     NPU0 NPU1 NIC0\nNPU0 X UB SYS\nNPU1 UB X SYS\nNIC0 SYS SYS X\n"
    topology = ascend.parse_topology(matrix)
    assert topology.links == {("NPU0", "NPU1"): "UB", ("NPU1", "NPU0"): "UB"}
    assert topology.near == {}


def test_affinity_as_a_joined_list() -> None:
    matrix = "NPU0 NPU1 CPU Affinity\nNPU0 X PXB 0-31,64-95\nNPU1 PXB X NA\n"
    topology = ascend.parse_topology(matrix)
    assert topology.near["NPU0"] == (*range(32), *range(64, 96))
    assert "NPU1" not in topology.near


@pytest.mark.parametrize(
    ("names", "chip"),
    [
        (["910B4-1"], "A2"),
        (["Ascend 910B2C"], "A2"),
        (["910_9391"], "A3"),
        (["910ProA"], "910"),
        (["910"], "910"),
        (["310P3"], "310P"),
        (["Ascend950DT"], "950"),
        (["what"], None),
        ([], None),
    ],
)
def test_the_chip_follows_from_the_name(names: list[str], chip: str | None) -> None:
    npus = tuple(ascend.Npu(i, 0, name, "OK", "", None) for i, name in enumerate(names))
    assert ascend.chip_of(npus) == chip


@pytest.mark.parametrize(
    ("text", "release"),
    [
        ("Version=8.5.0.2.220\nversion_dir=8.5.0\n", "8.5.0"),
        ("runtime_running_version=[8.3.0.1.200:8.3.RC1]\n", "8.3.RC1"),
        ("Version=9.1.0\n", "9.1.0"),
        ("# nothing\n", None),
    ],
)
def test_cann_tells_its_release(text: str, release: str | None) -> None:
    assert ascend.parse_cann(text) == release


@given(text=st.text(max_size=400))
def test_no_text_makes_a_parser_raise(text: str) -> None:
    ascend.parse_list(text)
    ascend.parse_mapping(text)
    ascend.parse_topology(text)
    ascend.parse_version(text)
    ascend.parse_cann(text)
    ascend.parse_package_version(text)


RECORDED = (HOSTS / "a3" / "commands" / "npu-smi_info.txt").read_text()


@given(data=st.data())
def test_a_damaged_table_gives_fewer_npus_and_never_raises(data: st.DataObject) -> None:
    lines = RECORDED.splitlines()
    keep = data.draw(st.lists(st.booleans(), min_size=len(lines), max_size=len(lines)))
    kept = "\n".join(line for line, there in zip(lines, keep, strict=True) if there)
    assert len(ascend.parse_list(kept)) <= 16

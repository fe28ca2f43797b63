"""The description of the machine to play: what is refused, and that it fits the C sources."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trimtab.emulator import build
from trimtab.emulator.machine import CALLS, FAULT_CHARACTERS, FAULTS_AT_MOST, EmulatedMachine
from trimtab.errors import UsageError

DOCS = Path(__file__).parents[3] / "docs" / "emulator.md"
LONG_NAME = "aclnn" + "X" * 59
"""64 characters, one more than the C side reads of a call."""


def sources() -> str:
    return "".join(one.read_text() for one in build.SOURCES.glob("*.c*"))


def test_the_calls_are_those_that_ask_for_a_fault() -> None:
    asked = set(re.findall(r'standin_fault\("(\w+)"\)', sources()))
    own = set(re.findall(r'standin_operator \w+ = \{"(\w+)"', sources()))
    assert asked | own == set(CALLS)


def test_the_documentation_names_every_call() -> None:
    (part,) = re.findall(r"^## Faults\n(.*?)\n\n", DOCS.read_text(), re.MULTILINE | re.DOTALL)
    assert [one for one in CALLS if not re.search(rf"\b{one}\b", part)] == []


def test_the_limits_are_those_of_the_c_source() -> None:
    text = (build.SOURCES / "fault.c").read_text()
    assert f"FAULTS = {FAULTS_AT_MOST} " in text
    assert f"char text[{FAULT_CHARACTERS + 1}]" in text
    assert "char call[64], kind[16];" in text


@pytest.mark.parametrize(
    "fault",
    [
        "memory:full:40",
        "HcclCommInit:4",
        "atb:slow",
        "aclnnMatmul:507015:1200,launch:slow5",
        ",".join(["launch:slow"] * FAULTS_AT_MOST),
    ],
)
def test_faults_that_can_be_injected(fault: str) -> None:
    EmulatedMachine(fault=fault).check()


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (
            "nosuchcall:lost",
            r"a call that can fail \(memory, launch, .*\), but names 'nosuchcall'",
        ),
        ("memory:full,aclrtMalloc:lost", "but names 'aclrtMalloc'"),
        (f"{LONG_NAME}:lost", f"but names '{LONG_NAME}'"),
        (",".join(["launch:slow"] * (FAULTS_AT_MOST + 1)), "8 faults .* at most, but is 9 and"),
        (f"launch:slow,{'aclnnX' * 90}:lost", "511 characters at most, but is 2 and 557"),
        ("memory:full,", "call:kind.*but holds ''"),
        ("launch:0", "call:kind.*but holds 'launch:0'"),
        ("launch:slow12345678901234", "call:kind"),
        ("launch:full:99999999999999999999", "call:kind"),
    ],
)
def test_faults_that_would_not_be_injected(fault: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        EmulatedMachine(fault=fault).check()


@pytest.mark.parametrize("gib", [0, 129, 9999999])
def test_a_memory_that_no_device_has(gib: int) -> None:
    with pytest.raises(UsageError, match=f"memory_gib must be 1 to 128, but is {gib}"):
        EmulatedMachine(memory_gib=gib).check()


@pytest.mark.parametrize("near", [("0-3", "all"), ("0-3",)])
def test_the_form_of_near_is_told(near: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="joined by ';'"):
        EmulatedMachine(devices=2, near=near).check()

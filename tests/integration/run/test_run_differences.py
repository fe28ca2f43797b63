"""Where a machine differs from the study's: each rule, both ways."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab import facts
from trimtab.host import LocalHost
from trimtab.model.finding import Severity
from trimtab.run.comparability import differences, parse_facts

PACKAGES = {"vllm": "0.32.0", "torch": "2.13.0", "numpy": "2.3.5"}


def machine(changes: Mapping[tuple[str, str], object] = {}, **whole: object) -> dict[str, Any]:
    """A made-up machine, with other values at some places."""
    given: dict[tuple[str, str], object] = {
        ("cpu", "arch"): "aarch64",
        ("cpu", "model"): "Kunpeng-920",
        ("cpu", "nodes"): [[0, [0, 1]], [1, [2, 3]]],
        ("limits", "allowed"): [0, 1, 2, 3],
        ("limits", "cpu_quota"): "unlimited",
        ("memory", "total"): 64 * 2**30,
        ("memory", "page_size"): 65536,
        ("kernel", "release"): "5.10.0-60.18",
        ("ascend", "chip"): "A2",
        ("ascend", "devices"): [0, 1],
        ("ascend", "driver"): "24.1.0",
        ("ascend", "cann"): "8.5.0",
        ("cuda", "gpus"): None,
        ("cuda", "driver"): None,
    }
    found: dict[str, Any] = {"packages": PACKAGES, "platform": "ascend", **whole}
    for (group, name), value in {**given, **changes}.items():
        found.setdefault(group, {})[name] = {"value": value, "source": "a file"}
    return found


def rules(study: Mapping[str, Any], here: Mapping[str, Any]) -> dict[str, Severity]:
    return {one.rule: one.severity for one in differences(study, here)}


def test_the_same_machine_has_no_difference() -> None:
    assert differences(machine(), machine()) == ()


@pytest.mark.parametrize(
    ("place", "value", "rule", "severity"),
    [
        (("cpu", "arch"), "x86_64", "architecture", Severity.ERROR),
        (("ascend", "chip"), "A3", "chip", Severity.ERROR),
        (("ascend", "chip"), None, "chip", Severity.WARNING),
        (("ascend", "cann"), "8.3.0", "cann", Severity.ERROR),
        (("ascend", "devices"), [0], "npu-count", Severity.WARNING),
        (("ascend", "driver"), "25.0", "npu-driver", Severity.WARNING),
        (("cpu", "model"), "Kunpeng-930", "cpu-model", Severity.WARNING),
        (("limits", "allowed"), [0, 1], "cpu-count", Severity.WARNING),
        (("limits", "cpu_quota"), 2.0, "cpu-quota", Severity.WARNING),
        (("cpu", "nodes"), [[0, [0, 1, 2, 3]]], "numa", Severity.WARNING),
        (("memory", "total"), 32 * 2**30, "memory", Severity.WARNING),
        (("memory", "page_size"), 4096, "page-size", Severity.WARNING),
        (("kernel", "release"), "6.6.0", "kernel", Severity.WARNING),
    ],
)
def test_each_rule(place: tuple[str, str], value: object, rule: str, severity: Severity) -> None:
    assert rules(machine(), machine({place: value})) == {rule: severity}


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("ascend", "cann"), "8.5.1"),
        (("kernel", "release"), "5.10.0-99"),
        (("memory", "total"), 128 * 2**30),
        (("cpu", "model"), None),
    ],
)
def test_what_does_not_matter_is_silent(place: tuple[str, str], value: object) -> None:
    assert rules(machine(), machine({place: value})) == {}


def test_what_the_study_did_not_know_differs_from_nothing() -> None:
    assert rules(machine({("ascend", "chip"): None}), machine()) == {}
    assert differences({}, machine()) == ()


def test_another_gpu_or_platform_is_refused() -> None:
    gpus = [[{"name": name, "memory": 1}] for name in ("H100", "L4")]
    study, here = (machine({("cuda", "gpus"): one}) for one in gpus)
    assert rules(study, here) == {"gpu": Severity.ERROR}
    assert rules(machine(), machine(platform="cpu")) == {"platform": Severity.ERROR}


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"vllm": "0.33.0"}, {"engine-release": Severity.ERROR}),
        ({"vllm": "0.32.1"}, {"packages": Severity.WARNING}),
        ({"numpy": "3.0.0"}, {"packages": Severity.WARNING}),
        ({"vllm": "0.33.0", "numpy": "3.0.0"}, {"engine-release", "packages"}),
    ],
)
def test_packages(changed: dict[str, str], found: object) -> None:
    got = rules(machine(), machine(packages={**PACKAGES, **changed}))
    assert (got if isinstance(found, dict) else set(got)) == found


def test_an_engine_that_cannot_be_told_is_a_warning() -> None:
    assert rules(machine(), machine(packages={})) == {"engine-unknown": Severity.WARNING}


def test_refusals_come_first() -> None:
    here = machine({("kernel", "release"): "6.6", ("cpu", "arch"): "x86_64"})
    assert [one.rule for one in differences(machine(), here)] == ["architecture", "kernel"]


def test_this_machine_reads_back_from_a_profile_as_itself() -> None:
    text = facts.as_text(facts.inspect(LocalHost(), PACKAGES, "cpu"))
    assert parse_facts(text)["cpu"]["arch"]["value"]
    assert differences(parse_facts(text), parse_facts(text)) == ()


@given(st.dictionaries(st.sampled_from(["cpu", "memory", "packages", "platform"]), st.text()))
def test_any_text_of_facts_is_borne(given_facts: dict[str, str]) -> None:
    differences(parse_facts(given_facts), machine())
    differences(machine(), parse_facts(given_facts))

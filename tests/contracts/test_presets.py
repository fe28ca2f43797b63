"""Every preset on every recorded machine: it compiles, cites, and lints to the known traps."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from tests.contracts.machines import HOSTS, STOCK, context_of
from trimtab import presets
from trimtab.catalog import CATALOG, Context
from trimtab.errors import UsageError
from trimtab.facts import inspect, situation
from trimtab.host import SnapshotHost
from trimtab.host_settings.plan import SettingAction, plan
from trimtab.linter import check, parse_context, read
from trimtab.model import Fact, Scope
from trimtab.plan import compile_plan
from trimtab.rules import all_rules

MACHINES = sorted(path.name for path in HOSTS.iterdir() if path.is_dir())
SOURCED = [one for one in presets.DOCUMENTED.values() if one.origin is not None]
every = pytest.mark.parametrize("name", presets.DOCUMENTED)


def context(machine: str) -> Context:
    facts = inspect(SnapshotHost(HOSTS / machine), {"vllm": "0.32.0"}, "cpu")
    return context_of(facts, platform=situation.platform(facts), allow_host=True)


@every
@pytest.mark.parametrize("machine", MACHINES)
def test_a_preset_compiles_and_accounts_for_every_step(name: str, machine: str) -> None:
    here = context(machine)
    chosen = dict(presets.PRESETS[name](here))
    plan = compile_plan(tuple(chosen.items()), STOCK, here.facts, allow_conflicts=True)
    assert dict(plan.candidate) == chosen
    assert {check.tuning for check in plan.checks} == set(chosen)
    skipped = presets.skipped_steps(name, here)
    assert all(one.reason and "\n" not in one.reason for one in skipped)
    steps = presets.DOCUMENTED[name].steps
    assert len(chosen) + len(skipped) == len(steps)
    assert {*chosen, *(one.name for one in skipped)} == {step.name for step in steps}


@every
def test_a_step_has_a_source_and_is_about_something_known(name: str) -> None:
    preset = presets.find(name)
    assert bool(preset.steps) == (preset.origin is not None)
    for step in preset.steps:
        assert preset.origin is not None
        assert re.fullmatch(r"[0-9a-f]{40}", preset.origin.commit)
        assert bool(step.line) != bool(step.section)
        assert step.tuning in CATALOG if step.tuning else step.setting
        assert preset.origin.at(step).startswith(f"{preset.origin.repository} ")


@pytest.mark.parametrize("preset", SOURCED, ids=lambda preset: preset.name)
def test_the_text_of_a_preset_gives_what_its_steps_say(preset: presets.Preset) -> None:
    document = read(*presets.text_of(preset))
    text = document.text.splitlines()
    for step in preset.steps:
        if step.line:
            assert tuple(text[step.line - 1 : step.line - 1 + len(step.written)]) == step.written
    exported = {one.name: one.value for one in document.settings if one.exported}
    written = {one.name: one.value for one in document.host}
    for step in preset.steps:
        if step.lost or not step.tuning or step.sonames:
            continue
        setting = CATALOG[step.tuning].knob.setting
        if found := exported.get(setting, written.get(setting)):
            assert str(step.value) in (found, found.partition(":")[2]) or "$" in found


@pytest.mark.parametrize(
    ("name", "traps"),
    [
        (
            "guide-v1",
            {1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 19, 20, 22, 23, 24, 25, 26, 27, 28, 32},
        ),
        (
            "guide-v2",
            {2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 19, 21, 22, 23, 24, 28, 32},
        ),
        ("image-a2", {29}),
        ("image-310p-openeuler", {29}),
    ],
)
def test_lint_finds_the_traps_of_a_preset(name: str, traps: set[int]) -> None:
    document = read(*presets.text_of(presets.find(name)))
    known = {id_: rule.traps for id_, (rule, _) in all_rules().items()}
    found = {f.rule for f in check(document, parse_context(""))}
    assert {f"T{number}" for number in traps} <= {trap for id_ in found for trap in known[id_]}


def test_an_edition_is_what_it_exports_last() -> None:
    here = context("debian-vm")
    for name in ("guide-v1", "guide-v2"):
        assert dict(presets.PRESETS[name](here))["npu-expandable-segments"] == "True"
        lost = {one.name: one.reason for one in presets.skipped_steps(name, here)}
        assert "line 1" in lost["npu-max-split-size"]
        assert "no value" in lost["hccl-buffsize"]


def test_the_guide_is_its_newest_edition() -> None:
    here = context("a3")
    assert presets.guide(here) == presets.PRESETS["guide-v2"](here)
    assert presets.skipped_guide_steps(here) == presets.skipped_steps("guide-v2", here)


@every
@pytest.mark.parametrize("machine", MACHINES)
def test_a_plan_for_the_host_and_a_candidate_agree(name: str, machine: str) -> None:
    """One judge: what a preset leaves out of a launch is refused by ``host plan``, and back."""
    host = SnapshotHost(HOSTS / machine)
    here = context(machine)
    free = replace(
        here.facts,
        privileges=replace(here.facts.privileges, root=Fact(True, "assumed")),
        container=replace(here.facts.container, kind=Fact("none", "assumed")),
    )
    here = replace(here, facts=free)
    rows = plan(presets.find(name).of_host(), here, host, "test").rows
    chosen = {one for one, _ in presets.find(name)(here) if CATALOG[one].scope is Scope.HOST}
    assert {row.tuning for row in rows if row.fate is SettingAction.WRITE} == chosen
    lost = {one.name: one.reason for one in presets.skipped_steps(name, here)}
    refused = {
        row.tuning: row.why
        for row in rows
        if row.fate is SettingAction.REFUSED
        and not row.why.startswith("cannot read")  # not captured
    }
    assert {name: lost.get(name) for name in refused} == refused


def test_an_image_gives_a_server_its_env_and_not_its_bashrc() -> None:
    for name in ("image-a2", "image-a3-openeuler", "image-310p", "image-a5"):
        here = replace(context("a3"), allow_host=False)
        assert dict(presets.PRESETS[name](here)) == {"omp-threads": 1, "task-queue": "1"}
        lost = {one.name: one.reason for one in presets.skipped_steps(name, here)}
        assert "interactive shell" in lost["jemalloc"]


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean guide"):
        presets.find("guide-v3")
    with pytest.raises(UsageError, match="it is one of stock"):
        presets.find("zzz")


def test_the_page_names_every_preset_with_its_source() -> None:
    page = (HOSTS.parents[1] / "docs" / "presets.md").read_text()
    for name, preset in presets.DOCUMENTED.items():
        assert f"`{name}`" in page
        if preset.origin is not None:
            assert preset.origin.path in page
            assert preset.origin.commit[:12] in page

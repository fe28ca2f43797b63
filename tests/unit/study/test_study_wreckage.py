"""Resuming: what a journal or a record says counts only where the study could have written it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.contracts.machines import context_of, facts_of, rich_host
from trimtab.catalog import CATALOG, may_write
from trimtab.host import LocalHost
from trimtab.host_settings import transaction
from trimtab.model import Scope, candidate
from trimtab.plan import compile_plan
from trimtab.study.executors.live import JOURNAL
from trimtab.study.folder import clear_wreckage

SWAPPINESS = "/proc/sys/vm/swappiness"


class Memory(LocalHost):
    """A host whose files are texts in memory."""

    def __init__(self, **texts: str) -> None:
        self.texts = texts

    def read(self, path: str, limit: int = 1024) -> str:
        return self.texts[path]

    def write(self, path: str, text: str) -> None:
        self.texts[path] = text


def planted(folder: Path, place: str, before: str, after: str) -> None:
    journal = folder / "starts" / "001" / JOURNAL
    journal.parent.mkdir(parents=True, exist_ok=True)
    entry = {"do": "write", "path": place, "before": before, "after": after, "boot": ""}
    with journal.open("a") as file:
        file.write(json.dumps(entry, separators=(",", ":")) + "\n")


@pytest.fixture(autouse=True)
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = transaction.recover.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "lock", tmp_path / "lock")


def host() -> Memory:
    return Memory(**{SWAPPINESS: "1\n", "/proc/sys/kernel/random/boot_id": "b\n"})


def test_a_setting_of_a_study_that_may_change_the_host_is_restored(tmp_path: Path) -> None:
    planted(tmp_path, SWAPPINESS, "60\n", "1")
    machine = host()
    said = clear_wreckage(tmp_path, machine, allow_host=True)
    assert machine.texts[SWAPPINESS].strip() == "60"
    assert said == [f"restored the host settings of a killed run: {SWAPPINESS}"]
    assert clear_wreckage(tmp_path, machine, allow_host=True) == []


def test_without_allow_host_nothing_is_restored(tmp_path: Path) -> None:
    planted(tmp_path, SWAPPINESS, "60\n", "1")
    machine = host()
    (said,) = clear_wreckage(tmp_path, machine, allow_host=False)
    assert machine.texts[SWAPPINESS] == "1\n"
    assert "never had --allow-host" in said


@pytest.mark.parametrize("scheme", ["file:", "link:", "folder:"])
def test_a_place_that_no_tuning_writes_is_left(tmp_path: Path, scheme: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("root:x:0:0")
    planted(tmp_path, f"{scheme}{victim}", "evil", "root:x:0:0")
    planted(tmp_path, "/proc/sys/kernel/core_pattern", "|/evil", "core")
    said = clear_wreckage(tmp_path, LocalHost(), allow_host=True)
    assert victim.read_text() == "root:x:0:0"
    assert len(said) == 2
    assert all("no tuning writes it" in one for one in said)


def test_every_write_of_the_catalogue_is_known_as_one(tmp_path: Path) -> None:
    context = context_of(facts_of(rich_host(tmp_path / "host")), allow_host=True)
    seen = set()
    for name, tuning in CATALOG.items():
        if tuning.scope is Scope.HOST and len(values := tuning.values_for(context)) > 1:
            plan = compile_plan(candidate({name: values[1]}), context.baseline, context.facts)
            for write in plan.writes:
                assert may_write(CATALOG.values(), write.path), write.path
                seen.add(name)
    assert len(seen) >= 3


@pytest.mark.parametrize(
    "place",
    [
        "/proc/sys/vm/swappiness/../../kernel/core_pattern",
        "/proc/irq/../../etc/passwd/smp_affinity_list",
        "/sys/devices/system/cpu/cpu0/../../x/cpufreq/scaling_governor",
        "/proc/sys/vm/swappinessx",
        "service:sshd.service",
    ],
)
def test_paths_around_a_known_place_are_not_known(place: str) -> None:
    assert not may_write(CATALOG.values(), place)

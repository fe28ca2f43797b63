"""Every entry on every recorded machine: it applies or says why, and a diagnosis is total."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.contracts.machines import HOSTS, context_of
from trimtab import diagnosis
from trimtab.catalog import CATALOG, Tuning
from trimtab.diagnosis import machine, table
from trimtab.diagnosis.inspection import RecordingHost
from trimtab.diagnosis.records import TuningState, as_data
from trimtab.facts import Facts, inspect, kernel, situation
from trimtab.host import SnapshotHost
from trimtab.knobs import Sysctl, Sysfs

SNAPSHOTS = sorted(path for path in HOSTS.iterdir() if path.is_dir())
FACTS: dict[str, Facts] = {
    path.name: inspect(SnapshotHost(path), {"vllm": "0.32.0", "vllm-ascend": "0.18.0"}, "cpu")
    for path in SNAPSHOTS
}
names = pytest.mark.parametrize("name", sorted(FACTS))


def view(name: str) -> diagnosis.DiagnosisView:
    host = SnapshotHost(HOSTS / name)
    environment = machine.find_environment(host, None, local=False)
    return machine.view(host, {}, environment, local=False)


def test_there_are_six_machines() -> None:
    assert {"debian-vm", "a2-openeuler", "a3", "310p", "cuda", "k8s-pod"} <= set(FACTS)


@names
@pytest.mark.parametrize("tuning", CATALOG.values(), ids=CATALOG.keys())
def test_an_entry_applies_or_says_why(tuning: Tuning, name: str) -> None:
    facts = FACTS[name]
    context = context_of(facts, platform=situation.platform(facts), engine_name="vllm")
    reason = tuning.applies(context)
    assert reason is None or (reason and "\n" not in reason)
    assert tuning.values_for(context)[0] in (None, "auto", tuning.values_for(context)[0])
    tuning.lead(context)
    tuning.recommended_for(context)


@names
def test_a_diagnosis_has_one_row_for_each_entry(name: str) -> None:
    rows = diagnosis.rows(view(name))
    assert [row.tuning for row in rows] == [n for n, t in CATALOG.items() if not t.dummy]
    for row in rows:
        assert row.state in TuningState
        if row.state in (TuningState.NOT_APPLICABLE, TuningState.UNKNOWN):
            assert row.observed, f"{row.tuning} must say why"


@names
def test_a_diagnosis_is_plain_data(name: str) -> None:
    seen = view(name)
    data = as_data(seen, diagnosis.rows(seen), table.unowned_findings(seen), ())
    again = json.loads(json.dumps(data))
    assert set(again) >= {"situation", "facts", "tunings", "findings", "processes", "unread"}


@pytest.mark.parametrize(
    ("name", "tuning", "state"),
    [
        ("a2-openeuler", "sched-migration-cost", TuningState.WRONG_VALUE),
        ("a2-openeuler", "optimized-python", TuningState.ACTIVE),
        ("a2-openeuler", "container-devices", TuningState.ACTIVE),
        ("a3", "sched-migration-cost", TuningState.NOT_APPLICABLE),
        ("a3", "optimized-python", TuningState.STOCK),
        ("310p", "swappiness", TuningState.WRONG_VALUE),
        ("310p", "file-limit", TuningState.WRONG_VALUE),
        ("cuda", "cpu-governor", TuningState.ACTIVE),
        ("cuda", "task-queue", TuningState.NOT_APPLICABLE),
        ("cuda", "optimized-python", TuningState.UNKNOWN),
        ("debian-vm", "hccl-buffsize", TuningState.NOT_APPLICABLE),
        ("k8s-pod", "cpu-binding-wrapper", TuningState.ACTIVE),
    ],
)
def test_what_is_recorded_there_shows(name: str, tuning: str, state: TuningState) -> None:
    found = {row.tuning: row for row in diagnosis.rows(view(name))}
    assert found[tuning].state is state, found[tuning]


@names
def test_a_capture_is_a_snapshot_that_says_the_same(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "captured"
    recording = RecordingHost(SnapshotHost(HOSTS / name), folder)
    environment = machine.find_environment(recording, None, local=False)
    first = machine.view(recording, {}, environment, local=False)
    host = SnapshotHost(folder)
    again = machine.view(host, {}, machine.find_environment(host, None, local=False), local=False)
    assert diagnosis.rows(again) == diagnosis.rows(first)
    assert again.situation == first.situation
    assert again.build == first.build


@pytest.mark.parametrize("tuning", CATALOG.values(), ids=CATALOG.keys())
def test_every_kernel_setting_of_the_catalogue_is_read(tuning: Tuning) -> None:
    if isinstance(tuning.knob, Sysctl | Sysfs):
        assert tuning.knob.probe in kernel.SETTINGS

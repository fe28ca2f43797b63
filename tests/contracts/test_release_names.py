"""No name of a release is a fault in that release, and no fix makes another name of it."""

from __future__ import annotations

import pytest

from trimtab import rules
from trimtab.catalog import Scene
from trimtab.catalog.releases import Releases, vllm, vllm_ascend
from trimtab.model.document import Setting
from trimtab.model.finding import Action, Finding, Severity
from trimtab.model.situation import Situation

OF_NAMES = {"unknown-option", "removed-option", "inert", "unknown-variable"}
SAMPLE = ("0.6.0", "0.8.5", "0.10.1", "0.13.0", "0.18.0", "0.24.0", "0.32.0", "0.33.0")
SAMPLE_ASCEND = ("0.9.1", "0.18.0", "0.23.0", "0.30.0rc2")


def found(table: Releases, version: str, *, all_names: bool) -> tuple[Finding, ...]:
    def had(part: str) -> list[str]:
        names = sorted(table.parts.get(part, {}))
        return names if all_names else [one for one in names if table.has(part, one, version)]

    options, variables = had("options"), had("variables")
    assert variables
    return rules.process_findings(
        Scene(
            situation=Situation(versions={table.component: version}),
            argv=("vllm", "serve", "m", *options),
            env={one: Setting(one, "1") for one in variables},
            options={one: Setting(one, "") for one in options},
            host={},
        )
    )


TABLES = [
    *((vllm(), version) for version in SAMPLE),
    *((vllm_ascend(), version) for version in SAMPLE_ASCEND),
]
NAMES = [f"{table.component}-{version}" for table, version in TABLES]


@pytest.mark.parametrize(("table", "version"), TABLES, ids=NAMES)
def test_no_name_of_a_release_is_a_fault_in_it(table: Releases, version: str) -> None:
    faults = [
        (one.rule, one.setting)
        for one in found(table, version, all_names=False)
        if one.rule in OF_NAMES and one.severity is not Severity.INFO
    ]
    assert faults == []


@pytest.mark.parametrize(("table", "version"), TABLES, ids=NAMES)
def test_no_name_of_another_release_is_misspelt(table: Releases, version: str) -> None:
    renamed = [
        (one.rule, one.setting)
        for one in found(table, version, all_names=True)
        if one.remedy is not None and one.remedy.action is Action.RENAME
    ]
    assert renamed == []

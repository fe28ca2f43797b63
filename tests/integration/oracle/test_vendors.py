"""The catalogue against the vendors' own code: every entry is tried on the installed wheels.

A disagreement names the entry, the text, what lint foresees and what the code did. Mend the
catalogue: the code is right.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from trimtab.catalog import CATALOG
from trimtab.oracle.audit import table
from trimtab.oracle.audit.cases import CASES, NOT_ASKED, Case
from trimtab.oracle.audit.probes import LAYERS, entries, probes
from trimtab.oracle.audit.table import CaseOutcome, ProbeRow
from trimtab.oracle.model import (
    ADDITIONAL,
    PARALLEL,
    TORCH_NPU,
    VLLM_ASCEND,
    Handling,
    OracleSetting,
)
from trimtab.oracle.oracle import Oracle, Setup
from trimtab.rules import all_rules

DOCS = Path(__file__).parents[3] / "docs"

pytestmark = pytest.mark.timeout(600)  # the first test of a layer waits for all of its checks


@pytest.fixture(scope="module")
def rows(emulator_python: Path) -> dict[str, list[ProbeRow]]:
    found: dict[str, list[ProbeRow]] = defaultdict(list)
    for layer in table.KINDS:
        for row in table.rows(emulator_python, layer):
            found[row.probe.tuning].append(row)
    return found


@pytest.fixture(scope="module")
def outcomes(emulator_python: Path) -> dict[Case, CaseOutcome]:
    return {one.case: one for one in table.outcomes(emulator_python)}


@pytest.mark.parametrize("entry", [one.name for one in entries()])
def test_the_vendors_code_does_what_lint_foresees(
    entry: str, rows: dict[str, list[ProbeRow]]
) -> None:
    wrong = [
        f"{entry}: {one.probe.given.place}: lint foresees {one.prediction} ({one.says}), but the "
        f"code: {one.answer.verdict.value} {one.answer.effective} {one.answer.sentence}"
        for one in rows[entry]
        if not one.agrees
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.through}: {case.words}")
def test_settings_exclude_each_other_as_the_catalogue_says(
    case: Case, outcomes: dict[Case, CaseOutcome]
) -> None:
    assert outcomes[case].outcome == case.outcome, outcomes[case].sentence
    if case.shows:
        assert outcomes[case].sentence == case.shows


def test_cases_are_about_rules_and_conflicts_of_the_catalogue() -> None:
    assert {one.rule for one in CASES} <= set(all_rules())


def test_every_rule_of_the_asked_layers_is_in_a_case_or_says_why_not() -> None:
    asked = {one.rule for one in CASES}
    rules = {rule.id for one in CATALOG.values() if one.layer in LAYERS for rule in one.rules}
    assert rules - asked == set(NOT_ASKED)


def test_statements_are_about_entries_that_are_asked_and_fit_texts_that_are_tried() -> None:
    asked = {one.name: [probe.text for probe in probes(one)] for one in entries()}
    assert set(table.STATEMENTS) <= set(asked)
    for name, said in table.STATEMENTS.items():
        for form, _ in said:
            assert any(re.fullmatch(form, text) for text in asked[name]), f"{name}: {form}"


def test_what_reading_had_wrong_is_marked(rows: dict[str, list[ProbeRow]]) -> None:
    found = {one.probe.given.place: one.kept for name in rows for one in rows[name]}
    assert found["TASK_QUEUE_ENABLE=3"]
    assert not found["PYTORCH_NPU_ALLOC_CONF=garbage_collection_threshold:0.5abc"]
    assert not found["MULTI_STREAM_MEMORY_REUSE=abc"]


def test_every_fatal_conflict_of_the_asked_layers_is_tried() -> None:
    refused = [
        " ".join(given.text for given in one.givens) for one in CASES if one.outcome == "refused"
    ]
    pairs = [
        (tuning.name, relation.name)
        for tuning in CATALOG.values()
        if tuning.layer in LAYERS
        for relation in tuning.conflicts
        if relation.fatal
    ]
    assert pairs
    for pair in pairs:
        keys = [f"{getattr(CATALOG[name].knob, 'key', name)}:" for name in pair]
        assert any(all(key in text for key in keys) for text in refused), pair


def test_the_page_in_docs_is_what_the_code_says(
    rows: dict[str, list[ProbeRow]], outcomes: dict[Case, CaseOutcome]
) -> None:
    found = {
        layer: [one for name in rows for one in rows[name] if CATALOG[name].layer == layer]
        for layer in table.KINDS
    }
    page = table.page(found, list(outcomes.values()))
    assert (DOCS / "oracle.md").read_text() == page, "run 'trimtab oracle table'"


SAMPLE = (
    OracleSetting("TASK_QUEUE_ENABLE", "abc"),
    OracleSetting("STREAMS_PER_DEVICE", "12"),
    OracleSetting("PYTORCH_NPU_ALLOC_CONF", "max_split_size_mb:21.5"),
    OracleSetting("PYTORCH_NPU_ALLOC_CONF", "expandable_segments:true"),
)


@pytest.mark.parametrize(
    ("kind", "sample"),
    [(TORCH_NPU, SAMPLE), (VLLM_ASCEND, (OracleSetting("VLLM_ASCEND_ENABLE_MLAPO", "2"),))],
)
def test_a_forked_check_answers_as_a_fresh_process_does(
    emulator_python: Path, kind: str, sample: tuple[OracleSetting, ...]
) -> None:
    with Oracle(emulator_python, through=[kind]) as forked:
        expected = forked.alone(sample)
    with Oracle(emulator_python, through=[kind], fresh=True) as fresh:
        found = fresh.alone(sample)
    for one, other in zip(expected, found, strict=True):
        assert (one.verdict, one.effective, one.stage) == (
            other.verdict, other.effective, other.stage
        )  # fmt: skip
        assert one.sentence == other.sentence


@pytest.fixture
def impatient(emulator_python: Path) -> Iterator[Oracle]:
    with Oracle(emulator_python, through=[TORCH_NPU], deadline=0.01) as oracle:
        yield oracle


def test_a_check_that_does_not_end_is_an_answer(impatient: Oracle) -> None:
    (base, run) = impatient.runs.pair(TORCH_NPU, (SAMPLE[0],), Setup())
    assert run.failure is not None
    assert run.failure.verdict is Handling.HUNG
    assert base.failure is not None


def test_torch_npus_own_word_for_a_reset_value_is_understood(emulator_python: Path) -> None:
    with Oracle(emulator_python, through=[TORCH_NPU]) as oracle:
        found = oracle.alone(
            [OracleSetting("ACL_OP_INIT_MODE", "7"), OracleSetting("HCCL_EXEC_TIMEOUT", "-1")]
        )
    assert [(one.verdict, one.effective) for one in found] == [
        (Handling.READ_AS, "0"), (Handling.READ_AS, "the default")
    ]  # fmt: skip


def test_a_key_is_judged_beside_as_many_workers_as_a_large_server_has(
    emulator_python: Path,
) -> None:
    config = OracleSetting(ADDITIONAL, '{"enable_flashcomm2_parallel_size": 8}')
    verdicts = {}
    with Oracle(emulator_python, through=[VLLM_ASCEND]) as oracle:
        for workers in ("2", "16", "24", "64"):
            (answer,) = oracle.ask([config, OracleSetting(PARALLEL, workers)]).answers
            verdicts[workers] = answer.verdict
    taken = Handling.ACCEPTED
    assert verdicts == {"2": Handling.REJECTED, "16": taken, "24": taken, "64": taken}


def test_a_refusal_for_the_model_or_for_unknown_stages_decides_nothing(
    emulator_python: Path,
) -> None:
    chunks = OracleSetting(ADDITIONAL, '{"profiling_chunk_config": {"enabled": true}}')
    mla = OracleSetting(ADDITIONAL, '{"enable_kv_nz": true}')
    stages = "--pipeline-parallel-size"
    asked = (
        (chunks,),
        (chunks, OracleSetting(stages, "2")),
        (chunks, OracleSetting(stages, "")),
        (mla,),
    )
    with Oracle(emulator_python, through=[VLLM_ASCEND]) as oracle:
        verdicts = [oracle.ask(givens).answers[0].verdict for givens in asked]
    assert verdicts == [
        Handling.REJECTED, Handling.ACCEPTED, Handling.NOT_OBSERVABLE, Handling.NOT_OBSERVABLE
    ]  # fmt: skip

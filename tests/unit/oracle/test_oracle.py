"""The oracle's judgement: events, messages, values in force, verdicts. No vendor's code runs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example
from hypothesis import given as examples
from hypothesis import strategies as some

from trimtab.catalog import CATALOG
from trimtab.catalog.values import Acceptance, Option, Share, Size, divisions, is_switched_on
from trimtab.emulator.machine import EmulatedMachine
from trimtab.emulator.tree import write_tree
from trimtab.errors import UsageError
from trimtab.linter import read
from trimtab.model import Settings
from trimtab.oracle import effective_values as allocator
from trimtab.oracle import output as show
from trimtab.oracle import settings
from trimtab.oracle.audit.cases import CASES
from trimtab.oracle.audit.probes import entries, probes
from trimtab.oracle.audit.table import BARE, SERVED, agrees, prediction
from trimtab.oracle.effective_values import are_equivalent, effective_value
from trimtab.oracle.executor import check_run
from trimtab.oracle.judge import VendorSoftware, judge
from trimtab.oracle.model import (
    LONGEST,
    SIZES,
    CheckFailure,
    CheckRun,
    Conflict,
    Handling,
    OracleReply,
    OracleSetting,
    SettingReply,
    SkippedSetting,
    is_same_message,
    new_warnings,
    one_line,
)

PRINTED = (
    "I1125 ../NPUAllocatorConfig.cpp:371] [npu alloc config] base_addr_aligned_kb: 16384, "
    "page_size_1g: 1, m_release_lock_on_npumalloc: 0.\n"
    "I1125 ../NPUAllocatorConfig.cpp:393] [common alloc config] max_split_size_mb: 262144000, "
    "pinned_max_cached_size_mb: 18446744073709551615, expandable_segments: 1.\n"
)


def lines(*events: dict[str, Any]) -> str:
    return "".join(json.dumps(one) + "\n" for one in events)


def run(seen: dict[str, Any] | None = None, **fields: Any) -> CheckRun:
    stages = ("import", "device", "operator", "streams")
    return CheckRun("torch_npu", fields.pop("stages", stages), seen=seen or {}, **fields)


def test_a_refusal_is_placed_in_its_stage() -> None:
    text = lines(
        {"stage": "import"},
        {"stage": "import", "asked": ["X"]},
        {"stage": "device"},
        {"stage": "device", "error": "ValueError", "message": "no"},
    )
    found = check_run("torch_npu", text, "", {"exit": 0})
    assert found.failure == CheckFailure(Handling.REJECTED, "device", "ValueError: no")
    assert found.asked == {"X": "import"}


@pytest.mark.parametrize(
    ("ended", "verdict", "word"),
    [
        ({"signal": 11}, Handling.CRASHED, "SIGSEGV"),
        ({"signal": 250}, Handling.CRASHED, "signal 250"),
        ({"hung": True}, Handling.HUNG, "deadline"),
        ({"exit": 3}, Handling.CRASHED, "code 3"),
    ],
)
def test_a_check_that_stops_ends_in_the_announced_stage(
    ended: dict[str, Any], verdict: Handling, word: str
) -> None:
    found = check_run("torch_npu", lines({"stage": "import"}, {"stage": "device"}), "", ended)
    assert found.failure is not None
    assert (found.failure.verdict, found.failure.stage) == (verdict, "device")
    assert word in found.failure.message


@examples(some.text(), some.text())
def test_any_events_make_a_run(events: str, output: str) -> None:
    assert check_run("torch_npu", events, output, {}).kind == "torch_npu"


@examples(some.text())
def test_a_message_becomes_one_short_line(message: str) -> None:
    found = one_line(message)
    assert "\n" not in found
    assert len(found) <= LONGEST


def test_a_message_loses_what_the_runtime_adds() -> None:
    raised = "ValueError: bad key,\n[ERROR] 2026-11-25-01:51:05 (PID:1, Device:0) ERR01003"
    assert one_line(raised) == "ValueError: bad key,"
    wrapped = (
        "ValidationError: 1 validation error for VllmConfig\n  Value error, no graphs "
        "[type=value_error, input_value=1, input_type=int]\n    For further information visit x"
    )
    assert one_line(wrapped) == "ValueError: no graphs"
    assert is_same_message("RuntimeError: at 0x7f12 PID:44", "RuntimeError: at 0x7f99 PID:45")


def test_only_new_warnings_are_told() -> None:
    before = "[W1 01:02:03.4 a.cpp] Warning: old\n"
    after = before + "[W1 01:02:09.9 b.cpp] Warning: new\nINFO 11-25 01:02:03 nothing\n"
    assert new_warnings(after, before, ()) == ("b.cpp] Warning: new",)


def test_the_allocators_sizes_are_read_in_the_keys_unit() -> None:
    force = allocator.values_in_force(PRINTED)
    assert force["max_split_size_mb"] == "250"
    assert force["base_addr_aligned_kb"] == "16"
    assert force["page_size"] == "1g"
    assert force["pinned_max_cached_size_mb"] == "no limit"
    assert force["expandable_segments"] == "True"
    assert list(allocator.pairs("a:[1:2,>:3],b:4")) == [("a", "[1:2,>:3]"), ("b", "4")]


@examples(some.text())
def test_any_print_is_read(text: str) -> None:
    allocator.values_in_force(text)
    list(allocator.pairs(text))


def threads(queues: int) -> dict[str, Any]:
    found = {"python": ["0-1"], **({"acl_thread": ["0-1"] * queues} if queues else {})}
    return {"threads": found, "memory": {"segments": [1]}, "streams": 32}


BASE = run(threads(1))


@pytest.mark.parametrize(
    ("given", "after", "text", "as_written"),
    [
        (OracleSetting("TASK_QUEUE_ENABLE", "abc"), run(threads(0)), "0", False),
        (
            OracleSetting("TASK_QUEUE_ENABLE", "1"),
            run(threads(1), stages=("import", "graph")),
            "1",
            True,
        ),
        (
            OracleSetting("TASK_QUEUE_ENABLE", "2"),
            run(
                threads(1),
                failure=CheckFailure(Handling.REJECTED, "graph", "no TASK_QUEUE_ENABLE"),
            ),
            "2",
            True,
        ),
        (OracleSetting("ASCEND_LAUNCH_BLOCKING", "abc"), run(threads(1)), "0", False),
        (OracleSetting("PER_STREAM_QUEUE", "1"), run(threads(2)), "1", True),
        (OracleSetting("STREAMS_PER_DEVICE", "12"), run(threads(1)), "32", False),
        (
            OracleSetting("PYTORCH_NO_NPU_MEMORY_CACHING", "x"),
            run(threads(1)),
            "the cache is on",
            False,
        ),
        (
            OracleSetting("PYTORCH_NPU_ALLOC_CONF", "max_split_size_mb:250.5"),
            run(threads(1), output=PRINTED),
            "max_split_size_mb:250",
            False,
        ),
        (OracleSetting("X", "2"), run({"variables": {"X": True}}), "True", False),
        (OracleSetting("X", "0"), run({"variables": {"X": False}}), "False", True),
        (OracleSetting("X", "TRUE"), run({"variables": {"X": "true"}}), "true", True),
    ],
)
def test_what_is_in_force_is_told_by_its_own_signs(
    given: OracleSetting, after: CheckRun, text: str, as_written: bool
) -> None:
    found = effective_value(given, after, BASE)
    assert found is not None
    assert (found.text, found.as_written) == (text, as_written)


def configured(text: str, **seen: Any) -> SettingReply:
    base = CheckRun("vllm-ascend", ("configuration",), seen={"as_read": {"on": False}})
    after = CheckRun("vllm-ascend", ("configuration",), seen=seen)
    known = VendorSoftware({"vllm-ascend": "0.23.0"}, {"far": ("vllm-ascend",)})
    return judge(OracleSetting("--additional-config", text), after, base, known)


def test_a_text_counts_by_its_truth_where_a_boolean_is_usual() -> None:
    seen = {"as_read": {"on": "False"}, "configuration": {"on": "False"}, "keys": ["on"]}
    assert configured('{"on": "False"}', **seen).effective == "on=true"
    assert configured('{"on": "False"}', **seen).verdict is Handling.READ_AS


def test_keys_that_nothing_asks_for_are_ignored_or_out_of_reach() -> None:
    seen: dict[str, Any] = {"as_read": {}, "configuration": {}, "keys": []}
    assert configured('{"none": 1}', **seen).verdict is Handling.IGNORED
    assert configured('{"far": 1}', **seen).verdict is Handling.NOT_OBSERVABLE


def test_a_value_that_is_changed_afterwards_says_so() -> None:
    seen = {"as_read": {"on": True}, "configuration": {"on": False}, "keys": ["on"]}
    found = configured('{"on": true}', **seen)
    assert found.verdict is Handling.ACCEPTED
    assert "then sets to false" in found.effective


def test_what_fails_without_the_setting_is_no_refusal() -> None:
    failure = CheckFailure(Handling.REJECTED, "device", "RuntimeError: broken at 0x1")
    base, after = run(failure=failure), run(failure=failure, asked={"X": "import"})
    assert (
        judge(OracleSetting("X", "1"), after, base, VendorSoftware()).verdict is Handling.ACCEPTED
    )


def test_the_capture_of_a_graph_counts_only_when_asked() -> None:
    after = run(threads(1), failure=CheckFailure(Handling.REJECTED, "graph", "TASK_QUEUE_ENABLE"))
    given = OracleSetting("TASK_QUEUE_ENABLE", "2")
    assert judge(given, after, BASE, VendorSoftware()).verdict is Handling.ACCEPTED
    assert judge(given, after, BASE, VendorSoftware(), graph=True).verdict is Handling.REJECTED


def test_readers_of_cann_are_not_there_to_be_asked() -> None:
    found = judge(OracleSetting("HCCL_ALGO", "x"), run(), BASE, VendorSoftware())
    assert found.verdict is Handling.NOT_OBSERVABLE
    assert "CANN" in found.sentence


@pytest.mark.parametrize("tuning", entries(), ids=lambda one: one.name)
def test_every_entry_has_texts_that_are_right_and_wrong(tuning: Any) -> None:
    found = list(probes(tuning))
    assert found
    taken = {prediction((one.given,), BARE)[0] for one in found}
    assert len(taken) > 1 or tuning.inert or tuning.name == "no-npu-memory-caching"


PRODUCTS = {"910_93": "A3", "310P": "310P", "950": "950"}
"""Chip of a case → the product that lint is told, where it is no A2."""


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.through}: {case.words}")
def test_lint_foresees_what_the_cases_say(case: Any) -> None:
    """Warnings about two settings are no misreading of either, so only refusals are compared."""
    if case.rule == "additional-config-json":
        return  # a rule about the option as a whole, which this scene has too
    usual = SERVED if case.through == "vllm-ascend" else BARE
    situation = replace(usual, chip=PRODUCTS.get(case.chip, usual.chip))
    taken, _ = prediction((*case.switches, *case.givens), situation)
    if case.outcome == "taken" and case.rule != "alloc-conf-syntax":
        assert taken is not Acceptance.REFUSED


def test_agreement_is_strict_about_what_is_right() -> None:
    answer = SettingReply(OracleSetting("X", "1"), Handling.ACCEPTED)
    assert agrees("x", Acceptance.AS_WRITTEN, answer)
    assert not agrees("x", Acceptance.REFUSED, answer)
    assert not agrees("x", None, answer)
    assert not agrees(
        "x", Acceptance.AS_WRITTEN, SettingReply(OracleSetting("X", "1"), Handling.NOT_OBSERVABLE)
    )


@pytest.mark.parametrize(
    ("name", "why", "text"),
    [
        ("ACL_OP_INIT_MODE", "not in [0, 1, 2], {} 0 (function GetAclOpInitMode)", "0"),
        ("HCCL_EXEC_TIMEOUT", "less than 0, {}.", "the default"),
        ("TORCH_HCCL_STATUS_SAVE_INTERVAL", "less than or equal to 0, {}.", "the default"),
    ],
)
def test_a_value_that_torch_npu_resets_is_misread(name: str, why: str, text: str) -> None:
    told = why.format("so reset it to the default value")
    after = run(output=f"before\n[W1 a.cpp:1] Warning: Get env {name} {told}\nafter\n")
    found = effective_value(OracleSetting(name, "-1"), after, BASE)
    assert found is not None
    assert (found.text, found.as_written) == (text, False)
    assert effective_value(OracleSetting(f"{name}_2", "-1"), after, BASE) is None
    assert (
        judge(OracleSetting(name, "-1"), after, BASE, VendorSoftware()).verdict is Handling.READ_AS
    )


def test_half_of_what_hccl_reads_is_no_acceptance() -> None:
    asked = {"HCCL_BUFFSIZE": "collective", "HCCL_EVENT_TIMEOUT": "collective"}
    after = run(asked=asked)
    found = judge(OracleSetting("HCCL_BUFFSIZE", "200abc"), after, BASE, VendorSoftware())
    assert found.verdict is Handling.NOT_OBSERVABLE
    assert found.sentence == "torch_npu takes it; HCCL reads it too and is in no wheel"
    own = judge(OracleSetting("HCCL_EVENT_TIMEOUT", "5"), after, BASE, VendorSoftware())
    assert own.verdict is Handling.ACCEPTED
    refusing = run(asked=asked, failure=CheckFailure(Handling.REJECTED, "collective", "no"))
    refused = judge(OracleSetting("HCCL_BUFFSIZE", "x"), refusing, BASE, VendorSoftware())
    assert refused.verdict is Handling.REJECTED


def test_a_name_is_ignored_only_where_nobody_has_it() -> None:
    known = VendorSoftware(beside={"VLLM_X": ("torch", "vllm")})
    found = judge(OracleSetting("VLLM_X", "1"), run(), BASE, known)
    assert found.verdict is Handling.NOT_OBSERVABLE
    assert found.sentence == "read by torch and vllm, which are not judged here"
    assert judge(OracleSetting("VLLM_Y", "1"), run(), BASE, known).verdict is Handling.IGNORED
    of_malloc = judge(OracleSetting("MALLOC_CONF", "narenas:1"), run(), BASE, known)
    assert of_malloc.verdict is Handling.NOT_OBSERVABLE


def test_settings_can_be_typed_in_three_ways() -> None:
    assert settings.parse_setting("task-queue=2") == OracleSetting("TASK_QUEUE_ENABLE", "2")
    assert settings.parse_setting("npu-max-split-size=250").text == "max_split_size_mb:250"
    for workers in ("--tensor-parallel-size=16", "--tensor_parallel_size=16", "-tp=16"):
        assert settings.parse_setting(workers) == OracleSetting("--tensor-parallel-size", "16")
    assert settings.parse_setting("--enforce-eager") == OracleSetting("--enforce-eager", "")
    for wrong in (
        *("X", "=1", "--max-model-len=1", "jemalloc=1", "A B=1", "é=1", "1A=1", "-x=1"),
        *("--tensor-parallel-size=0", "--tensor-parallel-size=two", "-tp=-1", "-dp=0"),
        *("LD_PRELOAD=/x.so", "LD_LIBRARY_PATH=/x", "ASCEND_HOME_PATH=/x"),
    ):
        with pytest.raises(UsageError):
            settings.parse_setting(wrong)


def test_a_plans_settings_are_those_of_the_vendors() -> None:
    argv = ("vllm", "serve", "m", "--additional-config", "{}", "--enforce-eager")
    env = (("HOME", "/"), ("TASK_QUEUE_ENABLE", "1"), ("HCCL_ALGO", "x"))
    names = [one.name for one in settings.plan_settings(Settings(argv=argv, env=env))]
    assert names == [
        "TASK_QUEUE_ENABLE", "HCCL_ALGO", "--additional-config", "--enforce-eager"
    ]  # fmt: skip


SET_ENV = (
    *("ASCEND_TOOLKIT_HOME", "ASCEND_HOME_PATH", "ASCEND_OPP_PATH", "ASCEND_AICPU_PATH"),
    *("TOOLCHAIN_HOME", "ATB_HOME_PATH", "LD_LIBRARY_PATH", "PYTHONPATH", "PATH"),
    *("ASCEND_HOME", "ASCEND_CUSTOM_OPP_PATH", "ASCEND_WORK_PATH"),
)
"""What set_env.sh of CANN and its operator libraries exports, and what people add to it."""


def test_places_of_cann_and_of_torch_are_no_settings() -> None:
    env = {
        **dict.fromkeys(SET_ENV, "/usr/local/Ascend/ascend-toolkit/latest"),
        "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
        "TASK_QUEUE_ENABLE": "1",
        "PYTORCH_NO_NPU_MEMORY_CACHING": "0",
    }
    found = settings.plan_settings(Settings(argv=("vllm", "serve", "m"), env=tuple(env.items())))
    assert [one.name for one in found] == ["TASK_QUEUE_ENABLE", "PYTORCH_NO_NPU_MEMORY_CACHING"]
    assert settings.concerns("PYTORCH_NPU_ALOC_CONF")  # a slip of the pen is to be found


def test_a_plan_of_the_emulator_has_nothing_to_ask_beside_its_settings(tmp_path: Path) -> None:
    machine = EmulatedMachine()
    env = {**machine.environment(tmp_path), **write_tree(machine, tmp_path, "/usr/bin")}
    plan = Settings(argv=("vllm", "serve", "m", "--enforce-eager"), env=tuple(env.items()))
    assert "ASCEND_OPP_PATH" in env
    assert settings.plan_settings(plan) == ()


def launched(text: str) -> tuple[list[tuple[OracleSetting, ...]], list[SkippedSetting]]:
    document = read("serve.sh", text)
    return settings.document_settings(document), settings.skipped_settings(document)


def test_workers_are_read_by_both_names_and_not_cut_down() -> None:
    for name, short in SIZES.items():
        for option in (f"{short} 16", f"{short}=16", f"{name} 16"):
            (givens,), left_out = launched(f"HCCL_ALGO=x vllm serve m {option}\n")
            assert givens == (OracleSetting("HCCL_ALGO", "x"), OracleSetting(name, "16"))
            assert not left_out


@pytest.mark.parametrize("text", ["$TP", "0", "two"])
def test_workers_that_nobody_knows_are_given_without_a_number(text: str) -> None:
    (givens,), (left_out,) = launched(f"HCCL_ALGO=x vllm serve m -tp 2 -pp {text}\n")
    assert givens == (
        OracleSetting("HCCL_ALGO", "x"),
        OracleSetting("--tensor-parallel-size", "2"),
        OracleSetting("--pipeline-parallel-size", ""),
    )
    assert left_out.given == OracleSetting("--pipeline-parallel-size", text)


def test_a_launch_without_a_setting_has_nothing_to_ask() -> None:
    assert launched("vllm serve m --enforce-eager -tp 2\n") == ([], [])
    assert launched("vllm serve m --compilation-config $C -tp 2\n")[0] == []


def test_settings_misread_together_say_so() -> None:
    givens = (OracleSetting("X", "1"), OracleSetting("Y", "2"))
    conflict = Conflict(givens, Handling.READ_AS, "X is then read as 0", "device", "torch_npu")
    reply = OracleReply("910B3", {"torch_npu": "2.13.0"}, (), (conflict,))
    assert list(show.lines(reply))[1] == (
        "X=1 with Y=2: misread together at the first use of the device: X is then read as 0"
    )


def test_a_reply_says_that_no_npu_was_used() -> None:
    answer = SettingReply(OracleSetting("X", "3"), Handling.READ_AS, effective="0", said=("mind",))
    reply = OracleReply("910B3", {"torch_npu": "2.13.0"}, (answer,))
    told = list(show.lines(reply))
    assert "no NPU was used" in told[0]
    assert told[1] == "X=3: read as 0"
    assert show.as_data([reply])["failed"] is True


@examples(some.text())
@example("\x1f0")
@example("\u0663")
def test_numbers_as_c_reads_them_are_total(text: str) -> None:
    for reader in (
        Option((0, 1), "x"), Size(20, None, "MB", "x"), Size(0, 16, "KB", "x"), Share(True, "x")
    ):  # fmt: skip
        assert reader.read(text).taken in Acceptance
    divisions(text)
    is_switched_on(text)


@examples(some.integers(-(10**6), 10**6), some.sampled_from(["", " ", "abc", ".5"]))
def test_leading_digits_decide(number: int, rest: str) -> None:
    found = Option((0, 1), "others", Acceptance.REFUSED).read(f"{number}{rest}")
    if number not in (0, 1):
        assert found.taken is Acceptance.REFUSED
    else:
        assert found.taken is (Acceptance.MISREAD if rest.strip() else Acceptance.AS_WRITTEN)


def test_entries_of_cann_say_that_they_were_not_executed() -> None:
    assert CATALOG["hccl-algo"].executed.startswith("no: from source")
    assert CATALOG["hccl-buffsize"].executed.startswith("in part: torch_npu reads it too")
    assert CATALOG["acl-op-init-mode"].executed.startswith("torch_npu alone reads it")
    assert "asked" in CATALOG["task-queue"].executed
    assert CATALOG["jemalloc"].executed == ""
    assert are_equivalent("0.50", "0.5")

"""Diagnosis: rows that follow from what processes show, deadlines, the allocator's probe."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from trimtab import diagnosis
from trimtab.diagnosis import allocator, live_process, machine, table
from trimtab.diagnosis.live_process import read_in_time
from trimtab.diagnosis.records import Allocator, DiagnosisView, TuningDiagnosis, TuningState
from trimtab.errors import HostError
from trimtab.host import LocalHost
from trimtab.linter.serving_variables import is_serving_variable
from trimtab.model import Process


def here(**env: str) -> DiagnosisView:
    return machine.view(LocalHost(), env, machine.PythonEnvironment("", {}), local=False)


def row(view: DiagnosisView, name: str) -> TuningDiagnosis:
    return next(one for one in diagnosis.rows(view) if one.tuning == name)


def test_nothing_set_is_stock() -> None:
    assert row(here(), "vllm-logging-level").state is TuningState.STOCK


def test_an_inert_variable_has_no_effect_and_fails() -> None:
    seen = here(VLLM_USE_V1="1")
    found = row(seen, "vllm-use-v1")
    assert found.state is TuningState.NO_EFFECT
    assert "take it out" in found.todo
    assert table.has_trouble(diagnosis.rows(seen), ())


def test_an_unknown_variable_is_a_finding_of_no_entry() -> None:
    found = table.unowned_findings(here(VLLM_LOGING_LEVEL="INFO"))
    assert [one.setting for one in found] == ["VLLM_LOGING_LEVEL"]
    assert "VLLM_LOGGING_LEVEL" in found[0].message


def test_a_preloaded_file_that_is_missing_has_no_effect() -> None:
    found = row(here(LD_PRELOAD="/nowhere/libjemalloc.so.2"), "jemalloc")
    assert found.state is TuningState.NO_EFFECT
    assert "does not exist" in found.todo


@pytest.mark.parametrize(
    ("heap", "state", "says"),
    [
        (Allocator(("/l/libjemalloc.so.2",), ("/l/libjemalloc.so.2",), "jemalloc"), "active", ""),
        (Allocator(("/l/libjemalloc.so.2",), ()), "no effect", "not mapped"),
        (
            Allocator(("/l/libjemalloc.so.2",), ("/l/libjemalloc.so.2",), "glibc"),
            "no effect",
            "glibc serves",
        ),
    ],
)
def test_what_serves_malloc_decides(heap: Allocator, state: str, says: str) -> None:
    seen = here(LD_PRELOAD="/l/libjemalloc.so.2")
    process = replace(seen.processes[0], allocator=heap)
    found = row(replace(seen, processes=(process,)), "jemalloc")
    assert found.state.value == state
    assert says in found.todo


def test_the_probe_tells_who_serves_malloc() -> None:
    serving, reason = allocator.probe(sys.executable, dict(os.environ, LD_PRELOAD=""))
    assert (serving, reason) == ("glibc", "")


@pytest.mark.parametrize("family", ["jemalloc", "tcmalloc"])
def test_the_probe_sees_a_preloaded_allocator(family: str) -> None:
    known = LocalHost().glob(f"/usr/lib/*/lib{family}*.so.*")
    if not known:
        pytest.skip(f"no {family} on this machine")
    assert allocator.probe(sys.executable, {"LD_PRELOAD": known[0]}) == (family, "")


def test_a_probe_that_cannot_run_says_why() -> None:
    assert "did not run" in allocator.probe("/nowhere/python", {})[1]
    assert "ended with" in allocator.probe("/bin/false", {})[1]


def test_a_read_that_hangs_is_given_up() -> None:
    with pytest.raises(HostError, match="hangs"):
        read_in_time(0.01, "a file", lambda: time.sleep(5))
    assert read_in_time(5, "a file", lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        read_in_time(5, "a file", lambda: 1 // 0)


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    env = {"PATH": os.environ["PATH"], "TASK_QUEUE_ENABLE": "2", "HF_TOKEN": "hf_secret"}
    with subprocess.Popen(["sleep", "60"], env=env) as process:
        yield process
        process.kill()


def test_a_live_process_is_read(child: subprocess.Popen[bytes]) -> None:
    base = here()
    tree = [Process(child.pid, 1, "api", "vllm", ("python", "/x/vllm", "serve", "m", "-tp", "2"))]
    seen = live_process.view(base, LocalHost(), tree, dict, "")
    one = seen.processes[0]
    assert one.scene.text("TASK_QUEUE_ENABLE") == "2"
    assert one.scene.argv == ("vllm", "serve", "m", "-tp", "2")
    assert one.scene.option("--tensor-parallel-size") == "2"
    assert one.allocator.mapped == ()
    assert one.threads == 1
    assert one.nofile is not None
    from trimtab.diagnosis.records import as_data

    data = as_data(seen, diagnosis.rows(seen), (), ())
    assert data["processes"][0]["environment"]["HF_TOKEN"] == "..."
    assert "hf_secret" not in str(data)


def test_a_process_that_is_gone_is_told_as_unread() -> None:
    tree = [Process(2**22 - 3, 1, "worker", "VLLM::Worker", ())]
    seen = live_process.view(here(), LocalHost(), tree, dict, "")
    assert any("No such" in reason for reason in seen.unread)


def test_roles_that_differ_are_named(child: subprocess.Popen[bytes]) -> None:
    seen = here(TASK_QUEUE_ENABLE="1").processes[0]
    tree = [Process(child.pid, 1, "api", "vllm", ("vllm", "serve", "m"))]
    other = live_process.view(here(), LocalHost(), tree, dict, "").processes[0]
    said = live_process.differences((seen, other), is_serving_variable)
    assert len(said) == 1
    assert "'1' in this environment" in said[0]
    assert f"'2' in api {child.pid}" in said[0]


def test_a_configuration_that_the_server_overrules_has_no_effect(
    child: subprocess.Popen[bytes],
) -> None:
    words = ("vllm", "serve", "m", "--dtype", "float32")
    tree = [Process(child.pid, 1, "api", "vllm", words)]
    seen = live_process.view(here(), LocalHost(), tree, lambda: {"dtype": "torch.bfloat16"}, "")
    assert row(seen, "dtype").state is TuningState.NO_EFFECT
    fine = live_process.view(here(), LocalHost(), tree, lambda: {"dtype": "torch.float32"}, "")
    assert row(fine, "dtype").state is TuningState.ACTIVE


def test_a_capture_needs_a_new_folder(tmp_path: Path) -> None:
    from trimtab.diagnosis.inspection import RecordingHost
    from trimtab.errors import UsageError

    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="new or empty"):
        RecordingHost(LocalHost(), tmp_path)

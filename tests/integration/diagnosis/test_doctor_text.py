"""What ``trimtab doctor`` prints: lines that fit, rows for programs, missing libraries."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from tests.contracts.machines import HOSTS
from trimtab import diagnosis
from trimtab.cli.app import app
from trimtab.cli.doctor import Layout, lines, show
from trimtab.diagnosis import allocator, machine, table
from trimtab.diagnosis.records import Allocator, DiagnosisView, TuningDiagnosis, TuningState
from trimtab.errors import UsageError
from trimtab.host import LocalHost, SnapshotHost
from trimtab.model.finding import Finding, Problem, Severity

MACHINES = sorted(path.name for path in HOSTS.iterdir() if path.is_dir())
LONG = "/sys/devices/system/cpu/cpu0/cpufreq/energy_performance_preference"


def view(name: str) -> DiagnosisView:
    host = SnapshotHost(HOSTS / name)
    return machine.view(host, {}, machine.find_environment(host, None, local=False), local=False)


def text(
    seen: DiagnosisView, rows: tuple[TuningDiagnosis, ...], layout: Layout, *findings: Finding
) -> list[str]:
    return [line.text for line in lines(seen, rows, findings, (), layout)]


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize("everything", [False, True])
def test_lines_fit_80_columns_and_words_stay_whole(name: str, everything: bool) -> None:
    seen = view(name)
    rows = diagnosis.rows(seen)
    narrow = text(seen, rows, Layout(80, everything=everything))
    for line in narrow:
        assert len(line) <= 80 or len(line.split()) == 1, line
        assert line == line.rstrip()
    whole = text(seen, rows, Layout(everything=everything))
    words = {word.rstrip(".") for word in " ".join(narrow).split()}
    assert words == {word.rstrip(".") for word in " ".join(whole).split()}
    assert len(whole) < len(narrow)


ROWS = (
    TuningDiagnosis("jemalloc", "allocator", TuningState.STOCK),
    TuningDiagnosis(
        "swappiness", "kernel", TuningState.WRONG_VALUE, "0", "/proc/sys/vm/swappiness", "set 1"
    ),
    TuningDiagnosis("tcmalloc", "allocator", TuningState.ACTIVE, "libtcmalloc.so.4", "LD_PRELOAD"),
)
WARNING = Finding(
    "unknown-variable",
    Severity.WARNING,
    Problem.NO_EFFECT,
    "X",
    "nothing reads X",
    "remove X",
    None,
)


def test_rows_stand_below_their_layer_with_what_to_do() -> None:
    seen = view("debian-vm")
    assert text(seen, ROWS, Layout(80, everything=True, brief=True), WARNING)[:7] == [
        "allocator",
        "  stock           jemalloc",
        "  active          tcmalloc: libtcmalloc.so.4 (LD_PRELOAD)",
        "kernel",
        "  wrong value     swappiness: 0 (/proc/sys/vm/swappiness)",
        "                  Set 1",
        "warning: nothing reads X: remove X [unknown-variable]",
    ]
    assert text(seen, ROWS, Layout(everything=True, brief=True))[4] == (
        "  wrong value     swappiness: 0 (/proc/sys/vm/swappiness). Set 1"
    )
    assert text(seen, ROWS, Layout(80, brief=True))[-1] == (
        "1 active, 1 stock (left at its default), 1 wrong value; --all shows every row"
    )


def test_a_pipe_gets_six_fields_a_line() -> None:
    found = text(view("debian-vm"), ROWS, Layout(tabs=True, everything=True, brief=True))
    assert found[:3] == [
        "allocator\tjemalloc\tstock",
        "allocator\ttcmalloc\tactive\tlibtcmalloc.so.4\tLD_PRELOAD",
        "kernel\tswappiness\twrong value\t0\t/proc/sys/vm/swappiness\tset 1",
    ]


def test_only_the_state_has_a_style_and_a_pipe_none() -> None:
    def shown(**given: object) -> str:
        file = io.StringIO()
        console = Console(file=file, width=80, color_system="standard", **given)  # type: ignore[arg-type]
        show(view("debian-vm"), ROWS, (WARNING,), (), console, Layout(80))
        return file.getvalue()

    assert "\x1b[1;31m  wrong value\x1b[0m     swappiness: 0" in shown(force_terminal=True)
    assert "\x1b[33mwarning\x1b[0m: nothing" in shown(force_terminal=True)
    assert "\x1b" not in shown(force_terminal=False)


def test_a_preloaded_library_that_does_not_exist_is_a_finding() -> None:
    env = {"LD_PRELOAD": "/nope.so:/nowhere/libjemalloc.so.2:libname.so:/lib/$LIB/x.so"}
    seen = machine.view(LocalHost(), env, machine.PythonEnvironment("", {}), local=False)
    (found,) = table.unowned_findings(seen)
    assert (found.rule, found.severity, found.setting) == (
        "preload-missing",
        Severity.WARNING,
        "LD_PRELOAD",
    )
    assert found.message.startswith("LD_PRELOAD names /nope.so, which does not exist")
    rows = {row.tuning: row for row in diagnosis.rows(seen)}
    assert "/nowhere/libjemalloc.so.2 does not exist" in rows["jemalloc"].todo


def test_libraries_of_a_container_are_looked_up_inside_it(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "liba.so.1").write_text("")
    (tmp_path / "lib" / "liba.so").symlink_to("/lib/liba.so.1")
    (tmp_path / "lib" / "lost.so").symlink_to("/lib/gone.so")
    asked = ("/lib/liba.so", "/lib/liba.so.1", "/lib/lost.so", "/lib/none.so", "relative.so")
    root = str(tmp_path)
    assert allocator.missing_files(LocalHost(), asked, root) == ("/lib/lost.so", "/lib/none.so")
    assert allocator.missing_files(LocalHost(), asked, f"{root}/unreadable") == ()


@pytest.mark.parametrize("name", ["vllm", "vllm.py", "nowhere"])
def test_an_interpreter_that_is_none_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "vllm").mkdir()
    (tmp_path / "vllm.py").write_text("raise SystemExit(3)\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=rf"--python must be .* \./{name} is (a folder|none)"):
        machine.find_environment(LocalHost(), f"./{name}", local=True)


def test_an_interpreter_is_found_as_a_shell_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "bin" / "python9"
    python.parent.mkdir()
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    monkeypatch.setenv("PATH", str(python.parent))
    assert machine.find_environment(LocalHost(), "python9", local=True).python == str(python)
    monkeypatch.chdir(tmp_path)
    assert machine.find_environment(LocalHost(), "bin/python9", local=True).python == str(python)


@pytest.mark.parametrize("inside", ["", "vllm/__init__.py", "vllm.py"])
def test_the_current_folder_is_no_interpreter(
    inside: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if inside:
        (tmp_path / inside).parent.mkdir(exist_ok=True)
        (tmp_path / inside).write_text("raise SystemExit(3)\n")
    (tmp_path / "nothing").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    ran = CliRunner().invoke(app, ["doctor", "--layer", "python_build"])
    assert ran.exit_code == 0
    _, server, row, *_ = ran.stdout.splitlines()
    what = "name the server's interpreter with --python, or its process with --pid"
    assert server == f"No vLLM is on PATH: {what}."
    assert row == (
        "python_build\toptimized-python\tunknown\tno vLLM is on PATH, so no interpreter is known"
        f"\tPATH\t{what}"
    )


def test_quiet_leaves_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = CliRunner().invoke(app, ["doctor", "-q", "--snapshot", str(HOSTS / "310p")])
    assert ran.exit_code == 1
    assert ran.stdout.splitlines()[0].startswith("container\tcontainer-devices\tactive")
    assert "Next:" not in ran.stdout


def test_verbose_is_every_row() -> None:
    ran = CliRunner().invoke(app, ["doctor", "-v", "--snapshot", str(HOSTS / "310p")])
    assert "allocator\tjemalloc\tstock" in ran.stdout.splitlines()


def test_a_process_is_one_line() -> None:
    seen = view("debian-vm")
    scene = replace(seen.processes[0].scene, pid=4242, role="worker")
    heap = Allocator(mapped=("/usr/lib/libjemalloc.so.2",))
    one = replace(
        seen.processes[0], scene=scene, name="worker", threads=48, allowed=tuple(range(48)),
        resident=2**31, huge=0, swapped=0, nodes={0: 2**30, 1: 2**30}, allocator=heap,
    )  # fmt: skip
    live = replace(seen, processes=(one,))
    assert text(live, (), Layout())[2] == (
        "worker 4242: 48 threads, CPUs 0-47, memory 2048 MiB (huge pages 0 MiB, swapped 0 MiB, "
        "NUMA node 0 1024 MiB, NUMA node 1 1024 MiB), allocator libjemalloc.so.2"
    )
    assert all(len(line) <= 80 for line in text(live, ROWS, Layout(80)))

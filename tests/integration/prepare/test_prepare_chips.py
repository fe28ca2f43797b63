"""The build of vllm-ascend is the chip's: what is installed, what is emitted, what is refused."""

from __future__ import annotations

import itertools
import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.prepared import Machine
from trimtab.errors import EngineInstallError, UsageError
from trimtab.prepare import install_commands, version_matrix, wheels
from trimtab.prepare.emit import emit
from trimtab.prepare.step import CheckState, CommandRun, StepFinding
from trimtab.prepare.steps import STEPS, select_steps
from trimtab.prepare.target import TARGETS, PrepareOptions, PrepareTarget

ASCEND = ("ascend-a2", "ascend-a3", "ascend-310p")
KIND = {"ascend-a2": "A2", "ascend-a3": "A3", "ascend-310p": "_310P"}
SOC = {"ascend-a3": "ascend910_9391", "ascend-310p": "ascend310p1"}
SITE = "/opt/vllm/lib/python3.11/site-packages"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def installed(machine: Machine, kind: str, release: str = version_matrix.NEWEST) -> None:
    """Put an environment there whose vllm-ascend is built for a kind of chip."""
    machine.put("/opt/vllm/bin/python", "")
    row = version_matrix.ASCEND[release]
    versions = {"vllm": f"{row.vllm}+empty", "vllm_ascend": release, "torch_npu": row.torch_npu}
    for name, version in versions.items():
        machine.put(f"{SITE}/{name}-{version}.dist-info/METADATA", "")
    if kind:
        machine.put(f"{SITE}/vllm_ascend/_build_info.py", f"# x\n__device_type__ = '{kind}'\n")


def checked(machine: Machine, target: str) -> StepFinding:
    (engine,) = select_steps(["engine"])
    return engine.check(machine.scene(target))


@pytest.mark.parametrize(("target", "kind"), [*itertools.product(ASCEND, KIND.values())])
def test_a_build_for_another_chip_is_found(machine: Machine, target: str, kind: str) -> None:
    installed(machine, kind)
    finding = checked(machine, target)
    if kind == KIND[target]:
        assert finding.state is CheckState.SATISFIED
        assert f"built for {TARGETS[target].chip}" in finding.sentence
    else:
        assert finding.state is CheckState.MISSING
        assert f"refuses to start on {TARGETS[target].chip}: " in finding.sentence
        assert SOC.get(target, "install the wheel") in finding.sentence


def test_a_build_that_does_not_say_is_unknown(machine: Machine) -> None:
    installed(machine, "")
    assert checked(machine, "ascend-a3").state is CheckState.UNKNOWN
    machine.put(f"{SITE}/vllm_ascend/_build_info.py", "__device_type__ = kind()\n")
    assert checked(machine, "ascend-a3").state is CheckState.UNKNOWN


@pytest.mark.parametrize(
    ("editable", "state"), [(True, CheckState.MISSING), (False, CheckState.UNKNOWN)]
)
def test_an_editable_build_is_followed(
    machine: Machine, editable: bool, state: CheckState
) -> None:
    installed(machine, "")
    data = {"url": "file:///vllm-workspace/vllm-ascend", "dir_info": {"editable": editable}}
    machine.put(f"{SITE}/vllm_ascend-0.23.0.dist-info/direct_url.json", json.dumps(data))
    machine.put(
        "/vllm-workspace/vllm-ascend/vllm_ascend/_build_info.py", "__device_type__ = 'A2'\n"
    )
    assert checked(machine, "ascend-a3").state is state


def test_a_wrong_build_is_installed_anew(machine: Machine) -> None:
    installed(machine, "A2")
    (engine,) = select_steps(["engine"])
    assert engine.changes(machine.scene("ascend-a2")) == ()
    (change,) = engine.changes(machine.scene("ascend-a3"))
    assert isinstance(change, CommandRun)
    said = [" ".join(words) for words in change.commands]
    gone = next(n for n, one in enumerate(said) if one.endswith("uninstall --yes vllm-ascend"))
    assert "SOC_VERSION=ascend910_9391" in said[gone + 1]


@pytest.mark.parametrize(("release", "kind"), [("0.23.0", "A2"), ("0.12.0rc1", "_910B")])
def test_the_names_of_the_kinds_by_release(release: str, kind: str) -> None:
    row = version_matrix.ASCEND[release]
    versions = {"vllm-ascend": release, "vllm": row.vllm, wheels.KEY: kind}
    assert version_matrix.refusals(TARGETS["ascend-a2"], versions) == ()
    (sentence,) = version_matrix.refusals(TARGETS["ascend-310p"], versions)
    assert sentence.startswith("vllm-ascend is built for A2 here, and refuses to start on 310P")


@pytest.mark.parametrize("target", ASCEND)
@pytest.mark.parametrize("release", version_matrix.ASCEND)
def test_only_what_is_for_the_chip_is_installed(target: str, release: str) -> None:
    said = [
        words
        for words in install_commands.commands(TARGETS[target], release, "python3", "/opt/vllm")
        if "--no-deps" in words
    ]
    if target == "ascend-a2":
        assert said == []
        return
    (words,) = said
    assert words[0] == "bash"
    assert f"SOC_VERSION={SOC[target]}" in words
    # 0.23.0's archive holds catlass; the others' need a clone with its submodules.
    if release == "0.23.0":
        assert words[-3:] == ("--no-binary", "vllm-ascend", "vllm-ascend==0.23.0")
    else:
        assert words[-1] == f"vllm-ascend @ git+{wheels.REPOSITORY}@v{release}"


def test_releases_that_do_not_say_their_chip_are_prepared_for_a2_alone(machine: Machine) -> None:
    (engine,) = select_steps(["engine"])
    for release in ("0.11.0", "0.9.1", "0.7.3"):
        wish = PrepareOptions(TARGETS["ascend-a2"], release=release)
        assert f"vllm-ascend=={release}" in emit("shell", STEPS, wish, "ubuntu")
        for target in ("ascend-a3", "ascend-310p"):
            with pytest.raises(UsageError, match=r"take 0\.12\.0rc1 or later"):
                emit("shell", STEPS, PrepareOptions(TARGETS[target], release=release), "ubuntu")
    machine.put("/usr/bin/python3.10", "\x7fELF")
    with pytest.raises(EngineInstallError, match=r"take 0\.12\.0rc1 or later for A3"):
        engine.changes(machine.scene("ascend-a3", release="0.11.0"))


@pytest.mark.parametrize(
    ("target", "release", "image"),
    [
        ("ascend-310p", "0.22.1rc1", "9.1.0-beta.1-310p-ubuntu22.04-py3.12"),
        ("ascend-a3", "0.22.1rc1", "9.0.0-a3-ubuntu22.04-py3.12"),
        ("ascend-a3", "0.18.0", "8.5.1-a3-ubuntu22.04-py3.11"),
        ("ascend-a2", "0.11.0", "8.3.rc2-910b-ubuntu22.04-py3.11"),
    ],
)
def test_the_image_is_the_one_of_the_releases_own_dockerfile(
    target: str, release: str, image: str
) -> None:
    made = emit("dockerfile", STEPS, PrepareOptions(TARGETS[target], release=release), "ubuntu")
    assert f"FROM ${{REGISTRY}}/ascend/cann:{image}\n" in made


def test_what_the_build_needs_is_installed() -> None:
    for target, base in itertools.product(ASCEND, ("ubuntu", "openeuler")):
        made = emit("dockerfile", STEPS, PrepareOptions(TARGETS[target]), base)
        assert (" cmake make patch" in made) == (target != "ascend-a2")


def test_the_build_runs_with_canns_variables(tmp_path: Path) -> None:
    """Run the program around the build over a played CANN that objects to our arguments."""
    cann = tmp_path / "Ascend"
    for name in ("ascend-toolkit", "nnal/atb"):
        (cann / name).mkdir(parents=True)
        (cann / name / "set_env.sh").write_text(
            f'[[ $# -eq 0 ]] || return 1\nexport SEEN="${{SEEN}}{name};"\n'
        )
    program = install_commands._IN_CANN.replace("/usr/local/Ascend", str(cann))
    shown = 'echo "$1|$SEEN|$SOC_VERSION|${PATH%%:*}|${LD_LIBRARY_PATH}"'
    words = ("bash", "-c", program, "in-cann", "/e/bin", "env", "SOC_VERSION=s", "sh", "-c", shown)
    done = subprocess.run([*words, "x", "a b"], check=True, capture_output=True, text=True)
    first, seen, soc, path, libraries = done.stdout.strip().split("|")
    assert (first, seen, soc, path) == ("a b", "ascend-toolkit;nnal/atb;", "s", "/e/bin")
    assert libraries.endswith("-linux/devlib")
    (cann / "nnal/atb/set_env.sh").unlink()
    assert subprocess.run([*words, "x", "y"], check=False, capture_output=True).returncode != 0


_PIP = """\
#!/bin/sh
# Play an interpreter: venv, and pip with an index whose wheels of vllm-ascend are A2's.
site="${0%/bin/*}/site"
info="${site}/vllm_ascend/_build_info.py"
case "$*" in
  "-m venv "*)
    for place do :; done
    mkdir -p "${place}/bin" "${place}/site"
    cp "$0" "${place}/bin/python"
    cp -r PLAYED/* "${place}/site" ;;
  *" uninstall "*" vllm-ascend") rm -rf "${site}/vllm_ascend" ;;
  *" install "*vllm-ascend*)
    [ -e "${info}" ] && exit 0
    mkdir -p "${site}/vllm_ascend"
    : > "${site}/vllm_ascend/__init__.py"
    case "$*:${SOC_VERSION:-}" in
      *"--no-binary vllm-ascend "*:ascend910_93*) kind=A3 ;;
      *"--no-binary vllm-ascend "*:ascend310p*) kind=_310P ;;
      *) kind=A2 ;;
    esac
    echo "__device_type__ = '${kind}'" > "${info}" ;;
  "-c "*) PYTHONPATH="${site}" exec REAL "$@" ;;
esac
"""


def played(folder: Path, target: PrepareTarget) -> list[str]:
    """Return the emitted lines of the engine, with CANN and the interpreter played in a folder."""
    versions = folder / "versions"
    for name, version in install_commands.versions(target, version_matrix.NEWEST).items():
        info = versions / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
    for name in ("ascend-toolkit", "nnal/atb"):
        (folder / "Ascend" / name).mkdir(parents=True)
        (folder / "Ascend" / name / "set_env.sh").write_text("")
    (folder / "bin").mkdir()
    python = folder / "bin/python"
    python.write_text(_PIP.replace("PLAYED", str(versions)).replace("REAL", sys.executable))
    python.chmod(0o755)
    lines = install_commands.lines(target, version_matrix.NEWEST, str(folder / "env"))
    values = {name: default for name, _, default in install_commands.arguments(target)}
    given = [f"{name}={shlex.quote(value)}" for name, value in values.items()]
    place = str(folder / "Ascend")
    head = ["set -eu", f"PYTHON={python}", *given]
    return [*head, *(one.replace("/usr/local/Ascend", place) for one in lines)]


def run(lines: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", "\n".join(lines)],
        check=False,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("target", ASCEND)
def test_the_emitted_lines_make_the_build_of_the_chip(tmp_path: Path, target: str) -> None:
    lines = played(tmp_path, TARGETS[target])
    info = tmp_path / "env/site/vllm_ascend/_build_info.py"
    for before in ("", "A2", "A3"):
        if before:
            info.write_text(f"__device_type__ = '{before}'\n")
        done = run(lines)
        assert done.returncode == 0, done.stderr
        assert info.read_text() == f"__device_type__ = '{KIND[target]}'\n"


@pytest.mark.parametrize("target", ["ascend-a3", "ascend-310p"])
def test_the_emitted_lines_fail_with_the_build_of_another_chip(
    tmp_path: Path, target: str
) -> None:
    lines = [one for one in played(tmp_path, TARGETS[target]) if "SOC_VERSION=" not in one]
    done = run(lines)
    assert done.returncode != 0
    chip = TARGETS[target].chip
    said = done.stderr.strip().splitlines()[-1]
    assert said == f"AssertionError: vllm-ascend must be built for {chip}, but is for A2"


@pytest.mark.parametrize("target", ASCEND)
def test_the_emitted_lines_fail_with_another_version(tmp_path: Path, target: str) -> None:
    lines = played(tmp_path, TARGETS[target])
    (info,) = tmp_path.glob("versions/vllm-0*.dist-info")
    info.rename(info.with_name(info.name.replace("vllm-0", "vllm-1")))
    (info.with_name(info.name.replace("vllm-0", "vllm-1")) / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: vllm\nVersion: 1.23.0\n"
    )
    done = run(lines)
    assert done.returncode != 0
    assert "but here is {'vllm': '1.23.0'" in done.stderr

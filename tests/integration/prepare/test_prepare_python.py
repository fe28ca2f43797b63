"""The emitted step for Python: fetched where asked, once; judged as our own facts judge."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from trimtab.facts import python_build
from trimtab.facts.python_build import PythonBuild
from trimtab.prepare import install_commands, interpreters, version_matrix
from trimtab.prepare.step import BuildArgument, RootScript
from trimtab.prepare.steps import select_steps
from trimtab.prepare.steps.python import judge
from trimtab.prepare.system import base_of
from trimtab.prepare.target import TARGETS, PrepareOptions

BASES = {name: base_of(TARGETS["cpu"], name, "") for name in ("debian", "openeuler")}
NEWEST = "3.14"

_PYTHON = """\
#!/bin/sh
# Play an interpreter that makes environments, and a pip that installs uv; the rest is real.
case "$*" in
  "-m venv "*) for place do :; done; mkdir -p "${place}/bin"; cp "$0" "${place}/bin/python" ;;
  *" install "*" uv=="*) cp FOLDER/uv "${0%/*}/uv" ;;
  *) exec REAL "$@" ;;
esac
"""
_UV = """\
#!/bin/sh
# Play uv: an interpreter of the asked version, which is the real one with played flags.
echo "$*" >> FOLDER/calls
for version do :; done
place="${UV_PYTHON_INSTALL_DIR}/cpython-${version}.9-linux/bin"
mkdir -p "${place}"
cp FOLDER/fetched "${place}/python3"
"""
_FETCHED = """\
#!/bin/sh
[ "$1" = -c ] || exec REAL "$@"
shift
code="import sys, sysconfig; sysconfig.get_config_var = {FLAGS}.get
$1"
shift
exec REAL -c "${code}" "$@"
"""
FAST = "{'PY_CFLAGS_NODIST': '-fprofile-instr-use=x', 'PY_LDFLAGS_NODIST': '-flto=thin'}"
PLAIN = "{'PY_CFLAGS_NODIST': '-O2'}"


class Played:
    """The emitted lines of the step, with what they fetch and call played in a folder."""

    def __init__(self, folder: Path, *, plain: str = PLAIN, fetched: str = FAST) -> None:
        self.folder = folder
        for name, text, flags in (
            ("python", _PYTHON.replace("REAL", f"{folder}/plain"), ""),
            ("plain", _FETCHED, plain),
            ("fetched", _FETCHED, fetched),
            ("uv", _UV, ""),
        ):
            made = text.replace("{FLAGS}", flags).replace("FOLDER", str(folder))
            (folder / name).write_text(made.replace("REAL", sys.executable))
            (folder / name).chmod(0o755)
        base = BASES["openeuler"]
        assert base is not None
        (step,) = select_steps(["python"])
        recipe = step.recipe(PrepareOptions(TARGETS["cpu"]), base)
        (script,) = (one for one in recipe if isinstance(one, RootScript))
        self.lines = [one.replace(interpreters.PLACE, str(folder / "opt")) for one in script.lines]

    def run(self, asked: str | None = None) -> subprocess.CompletedProcess[str]:
        env = {"PATH": "/usr/bin:/bin", "PYTHON": str(self.folder / "python")}
        if asked is not None:
            env["OPTIMIZED_PYTHON"] = asked
        lines = "\n".join(["set -eu", *self.lines, 'echo "taken: ${PYTHON}"'])
        return subprocess.run(
            ["sh", "-c", lines], check=False, capture_output=True, text=True, env=env
        )

    def calls(self) -> list[str]:
        calls = self.folder / "calls"
        return calls.read_text().splitlines() if calls.exists() else []


def test_without_being_asked_nothing_is_fetched_and_a_plain_one_is_warned_of(
    tmp_path: Path,
) -> None:
    played = Played(tmp_path)
    for asked in (None, ""):
        done = played.run(asked)
        assert done.returncode == 0
        assert f"taken: {tmp_path}/python" in done.stdout
        assert "WARNING: " in done.stderr
        assert "is built without PGO and LTO, and slower for it" in done.stderr
        assert "OPTIMIZED_PYTHON=fetch" in done.stderr
    assert played.calls() == []
    assert not (tmp_path / "opt").exists()


def test_an_optimized_one_is_not_warned_of(tmp_path: Path) -> None:
    done = Played(tmp_path, plain=FAST).run()
    assert "PGO: True LTO: True" in done.stdout
    assert done.stderr == ""


def test_where_asked_one_is_fetched_once_and_taken(tmp_path: Path) -> None:
    played = Played(tmp_path)
    for _ in range(2):
        done = played.run("fetch")
        assert done.returncode == 0, done.stderr
        assert f"taken: {tmp_path}/opt/current/bin/python3" in done.stdout
        assert done.stderr == ""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert played.calls() == [f"python install --no-bin --no-cache {version}"]
    assert not (tmp_path / "opt/uv").exists()


def test_a_fetch_that_was_ended_is_done_again(tmp_path: Path) -> None:
    played = Played(tmp_path)
    uv = (tmp_path / "uv").read_text()
    (tmp_path / "uv").write_text("#!/bin/sh\nexit 7\n")
    assert played.run("fetch").returncode == 7
    (tmp_path / "uv").write_text(uv)
    assert played.run("fetch").returncode == 0


def test_where_asked_and_not_got_the_build_fails(tmp_path: Path) -> None:
    done = Played(tmp_path, fetched=PLAIN).run("fetch")
    assert done.returncode != 0
    assert "is built without PGO and LTO" in done.stderr


def test_another_value_is_refused(tmp_path: Path) -> None:
    played = Played(tmp_path)
    done = played.run("yes")
    assert done.returncode == 1
    assert done.stderr == "OPTIMIZED_PYTHON must be fetch or empty, but is yes\n"
    assert played.calls() == []


def test_one_that_does_not_fit_gives_the_newest_that_does(tmp_path: Path) -> None:
    played = Played(tmp_path)
    (low, high) = version_matrix.pythons(TARGETS["cpu"])
    assert f"{high[0]}.{high[1] - 1}" == NEWEST
    old = "import sys; sys.version_info = (3, 9, 0)\n$1"
    text = (tmp_path / "plain").read_text().replace("\n$1", f"; {old}")
    (tmp_path / "plain").write_text(text)
    assert low > (3, 9)
    played.run("fetch")
    assert played.calls() == [f"python install --no-bin --no-cache {NEWEST}"]


@pytest.mark.parametrize("base", ["debian", "openeuler"])
@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"PY_CFLAGS_NODIST": "-fprofile-use -fprofile-correction"},
        {"PY_CFLAGS_NODIST": "-fprofile-instr-use=code.profclangd -flto=thin"},
        {"PY_LDFLAGS_NODIST": "-flto -g"},
        {"CONFIG_ARGS": "'--enable-optimizations' '--with-lto'"},
        {"CONFIG_ARGS": "'--with-lto=full'"},
        {"CONFIG_ARGS": "'--with-lto=no'"},
        {"PGO_PROF_USE_FLAG": "-fprofile-use"},
    ],
)
def test_the_emitted_judgement_is_that_of_the_facts(base: str, variables: dict[str, str]) -> None:
    """Of an interpreter that no distribution packages: what its sysconfig says."""
    found = BASES[base]
    assert found is not None
    play = (
        "import sys, sysconfig, os; sys.executable = '/opt/x/python3'; "
        f"sysconfig.get_config_var = {variables}.get\n"
    )
    words = [sys.executable, "-c", play + judge(found), ""]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    wanted = python_build.judge(PythonBuild("x"), variables, base)
    assert done.stdout == f"/opt/x/python3 PGO: {wanted.pgo} LTO: {wanted.lto}\n"
    assert ("WARNING" in done.stderr) == (not (wanted.pgo and wanted.lto))


@pytest.mark.parametrize(("base", "warned"), [("debian", False), ("openeuler", True)])
def test_the_distributions_own_is_known(base: str, warned: bool) -> None:
    found = BASES[base]
    assert found is not None
    play = "import sys, sysconfig; sys.executable = '/usr/bin/env'; "
    play += "sysconfig.get_config_var = {}.get\n"
    words = [sys.executable, "-c", play + judge(found), ""]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    assert ("WARNING" in done.stderr) == warned


@pytest.mark.parametrize("target", TARGETS)
def test_the_fetched_one_is_taken_before_anything_is_installed(target: str) -> None:
    """Each script of a Dockerfile chooses anew: an ARG cannot be changed by an earlier one."""
    lines = install_commands.lines(TARGETS[target], version_matrix.NEWEST, "/opt/vllm")
    assert lines[0] == interpreters.CHOICE
    assert lines[1].startswith('"${PYTHON}" -m venv ')
    base = BASES["openeuler"]
    assert base is not None
    (step,) = select_steps(["python"])
    recipe = step.recipe(PrepareOptions(TARGETS[target]), base)
    asked = [one for one in recipe if isinstance(one, BuildArgument) and one.name != "PYTHON"]
    assert {one.name: one.default for one in asked} == {
        "OPTIMIZED_PYTHON": None,
        "UV_PYTHON_INSTALL_MIRROR": None,
    }


def test_an_environment_of_another_interpreter_is_not_taken_where_one_was_asked_for(
    tmp_path: Path,
) -> None:
    target = TARGETS["cuda"]
    own = tmp_path / "env/bin/python"
    own.parent.mkdir(parents=True)
    (tmp_path / "one").write_text("#!/bin/sh\nexit 0\n")
    (tmp_path / "one").chmod(0o755)
    (tmp_path / "two").symlink_to("one")
    own.symlink_to(tmp_path / "one")
    test = (
        f"set -u; {install_commands.proof(target, version_matrix.NEWEST, str(tmp_path / 'env'))}"
    )
    for name, asked, code in (
        ("two", "fetch", 0),
        (sys.executable, "fetch", 1),
        (sys.executable, "", 0),
    ):
        env = {"PATH": "/usr/bin:/bin", "OPTIMIZED_PYTHON": asked, "PYTHON": str(tmp_path / name)}
        assert subprocess.run(["sh", "-c", test], check=False, env=env).returncode == code

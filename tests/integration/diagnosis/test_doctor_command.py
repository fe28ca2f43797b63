"""``trimtab doctor`` and ``trimtab catalog`` as people type them."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from typer.testing import CliRunner

from tests.contracts.machines import HOSTS
from tests.servers.profiles import written
from tests.support.show_samples import PROFILE
from trimtab.cli.app import app
from trimtab.errors import UsageError
from trimtab.model import Plan, Settings


def run(*words: str) -> tuple[int, str]:
    ran = CliRunner().invoke(app, list(words))
    if ran.exception is not None and not isinstance(ran.exception, SystemExit):
        raise ran.exception
    return ran.exit_code, ran.output


@pytest.mark.parametrize(("name", "code"), [("a3", 0), ("a2-openeuler", 1), ("310p", 1)])
def test_the_exit_code_tells_whether_something_is_wrong(name: str, code: int) -> None:
    assert run("doctor", "--snapshot", str(HOSTS / name))[0] == code


def test_a_snapshot_as_json() -> None:
    code, out = run("doctor", "--snapshot", str(HOSTS / "a2-openeuler"), "--json")
    data = json.loads(out)
    assert code == 1
    assert data["situation"]["chip"] == "A2"
    found = {one["tuning"]: one for one in data["tunings"]}
    assert found["sched-migration-cost"]["state"] == "wrong value"
    assert found["sched-migration-cost"]["rules"] == ["migration-cost-lowered"]
    assert {one["rule"] for one in data["findings"]} >= {"migration-cost-lowered"}


def test_a_layer_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    snapshot = str(HOSTS / "a2-openeuler")
    _, out = run("doctor", "--snapshot", snapshot, "--layer", "hccl", "--all")
    assert "hccl-buffsize" in out
    assert "swappiness" not in out
    with pytest.raises(UsageError, match="--layer must be one of allocator"):
        run("doctor", "--snapshot", snapshot, "--layer", "nonsense")


def test_a_capture_of_this_machine_is_readable(tmp_path: Path) -> None:
    folder = tmp_path / "captured"
    secret = "hf_do_not_keep_me"
    os.environ["HF_TOKEN"] = secret
    try:
        run("doctor", "--capture", str(folder), "--json")
    finally:
        del os.environ["HF_TOKEN"]
    code, out = run("doctor", "--snapshot", str(folder), "--json")
    assert code in (0, 1)
    assert json.loads(out)["situation"]["arch"] == os.uname().machine
    texts = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    assert texts
    assert not any(secret.encode() in text for text in texts)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--snapshot", "/nowhere"), "meta.yaml"),
        (("--profile", "p.yaml"), "--profile needs --pid"),
        (("--pid", "1", "--snapshot", "x"), "leave --pid"),
        (("--pid", str(2**22 - 3)), "there is none"),
        (("--context", "chip=Z9"), "chip"),
    ],
)
def test_a_wrong_call_names_what_to_do(words: tuple[str, ...], says: str) -> None:
    from trimtab.errors import TrimtabError

    with pytest.raises(TrimtabError, match=says):
        run("doctor", *words)


def test_a_process_that_is_no_server_is_refused() -> None:
    with pytest.raises(UsageError, match="no vLLM server"):
        run("doctor", "--pid", str(os.getpid()))


@pytest.mark.parametrize("text", [None, "", "name: x\n", "{"])
def test_what_is_no_profile_is_not_taken_for_one_that_is_not_in_effect(
    text: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "profile.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match=f"{path} .*profile that can be|the profile {path} "):
        run("doctor", "--pid", str(os.getpid()), "--profile", str(path))


def test_a_plan_that_changes_nothing_is_said(tmp_path: Path) -> None:
    plan = Plan((), Settings(("vllm", "serve", "m")))
    made = replace(PROFILE, answers=(), risks={}, plan=plan)
    path = written(made, tmp_path)
    code, out = run("doctor", "--pid", str(os.getpid()), "--profile", str(path))
    assert (code, out) == (
        0,
        f"{made.name}: plan {plan.digest} has nothing to verify: it changes nothing\n",
    )
    assert run("doctor", "--pid", str(os.getpid()), "--profile", str(path), "--json") == (
        0,
        '{\n "format": 1,\n "evidence": []\n}\n',
    )


def test_what_an_image_bakes_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    baked = [{"Architecture": "arm64", "Config": {"Env": ["VLLM_USE_V1=1", "HCCL_BUFFSIZE=0"]}}]
    docker = tmp_path / "docker"
    docker.write_text(f"#!/bin/sh\ncat <<'E'\n{json.dumps(baked)}\nE\n")
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    code, out = run("doctor", "--image", "quay.io/ascend/vllm-ascend:v0.18.0-a3", "--json")
    data = json.loads(out)
    assert code == 1
    assert data["situation"]["chip"] == "A3"
    states = {one["tuning"]: one["state"] for one in data["tunings"]}
    assert states["vllm-use-v1"] == "no effect"
    assert states["hccl-buffsize"] == "wrong value"


def test_an_image_that_is_not_there_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="an image that docker has"):
        run("doctor", "--image", "none")


def test_the_catalogue_as_data_fits_its_schema() -> None:
    _, schema = run("catalog", "--schema")
    _, out = run("catalog", "--json")
    data = json.loads(out)
    jsonschema.validate(data, json.loads(schema))
    found = {one["name"]: one for one in data["tunings"]}
    assert len(found) > 150
    assert found["task-queue"]["rules"][0]["traps"] == ["T8"]
    assert {one["name"] for one in found["tcmalloc"]["conflicts"]} >= {"jemalloc"}


def test_one_entry_is_explained() -> None:
    _, out = run("catalog", "npu-expandable-segments")
    for part in ("PYTORCH_NPU_ALLOC_CONF[expandable_segments]", "camem.py", "verified by"):
        assert part in out


def test_the_catalogue_is_filtered() -> None:
    _, out = run("catalog", "--layer", "hccl", "--search", "rdma", "--json")
    found = json.loads(out)["tunings"]
    assert {one["layer"] for one in found} == {"hccl"}
    assert all("rdma" in json.dumps(one).lower() for one in found)
    _, cuda = run("catalog", "--platform", "cuda", "--json")
    assert not any(one["platforms"] == ["ascend"] for one in json.loads(cuda)["tunings"])
    _, studied = run("catalog", "--studied", "--json")
    assert all(one["studied"] for one in json.loads(studied)["tunings"])
    _, rules = run("catalog", "--rules", "--json")
    assert {"task-queue-graphs", "inert"} <= {one["id"] for one in json.loads(rules)["rules"]}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--layer", "x"), "--layer"),
        (("--platform", "gpu"), "--platform"),
        (("tcmaloc",), "tcmalloc"),
    ],
)
def test_a_wrong_filter_names_what_there_is(words: tuple[str, ...], says: str) -> None:
    from trimtab.errors import TrimtabError

    with pytest.raises(TrimtabError, match=says):
        run("catalog", *words)

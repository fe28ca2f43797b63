"""A study over the stand-in, its starts made up: rival values of one tuning, and the caveat."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import yaml

from tests.simulator import Machine, play_blocks
from trimtab.catalog import CATALOG
from trimtab.emulator import LABEL, build, environments
from trimtab.engines import default_model, variants
from trimtab.environments import distributions, managed_environment
from trimtab.model import Conclusion, Start, StartRequest
from trimtab.plan import compile_plan
from trimtab.profiles.profile import read_profile
from trimtab.redaction import redact_plan
from trimtab.search import History, conclude
from trimtab.study.artifacts import study_of, write_result
from trimtab.study.options import Options
from trimtab.study.result_json import as_json
from trimtab.study.session import Session, open_session

TRIES = ("interpreter=plain", "interpreter=pgo")
"""The other values are those that a study of host overhead tries by itself."""

ASKED = {
    "task-queue": "2",
    "task-queue=0": "0",
    "interpreter": "plain",
    "interpreter=pgo": "pgo",
    "api-server-count": 2,
    "distributed-executor-backend": "mp",
    "log-stats": True,
}


def lay(folder: Path) -> None:
    """Lay down an environment of the emulator, on this interpreter."""
    site = folder / "lib" / "python3.11" / "site-packages"
    site.mkdir(parents=True)
    (folder / "bin").mkdir()
    (folder / "bin" / "python").symlink_to(Path(sys.executable).resolve())
    (folder / "bin" / "vllm").touch(0o755)
    for name, version in environments.PACKAGES.items():
        one = site / f"{name.replace('-', '_')}-{version}.dist-info"
        one.mkdir()
        (one / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(home / "data"))
        patch.setenv("XDG_CACHE_HOME", str(home / "cache"))
        patch.setattr(build, "libraries", lambda site: home / "libraries")
        site = (
            managed_environment.folder("ascend-emulator") / "lib" / "python3.11" / "site-packages"
        )
        patch.setattr(distributions, "search_path", lambda python: [str(site)])
        patch.setattr(default_model, "ensure", lambda: home / "model")
        for recipe in (
            environments.engine(),
            *(variants.recipe("ascend-emulator", name) for name in ("plain", "pgo")),
        ):
            lay(recipe.target)
            managed_environment._work(recipe.target)
            managed_environment._record(recipe, list(recipe.steps))
        options = Options(
            engine="ascend-emulator",
            objective="host-overhead",
            budget="60",
            tries=TRIES,
            only=("task-queue", "interpreter", "api-server-count", "distributed-*", "log-stats"),
            shared_host=True,
        )
        yield open_session(options, lambda _: None, install=False)


@dataclass(frozen=True)
class Timed(Machine):
    """A machine whose objective is a time: less is better."""

    def start(self, request: StartRequest, number: int) -> Start:
        one = super().start(request, number)
        return replace(one, metrics={"e2e_mean": 1e5 / one.metrics["output_throughput"]})


@pytest.fixture(scope="module")
def starts(session: Session) -> list[Start]:
    """Return the starts of a study on a machine where the queue costs, and PGO gains."""
    machine = Timed({"task-queue=0": 0.3, "task-queue": -0.1, "interpreter=pgo": 0.15})
    return [
        replace(one, plan=redact_plan(session.compile(one.request.candidate)).digest)
        for one in play_blocks(session.space, machine)
    ]


@pytest.fixture(scope="module")
def answered(
    session: Session, starts: list[Start], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Conclusion]:
    folder = tmp_path_factory.mktemp("study")
    found = conclude(History.of(session.space, starts))
    return folder, write_result(session, starts, found, folder).conclusion


def test_all_are_asked_and_rivals_never_together(session: Session, starts: list[Start]) -> None:
    asked = {one.tuning: one.value for one in session.space.factors if not one.dummy}
    assert asked == ASKED
    seen: dict[str, int] = dict.fromkeys(ASKED, 0)
    for start in starts:
        on = {name for name, _ in start.request.candidate}
        assert not {"task-queue", "task-queue=0"} <= on
        assert not {"interpreter", "interpreter=pgo"} <= on
        for name in on & seen.keys():
            seen[name] += 1
    assert min(seen.values()) > 1, seen


def test_the_profile_names_the_catalogues_tunings(
    session: Session, starts: list[Start], answered: tuple[Path, Conclusion]
) -> None:
    folder, found = answered
    verdicts = {one.tuning: one.verdict.value for one in found.answers}
    assert verdicts["task-queue=0"] == verdicts["interpreter=pgo"] == "adopt"
    assert verdicts["task-queue"] == "avoid"
    profile = read_profile(folder / "profile.proven.yaml")
    chosen = dict(profile.candidate)
    assert (chosen["task-queue"], chosen["interpreter"]) == ("0", "pgo")
    assert {one.tuning for one in profile.answers} == chosen.keys() <= CATALOG.keys()
    again = compile_plan(profile.candidate, session.base, session.facts)
    assert again.settings.argv[0].endswith("ascend-emulator@pgo/bin/vllm")
    assert again.digest == session.compile(found.proven).digest
    told = as_json(study_of(session, starts, found, folder, {}), folder, session.catalog)
    names = [one["name"] for one in told["verdicts"]]
    assert len(names) == len(set(names))
    json.dumps(told)


def test_everything_says_that_it_is_no_npu_and_what_to_confirm(
    answered: tuple[Path, Conclusion],
) -> None:
    folder, _ = answered
    page = (folder / "report.html").read_text()
    assert LABEL in page
    assert "to confirm on hardware, of " in page
    assert "make test-ascend" in page
    assert "task-queue=0=0" not in page
    assert "task-queue=0 = 0" not in page
    for name in ("proven", "max"):
        profile = yaml.safe_load((folder / f"profile.{name}.yaml").read_text())
        assert profile["engine"]["caveat"] == LABEL
    exported = list((folder / "export").iterdir())
    assert exported
    assert all(LABEL in one.read_text() for one in exported)

"""The whole of ``trimtab tune`` on the scripted server: same flow, same contract, no vLLM."""

import json
import signal
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.e2e.cli import Ran, Running, free, trimtab, until
from tests.e2e.planted import noisy

pytestmark = pytest.mark.alone

SCRIPTED = ("tune", "--engine", "scripted", "--shared-host")
DTYPE = ("--only", "dtype", "--budget", "12")


def one_line(ran: Ran) -> str:
    assert ran.err.count("\n") == 1, ran.err
    assert ran.err.startswith("trimtab: "), ran.err
    return ran.err


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ran]:
    folder = tmp_path_factory.mktemp("scripted")
    words = ("--skip", "omp-bind", "--budget", "24", "--study", "s", "--json")  # it binds nothing
    return folder, trimtab(*SCRIPTED, *words, cwd=folder)


def test_json_contract(studied: tuple[Path, Ran]) -> None:
    _, ran = studied
    assert ran.code == 0, ran.err
    answer = ran.json()
    assert {"verdicts", "confirmed", "profiles", "starts"} <= set(answer)
    for verdict in answer["verdicts"]:
        assert {"name", "verdict", "effect", "low", "high", "starts"} <= set(verdict)
    confirmed = answer["confirmed"]
    assert {"metric", "baseline", "proven", "ratio", "low", "high"} <= set(confirmed)
    assert confirmed["low"] <= confirmed["ratio"] <= confirmed["high"]
    assert answer["starts"] <= 24
    assert {one["agreement"] for one in answer["fidelity"]} == {1.0}
    assert any("answers as the baseline does" in note for note in answer["notes"])


def test_planted_gains_are_found_and_the_dummy_is_not(studied: tuple[Path, Ran]) -> None:
    _, ran = studied
    verdicts = {one["name"]: one["verdict"] for one in ran.json()["verdicts"]}
    assert verdicts["dtype"] == "adopt"
    assert verdicts["dummy"] not in ("adopt", "avoid")
    assert ran.json()["confirmed"]["low"] > 1  # it is 3 where no neighbour takes the cores


def test_the_study_folder_holds_the_question_the_evidence_and_the_answer(
    studied: tuple[Path, Ran],
) -> None:
    folder, ran = studied
    study = folder / "s"
    for name in ("study.yaml", "ledger.jsonl", "report.html", "profile.proven.yaml"):
        assert (study / name).stat().st_size > 0
    assert (study / "export").is_dir()
    starts = sorted((study / "starts").iterdir())
    assert len(starts) == ran.json()["starts"]
    for start in starts:
        assert {"plan.json", "evidence.json", "requests.jsonl"} <= {
            one.name for one in start.iterdir()
        }
    profile = yaml.safe_load((study / "profile.proven.yaml").read_text())
    assert "dummy" not in json.dumps(profile["candidate"])


def test_a_finished_study_answers_again_without_a_start(studied: tuple[Path, Ran]) -> None:
    folder, ran = studied
    before = (folder / "s" / "ledger.jsonl").read_bytes()
    again = trimtab("tune", "--study", "s", "--resume", "--json", cwd=folder)
    assert again.code == 0, again.err
    assert again.json() == ran.json()
    assert (folder / "s" / "ledger.jsonl").read_bytes() == before


def test_a_study_is_not_overwritten_nor_mixed_with_another_question(
    studied: tuple[Path, Ran],
) -> None:
    folder, _ = studied
    ran = trimtab(*SCRIPTED, "--study", "s", cwd=folder)
    assert ran.code == 2
    assert "--resume" in one_line(ran)
    ran = trimtab("tune", "--study", "s", "--resume", "--seed", "7", cwd=folder)
    assert ran.code == 2
    assert "seed" in one_line(ran)


def test_another_preset_is_the_arm_of_the_first_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_cpu = trimtab(*SCRIPTED, "--arm", "guide", "--dry-run", cwd=tmp_path)
    assert (on_cpu.code, "nothing on cpu reads" in one_line(on_cpu)) == (2, True)
    (tmp_path / "npu.json").write_text('{"platform": "ascend"}')
    monkeypatch.setenv("TRIMTAB_SCRIPTED", str(tmp_path / "npu.json"))
    words = (*SCRIPTED, "--only", "eager", "--budget", "24", "--arm", "image-a2")
    shown = trimtab(*words, "--dry-run", "--json", cwd=tmp_path).json()
    assert (shown["preset"], shown["guide"]["task-queue"]) == ("image-a2", "1")
    assert all(one["reason"] for one in shown["guide_left_out"])
    told = trimtab(*words, "--dry-run", cwd=tmp_path).out
    assert "Arm:      image-a2: " in told
    assert all(one["name"] in told for one in shown["guide_left_out"])
    ran = trimtab(*words, "--json", "--study", "s", cwd=tmp_path)
    assert ran.code == 0, ran.err
    assert "image-a2" in {one["arm"] for one in ran.json()["comparisons"]}
    lines = (tmp_path / "s" / "ledger.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["question"]["question"]["arm"] == "image-a2"
    assert "image-a2" in (tmp_path / "s" / "report.html").read_text()
    assert trimtab(*words[:-2], "--arm", "stock", "--dry-run", cwd=tmp_path).code == 2


def test_dry_run_prints_the_question_and_starts_nothing(tmp_path: Path) -> None:
    ran = trimtab(*SCRIPTED, "--dry-run", "--json", cwd=tmp_path)
    assert ran.code == 0, ran.err
    shown = ran.json()
    assert {"name", "values", "scope"} <= set(shown["space"][0])
    assert all(one["reason"] for one in shown["left_out"])
    assert {"starts", "blocks", "minutes", "detectable_effect"} <= set(shown["design"])
    assert list(tmp_path.iterdir()) == []
    assert "dummy" in {one["name"] for one in shown["space"]}


def test_an_a_a_study_keeps_nothing(tmp_path: Path) -> None:
    """One study in twenty does by design: the planted noise is of a seed that is far from it."""
    behaviour = tmp_path / "behaviour.json"
    behaviour.write_text(json.dumps(noisy(tmp_path, sd=0.05, seed=3)))
    words = ("--aa", "4", "--budget", "16", "--study", "s", "--json")
    ran = trimtab(*SCRIPTED, *words, cwd=tmp_path, TRIMTAB_SCRIPTED=str(behaviour))
    assert ran.code == 0, ran.err
    found = ran.json()
    inert = {f"inert-{i}" for i in range(1, 5)}
    assert {one["name"] for one in found["verdicts"]} == {"dummy", *inert}
    assert found["proven"] == {}
    assert trimtab("tune", "--study", "s", "--resume", "--json", cwd=tmp_path).json() == found


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--only", "dtyp"], "dtyp"),
        (["--budget", "0"], "--budget"),
        (["--slo", "ttft_p99<=500"], "ttft_p99<=500"),
        (["--slo", "speed<=5ms"], "speed"),
        (["--objective", "goodput"], "--slo"),
        (["--objective", "fun"], "fun"),
        (["--workload", "absent.yaml"], "absent.yaml"),
        (["--engine", "absent"], "absent"),
        (["--max-risk", "mad"], "mad"),
        (["--only", "dummy"], "nothing is left to tune"),
        (["--budget", "3"], "at least"),
        (["--baseline", "absent.sh"], "absent.sh"),
        (["--aa", "4", "--only", "dtype"], "--only and --skip"),
        (["--model", "a", "--", "vllm", "serve", "b"], "drop one"),
        (["--", "python", "x.py"], "vllm serve MODEL"),
    ],
)
def test_usage_errors_are_one_line_that_names_the_word(
    words: list[str], named: str, tmp_path: Path
) -> None:
    ran = trimtab(*SCRIPTED, *words, cwd=tmp_path)
    assert ran.code == 2, ran.err
    assert named in one_line(ran)
    assert list(tmp_path.iterdir()) == []


def test_malformed_workload_names_its_key(tmp_path: Path) -> None:
    (tmp_path / "w.yaml").write_text("name: w\ninput: -3\n")
    ran = trimtab(*SCRIPTED, "--workload", "w.yaml", cwd=tmp_path)
    assert ran.code == 2
    assert "input" in one_line(ran)


def test_an_engine_that_cannot_start_ends_with_its_cause(tmp_path: Path) -> None:
    ran = trimtab(
        *SCRIPTED,
        "--study",
        "s",
        *DTYPE,
        "--",
        "vllm",
        "serve",
        "m",
        "--no-such-flag",
        cwd=tmp_path,
    )
    assert ran.code == 1
    assert "unrecognized arguments: --no-such-flag" in ran.err.splitlines()[-1]
    assert len((tmp_path / "s" / "ledger.jsonl").read_text().splitlines()) >= 2


def interrupt(folder: Path, number: int) -> Running:
    """Start a study, and send ``number`` while its third start serves."""
    with Running(*SCRIPTED, *DTYPE, "--study", "s", cwd=folder) as running:
        third = folder / "s" / "starts" / "003" / "plan.json"
        until(third.exists, 120, "the third start")
        until(lambda: bool(running.ports()), 60, "a server that listens")
        ports = running.ports()
        running.kill(number)
        running.process.wait(60)
        until(lambda: not running.survivors(), 60, "the end of the server tree")
        assert all(map(free, ports))
    return running


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_any_end_leaves_nothing_and_resume_goes_on(tmp_path: Path, number: int) -> None:
    running = interrupt(tmp_path, number)
    assert running.process.returncode == (-9 if number == signal.SIGKILL else 130)
    kept = (tmp_path / "s" / "ledger.jsonl").read_text().splitlines()
    assert len(kept) - 1 >= 2
    resumed = trimtab("tune", "--study", "s", "--resume", "--json", cwd=tmp_path)
    assert resumed.code == 0, resumed.err
    lines = (tmp_path / "s" / "ledger.jsonl").read_text().splitlines()
    assert lines[: len(kept)] == kept
    assert resumed.json()["starts"] == len(lines) - 1


def test_resume_without_a_study_says_so(tmp_path: Path) -> None:
    ran = trimtab("tune", "--resume", cwd=tmp_path)
    assert ran.code == 2
    assert "--study" in one_line(ran)


def test_a_full_disk_ends_in_one_line_and_a_consistent_study(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs privilege")
    try:
        ran = trimtab(*SCRIPTED, *DTYPE, "--study", "s", cwd=disk)
        assert ran.code == 1
        assert "space" in ran.err.splitlines()[-1]
        for line in (disk / "s" / "ledger.jsonl").read_text().splitlines():
            json.loads(line)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_help_has_examples() -> None:
    ran = trimtab("tune", "--help", cwd=Path.cwd())
    assert ran.code == 0
    assert "trimtab tune --dry-run" in ran.out


def test_version() -> None:
    ran = trimtab("--version", cwd=Path.cwd())
    assert (ran.code, ran.out.split()[0]) == (0, "trimtab")

"""The benchmarks run as their docs say, on a very small question each."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "benchmarks"


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / words[0]), *words[1:]]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=250)


def test_the_search_against_peers(tmp_path: Path) -> None:
    ran = run(
        *("search.py", "--studies", "3", "--peer-studies", "2", "--landscapes", "L1"),
        *("--noise", "0.02", "--starts", "24", "--peers", "random", "greedy", "--out", "t.md"),
        cwd=tmp_path,
    )
    assert ran.returncode == 0, ran.stderr
    page = (tmp_path / "t.md").read_text()
    for tuner in ("trimtab proven", "trimtab max", "random", "greedy"):
        assert f"| L1, 2 %, 24 | {tuner} |" in page
    assert "| something kept that does nothing" not in page  # that is L0's target
    assert "| a 5 % gain is proven" in page


def test_the_search_against_peers_over_levels(tmp_path: Path) -> None:
    ran = run(
        *("search.py", "--studies", "2", "--landscapes", "L5", "--noise", "0.02"),
        *("--starts", "24", "--peers", "random", "grid (vllm bench sweep)", "one at a time"),
        *("t-tests, 3 repeats", "greedy", "--out", "t.md"),
        cwd=tmp_path,
    )
    assert ran.returncode == 0, ran.stderr
    page = (tmp_path / "t.md").read_text()
    assert page.count("| L5, 2 %, 24 | ") >= 7
    grid = next(line for line in page.splitlines() if "| grid (vllm bench sweep) |" in line)
    # 5 levels of one tuning times 4 of another fill the budget, so the third gain is never tried
    assert grid.split(" | ")[7].startswith("0.00")


@pytest.mark.skipif(find_spec("optuna") is not None, reason="optuna is there")
def test_a_peer_that_is_not_installed_is_named(tmp_path: Path) -> None:
    ran = run("search.py", "--studies", "1", cwd=tmp_path)
    assert ran.returncode == 2
    assert "TPE (auto-tuning-vllm) needs optuna: pip install -e '.[bench]'" in ran.stderr


def test_the_load_client_alone(tmp_path: Path) -> None:
    ran = run("load.py", "--alone", "--streams", "1", "--rounds", "1", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert "| 1 | trimtab |" in ran.stdout
    assert "Open loop, Poisson" in ran.stdout
    rows = [line.split(" | ") for line in ran.stdout.partition("| what |")[2].splitlines()[2:]]
    targets = [row[1] for row in rows if len(row) > 2]
    assert targets == ["1.5", "1", "0.6", "0.5", "0.3", "30", "100"]
    assert all("nan" not in row[-1] for row in rows)

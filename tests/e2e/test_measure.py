"""``trimtab bench`` and ``trimtab compare`` on the scripted server."""

import json
import signal
from pathlib import Path

import pytest

from tests.e2e.cli import Running, free, trimtab, until
from tests.json_page import commands
from tests.support.scripted import scripted

pytestmark = pytest.mark.alone

PAGE = commands()
ENGINE = ("--engine", "scripted", "--shared-host")


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which the scripted server is a fifth faster with blocks of 32 tokens."""
    effect = {"when": {"arg": ["--block-size", "32"]}, "log_effect": 0.2}
    noise = {"sd": 0.01, "seed": 1, "counter": str(tmp_path / "starts.count")}
    path = tmp_path / "behaviour.json"
    known = {"effects": [effect], "noise": noise, "token_seconds": 0.01, "ttft_seconds": 0.02}
    path.write_text(json.dumps(known))
    monkeypatch.setenv("TRIMTAB_SCRIPTED", str(path))
    return tmp_path


def test_a_planted_gain_is_better_and_all_starts_are_kept(planted: Path) -> None:
    (planted / "b.sh").write_text("vllm serve m --block-size 32\n")
    words = ("compare", "stock", "b.sh", *ENGINE, "--study", "c", "--json")
    ran = trimtab(*words, cwd=planted)
    assert ran.code == 0, ran.err
    found = ran.json()
    PAGE["compare"].require(found)
    assert found["answer"] == "better"
    assert 1.1 < found["ratio"] < 1.4
    assert found["low"] > 1
    assert found["pairs"] in (4, 6, 8, 12)
    lines = (planted / "c" / "ledger.jsonl").read_text().splitlines()
    assert len(lines) - 1 == found["starts"] >= 8
    again = trimtab(*words, "--resume", cwd=planted)
    assert again.json() == found, "a finished comparison answers the same again"
    assert trimtab(*words, cwd=planted).code == 2
    other = trimtab("compare", "stock", "stock", *ENGINE, "--study", "c", "--resume", cwd=planted)
    assert other.code == 2
    assert "holds a study with" in other.err


def test_a_preset_is_measured_as_it_stands(planted: Path) -> None:
    behaviour = planted / "behaviour.json"
    behaviour.write_text(json.dumps({**json.loads(behaviour.read_text()), "platform": "ascend"}))
    words = ("compare", "stock", "guide-v1", *ENGINE, "--pairs", "2", "--study", "p", "--json")
    ran = trimtab(*words, cwd=planted)
    assert ran.code == 0, ran.err
    assert (ran.json()["a"], ran.json()["b"]) == ("stock", "guide-v1")
    assert "guide-v1 without npu-max-split-size: line 151 replaces it" in ran.err
    plans = [json.loads(path.read_text()) for path in planted.glob("p/starts/*/plan.json")]
    given = [dict(plan["settings"]["env"]).get("TASK_QUEUE_ENABLE") for plan in plans]
    assert sorted(given, key=str) == ["2", "2", None, None]
    ran = trimtab("compare", "stock", "image-cuda", *ENGINE, cwd=planted)
    assert (ran.code, ran.err.splitlines()[-1]) == (
        2,
        (
            "trimtab: image-cuda is not measured here, because nothing on ascend reads what "
            "it sets: measure stock instead"
        ),
    )


def test_a_comparison_by_what_no_start_has_ends(planted: Path) -> None:
    # an answer of one token has no time per further token
    (planted / "one.yaml").write_text(
        "input_tokens: 8\noutput_tokens: 1\narrival: {concurrency: 4}\nwindow_requests: 12\n"
        "windows: 1\n"
    )
    words = ("--objective", "tpot_p50", "--pairs", "2", "--workload", "one.yaml")
    ran = trimtab("compare", "stock", "stock", *ENGINE, *words, "--study", "o", cwd=planted)
    assert ran.code == 1
    assert ran.err.splitlines()[-1].startswith(
        "trimtab: tpot_p50 must decide, but no start has it: this workload does not give it"
    )
    assert len((planted / "o" / "ledger.jsonl").read_text().splitlines()) - 1 == 2


def test_bench_gives_an_interval_over_starts(planted: Path) -> None:
    ran = trimtab("bench", *ENGINE, "--starts", "4", "--study", "b", "--json", cwd=planted)
    assert ran.code == 0, ran.err
    PAGE["bench"].require(ran.json())
    events = [json.loads(line) for line in ran.err.splitlines()]
    assert {one["event"] for one in events} >= {"study", "start", "state", "end", "note"}
    metrics = {one["metric"]: one for one in ran.json()["metrics"]}
    own = metrics["output_throughput"]
    assert own["starts"] == ran.json()["starts"] == 4
    assert "4 starts of up to 2 windows: expect an interval of -7.6 % to +8.3 %" in ran.err
    assert own["low"] < own["value"] < own["high"]
    one = trimtab("bench", *ENGINE, "--starts", "1", "--study", "o", cwd=planted)
    assert "no interval from 1 start: an interval takes 4 or more" in one.out
    assert "note: the p99 of 1 start rests on fewer than 1,000 requests" in one.out


def test_a_measurement_that_is_killed_goes_on(planted: Path) -> None:
    words = ("bench", *ENGINE, "--starts", "3", "--study", "b", "--json")
    with Running(*words, cwd=planted) as running:
        second = planted / "b" / "starts" / "002" / "plan.json"
        until(second.exists, 60, "the second start")
        until(lambda: bool(running.ports()), 30, "a server that listens")
        ports = running.ports()
        running.kill(signal.SIGKILL)
        running.process.wait(60)
        until(lambda: not running.survivors(), 30, "the end of the server tree")
        assert all(map(free, ports))
    ran = trimtab(*words, "--resume", cwd=planted)
    assert ran.code == 0, ran.err
    assert ran.json()["starts"] == 3


def test_a_server_that_runs_already_is_measured(tmp_path: Path) -> None:
    with scripted(tmp_path) as server:
        words = ("--url", server.url, "--workload", "tiny", "--shared-host", "--json")
        ran = trimtab("bench", *words, cwd=tmp_path)
        assert ran.code == 0, ran.err
        PAGE["bench"].require(ran.json())
        own = {one["metric"]: one for one in ran.json()["metrics"]}["output_throughput"]
        assert own["value"] > 0
        assert (own["low"], own["starts"]) == (None, 1)
    assert trimtab("bench", *words, cwd=tmp_path).code == 1, "it is gone"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ("bench", "none.sh"),
            "none.sh is neither a file, nor a tuning's value (NAME=VALUE), nor",
        ),
        (("bench", "guide-v3"), "did you mean guide-v2, guide-v1"),
        (("bench", "task-queue"), "task-queue is a tuning: say which value of it, as task-queue="),
        (("compare", "stock", "nosuch"), "nor a preset: these are stock, guide"),
        (("compare", "stock", "nosuchtuning=3"), "'nosuchtuning': 'trimtab catalog' lists all"),
        (("bench", "--url", "localhost:1"), "--url must be such as"),
        (("bench", "--url", "http://127.0.0.1:9"), "9: connection refused: start it, or give its"),
        (
            ("capacity", "--url", "http://127.0.0.1:9", "--slo", "ttft_p99<=1s"),
            "connection refused",
        ),
        (("bench", "--study", __file__), "--study must be a folder, but"),
        (("tune", "--study", __file__), "--study must be a folder, but"),
        (("tune", "--study", "none", "--resume"), "none holds no study to resume"),
        (("compare", "stock", "stock", "--margin", "much"), "--margin must be a share"),
        (("bench", "--resume", "--study", "none"), "holds no measurement"),
    ],
)
def test_a_wrong_call_is_one_line(tmp_path: Path, words: tuple[str, ...], says: str) -> None:
    engine = () if "--url" in words else ENGINE  # a server that runs has its own
    ran = trimtab(*words, *engine, cwd=tmp_path)
    assert ran.code == (1 if "http://127.0.0.1:9" in words else 2)
    assert says in ran.err
    assert ran.err.count("\n") == 1, ran.err


def test_capacity_is_found_bounded_and_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # four at a time, 0.1 s each: 40 requests a second, and a queue well before
    path = tmp_path / "behaviour.json"
    path.write_text(json.dumps({"token_seconds": 0.01, "ttft_seconds": 0.03}))
    monkeypatch.setenv("TRIMTAB_SCRIPTED", str(path))
    (tmp_path / "four.sh").write_text("vllm serve m --max-num-seqs 4\n")
    words = ("capacity", "four.sh", *ENGINE, "--slo", "ttft_p90<=100ms", "--requests", "40")
    ran = trimtab(*words, "--starts", "4", "--study", "c", "--json", cwd=tmp_path)
    assert ran.code == 0, ran.err
    found = ran.json()
    PAGE["capacity"].require(found)
    assert 5 < found["low"] < found["capacity"] < 60
    assert len(found["each"]) == len(found["probes"]) == 4
    # four that search and one that tries the bound; a busy machine has starts repeated
    assert found["starts"] >= 5
    assert found["verified"] in (True, False)
    assert found["probe_e2e"] > 0
    margins = [(one["rate"], one["margin"]) for one in found["probes"][0] if not one["void"]]
    assert min(margins)[1] < 0 < max(margins)[1]
    again = trimtab(*words, "--starts", "4", "--study", "c", "--resume", cwd=tmp_path)
    assert "95 % bound over 4 starts" in again.out
    assert "nearly the largest" not in again.out

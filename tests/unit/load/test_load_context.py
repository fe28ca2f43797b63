"""What a load needs of a server's context and of this process's files, known before a start."""

from __future__ import annotations

import json
import resource
from pathlib import Path

import pytest

from trimtab.engines import checkpoint
from trimtab.errors import UsageError
from trimtab.load import transport
from trimtab.load.preflight import longest_request, requested_context, require_context
from trimtab.load.requests import build_requests
from trimtab.load.workload import Workload, load_workload, validate_workload


def workload(**changed: object) -> Workload:
    asked = {"input_tokens": 100, "output_tokens": 20, "arrival": {"concurrency": 4}, **changed}
    return validate_workload("w", {"name": "w", **asked})


@pytest.mark.parametrize(
    ("changed", "tokens"),
    [
        ({}, 120),
        ({"shared_prefix": 30}, 150),
        ({"turns": 3}, 360),
        ({"input_tokens": [10, 400]}, 420),
    ],
)
def test_the_longest_request(changed: dict[str, object], tokens: int) -> None:
    assert longest_request(workload(**changed)) == tokens


def test_an_upper_bound_that_hardly_comes_is_not_taken_for_a_length() -> None:
    assert longest_request(workload(input_tokens={"min": 10, "max": 400})) in range(380, 421)
    rare = workload(input_tokens={"median": 100, "sigma": 0.1, "max": 100_000})
    assert longest_request(rare) in range(120, 200)


@pytest.mark.parametrize("name", ["chat", "code", "agent", "batch"])
def test_the_longest_request_is_that_of_the_load_itself(name: str) -> None:
    asked = load_workload(name)
    requests = build_requests(asked, 3, 32_000)
    real = max(len(one.prompt) + one.output_tokens for one in requests)
    found = longest_request(asked)
    assert found is not None
    assert 0.6 < found / real < 1.6


def test_a_trace_is_as_long_as_its_longest_request(tmp_path: Path) -> None:
    trace = tmp_path / "t.jsonl"
    lines = [{"timestamp": 10 * n, "input_length": 50 + n, "output_length": 5} for n in range(100)]
    trace.write_text("".join(json.dumps(one) + "\n" for one in lines))
    given = {"arrival": {"trace": str(trace)}, "windows": 1, "warmup": 0}
    asked = validate_workload("w", {"name": "w", **given})
    assert longest_request(asked) == 50 + asked.requests - 1 + 5


@pytest.mark.parametrize(
    ("argv", "tokens"),
    [
        (["--max-model-len", "2048"], 2048),
        (["--max-model-len=32k"], 32_000),
        (["--max_model_len=32K"], 32_768),
        (["--max-model-len", "1.5k"], 1500),
        (["--max-model-len", "1024", "--max-model-len", "64"], 64),
        (["--max-model-len", "auto"], None),
        (["--max-model-len"], None),
        ([], None),
    ],
)
def test_what_a_baseline_allows(argv: list[str], tokens: int | None) -> None:
    assert requested_context(argv) == tokens


def test_what_does_not_fit_is_refused() -> None:
    require_context(workload(), 120, "it")
    require_context(workload(), None, "it")
    with pytest.raises(UsageError, match=r"up to 120 tokens .* but it allows 119"):
        require_context(workload(), 119, "it")


@pytest.mark.parametrize(
    ("config", "tokens"),
    [
        ({"max_position_embeddings": 2048}, 2048),
        ({"text_config": {"max_position_embeddings": 64}}, 64),
        ({"max_position_embeddings": 2048, "rope_scaling": {"factor": 4.0}}, None),
        ({"max_position_embeddings": 2048, "rope_parameters": {"rope_theta": 1.0}}, 2048),
        ({}, None),
    ],
)
def test_what_a_model_reaches(
    tmp_path: Path, config: dict[str, object], tokens: int | None
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert checkpoint.context(str(tmp_path)) == tokens


Limits = list[tuple[int, int]]


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> Limits:
    """The process's limits of open files, soft and hard: the last one counts."""
    found: Limits = [(64, 20_000)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: found[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: found.append(pair))
    return found


def test_the_soft_limit_is_raised_to_what_the_load_needs(limits: Limits) -> None:
    asked = workload(arrival={"concurrency": 100})
    transport.require_files(asked)
    assert limits[-1] == (transport.required_files(asked), 20_000)
    transport.require_files(asked)
    assert len(limits) == 2, "it is enough now"


def test_a_hard_limit_that_is_too_low_is_refused_with_the_number(limits: Limits) -> None:
    limits.append((64, 300))
    with pytest.raises(UsageError, match=r"100 streams needs 356 open files.*ulimit -n 356"):
        transport.require_files(workload(arrival={"concurrency": 100}))


def test_an_open_loop_takes_what_it_can_get(limits: Limits) -> None:
    limits.append((64, 300))
    transport.require_files(workload(arrival={"rate": 10.0}, window_requests=1000))
    assert limits[-1] == (300, 300)

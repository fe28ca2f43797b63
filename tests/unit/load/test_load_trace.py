"""Recorded traces: the published formats, shared prefixes, and what is refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from trimtab.errors import WorkloadError
from trimtab.load.requests import build_requests
from trimtab.load.trace import BLOCK, TraceRequest, read_trace
from trimtab.load.workload import load_workload, with_windows

MOONCAKE = """\
{"timestamp": 27482, "input_length": 1100, "output_length": 52, "hash_ids": [46, 47, 48]}
{"timestamp": 30535, "input_length": 700, "output_length": 26, "hash_ids": [46, 2366]}
"""
AZURE = """\
TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:15:46.6805900,374,44
2023-11-16 18:15:50.9951690,396,109
"""
BURST = """\
Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type
5,ChatGPT,472,18,490,Conversation log
45,ChatGPT,1087,0,1087,Conversation log
118,GPT-4,417,276,693,Conversation log
"""
OWN = """\
{"at": 0.5, "input_tokens": 10, "output_tokens": 3}

{"at": 0.75, "input_tokens": 20, "output_tokens": 4, "blocks": []}
"""


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        (
            MOONCAKE,
            (TraceRequest(0.0, 1100, 52, (46, 47, 48)), TraceRequest(3.053, 700, 26, (46, 2366))),
        ),
        (AZURE, (TraceRequest(0.0, 374, 44), TraceRequest(4.314579, 396, 109))),
        (BURST, (TraceRequest(0.0, 472, 18), TraceRequest(113.0, 417, 276))),
        (OWN, (TraceRequest(0.0, 10, 3), TraceRequest(0.25, 20, 4))),
    ],
    ids=["mooncake", "azure", "burstgpt", "own"],
)
def test_the_formats_are_read(
    text: str, entries: tuple[TraceRequest, ...], tmp_path: Path
) -> None:
    path = tmp_path / "trace"
    path.write_text(text)
    found = read_trace(path, 2)
    assert [one.at for one in found] == pytest.approx([one.at for one in entries])
    assert [one.blocks for one in found] == [one.blocks for one in entries]
    lengths = [(one.input_tokens, one.output_tokens) for one in found]
    assert lengths == [(one.input_tokens, one.output_tokens) for one in entries]
    assert read_trace(path, 2, speed=2.0)[1].at == pytest.approx(entries[1].at / 2)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "holds 0"),
        (OWN, "holds 2"),
        ('{"at": 0, "input_tokens": 1}\n', "line 1: .*no 'output_tokens'"),
        ('{"at": "soon", "input_tokens": 1, "output_tokens": 1}\n', "line 1: .*bad value"),
        ('{"at": 1}\n[2]\n', "line 1"),
        ('{"at": 0, "input_tokens": 1, "output_tokens": 1}\nno\n', "line 2: must be one JSON"),
        (AZURE.replace("2023-11-16 18:15:50", "2023-11-16 18:15:10"), "line 3: its time"),
        ("a,b\n1,2\n", "line 2: .*no 'Timestamp'"),
        ('{"at": 0, "input_tokens": 1, "output_tokens": 2000000}\n', "more than 1000000 tokens"),
    ],
)
def test_what_is_no_trace_is_refused_with_its_line(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_text(text)
    with pytest.raises(WorkloadError, match=says):
        read_trace(path, 3)


def test_a_replay_shares_the_prefixes_that_were_shared(tmp_path: Path) -> None:
    (tmp_path / "trace.jsonl").write_text(MOONCAKE)
    (tmp_path / "w.yaml").write_text(
        "arrival: {trace: trace.jsonl}\nwarmup: 0\nwindows: 1\nwindow_requests: 1\n"
    )
    workload = load_workload(str(tmp_path / "w.yaml"))
    assert workload.arrival.sha256 == hashlib.sha256(MOONCAKE.encode()).hexdigest()
    first, second = build_requests(workload, 1, 8192)
    assert (len(first.prompt), len(second.prompt)) == (1100, 700)
    assert first.prompt[:BLOCK] == second.prompt[:BLOCK]
    assert first.prompt[BLOCK : BLOCK + 50] != second.prompt[BLOCK : BLOCK + 50]
    assert [first.at, second.at] == pytest.approx([0.0, 3.053])
    again, _ = build_requests(workload, 2, 8192)
    assert again.prompt != first.prompt


def test_another_content_than_the_named_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(AZURE)
    (tmp_path / "w.yaml").write_text(f"arrival: {{trace: t.csv, sha256: '{'0' * 64}'}}\n")
    with pytest.raises(WorkloadError, match=r"not what arrival\.sha256 names"):
        load_workload(str(tmp_path / "w.yaml"))


@pytest.mark.parametrize(
    ("named", "text", "says"),
    [
        ("arrival: {trace: f}", "garbage\n", "f, line 2: must be a request|but the trace holds 0"),
        ("arrival: {trace: f}", '{"at": 0}\n', "f, line 1: must be a request"),
        ("arrival: {trace: f}", OWN, "needs 3 requests, but the trace holds 2"),
        ("prompts: f\narrival: {concurrency: 1}", "garbage\n", "f, line 1: must be JSON"),
        (
            "prompts: f\narrival: {concurrency: 1}",
            '{"prompt": "a", "output_tokens": 1}\n',
            "needs 3 different ones, but there are 1",
        ),
    ],
)
def test_a_file_without_a_load_in_it_is_refused_when_the_workload_is_loaded(
    named: str, text: str, says: str, tmp_path: Path
) -> None:
    (tmp_path / "f").write_text(text)
    size = "warmup: 1\nwindows: 1\nwindow_requests: 1\n"
    (tmp_path / "w.yaml").write_text(f"{named}\n{size}")
    with pytest.raises(WorkloadError, match=says):
        load_workload(str(tmp_path / "w.yaml"))


def test_fewer_windows_may_make_a_trace_long_enough(tmp_path: Path) -> None:
    (tmp_path / "f").write_text(OWN)
    (tmp_path / "w.yaml").write_text(
        "arrival: {trace: f}\nwarmup: 0\nwindows: 9\nwindow_requests: 1\n"
    )
    with pytest.raises(WorkloadError, match="needs 10 requests"):
        load_workload(str(tmp_path / "w.yaml"))
    asked = load_workload(str(tmp_path / "w.yaml"), windows=1)
    assert len(build_requests(asked, 1, 8192)) == 2
    with pytest.raises(WorkloadError, match="needs 3 requests"):
        with_windows(asked, 2)

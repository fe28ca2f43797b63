"""A server that somebody else started: found, read and judged by its own lines of the log."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.support.scripted import scripted
from tests.support.show_samples import profile_of
from trimtab import engines
from trimtab.cli.app import app
from trimtab.errors import UsageError
from trimtab.model import Check, CheckKind, Settings
from trimtab.profiles.profile import write_profile
from trimtab.server.live_server import LINE_LIMIT, LiveServer, read_ends

STALE = (
    "(APIServer pid=4194305) INFO non-default args: {'max_num_seqs': 99}\n"
    "(EngineCore pid=4194306) INFO Initializing a V1 LLM engine (v1) with config: seed=99\n"
)


def test_what_an_earlier_server_left_in_the_log_is_not_believed(tmp_path: Path) -> None:
    with scripted(tmp_path, None, "--max-num-seqs", "7") as server:
        mixed = tmp_path / "appended.log"
        mixed.write_text(server.log.read_text() + STALE)
        live = LiveServer(server.process.pid, engines.observer("scripted"), mixed)
        assert live.url == server.url
        found = live.reported_config()
        assert (found["args.max_num_seqs"], found["seed"]) == (7, 0)
        old = tmp_path / "old.log"
        old.write_text(STALE)
        stale = LiveServer(server.process.pid, engines.observer("scripted"), old)
        assert "args.max_num_seqs" not in stale.reported_config()


def test_a_process_that_listens_nowhere_reports_what_its_log_says(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(STALE + f"(APIServer pid={os.getpid()}) non-default args: {{'seed': 5}}\n")
    live = LiveServer(os.getpid(), engines.observer("vllm"), log)
    live.url = None
    assert live.reported_config() == {"args.seed": 5}
    with pytest.raises(UsageError, match="cannot be read"):
        LiveServer(os.getpid(), engines.observer("vllm"), tmp_path / "no").reported_config()


def test_a_long_log_is_read_at_both_ends_in_whole_lines(tmp_path: Path) -> None:
    log = tmp_path / "log"
    lines = [f"line {number}\n" for number in range(1000)]
    log.write_text("".join(lines))
    text = read_ends(log, 100)
    assert text.startswith("line 0\n")
    assert text.endswith("line 999\n")
    assert len(text) <= 200
    assert set(text.splitlines(keepends=True)) <= set(lines)
    for limit in (len(log.read_text()) // 2, 10**6):
        assert read_ends(log, limit) == "".join(lines)


def test_a_line_without_end_is_cut(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("first\n" + "x" * 1_000_000 + "\nlast\n")
    first, long, last = read_ends(log).splitlines()
    assert (first, len(long), last) == ("first", LINE_LIMIT, "last")


@pytest.mark.parametrize("name", ["python", "vllm"])
def test_a_profile_of_an_engine_that_is_not_here_is_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    from dataclasses import replace

    monkeypatch.setenv("PATH", "/nonexistent")
    profile = profile_of(Settings(("/gone/vllm", "serve", "m")))
    for expected, code in ((0, 0), (1, 1)):
        check = Check(CheckKind.ROLES, "worker", expected)
        wanted = replace(
            profile,
            engine=replace(profile.engine, name=name),
            plan=replace(profile.plan, checks=(check,)),
        )
        path = tmp_path / f"{expected}.yaml"
        write_profile(wanted, path)
        words = ["doctor", "--pid", str(os.getpid()), "--profile", str(path), "--json"]
        ran = CliRunner().invoke(app, words)
        assert ran.exit_code == code, ran.output
        assert '"worker"' in ran.output

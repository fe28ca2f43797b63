"""The keeper by itself: what it says on its status pipe, and when it ends."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from trimtab.processes import keeper

SCRIPT = Path(keeper.__file__)


@pytest.fixture
def kept() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(
        [sys.executable, "-I", "-S", str(SCRIPT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        yield process
        process.kill()


def ask(process: "subprocess.Popen[bytes]", *argv: str, **more: object) -> None:
    assert process.stdin is not None
    spec = {"argv": argv, "env": {"SEEN": "yes"}, "affinity": None, "grace": 0.5, **more}
    process.stdin.write(json.dumps(spec).encode() + b"\n")
    process.stdin.flush()


def said(process: "subprocess.Popen[bytes]") -> list[dict[str, object]]:
    assert process.stdout is not None
    return [json.loads(line) for line in process.stdout]


@pytest.mark.parametrize(
    ("script", "code"),
    [("exit 7", 7), ("exit 0", 0), ("sleep 0.3; exit 7", 7), ("kill -9 $$", -9)],
)
def test_it_reports_the_start_and_the_end(
    kept: "subprocess.Popen[bytes]", script: str, code: int
) -> None:
    ask(kept, "/bin/sh", "-c", script)
    started, ended, gone = said(kept)
    assert started["event"] == "started"
    assert ended == {"event": "exit", "pid": started["pid"], "code": code}
    assert gone == {"event": "gone", "killed": [], "left": []}
    assert kept.wait() == 0


def test_its_command_has_the_environment_asked_for_and_no_other(
    kept: "subprocess.Popen[bytes]", tmp_path: Path
) -> None:
    ask(kept, "/bin/sh", "-c", f"/usr/bin/env > {tmp_path}/env; echo out; echo err >&2")
    said(kept)
    assert kept.stderr is not None
    assert kept.stderr.read() == b"out\nerr\n"
    names = {line.partition("=")[0] for line in (tmp_path / "env").read_text().splitlines()}
    assert names - {"PWD", "SHLVL", "_", "OLDPWD"} == {"SEEN"}


def test_what_survives_sigterm_is_killed_and_named(kept: "subprocess.Popen[bytes]") -> None:
    ask(kept, "/bin/sh", "-c", "trap '' TERM; sleep 600 & echo $! >&2; wait; sleep 600")
    assert kept.stderr is not None
    assert kept.stdin is not None
    child = int(kept.stderr.readline())  # the trap is set before this line
    kept.stdin.close()
    started, ended, gone = said(kept)
    assert ended["code"] == -9
    assert set(gone["killed"]) >= {started["pid"], child}  # type: ignore[call-overload]
    assert gone["left"] == []


def test_what_outlives_the_command_is_ended_with_it(kept: "subprocess.Popen[bytes]") -> None:
    ask(kept, "/bin/sh", "-c", "setsid sleep 600 & echo $! >&2; sleep 0.2")
    assert kept.stderr is not None
    pid = int(kept.stderr.readline())
    assert [message["event"] for message in said(kept)] == ["started", "exit", "gone"]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_program_that_is_not_there_fails(kept: "subprocess.Popen[bytes]") -> None:
    ask(kept, "/nonexistent")
    (failed,) = said(kept)
    assert failed["event"] == "failed"
    assert "No such file" in str(failed["error"])
    assert kept.wait() == 1


def test_without_a_command_it_ends(kept: "subprocess.Popen[bytes]") -> None:
    assert kept.stdin is not None
    kept.stdin.close()
    assert said(kept) == []
    assert kept.wait() == 0


def test_a_line_after_the_command_means_stop(kept: "subprocess.Popen[bytes]") -> None:
    ask(kept, "/bin/sh", "-c", "sleep 600")
    assert kept.stdout is not None
    assert kept.stdin is not None
    assert b"started" in kept.stdout.readline()
    kept.stdin.write(b"\n")
    kept.stdin.flush()
    assert [message["event"] for message in said(kept)] == ["exit", "gone"]


def lines(numbers: range) -> bytes:
    return b"".join(b"line %06d\n" % number for number in numbers)


def test_a_log_that_floods_keeps_its_ends_and_grows_on(tmp_path: Path) -> None:
    path = tmp_path / "engine.log"
    with path.open("ab", buffering=0) as log:
        log.write(lines(range(10_000)))
        keeper.shorten(log.fileno(), 200_000, 1000, 2000)
        assert path.stat().st_size == 120_000, "it is not long yet"
        keeper.shorten(log.fileno(), 100_000, 1000, 2000)
        log.write(b"after\n")
    head, mark, *tail = path.read_bytes().partition(b"[trimtab: ")
    assert head == lines(range(83))
    left, _, end = tail[0].partition(b" bytes left out]\n")
    assert end.endswith(b"line 009999\nafter\n")
    assert mark
    assert abs(int(left) - (120_000 - 3000)) < 24
    assert set(end.splitlines(keepends=True)) <= {
        *lines(range(10_000)).splitlines(True),
        b"after\n",
    }


def test_a_log_of_one_line_is_shortened_too(tmp_path: Path) -> None:
    path = tmp_path / "engine.log"
    with path.open("ab", buffering=0) as log:
        log.write(b"x" * 1_000_000)
        keeper.shorten(log.fileno(), 100_000, 10_000, 20_000)
    assert path.stat().st_size < 31_000
    assert path.read_bytes().endswith(b"x" * 20_000)


def test_what_is_no_file_is_left_alone() -> None:
    read, written = os.pipe()
    try:
        keeper.shorten(written, 0, 0, 0)
        keeper.shorten(-1, 0, 0, 0)
    finally:
        os.close(read)
        os.close(written)


def test_the_keeper_shortens_a_log_while_the_server_goes_on(tmp_path: Path) -> None:
    """The script floods its log until it sees it short, and ends well only then."""
    script = (
        "import os, sys\n"
        "block = b'x' * 99 + b'\\n'\n"
        "top = 0\n"
        "while True:\n"
        "    os.write(2, block * 10000)\n"
        "    size = os.fstat(2).st_size\n"
        "    if size < top:\n"
        "        sys.exit(7)\n"
        "    top = size\n"
        "    if top > 1 << 26:\n"
        "        import time; time.sleep(0.05)\n"
    )
    path = tmp_path / "engine.log"
    with (
        path.open("ab") as log,
        subprocess.Popen(
            [sys.executable, "-I", "-S", str(SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        ) as process,
    ):
        ask(process, sys.executable, "-I", "-c", script)
        told = said(process)
        process.kill()
    assert [one["code"] for one in told if one["event"] == "exit"] == [7]
    assert path.stat().st_size < 64 << 20

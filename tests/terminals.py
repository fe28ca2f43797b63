"""Commands of trimtab in a terminal of some width, and in a pipe."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Sequence
from pathlib import Path

TRIMTAB = (sys.executable, "-m", "trimtab")
STYLE = re.compile(r"\x1b\[[0-9;]*m")
_STEER = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def _environment(changed: dict[str, str]) -> dict[str, str]:
    left_out = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TERMINAL_WIDTH")
    known = {name: value for name, value in os.environ.items() if name not in left_out}
    return {**known, "TERM": "xterm-256color", **changed}


def in_terminal(words: Sequence[str], cwd: Path, columns: int = 80, **env: str) -> tuple[int, str]:
    """Return the exit code and all that the command writes to a terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    with subprocess.Popen(
        [*TRIMTAB, *words],
        cwd=cwd,
        env=_environment(env),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        written = bytearray()
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the terminal has no writer any more
                break
            if not part:
                break
            written += part
        code = process.wait()
    os.close(ours)
    return code, written.decode().replace("\r\n", "\n")


def in_pipe(words: Sequence[str], cwd: Path, **env: str) -> tuple[int, str, str]:
    """Return the exit code, standard output and standard error of a command in pipes."""
    done = subprocess.run(
        [*TRIMTAB, *words],
        cwd=cwd,
        env=_environment(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def too_long(text: str, columns: int = 80) -> list[str]:
    """Return the lines that are wider than a terminal and could have been broken.

    A word that is longer than its line may stand alone, and a command to paste stays whole.
    """
    plain = [_STEER.sub("", line).rstrip() for line in text.splitlines()]
    return [
        line
        for line in plain
        if len(line) > columns and len(line.split()) > 1 and not _pasted(line)
    ]


_COMMANDS = re.compile(
    r"\s*(trimtab|vllm|env|apt-get|dnf|pip|echo|sysctl|printf|mkdir|cat|sed|/\S+) .*"
)


def _pasted(line: str) -> bool:
    return bool(_COMMANDS.fullmatch(line)) and not line.startswith("trimtab: ")

"""How long a command takes from the shell, against a bare interpreter, side by side.

    python benchmarks/startup.py [--rounds 15]

Every round runs all commands once, in random order, so that a noisy machine disturbs them alike;
what counts are the ratios to ``python -c pass`` within a round, with a 95 % interval of their
median (order statistics). ``--breakdown`` prints what the modules cost, by ``-X importtime``.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from scipy import stats

BARE = ("bare", (sys.executable, "-c", "pass"))
LINES = 200


def script() -> str:
    """Return a launch script of 200 lines: exports, a function, comments, one server."""
    body = ["#!/bin/bash", "set -e"]
    names = ("TASK_QUEUE_ENABLE", "HCCL_BUFFSIZE", "OMP_NUM_THREADS", "HCCL_OP_EXPANSION_MODE")
    values = ("1", "400", "4", "AIV")
    while len(body) < LINES - 3:
        at = len(body) % 4
        body.append(
            "# why the next line is here" if len(body) % 3 else f"export {names[at]}={values[at]}"
        )
    return "\n".join([*body, "ulimit -n 65536", "vllm serve m --max-num-seqs 64", ""])


def seconds(command: Sequence[str]) -> float:
    """Return the wall time of one run."""
    begin = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return time.perf_counter() - begin


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return a 95 % interval of the median by order statistics (binomial)."""
    ordered = sorted(values)
    low = int(stats.binom.ppf(0.025, len(ordered), 0.5))
    return ordered[max(0, low - 1)], ordered[min(len(ordered) - 1, len(ordered) - low)]


def breakdown(command: Sequence[str]) -> str:
    """Return the ten modules of the project that cost most, in milliseconds of their own."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", *command], capture_output=True, text=True
    )
    rows = []
    for line in done.stderr.splitlines():
        parts = line.removeprefix("import time:").split("|")
        if len(parts) == 3 and parts[0].strip().isdigit():
            rows.append((int(parts[0]), parts[2].strip()))
    total = sum(own for own, _ in rows) / 1000
    top = sorted(rows, reverse=True)[:10]
    return f"imports {total:.0f} ms: " + ", ".join(f"{name} {own / 1000:.1f}" for own, name in top)


def main() -> None:
    """Measure and print one line for each command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--breakdown", action="store_true")
    asked = parser.parse_args()
    trimtab = str(Path(sys.executable).with_name("trimtab"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "serve.sh"
        path.write_text(script())
        commands = dict(
            [
                BARE,
                ("trimtab --version", (trimtab, "--version")),
                (f"trimtab lint, {LINES} lines", (trimtab, "lint", str(path))),
                ("trimtab doctor", (trimtab, "doctor")),
                ("trimtab catalog", (trimtab, "catalog")),
            ]
        )
        for command in commands.values():
            seconds(command)  # caches warm for everyone alike
        taken: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(asked.rounds):
            for name in random.sample(list(commands), len(commands)):
                taken[name].append(seconds(commands[name]))
        for name, times in taken.items():
            ratios = [a / b for a, b in zip(times, taken["bare"], strict=True)]
            low, high = interval(ratios)
            shown = f"{median(ratios):6.1f}x [{low:.1f}, {high:.1f}] of a bare python"
            print(f"{name:24} {shown}; median {median(times):.3f} s")
        if asked.breakdown:
            print(breakdown(["trimtab", "lint", str(path)]))
            print(breakdown(["trimtab", "doctor"]))


if __name__ == "__main__":
    main()

"""The peak resident memory of processes, read of real ones."""

import os
import subprocess
import sys

from trimtab.processes import procfs

BYTES = 64 * 2**20
PROGRAM = f"import sys; held = bytearray({BYTES}); del held; print('ready', flush=True); input()"


def test_what_a_process_has_freed_counts() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        alone = procfs.peak_memory([process.pid])
        both = procfs.peak_memory([process.pid, os.getpid()])
        process.communicate("\n")
    assert alone is not None
    assert both is not None
    assert BYTES < alone < both


def test_a_process_that_is_gone_has_none() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert procfs.peak_memory([process.pid]) is None

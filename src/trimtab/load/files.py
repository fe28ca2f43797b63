"""The files that this process may have open: each stream of a load is one."""

from __future__ import annotations

import resource
from typing import Final

from trimtab.errors import UsageError
from trimtab.load.workload import Workload

_OWN: Final = 256
"""Files beside the streams: what is read of a tree of processes, ledgers, pipes, libraries."""

_OPEN_LOOP: Final = 4096
"""Streams that an open loop may have at once: it opens one for each request that waits."""


def required_files(workload: Workload) -> int:
    """Return how many files a load may have open at once.

    A closed loop has as many streams as it names. In an open loop every request of the load may
    be on its way at once, should the server stand still.
    """
    streams = workload.concurrency or min(workload.requests, _OPEN_LOOP)
    return streams + _OWN


def require_files(workload: Workload) -> None:
    """Raise the soft limit of open files to what a load may need.

    Raises:
        UsageError: the hard limit is below what the load needs at least.
    """
    wanted = required_files(workload)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    bound = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if bound < wanted and workload.concurrency is not None:
        raise UsageError(
            f"a load of {workload.concurrency} streams needs {wanted} open files, but this "
            f"process may have {hard}: type 'ulimit -n {wanted}' first (as root if it refuses), "
            "or lower the workload's arrival.concurrency"
        )
    if bound > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (bound, hard))

"""A resource limit of a running process, by prlimit(1)."""

from __future__ import annotations

from trimtab.errors import HostError
from trimtab.host import Host

LABELS = {"nofile": "Max open files", "memlock": "Max locked memory"}
"""How ``/proc/PID/limits`` calls what prlimit(1) calls nofile and memlock."""

_START_FIELD = 19
"""Of ``/proc/PID/stat`` after the name in brackets: field 22, ticks after boot (proc(5))."""


def started(host: Host, pid: str) -> str | None:
    """Return when a process began, in ticks after boot; ``None`` if there is none."""
    if not host.exists(f"/proc/{pid}/stat"):
        return None
    return host.read(f"/proc/{pid}/stat").rpartition(")")[2].split()[_START_FIELD]


class ProcessLimit:
    """``PID:START:NAME``. A process that has ended, or whose number is another's, has none."""

    def read(self, host: Host, name: str) -> str | None:
        """See `Kind.read`."""
        pid, start, limit = name.split(":")
        if started(host, pid) != start:
            return None
        for line in host.read(f"/proc/{pid}/limits").splitlines():
            if line.startswith(LABELS[limit]):
                soft, hard = line.removeprefix(LABELS[limit]).split()[:2]
                return f"{soft}:{hard}"
        raise HostError(f"/proc/{pid}/limits must hold {LABELS[limit]!r}, but does not")

    def write(self, host: Host, name: str, text: str) -> None:
        """See `Kind.write`."""
        pid, start, limit = name.split(":")
        if started(host, pid) != start:
            raise HostError(f"process {pid} must run to get a limit, but has ended")
        host.run(["prlimit", "--pid", pid, f"--{limit}={text}"])

    def restore(self, host: Host, name: str, before: str | None) -> None:
        """See `Kind.restore`."""
        if before is not None:
            self.write(host, name, before)

    def tidy(self, host: Host, name: str) -> None:
        """See `Kind.tidy`: a limit has nothing beside it."""

    def canonical(self, name: str, text: str) -> str:
        """See `Kind.canonical`."""
        return text

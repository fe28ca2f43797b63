"""The limits that sessions begin with: lines of a file of ours that pam_limits(8) reads.

A service of systemd does not begin as a session: its unit says LimitNOFILE= and LimitMEMLOCK=.

A resource limit of a running process, by prlimit(1).
"""

from __future__ import annotations

from trimtab.errors import HostError
from trimtab.host import Host
from trimtab.host_resources.files import File

FILE = "/etc/security/limits.d/99-trimtab.conf"
_WHO = ("*", "root")  # the wildcard does not mean root (limits.conf(5))
_KINDS = ("soft", "hard")
_UNIT = {"memlock": 1024}
"""Bytes of a unit of limits.conf(5), where it is not 1."""


class SessionLimit:
    """``nofile`` or ``memlock``, the latter in bytes; other lines of the file are kept."""

    def read(self, host: Host, name: str) -> str | None:
        """See `Kind.read`."""
        for line in (_file.read(host, FILE) or "").splitlines():
            words = line.split()
            if words[:3] == ["*", "hard", name] and len(words) == 4:
                return _bytes(name, words[3])
        return None

    def write(self, host: Host, name: str, text: str) -> None:
        """See `Kind.write`."""
        folder = FILE.rpartition("/")[0]
        if not host.exists(folder):
            raise HostError(f"{folder} must be there to set {name}, but is not: use --pid")
        lines = self._others(host, name)
        value = _units(name, text)
        lines += [f"{who} {kind} {name} {value}" for who in _WHO for kind in _KINDS]
        _file.write(host, FILE, "".join(f"{line}\n" for line in lines))

    def restore(self, host: Host, name: str, before: str | None) -> None:
        """See `Kind.restore`. A file without a line is removed."""
        if before is not None:
            self.write(host, name, before)
            return
        lines = self._others(host, name)
        _file.restore(host, FILE, "".join(f"{line}\n" for line in lines) if lines else None)

    def tidy(self, host: Host, name: str) -> None:
        """See `Kind.tidy`."""
        _file.tidy(host, FILE)

    def canonical(self, name: str, text: str) -> str:
        """See `Kind.canonical`."""
        return _bytes(name, _units(name, text))

    def _others(self, host: Host, name: str) -> list[str]:
        lines = (_file.read(host, FILE) or "").splitlines()
        return [line for line in lines if line.split()[2:3] != [name]]


_file = File()


def _units(name: str, text: str) -> str:
    return str(int(text) // _UNIT.get(name, 1)) if text.isdigit() else text


def _bytes(name: str, text: str) -> str:
    return str(int(text) * _UNIT.get(name, 1)) if text.isdigit() else text


LABELS = {"nofile": "Max open files", "memlock": "Max locked memory"}
"""How ``/proc/PID/limits`` calls what prlimit(1) calls nofile and memlock."""

_START_FIELD = 19
"""Of ``/proc/PID/stat`` after the name in brackets: field 22, ticks after boot (proc(5))."""


def start_ticks(host: Host, pid: str) -> str | None:
    """Return when a process began, in ticks after boot; ``None`` if there is none."""
    if not host.exists(f"/proc/{pid}/stat"):
        return None
    return host.read(f"/proc/{pid}/stat").rpartition(")")[2].split()[_START_FIELD]


class ProcessLimit:
    """``PID:START:NAME``. A process that has ended, or whose number is another's, has none."""

    def read(self, host: Host, name: str) -> str | None:
        """See `Kind.read`."""
        pid, start, limit = name.split(":")
        if start_ticks(host, pid) != start:
            return None
        for line in host.read(f"/proc/{pid}/limits").splitlines():
            if line.startswith(LABELS[limit]):
                soft, hard = line.removeprefix(LABELS[limit]).split()[:2]
                return f"{soft}:{hard}"
        raise HostError(f"/proc/{pid}/limits must hold {LABELS[limit]!r}, but does not")

    def write(self, host: Host, name: str, text: str) -> None:
        """See `Kind.write`."""
        pid, start, limit = name.split(":")
        if start_ticks(host, pid) != start:
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

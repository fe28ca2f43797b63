"""Which packages of the operating system are installed, from its own database."""

from __future__ import annotations

from trimtab.errors import HostError
from trimtab.host import Host

_DPKG = "/var/lib/dpkg/status"
_LIMIT = 64 * 1024 * 1024


def parse_dpkg(text: str) -> frozenset[str]:
    """Return the installed packages of dpkg's status file (deb822; half-installed ones are not).

    Architectures are left out: what is asked for is of the machine's own.
    """
    found: set[str] = set()
    name = ""
    for line in text.splitlines():
        if line.startswith("Package: "):
            name = line.removeprefix("Package: ").strip()
        elif line.startswith("Status: ") and line.split()[-1:] == ["installed"]:
            found.add(name)
    return frozenset(found)


def read(host: Host, manager: str) -> frozenset[str] | None:
    """Return the names of the installed packages; ``None`` when there is no database to read."""
    try:
        if manager == "apt":
            return parse_dpkg(host.read(_DPKG, _LIMIT))
        said = host.run(("rpm", "-qa", "--queryformat", "%{NAME}\\n"), timeout=60.0)
    except HostError:
        return None
    return frozenset(said.split())

"""Packages of an interpreter's environment, from the names of their metadata folders.

Nothing is imported or run, so it works for any environment: another virtual one, a container's,
a snapshot's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from trimtab.host import Host

_FOLDER = re.compile(r"(?P<name>[\w.+-]+?)-(?P<version>\d[\w.!+]*)\.(dist-info|egg-info)")


def parse_folder(name: str) -> tuple[str, str] | None:
    """Return (canonical name, version) of a metadata folder; ``None`` if it is none (PEP 503)."""
    match = _FOLDER.fullmatch(name)
    if match is None:
        return None
    return re.sub(r"[-_.]+", "-", match["name"]).lower(), match["version"].replace("_", "+")


def folders(prefix: str) -> tuple[str, ...]:
    """Return where an environment keeps packages: venv, Debian, openEuler."""
    return (
        f"{prefix}/lib/python3*/site-packages",
        f"{prefix}/lib64/python3*/site-packages",
        f"{prefix}/lib/python3*/dist-packages",
        f"{prefix}/lib/python3/dist-packages",
        f"{prefix}/local/lib/python3*/dist-packages",
    )


def read(host: Host, python: str) -> Mapping[str, str]:
    """Return name → version of what is installed beside the interpreter at ``python``.

    The first folder that has a name wins, as for an import. Of a virtual environment only its own
    packages are listed.
    """
    prefix = python.rpartition("/bin/")[0]
    found: dict[str, str] = {}
    for pattern in folders(prefix):
        for path in host.glob(f"{pattern}/*.*-info"):
            known = parse_folder(path.rpartition("/")[2])
            if known is not None:
                found.setdefault(*known)
    return found

"""Where a running server has its libraries: in a container not where this process has them."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from trimtab.facts import Facts
from trimtab.facts.libraries import SONAMES, LibraryFacts, folders
from trimtab.model import Fact

_LINKS = 8
"""How many links of a library's name are followed at most; two are usual."""


def facts_of(pid: int, facts: Facts) -> Facts:
    """Return this machine's facts, with the libraries of the process's own root directory."""
    if not _elsewhere(pid):
        return facts
    places = folders(facts.cpu.arch.value)
    paths = {name: _find(pid, name, places) for name in SONAMES}
    return replace(facts, libraries=LibraryFacts(MappingProxyType(paths)))


def _elsewhere(pid: int) -> bool:
    """Whether a process has another root directory than this one; no, where it cannot be seen."""
    try:
        theirs, ours = Path(f"/proc/{pid}/root").stat(), Path("/").stat()
    except OSError:
        return False
    return (theirs.st_dev, theirs.st_ino) != (ours.st_dev, ours.st_ino)


def _find(pid: int, soname: str, places: tuple[str, ...]) -> Fact[str]:
    root = f"/proc/{pid}/root"
    for place in places:
        if os.path.lexists(f"{root}{place}/{soname}"):
            return Fact(_followed(root, f"{place}/{soname}"), root)
    return Fact.unknown(root, f"{soname} is not installed (looked in {', '.join(places)})")


def _followed(root: str, path: str) -> str:
    """Return the file behind a link inside ``root``: the name that the process's maps show."""
    for _ in range(_LINKS):
        try:
            target = Path(root + path).readlink()
        except OSError:
            break
        path = os.path.normpath(Path(path).parent / target)
    return path

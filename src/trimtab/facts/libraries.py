"""Shared libraries that can be preloaded, found by SONAME as the loader would find them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from trimtab.errors import HostError
from trimtab.host import Host
from trimtab.model import Fact

SONAMES = (
    "libjemalloc.so.2",
    "libtcmalloc_minimal.so.4",
    "libtcmalloc.so.4",
    "libiomp5.so",
    "libomp.so.5",
)
"""The libraries that the catalogue preloads. A ``_debug`` or profiler build never matches."""

_LOADER_TAG = {"x86_64": "x86-64", "aarch64": "AArch64"}
_LINE = re.compile(r"\s*(?P<soname>\S+) \((?P<tags>[^)]*)\) => (?P<path>/\S.*)")


@dataclass(frozen=True, slots=True)
class LibraryFacts:
    """SONAME → absolute path. An unknown path's reason says where was looked."""

    paths: Mapping[str, Fact[str]]

    def path(self, soname: str) -> Fact[str]:
        """Return where the library lies."""
        return self.paths.get(soname, Fact.unknown("libraries", f"{soname} was not looked for"))


def parse_ldconfig(text: str, arch: str | None) -> Mapping[str, str]:
    """Return SONAME → path of ``ldconfig -p``, for the machine's own word size.

    The cache lists every architecture that is installed ("libc6,x86-64", "libc6,AArch64",
    "libc6" for 32 bits); only entries of ``arch`` count, all of them when it is unknown.
    """
    tag = _LOADER_TAG.get(arch or "")
    found: dict[str, str] = {}
    for line in text.splitlines():
        match = _LINE.match(line)
        if match is None or (tag is not None and tag not in match["tags"]):
            continue
        found.setdefault(match["soname"], match["path"].strip())
    return found


def folders(arch: str | None) -> tuple[str, ...]:
    """Return the standard folders: Debian and Ubuntu by triplet, openEuler and Fedora lib64."""
    triplet = (f"/usr/lib/{arch}-linux-gnu",) if arch else ()
    return (*triplet, "/usr/lib64", "/usr/local/lib", "/usr/local/lib64", "/usr/lib")


def read(host: Host, arch: str | None, extra: Sequence[str] = ()) -> LibraryFacts:
    """Look for every library of `SONAMES`: loader cache, standard folders, then ``extra``."""
    places = (*folders(arch), *extra)
    try:
        cache = parse_ldconfig(host.run(("ldconfig", "-p")), arch)
    except HostError:
        cache = {}
    paths: dict[str, Fact[str]] = {}
    for soname in SONAMES:
        candidates = [f"{folder}/{soname}" for folder in places]
        present = [path for path in candidates if host.exists(path)]
        if soname in cache:
            paths[soname] = Fact(cache[soname], "ldconfig -p")
        elif present:
            paths[soname] = Fact(present[0], present[0].rpartition("/")[0])
        else:
            paths[soname] = Fact.unknown(
                "ldconfig -p", f"{soname} is not installed (looked in {', '.join(places)})"
            )
    return LibraryFacts(MappingProxyType(paths))

"""The distribution: its package manager, what its packages are called, which are installed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from trimtab.errors import HostError
from trimtab.facts.kernel import parse_os_release
from trimtab.host import Host
from trimtab.prepare import wheels
from trimtab.prepare.target import PrepareTarget

APT: Final = frozenset({"debian", "ubuntu"})
DNF: Final = frozenset({"openeuler"})


@dataclass(frozen=True, slots=True)
class System:
    """A distribution as os-release names it ("ubuntu", "24.04", "noble") and its architecture.

    ``manager`` is "apt", "dnf" or "" for one that is not known here.
    """

    distribution: str
    release: str = ""
    codename: str = ""
    arch: str = ""

    @property
    def manager(self) -> str:
        """The package manager whose packages are known here."""
        if self.distribution in APT:
            return "apt"
        return "dnf" if self.distribution in DNF else ""

    def __str__(self) -> str:
        return f"{self.distribution or 'an unknown distribution'} {self.release}".strip()


def read(host: Host, arch: str | None) -> System:
    """Return the distribution of a machine; what os-release does not say is ""."""
    try:
        text = host.read("/etc/os-release")
    except HostError:
        return System("", arch=arch or "")
    keys = ("ID", "VERSION_ID", "VERSION_CODENAME")
    said = [parse_os_release(text, key) or "" for key in keys]
    return System(said[0].lower(), said[1], said[2], arch or "")


@dataclass(frozen=True, slots=True)
class Base:
    """A distribution to build images on, and its image without a registry."""

    system: System
    image: str
    registry: str = "docker.io"


_PLAIN: Final = {
    "ubuntu": Base(System("ubuntu", "24.04", "noble"), "library/ubuntu:24.04"),
    "debian": Base(System("debian", "12", "bookworm"), "library/debian:12"),
    "openeuler": Base(System("openeuler", "24.03"), "openeuler/openeuler:24.03-lts"),
}
_CANN: Final = {
    "ubuntu": System("ubuntu", "22.04", "jammy"),
    "openeuler": System("openeuler", "24.03"),
}
BASES: Final = tuple(_PLAIN)


def base_of(target: PrepareTarget, name: str, cann: str, python: str = "3.12") -> Base | None:
    """Return the base for a target; ``None`` where there is no image to start from.

    On Ascend it is CANN's image of release ``cann`` with ``python``; its makers build it on two
    distributions.
    """
    if target.platform != "ascend":
        return _PLAIN[name]
    system = _CANN.get(name)
    if system is None:
        return None
    tag = f"{cann.lower()}-{target.image}-{system.distribution}{system.release}-py{python}"
    return Base(system, f"ascend/cann:{tag}", "quay.io")


_APT_PACKAGES: Final = {
    "certificates": "ca-certificates",
    "compiler": "gcc",
    "c++": "g++",
    "numa": "libnuma1",
    "numa-headers": "libnuma-dev",
    "numactl": "numactl",
    "python": "python3",
    "python-headers": "python3-dev",
    "venv": "python3-venv",
    "git": "git",
    "wget": "wget",
    "pci": "pciutils",
    "clang": "clang",
    "cmake": "cmake",
    "make": "make",
    "patch": "patch",
    "jemalloc": "libjemalloc2",
    "tcmalloc": "libgoogle-perftools4",
}
_DNF_PACKAGES: Final = {
    "certificates": "ca-certificates",
    "compiler": "gcc",
    "c++": "gcc-c++",
    "numa": "numactl",
    "numa-headers": "numactl-devel",
    "numactl": "numactl",
    "python": "python3",
    "python-headers": "python3-devel",
    "venv": "python3-pip",
    "git": "git",
    "wget": "wget",
    "pci": "pciutils",
    "clang": "clang",
    "cmake": "cmake",
    "make": "make",
    "patch": "patch",
    "jemalloc": "jemalloc",
    "tcmalloc": "gperftools",
}
_T64: Final = MappingProxyType({"libgoogle-perftools4": "libgoogle-perftools4t64"})
_T64_SINCE: Final = {"ubuntu": (24, 4), "debian": (13,)}
"""Releases whose libraries were rebuilt for a 64-bit time_t, under names that say so."""


def packages(system: System, roles: tuple[str, ...]) -> tuple[str, ...]:
    """Return what the packages of these roles are called in a distribution, in order.

    Sources: Debian and Ubuntu package indexes; vllm-ascend's Dockerfiles for both families.
    """
    if system.manager == "dnf":
        return tuple(dict.fromkeys(_DNF_PACKAGES[role] for role in roles))
    names = tuple(_APT_PACKAGES[role] for role in roles)
    return tuple(_T64.get(name, name) for name in names) if _is_t64(system) else names


def _is_t64(system: System) -> bool:
    since = _T64_SINCE.get(system.distribution)
    numbers = tuple(int(part) for part in re.findall(r"\d+", system.release))
    return since is not None and numbers >= since


def roles_of(target: PrepareTarget) -> Mapping[str, str]:
    """Return the roles that a target needs, each with what for."""
    common = {"certificates": "https addresses", "numa": "binding memory to nodes"}
    compiler = {
        "compiler": "kernels that are compiled at run time",
        "c++": "kernels that are compiled at run time",
    }
    own = {
        **common,
        **compiler,
        "python": "the interpreter",
        "python-headers": "kernels that are compiled at run time",
        "venv": "an environment of its own",
    }
    if target.platform != "ascend":
        return own
    # CANN's image brings the interpreter, with its headers, outside the package manager.
    ascend = {
        **common,
        **compiler,
        "numa-headers": "extensions built from source",
        "numactl": "vllm-ascend's CPU binding",
        "git": "packages built from source",
        "wget": "the guide's downloads",
    }
    if wheels.builds_from_source(target.chip):
        building = "vllm-ascend's kernels, built from source for this chip"
        ascend |= dict.fromkeys(("cmake", "make", "patch"), building)
    if target.chip == "310P":
        return {**ascend, "pci": "lspci, by which 310P's boards are told apart"}
    return {**ascend, "clang": "triton-ascend, which compiles with it"}


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


def read_packages(host: Host, manager: str) -> frozenset[str] | None:
    """Return the names of the installed packages; ``None`` when there is no database to read."""
    try:
        if manager == "apt":
            return parse_dpkg(host.read(_DPKG, _LIMIT))
        said = host.run(("rpm", "-qa", "--queryformat", "%{NAME}\\n"), timeout=60.0)
    except HostError:
        return None
    return frozenset(said.split())

"""Whether this process runs in a container, and in which kind."""

from __future__ import annotations

import re
from dataclasses import dataclass

from trimtab.errors import HostError
from trimtab.host import Host
from trimtab.model import Fact

_INITIAL_PID_NAMESPACE = "pid:[4026531836]"
"""Inode of the kernel's first PID namespace (PROC_PID_INIT_INO in linux/proc_ns.h)."""

_CGROUP_SIGNS = (
    ("kubepods", "kubernetes"),
    ("docker", "docker"),
    ("libpod", "podman"),
    ("containerd", "containerd"),
    ("lxc", "lxc"),
)


@dataclass(frozen=True, slots=True)
class ContainerFacts:
    """``kind``: "none", "docker", "podman", "kubernetes", "containerd", "lxc" or "container"."""

    kind: Fact[str]


def parse_cgroup_kind(text: str) -> str | None:
    """Return the kind of container that ``/proc/self/cgroup`` betrays, if any."""
    for sign, kind in _CGROUP_SIGNS:
        if re.search(rf"[/:.-]{sign}", text):
            return kind
    return None


def parse_root_type(text: str) -> str | None:
    """Return the file-system type of ``/`` in ``/proc/self/mountinfo`` (proc(5))."""
    for line in text.splitlines():
        before, dash, after = line.partition(" - ")
        words = before.split()
        if dash and len(words) > 4 and words[4] == "/":
            return after.split()[0]
    return None


def _read(host: Host, path: str) -> str:
    try:
        return host.read(path)
    except HostError:
        return ""


def _first_namespace(host: Host) -> bool | None:
    try:
        return host.readlink("/proc/self/ns/pid") == _INITIAL_PID_NAMESPACE
    except HostError:
        return None


def _sign(host: Host) -> tuple[str, str] | None:
    """Return the strongest sign of a container as (kind, where)."""
    if host.exists("/var/run/secrets/kubernetes.io"):
        return "kubernetes", "/var/run/secrets/kubernetes.io"
    if kind := parse_cgroup_kind(_read(host, "/proc/self/cgroup")):
        return kind, "/proc/self/cgroup"
    if host.exists("/run/.containerenv"):
        return "podman", "/run/.containerenv"
    if host.exists("/.dockerenv"):
        return "docker", "/.dockerenv"
    return None


def read(host: Host) -> ContainerFacts:
    """Read the kind of container.

    A file such as ``/.dockerenv`` is also found in a virtual machine made from an image, so a
    sign counts only with a PID namespace of its own or an overlay root.
    """
    sign = _sign(host)
    first = _first_namespace(host)
    overlay = parse_root_type(_read(host, "/proc/self/mountinfo")) == "overlay"
    if sign is not None and (first is not True or overlay):
        return ContainerFacts(Fact(*sign))
    if first is None:
        return ContainerFacts(Fact.unknown("/proc/self/ns/pid", "the namespace cannot be read"))
    if not first:
        return ContainerFacts(Fact("container", "/proc/self/ns/pid"))
    return ContainerFacts(Fact("none", "/proc/self/ns/pid"))

"""Whether this process runs in a container, and in which kind.

What an image bakes in, from ``docker image inspect`` (podman and nerdctl print the same).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trimtab.errors import HostError
from trimtab.facts.parsing import run_fact
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


@dataclass(frozen=True, slots=True)
class Image:
    """Environment, entry point and command of an image, and its architecture ("arm64")."""

    env: Mapping[str, str]
    command: tuple[str, ...]
    architecture: str
    user: str


def parse_inspect(text: str) -> Image:
    """Parse the JSON of one image.

    Raises:
        ValueError: it is no such JSON.
    """
    data = json.loads(text)
    one: Any = data[0] if isinstance(data, list) and data else data
    config = one.get("Config") if isinstance(one, dict) else None
    if not isinstance(config, dict):
        raise ValueError("no Config in it")
    pairs = (str(entry).partition("=") for entry in config.get("Env") or ())
    return Image(
        env={name: value for name, equals, value in pairs if equals},
        command=(*_words(config.get("Entrypoint")), *_words(config.get("Cmd"))),
        architecture=str(one.get("Architecture", "")),
        user=str(config.get("User", "")),
    )


def _words(value: object) -> tuple[str, ...]:
    return tuple(str(word) for word in value) if isinstance(value, Sequence) else ()


def read_image(host: Host, name: str, engine: str = "docker") -> Fact[Image]:
    """Ask the container engine about an image that is here already; nothing is pulled."""
    return run_fact(host, (engine, "image", "inspect", name), parse_inspect)

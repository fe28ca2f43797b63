"""Host writes as files that hold them over a boot, as commands, and as a manifest. Pure.

Each form carries only some writes: what it leaves out is named with its reason, never dropped.
A form that has a parser reads back to the same writes.
"""

from __future__ import annotations

import configparser
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trimtab.model import HostWrite
from trimtab.storage import strict_yaml

SYSCTL = "/proc/sys/"
SYSFS = "/sys/"
DEBUGFS = "/sys/kernel/debug/"

_NUMBERED = re.compile(r"^(?P<before>.*?[a-z_])(?P<number>\d+)(?P<after>/.*)?$")
_COMMENT = ("#", ";")


@dataclass(frozen=True, slots=True)
class RenderedFile:
    """The text of a file, and the writes that it cannot carry, each with the reason."""

    text: str
    left_out: tuple[tuple[HostWrite, str], ...] = ()


def sysctl_name(path: str) -> str:
    """Return a file under ``/proc/sys`` as sysctl.d(5) names it.

    Names are written with dots; with slashes where a part holds a dot itself (``eth0.100``),
    because a name whose first separator is a slash is taken as it stands.
    """
    name = path.removeprefix(SYSCTL)
    return name if "." in name else name.replace("/", ".")


def sysctl_path(name: str) -> str:
    """Return the file behind a name of sysctl.d(5); the inverse of `sysctl_name`."""
    first = re.search(r"[./]", name)
    if first is not None and first[0] == ".":
        name = name.translate(str.maketrans("./", "/."))
    return SYSCTL + name


def sysctl_d(writes: Sequence[HostWrite], comments: Iterable[str] = ()) -> RenderedFile:
    """Return the writes as a file for ``/etc/sysctl.d``, with ``comments`` at its top."""
    kept, left_out = _sort(writes, _no_sysctl)
    lines = [f"{sysctl_name(write.path)} = {write.text}" for write in kept]
    return RenderedFile(_joined(_commented(comments), lines), left_out)


def parse_sysctl_d(text: str) -> tuple[HostWrite, ...]:
    """Return the writes of a file of sysctl.d(5).

    Raises:
        ValueError: a line is neither empty, a comment nor NAME = VALUE.
    """
    found = []
    for line in text.splitlines():
        stripped = line.strip()
        if not stripped or stripped.startswith(_COMMENT):
            continue
        name, equals, value = stripped.removeprefix("-").partition("=")
        if not equals or not name.strip():
            raise ValueError(f"a line of sysctl.d must be NAME = VALUE, but is {line!r}")
        found.append(HostWrite(sysctl_path(name.strip()), value.strip()))
    return tuple(found)


def tuned_profile(
    writes: Sequence[HostWrite], summary: str, comments: Iterable[str] = ()
) -> RenderedFile:
    """Return the writes as the ``tuned.conf`` of a TuneD profile.

    TuneD's plug-ins sysctl and sysfs carry files under ``/proc/sys`` and ``/sys``; nothing else.
    """
    kept, left_out = _sort(writes, _no_tuned)
    sysctl = [write for write in kept if write.path.startswith(SYSCTL)]
    sysfs = [write for write in kept if not write.path.startswith(SYSCTL)]
    lines = ["[main]", f"summary={' '.join(summary.split())}"]
    if sysctl:
        lines += ["", "[sysctl]", *(f"{sysctl_name(write.path)}={write.text}" for write in sysctl)]
    if sysfs:
        lines += ["", "[sysfs]", *(f"{write.path}={write.text}" for write in sysfs)]
    return RenderedFile(_joined(_commented(comments), lines), left_out)


def parse_tuned_profile(text: str) -> tuple[HostWrite, ...]:
    """Return the writes of a ``tuned.conf`` as `tuned_profile` makes it.

    Raises:
        ValueError: it is no such file.
    """
    reader = configparser.RawConfigParser(
        delimiters=("=",), comment_prefixes=_COMMENT, strict=True, interpolation=None
    )
    reader.optionxform = str  # type: ignore[method-assign, assignment]  # paths have cases
    try:
        reader.read_string(text)
    except configparser.Error as error:
        raise ValueError(f"no TuneD profile: {' '.join(str(error).split())}") from error
    writes: list[HostWrite] = []
    if reader.has_section("sysctl"):
        writes += [HostWrite(sysctl_path(name), value) for name, value in reader.items("sysctl")]
    if reader.has_section("sysfs"):
        writes += [HostWrite(path, value) for path, value in reader.items("sysfs")]
    return tuple(writes)


def systemd_unit(
    writes: Sequence[HostWrite], description: str, comments: Iterable[str] = ()
) -> RenderedFile:
    """Return a unit that makes the writes once in each boot, before what is wanted by users.

    It needs no trimtab at boot: one ``sh`` for each write, whose failure fails the unit.
    """
    kept, left_out = _sort(writes, _no_file)
    debugfs = any(write.path.startswith(DEBUGFS) for write in kept)
    lines = [
        "[Unit]",
        f"Description={' '.join(description.split()).replace('%', '%%')}",
        "DefaultDependencies=no",
        "After=local-fs.target systemd-modules-load.service systemd-sysctl.service",
        *(["After=sys-kernel-debug.mount", "Wants=sys-kernel-debug.mount"] if debugfs else []),
        "Before=multi-user.target",
        "Conflicts=shutdown.target",
        "Before=shutdown.target",
        "",
        "[Service]",
        "Type=oneshot",
        "RemainAfterExit=yes",
        *(_exec_start(write) for write in kept),
        "",
        "[Install]",
        "WantedBy=multi-user.target",
    ]
    return RenderedFile(_joined(_commented(comments), lines), left_out)


def parse_systemd_unit(text: str) -> tuple[HostWrite, ...]:
    """Return the writes of a unit as `systemd_unit` makes it."""
    found = []
    for line in text.splitlines():
        if line.startswith("ExecStart="):
            words = [_unescaped(word) for word in re.findall(r'"((?:[^"\\]|\\.)*)"', line)]
            found.append(HostWrite(words[-1], words[-2]))
    return tuple(found)


def commands(writes: Sequence[HostWrite]) -> tuple[str, ...]:
    """Return the shell commands that make the writes; one loop for the files of many CPUs."""
    lines: list[str] = []
    for group in _groups(writes):
        first = group[0]
        match = _NUMBERED.match(first.path)
        if len(group) > 1 and match is not None:
            numbers = " ".join(_numbered(write.path)[1] for write in group)
            before, after = shlex.quote(match["before"]), shlex.quote(match["after"] or "")
            lines.append(
                f"for n in {numbers}; do printf %s {shlex.quote(first.text)} > "
                f'{before}"$n"{after if match["after"] else ""}; done'
            )
        elif first.path.startswith(SYSCTL) and _nameable(first.path):
            lines.append(f"sysctl -w {shlex.quote(f'{sysctl_name(first.path)}={first.text}')}")
        else:
            lines.append(f"printf %s {shlex.quote(first.text)} > {shlex.quote(first.path)}")
    return tuple(lines)


def _nameable(path: str) -> bool:
    name = sysctl_name(path)
    return not name.startswith("-") and sysctl_path(name) == path


def _groups(writes: Sequence[HostWrite]) -> list[list[HostWrite]]:
    """Put neighbours together that write one text to files that differ in one number."""
    groups: list[list[HostWrite]] = []
    for write in writes:
        if groups and groups[-1][0].text == write.text and _alike(groups[-1][0].path, write.path):
            groups[-1].append(write)
        else:
            groups.append([write])
    return groups


def _alike(one: str, other: str) -> bool:
    (before, number, after), (before2, number2, after2) = _numbered(one), _numbered(other)
    return bool(number and number2) and (before, after) == (before2, after2)


def _numbered(path: str) -> tuple[str, str, str]:
    match = _NUMBERED.match(path)
    return (path, "", "") if match is None else (match["before"], match["number"], match["after"])


def _sort(
    writes: Sequence[HostWrite], refuse: Callable[[HostWrite], str | None]
) -> tuple[list[HostWrite], tuple[tuple[HostWrite, str], ...]]:
    reasons = [(write, refuse(write)) for write in writes]
    kept = [write for write, reason in reasons if reason is None]
    return kept, tuple((write, reason) for write, reason in reasons if reason is not None)


def _no_sysctl(write: HostWrite) -> str | None:
    if not write.path.startswith(SYSCTL):
        return "sysctl.d holds only what is under /proc/sys"
    return _unsafe(write) or _awkward(write)


def _no_tuned(write: HostWrite) -> str | None:
    if not write.path.startswith((SYSCTL, SYSFS)):
        return "TuneD's plug-ins sysctl and sysfs write only under /proc/sys and /sys"
    if "${" in write.text or "%" in write.text or write.text.startswith(("<", ">")):
        return "TuneD takes ${, % and a leading < or > for its own"
    if re.search(r"[\[\]*?:]", write.path.removeprefix(SYSCTL)):
        return "TuneD takes [ ] * ? in a path for a pattern, and : for a separator"
    return _unsafe(write) or _awkward(write)


def _no_file(write: HostWrite) -> str | None:
    if not write.path.startswith("/"):
        return "it is no kernel setting, but " + write.path.partition(":")[0]
    if write.path.startswith("/proc/irq/"):
        return "an interrupt may have another number after the next boot"
    return _unsafe(write)


def _unsafe(write: HostWrite) -> str | None:
    if not write.text.isprintable() or not write.path.isprintable():
        return "it holds a control character"
    return None


def _awkward(write: HostWrite) -> str | None:
    """Return why a line NAME=VALUE does not give the text back: both ends are stripped."""
    if not write.text or write.text != write.text.strip():
        return "its value is empty, or begins or ends with a blank"
    if write.path.startswith(SYSCTL) and not _nameable(write.path):
        return "sysctl has no name for this path"
    if re.search(r"[=#;\s]", write.path) or write.text.startswith(_COMMENT) or "#" in write.text:
        return "its name or value holds a character with a meaning of its own"
    return None


def _exec_start(write: HostWrite) -> str:
    script = 'printf %%s \\"$$1\\" > \\"$$2\\"'
    words = " ".join(f'"{_escape(word)}"' for word in ("write", write.text, write.path))
    return f'ExecStart=/bin/sh -c "{script}" {words}'


def _escape(word: str) -> str:
    """Quote for man 7 systemd.syntax, with ``%%`` and ``$$`` as units want them."""
    for plain, escaped in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%"), ("$", "$$")):
        word = word.replace(plain, escaped)
    return word


def _unescaped(word: str) -> str:
    word = re.sub(r"\\(.)", r"\1", word)
    return word.replace("$$", "$").replace("%%", "%")


def _commented(lines: Iterable[str]) -> list[str]:
    # A backslash at a line's end would continue a comment of a unit into the next line.
    return [f"# {' '.join(line.split())}".rstrip().rstrip("\\") for line in lines]


def _joined(comments: list[str], lines: list[str]) -> str:
    head = [*comments, ""] if comments and lines else comments
    return "".join(f"{line}\n" for line in (*head, *lines))


SAFE = (
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
)
"""Sysctls that a pod may set for itself: Kubernetes, pkg/kubelet/sysctl/safe_sysctls.go."""

_NAMESPACED = ("kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue.", "net.")
"""Those of a pod's namespaces: Kubernetes, "Using sysctls in a Kubernetes Cluster"."""

IMAGE = "docker.io/library/busybox:stable"
_PAUSE = "registry.k8s.io/pause:3.10"
_LABELS = {"app.kubernetes.io/name": "trimtab-host"}


def is_of_pod(write: HostWrite) -> bool:
    """Whether a write is a sysctl of a pod's own namespaces."""
    name = sysctl_name(write.path)
    return write.path.startswith(SYSCTL) and name.startswith(_NAMESPACED)


def pod_patch(writes: Sequence[HostWrite]) -> str:
    """Return the part of a pod's specification that sets its own sysctls, "" if it has none.

    Those that Kubernetes calls unsafe need --allowed-unsafe-sysctls of the node's kubelet.
    """
    mine = [write for write in writes if is_of_pod(write)]
    if not mine:
        return ""
    names = [sysctl_name(write.path) for write in mine]
    unsafe = [name for name in names if name not in SAFE]
    told = [
        "# For the pod that serves; its network and IPC namespaces have their own values.",
        *([f"# Unsafe, kubelet needs --allowed-unsafe-sysctls={','.join(unsafe)}"] * bool(unsafe)),
    ]
    pairs = [{"name": name, "value": write.text} for name, write in zip(names, mine, strict=True)]
    spec = {"spec": {"securityContext": {"sysctls": pairs}}}
    return "".join(f"{line}\n" for line in told) + strict_yaml.dump(spec)


def daemon_set(writes: Sequence[HostWrite], before: Mapping[str, str], label: str) -> str:
    """Return a DaemonSet that makes the settings of every node it runs on, "" without any.

    ``before`` maps a path to the text it had where this was made: it is said how to go back.
    """
    mine = [write for write in writes if write.path.startswith("/") and not is_of_pod(write)]
    if not mine:
        return ""
    back = [HostWrite(write.path, before[write.path]) for write in mine if write.path in before]
    told = [
        f"Made by trimtab host plan: {label}",
        "It runs privileged, and only because kernel settings belong to the node.",
        "To go back: delete it, then do on each node (values of the node this was made on):",
        *(f"  {command}" for command in commands(back)),
        "The values end with the node's next boot, and come back with this DaemonSet.",
    ]
    comments = "".join(f"# {line}\n" for line in told)
    return comments + strict_yaml.dump(_daemon_set(mine))


def _daemon_set(writes: Sequence[HostWrite]) -> dict[str, Any]:
    debugfs = any(write.path.startswith(DEBUGFS) for write in writes)
    mounts = [{"name": "debugfs", "mountPath": "/sys/kernel/debug"}] if debugfs else []
    folder = {"name": "debugfs", "hostPath": {"path": "/sys/kernel/debug"}}
    settings = {
        "name": "settings",
        "image": IMAGE,
        "command": ["/bin/sh", "-euc", "\n".join(commands(writes))],
        "securityContext": {"privileged": True},
        **({"volumeMounts": mounts} if mounts else {}),
    }
    pod = {
        "initContainers": [settings],
        "containers": [{"name": "pause", "image": _PAUSE}],
        **({"volumes": [folder]} if debugfs else {}),
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "trimtab-host", "namespace": "kube-system", "labels": dict(_LABELS)},
        "spec": {
            "selector": {"matchLabels": dict(_LABELS)},
            "template": {"metadata": {"labels": dict(_LABELS)}, "spec": pod},
        },
    }

"""What must be done on the host, for somebody who may: Kubernetes objects and commands. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trimtab.host_settings import render
from trimtab.host_settings.render import DEBUGFS, SYSCTL
from trimtab.model import HostWrite
from trimtab.storage import strict_yaml

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
    name = render.sysctl_name(write.path)
    return write.path.startswith(SYSCTL) and name.startswith(_NAMESPACED)


def pod_patch(writes: Sequence[HostWrite]) -> str:
    """Return the part of a pod's specification that sets its own sysctls, "" if it has none.

    Those that Kubernetes calls unsafe need --allowed-unsafe-sysctls of the node's kubelet.
    """
    mine = [one for one in writes if is_of_pod(one)]
    if not mine:
        return ""
    names = [render.sysctl_name(one.path) for one in mine]
    unsafe = [name for name in names if name not in SAFE]
    told = [
        "# For the pod that serves; its network and IPC namespaces have their own values.",
        *([f"# Unsafe, kubelet needs --allowed-unsafe-sysctls={','.join(unsafe)}"] * bool(unsafe)),
    ]
    pairs = [{"name": name, "value": one.text} for name, one in zip(names, mine, strict=True)]
    spec = {"spec": {"securityContext": {"sysctls": pairs}}}
    return "".join(f"{line}\n" for line in told) + strict_yaml.dump(spec)


def daemon_set(writes: Sequence[HostWrite], before: Mapping[str, str], label: str) -> str:
    """Return a DaemonSet that makes the settings of every node it runs on, "" without any.

    ``before`` maps a path to the text it had where this was made: it is said how to go back.
    """
    mine = [one for one in writes if one.path.startswith("/") and not is_of_pod(one)]
    if not mine:
        return ""
    back = [HostWrite(one.path, before[one.path]) for one in mine if one.path in before]
    told = [
        f"Made by trimtab host plan: {label}",
        "It runs privileged, and only because kernel settings belong to the node.",
        "To go back: delete it, then do on each node (values of the node this was made on):",
        *(f"  {command}" for command in render.commands(back)),
        "The values end with the node's next boot, and come back with this DaemonSet.",
    ]
    comments = "".join(f"# {line}\n" for line in told)
    return comments + strict_yaml.dump(_daemon_set(mine))


def _daemon_set(writes: Sequence[HostWrite]) -> dict[str, Any]:
    debugfs = any(one.path.startswith(DEBUGFS) for one in writes)
    mounts = [{"name": "debugfs", "mountPath": "/sys/kernel/debug"}] if debugfs else []
    folder = {"name": "debugfs", "hostPath": {"path": "/sys/kernel/debug"}}
    settings = {
        "name": "settings",
        "image": IMAGE,
        "command": ["/bin/sh", "-euc", "\n".join(render.commands(writes))],
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

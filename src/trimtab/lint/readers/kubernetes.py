"""Kubernetes manifests: every pod template in them, whatever the kind around it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from trimtab.lint.readers import yaml_nodes as nodes
from trimtab.lint.readers.scribe import Scribe
from trimtab.lint.readers.session import Session
from trimtab.lint.readers.source import Source
from trimtab.lint.readers.yaml_commands import comments, run, words
from trimtab.model.script import Container, Document, Notice, Oddity, Origin, Setting

if TYPE_CHECKING:
    from yaml import Node

_SHARED: Final = "/dev/shm"  # noqa: S108  where shared memory is mounted
_HOST: Final = {"hostNetwork": "--network", "hostIPC": "--ipc", "hostPID": "--pid"}


def is_manifest(root: Node) -> bool:
    """Whether a document is a Kubernetes object."""
    return nodes.get(root, "apiVersion") is not None and nodes.get(root, "kind") is not None


def read_kubernetes(source: Source, roots: Sequence[Node]) -> Document:
    """Return what the manifests of a file say."""
    scribe = Scribe()
    for root in roots:
        for pod in _pods(root):
            shared = list(_of_pod(source, pod))
            for group in ("initContainers", "containers"):
                for one in nodes.items(nodes.get(pod, group)):
                    _container(source, scribe, pod, one, shared)
    return scribe.document(source, "kubernetes")


def _pods(root: Node) -> Iterator[Node]:
    """Yield the pod specifications: all mappings with a list of containers.

    That is where Pod, Deployment, StatefulSet, Job, CronJob, LeaderWorkerSet and most custom
    kinds keep them.
    """
    for node in nodes.every(root):
        if nodes.items(nodes.get(node, "containers")):
            yield node


def _of_pod(source: Source, pod: Node) -> Iterator[Setting]:
    for name, key, value in nodes.entries(pod):
        if name in _HOST and nodes.scalar(value) in {"true", "True"}:
            yield Setting(_HOST[name], "host", nodes.place(source, key), Origin.CONTAINER)


def _container(
    source: Source, scribe: Scribe, pod: Node, node: Node, shared: Sequence[Setting]
) -> None:
    image = nodes.get(node, "image")
    container = Container(
        nodes.scalar(image) or "",
        (*shared, *_options(source, pod, node)),
        nodes.place(source, image or node),
    )
    scribe.containers.append(container)
    session = Session(source, scribe, True, Origin.CONTAINER, container=container)
    env = list(_environment(source, node))
    scribe.settings += env
    session.variables.give(tuple(env))
    if nodes.get(node, "envFrom") is not None:
        session.doubt(source, "what envFrom brings is not known")
    command = words(source, nodes.get(node, "command"))
    arguments = words(source, nodes.get(node, "args"))
    name = nodes.scalar(nodes.get(node, "name")) or ""
    comments(scribe, source, nodes.get(node, "command"))
    comments(scribe, source, nodes.get(node, "args"))
    if source.file.endswith((".yaml", ".yml", ".json")):  # a heredoc's shell may expand them
        scribe.notices += (
            Notice(Oddity.NO_EXPANSION, one) for one in env if f"${{{one.name}}}" in one.value
        )
    run(session, container, command, arguments, entered=bool(command), name=name)


def _environment(source: Source, node: Node) -> Iterator[Setting]:
    for one in nodes.items(nodes.get(node, "env")):
        key = nodes.get(one, "name")
        name = nodes.scalar(key)
        if name and key is not None:
            value = nodes.get(one, "value")
            yield nodes.variable(source, name, key, value, Origin.CONTAINER)


def _options(source: Source, pod: Node, node: Node) -> Iterator[Setting]:
    privileged = nodes.get(node, "securityContext", "privileged")
    if privileged is not None and nodes.scalar(privileged) in {"true", "True"}:
        yield Setting("--privileged", "", nodes.place(source, privileged), Origin.CONTAINER)
    for name, key, value in nodes.entries(nodes.get(node, "resources", "limits")):
        text = f"{name}={nodes.scalar(value) or ''}"
        yield Setting("--resource", text, nodes.place(source, key), Origin.CONTAINER)
    volumes = {
        nodes.scalar(nodes.get(one, "name")): one for one in nodes.items(nodes.get(pod, "volumes"))
    }
    for mount in nodes.items(nodes.get(node, "volumeMounts")):
        path = nodes.scalar(nodes.get(mount, "mountPath")) or ""
        volume = volumes.get(nodes.scalar(nodes.get(mount, "name")))
        at = nodes.place(source, mount)
        if path == _SHARED and nodes.get(volume, "emptyDir") is not None:
            size = nodes.scalar(nodes.get(volume, "emptyDir", "sizeLimit")) or "unlimited"
            yield Setting("--shm-size", size, at, Origin.CONTAINER)
        else:
            host = nodes.scalar(nodes.get(volume, "hostPath", "path")) or ""
            yield Setting("--volume", f"{host}:{path}", at, Origin.CONTAINER)

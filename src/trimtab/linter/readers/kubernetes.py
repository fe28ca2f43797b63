"""Kubernetes manifests: every pod template in them, whatever the kind around it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from trimtab.linter.readers import config_maps, kserve, manifests
from trimtab.linter.readers import yaml_nodes as nodes
from trimtab.linter.readers.config_maps import Maps
from trimtab.linter.readers.document_builder import DocumentBuilder
from trimtab.linter.readers.entry_point import starts_server
from trimtab.linter.readers.launch import ShellWord, is_server
from trimtab.linter.readers.shell_session import ShellSession
from trimtab.linter.readers.source import SourceText
from trimtab.linter.readers.yaml_commands import comments, run, words
from trimtab.model.document import (
    Container,
    Document,
    Launch,
    Notice,
    Oddity,
    Origin,
    Place,
    Setting,
)

if TYPE_CHECKING:
    from yaml import Node

_SHARED: Final = "/dev/shm"  # noqa: S108  where shared memory is mounted
_NOWHERE: Final = Place("", 0)
_HOST: Final = {"hostNetwork": "--network", "hostIPC": "--ipc", "hostPID": "--pid"}


def is_manifest(root: Node) -> bool:
    """Whether a document is a Kubernetes object."""
    return nodes.get(root, "apiVersion") is not None and nodes.get(root, "kind") is not None


def read_kubernetes(source: SourceText, roots: Sequence[Node]) -> Document:
    """Return what the manifests of a file say."""
    scribe = DocumentBuilder()
    linked = set()
    maps = config_maps.read(source, scribe, roots)
    for root in roots:
        llm = nodes.scalar(nodes.get(root, "kind")) == "LLMInferenceService"
        model = nodes.get(root, "spec", "predictor", "model")
        if model is not None and nodes.items(nodes.get(model, "args")):
            kserve.follow(source, scribe, model, kserve.runtimes(roots))
        for pod in _pods(root):
            before = len(scribe.launches)
            shared = list(_of_pod(source, pod))
            for group in ("initContainers", "containers"):
                for one in nodes.items(nodes.get(pod, group)):
                    _container(source, scribe, pod, one, shared, maps)
            served = [one for one in scribe.launches[before:] if _serves(one)]
            whole = llm or (served and not manifests.is_patch(root))
            scribe.notices += manifests.unmounted_volumes(source, pod) if whole else ()
            own = any(one.name == "VLLM_PORT" for made in served for one in made.env)
            if served and manifests.has_service_links(pod) and not own:
                linked.add(manifests.namespace(root))
    for namespace, notice in manifests.services(source, roots):
        elsewhere = "" if namespace in linked else "a vLLM pod runs in this namespace"
        if namespace in linked or not any(map(_serves, scribe.launches)):
            scribe.notices.append(replace(notice, given=elsewhere))
    return scribe.document(source, "kubernetes")


def _serves(launch: Launch) -> bool:
    """Whether it is a vLLM server."""
    image = launch.container.image if launch.container is not None else ""
    server = bool(launch.options) or is_server([ShellWord(one, _NOWHERE) for one in launch.argv])
    return server or (launch.implied and starts_server(image))


def _pods(root: Node) -> Iterator[Node]:
    """Yield the pod specifications: all mappings with a list of containers.

    That is where Pod, Deployment, StatefulSet, Job, CronJob, LeaderWorkerSet and most custom
    kinds keep them.
    """
    for node in nodes.all_nodes(root):
        if nodes.items(nodes.get(node, "containers")):
            yield node


def _of_pod(source: SourceText, pod: Node) -> Iterator[Setting]:
    for name, key, value in nodes.entries(pod):
        if name in _HOST and nodes.scalar(value) in {"true", "True"}:
            yield Setting(_HOST[name], "host", nodes.place(source, key), Origin.CONTAINER)


def _container(
    source: SourceText,
    scribe: DocumentBuilder,
    pod: Node,
    node: Node,
    shared: Sequence[Setting],
    maps: Maps,
) -> None:
    image = nodes.get(node, "image")
    container = Container(
        nodes.scalar(image) or "",
        (*shared, *_options(source, pod, node)),
        nodes.place(source, image or node),
    )
    scribe.containers.append(container)
    if image is not None and nodes.scalar(image) is None:
        why = (
            "a template fills the image in: run 'helm template' on its chart, and lint the result"
        )
        scribe.unread.append((nodes.place(source, image), why))
    session = ShellSession(source, scribe, True, Origin.CONTAINER, container=container)
    env = [*config_maps.container_variables(session, node, maps), *_environment(source, node)]
    scribe.settings += env
    session.variables.give(tuple(env))
    known = {one.name: one.value for one in env if one.literal}
    command = _expanded(words(source, nodes.get(node, "command")), known)
    arguments = _expanded(words(source, nodes.get(node, "args")), known)
    name = nodes.scalar(nodes.get(node, "name")) or ""
    comments(scribe, source, nodes.get(node, "command"))
    comments(scribe, source, nodes.get(node, "args"))
    if source.file.endswith((".yaml", ".yml", ".json")):  # a heredoc's shell may expand them
        scribe.notices += (
            Notice(Oddity.NO_EXPANSION, one) for one in env if f"${{{one.name}}}" in one.value
        )
    scribe.notices += manifests.api_refusals(source, node)
    before = len(scribe.launches)
    run(session, container, command, arguments, entered=bool(command), name=name)
    probe = manifests.probe_notice(source, node)
    if probe is not None and any(map(_serves, scribe.launches[before:])):
        scribe.notices.append(probe)


def _expanded(found: Sequence[ShellWord], known: Mapping[str, str]) -> list[ShellWord]:
    """Return words as Kubernetes hands them on: ``$(NAME)`` is a variable of the container."""

    def value(match: re.Match[str]) -> str:
        return match[0][1:] if match[0].startswith("$$") else known.get(match[1], match[0])

    expanded = []
    for one in found:
        text = re.sub(r"\$?\$\(([A-Za-z_]\w*)\)", value, one.text)
        literal = one.literal or (text != one.text and "$" not in text)
        expanded.append(replace(one, text=text, literal=literal))
    return expanded


def _environment(source: SourceText, node: Node) -> Iterator[Setting]:
    for one in nodes.items(nodes.get(node, "env")):
        key = nodes.get(one, "name")
        name = nodes.scalar(key)
        if name and key is not None:
            value = nodes.get(one, "value")
            yield nodes.variable(source, name, key, value, Origin.CONTAINER)


def _options(source: SourceText, pod: Node, node: Node) -> Iterator[Setting]:
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

"""What Kubernetes makes of a manifest: types that it refuses, probes, variables of Services."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from trimtab.linter.readers import yaml_nodes as nodes
from trimtab.linter.readers.source import SourceText
from trimtab.model.document import Notice, Oddity, Origin, Setting

if TYPE_CHECKING:
    from yaml import Node

_TYPES: Final = {"int": "a number", "float": "a number", "bool": "a switch"}
_EXPONENT: Final = re.compile(r"[-+]?(\.\d+|\d+(\.\d*)?)[eE][-+]?\d+")
"""A number to Kubernetes, and a text to YAML 1.1 as it is read here."""

_LEAST_START: Final = 180
"""Seconds that a start may take at least: weights are brought, read, compiled, captured."""

_VARIABLES: Final = frozenset(
    {
        *("VLLM_PORT", "VLLM_DP_MASTER_PORT", "VLLM_NIXL_SIDE_CHANNEL_PORT", "MASTER_PORT"),
        *("VLLM_MOONCAKE_BOOTSTRAP_PORT", "VLLM_RPC_PORT", "VLLM_NIXL_ABORT_REQUEST_PORT"),
    }
)
"""Variables that vLLM reads, and that Kubernetes sets for a Service whose name they begin with."""


def scalar_type(node: Node | None) -> str:
    """Return what the API takes an unquoted scalar for, "" where it is text or nothing."""
    text = nodes.scalar(node)
    if node is None or text is None or getattr(node, "style", None) is not None or ":" in text:
        return ""
    found = _TYPES.get(str(node.tag).rpartition(":")[2], "")
    return found or ("a number" if _EXPONENT.fullmatch(text) else "")


def api_refusals(source: SourceText, container: Node) -> Iterator[Notice]:
    """Yield what the API refuses of a container: values, words, commands and devices."""
    for node in nodes.items(nodes.get(container, "env")):
        name, value = nodes.scalar(nodes.get(node, "name")), nodes.get(node, "value")
        kind = scalar_type(value)
        if name and value is not None and kind:
            said = f"the API refuses the manifest: the value of {name} is {kind} without quotes"
            yield _refusal(source, name, value, said)
    for key in ("command", "args"):
        given = nodes.get(container, key)
        if given is not None and nodes.scalar(given):
            said = f"the API refuses the manifest: {key} must be a list of words"
            yield _refusal(source, key, given, said)
        for node in nodes.items(given):
            if kind := scalar_type(node):
                said = f"the API refuses the manifest: {nodes.scalar(node)} in {key} is {kind}"
                yield _refusal(source, key, node, f"{said} without quotes")
    yield from _devices(source, container)


def _devices(source: SourceText, container: Node) -> Iterator[Notice]:
    limits = {name for name, _, _ in nodes.entries(nodes.get(container, "resources", "limits"))}
    for name, key, value in nodes.entries(nodes.get(container, "resources", "requests")):
        if "/" in name and name not in limits and not name.startswith("kubernetes.io/"):
            said = f"the API refuses the manifest: {name} is requested, and limits do not have it"
            yield _refusal(source, name, key, said)
        elif "/" in name and re.fullmatch(r"\d*\.\d+|\d+m", nodes.scalar(value) or ""):
            said = f"the API refuses the manifest: {name} must be a whole number"
            yield _refusal(source, name, value, said)


def _refusal(source: SourceText, name: str, node: Node, said: str) -> Notice:
    setting = Setting(name, nodes.scalar(node) or "", nodes.place(source, node), Origin.CONTAINER)
    return Notice(Oddity.MANIFEST_REFUSED, setting, said=said)


def probe_notice(source: SourceText, container: Node) -> Notice | None:
    """Return a note of a probe that ends a server before it can have loaded its model."""
    name = "startupProbe" if nodes.get(container, "startupProbe") else "livenessProbe"
    probe = nodes.get(container, name)
    if probe is None:
        return None
    numbers = [
        _number(nodes.get(probe, key), default)
        for key, default in (
            ("initialDelaySeconds", 0), ("failureThreshold", 3), ("periodSeconds", 10),
        )
    ]  # fmt: skip
    if None in numbers:
        return None
    delay, failures, period = (number or 0 for number in numbers)
    seconds = delay + failures * period
    if seconds >= _LEAST_START:
        return None
    setting = Setting(name, str(seconds), nodes.place(source, probe), Origin.CONTAINER)
    said = (
        f"the {name} ends a server that has not answered {seconds} s after its start "
        f"({delay} + {failures} x {period} s); to load a model often takes longer"
    )
    return Notice(Oddity.START_KILLED, setting, said=said)


def is_patch(root: Node) -> bool:
    """Whether a workload lacks its selector: a patch that Kustomize lays over another one."""
    kinds = {"Deployment", "StatefulSet", "DaemonSet"}
    return (
        nodes.scalar(nodes.get(root, "kind")) in kinds
        and nodes.get(root, "spec", "selector") is None
    )


def unmounted_volumes(source: SourceText, pod: Node) -> Iterator[Notice]:
    """Yield a note for each volume of a pod that no container of it mounts."""
    groups = ("initContainers", "containers", "ephemeralContainers")
    made = [node for group in groups for node in nodes.items(nodes.get(pod, group))]
    used = {
        nodes.scalar(nodes.get(mount, "name"))
        for node in made
        for kind in ("volumeMounts", "volumeDevices")
        for mount in nodes.items(nodes.get(node, kind))
    }
    if None in used:  # a template fills it in
        return
    for one in nodes.items(nodes.get(pod, "volumes")):
        node = nodes.get(one, "name")
        name = nodes.scalar(node)
        if node is not None and name and name not in used:
            memory = nodes.scalar(nodes.get(one, "emptyDir", "medium")) == "Memory"
            lost = "and the shared memory stays 64 MB" if memory else "and its files are nowhere"
            said = f"no container of the pod mounts the volume {name}, {lost}"
            setting = Setting(name, name, nodes.place(source, node), Origin.CONTAINER)
            yield Notice(Oddity.VOLUME_UNMOUNTED, setting, said=said)


def _number(node: Node | None, default: int) -> int | None:
    if node is None:
        return default
    text = nodes.scalar(node) or ""
    return int(text) if re.fullmatch(r"\d{1,6}", text) else None


def services(source: SourceText, roots: Sequence[Node]) -> Iterator[tuple[str, Notice]]:
    """Yield (namespace, note) for each Service whose variables are names that vLLM reads."""
    for root in _objects(roots):
        name = nodes.get(root, "metadata", "name")
        text = nodes.scalar(name) or ""
        variable = f"{text.upper().replace('-', '_')}_PORT"
        if name is None or nodes.scalar(nodes.get(root, "kind")) != "Service":
            continue
        headless = nodes.scalar(nodes.get(root, "spec", "clusterIP")) == "None"
        outside = nodes.scalar(nodes.get(root, "spec", "type")) == "ExternalName"
        if variable in _VARIABLES and not headless and not outside:
            said = (
                f"a Service called {text} makes Kubernetes set {variable}=tcp://... in the pods "
                "of its namespace: vLLM takes it for its own port, and fails"
            )
            setting = Setting(variable, "tcp://", nodes.place(source, name), Origin.CONTAINER)
            yield namespace(root), Notice(Oddity.SERVICE_VARIABLE, setting, said=said)


def _objects(roots: Sequence[Node]) -> Iterator[Node]:
    """Yield the objects of a file, those of a List too."""
    for root in roots:
        yield root
        if (nodes.scalar(nodes.get(root, "kind")) or "").endswith("List"):
            yield from nodes.items(nodes.get(root, "items"))


def namespace(root: Node) -> str:
    """Return the namespace that an object names, "" for none."""
    return nodes.scalar(nodes.get(root, "metadata", "namespace")) or ""


def has_service_links(pod: Node) -> bool:
    """Whether the pod gets the variables of Services."""
    return nodes.scalar(nodes.get(pod, "enableServiceLinks")) not in {"false", "False"}

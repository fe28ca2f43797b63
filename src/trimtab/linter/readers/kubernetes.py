"""Kubernetes manifests: every pod template in them, their ConfigMaps, and KServe's models."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeAlias

from trimtab.linter.readers import manifests
from trimtab.linter.readers import yaml_nodes as nodes
from trimtab.linter.readers.entry_point import starts_server
from trimtab.linter.readers.launch import ShellWord, is_server
from trimtab.linter.readers.shell_session import ShellSession
from trimtab.linter.readers.source import DocumentBuilder, SourceText
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
if TYPE_CHECKING:
    from yaml import Node
if TYPE_CHECKING:
    from yaml import Node


_IMAGES: Final = {"huggingface": "kserve/huggingfaceserver", "vllm": ""}
"""Format of a model → the image that serves it; that of a runtime for vLLM is its own."""

_OWN: Final = re.compile(
    r"--(model[_-](name|id|dir|revision)|tokenizer[_-]revision|backend|task|dtype|max[_-]length"
    r"|(http|grpc)[_-]port|workers|(enable|disable|return)_\w+|tensor_input_names)"
)
"""Options that the server for Hugging Face's models reads itself."""


def runtimes(roots: Sequence[Node]) -> dict[str, str]:
    """Return the image of each serving runtime that a file defines, by the runtime's name."""
    found = {}
    for root in roots:
        if nodes.scalar(nodes.get(root, "kind")) in {"ServingRuntime", "ClusterServingRuntime"}:
            name = nodes.scalar(nodes.get(root, "metadata", "name")) or ""
            for node in nodes.items(nodes.get(root, "spec", "containers"))[:1]:
                found[name] = nodes.scalar(nodes.get(node, "image")) or ""
    return found


def follow(
    source: SourceText, scribe: DocumentBuilder, model: Node, images: Mapping[str, str]
) -> None:
    """Follow what starts with a model's arguments, where its format or runtime is vLLM's.

    ``images``: those of the runtimes that the same file defines.
    """
    arguments = [nodes.word(source, node) for node in nodes.items(nodes.get(model, "args"))]
    at = nodes.place(source, model)
    kind = _kind(model)
    other = any("backend=huggingface" in argument.text for argument in arguments)
    if kind not in _IMAGES or other:
        why = "the model's args are not read: its ServingRuntime says what starts with them"
        scribe.unread.append((at, why))
        return
    memory = Setting("--shm-size", "2Gi", at, Origin.CONTAINER)  # the runtimes mount it
    image = images.get(nodes.scalar(nodes.get(model, "runtime")) or "", _IMAGES[kind])
    container = Container(image, (memory,), at)
    session = ShellSession(source, scribe, True, Origin.CONTAINER, container=container)
    env = [
        nodes.variable(source, name, key, nodes.get(node, "value"), Origin.CONTAINER)
        for node in nodes.items(nodes.get(model, "env"))
        if (key := nodes.get(node, "name")) is not None and (name := nodes.scalar(key))
    ]
    scribe.settings += env
    session.variables.give(tuple(env))
    given = _without_own(arguments) if kind == "huggingface" else arguments
    named = any(re.fullmatch(r"--model(=.*)?", word.text) for word in given)
    session.start([*_serve(at)[: 2 if named else 3], *given], given[0].place if given else at)


def _kind(model: Node) -> str:
    """Return "vllm" or "huggingface", as the runtime's name tells, or else the format's."""
    runtime = (nodes.scalar(nodes.get(model, "runtime")) or "").lower()
    named = next((one for one in _IMAGES if one in runtime), runtime)
    return named or (nodes.scalar(nodes.get(model, "modelFormat", "name")) or "").lower()


def _serve(at: Place) -> list[ShellWord]:
    return [ShellWord("vllm", at), ShellWord("serve", at), ShellWord("/mnt/models", at)]


def _without_own(arguments: list[ShellWord]) -> list[ShellWord]:
    found, own = [], False
    for argument in arguments:
        name, equals, _ = argument.text.partition("=")
        if name.startswith("--"):
            own = _OWN.fullmatch(name) is not None
            drop = own
            own = own and not equals
        else:
            drop, own = own, False
        if not drop:
            found.append(argument)
    return found


Maps: TypeAlias = Mapping[str, tuple[Setting, ...]]
"""Name of a ConfigMap → the variables that it gives."""


def read(source: SourceText, scribe: DocumentBuilder, roots: Sequence[Node]) -> Maps:
    """Follow the scripts in the ConfigMaps of a file, and return the variables of each map."""
    from trimtab.linter.readers.shell import walk_text

    found: dict[str, tuple[Setting, ...]] = {}
    for root in roots:
        kind = nodes.scalar(nodes.get(root, "kind"))
        data = nodes.get(root, "data")
        name = nodes.scalar(nodes.get(root, "metadata", "name")) or ""
        if kind == "Kustomization":
            _generated(source, scribe, root, found)
        if kind != "ConfigMap" or data is None:
            continue
        found[name] = tuple(
            nodes.variable(source, key, at, value, Origin.CONTAINER)
            for key, at, value in nodes.entries(data)
            if re.fullmatch(r"[A-Za-z_]\w*", key)
        )
        for key, _, value in nodes.entries(data):
            script = nodes.word(source, value)
            if script.source is not None and (key.endswith(".sh") or _is_script(script.text)):
                session = ShellSession(source, scribe, True)
                walk_text(session, script.source)
                session.finish()
    return found


def _is_script(text: str) -> bool:
    return bool(re.match(r"#!.*\b(?:ba|da|z|k|a)?sh\b", text))


def _generated(
    source: SourceText, scribe: DocumentBuilder, root: Node, found: dict[str, tuple[Setting, ...]]
) -> None:
    """Read the variables that a Kustomization writes out, as whatever gets them will."""
    from trimtab.linter.readers.launch import assignment

    for made in nodes.items(nodes.get(root, "configMapGenerator")):
        words: list[ShellWord] = [
            nodes.word(source, node) for node in nodes.items(nodes.get(made, "literals"))
        ]
        env = tuple(assignment(word, Origin.CONTAINER) for word in words if "=" in word.text)
        found[nodes.scalar(nodes.get(made, "name")) or ""] = env
        session = ShellSession(source, scribe, True, Origin.CONTAINER)
        scribe.settings += env
        session.variables.give(env)
        session.implied()


def container_variables(session: ShellSession, container: Node, maps: Maps) -> list[Setting]:
    """Return what a container takes from maps of its file; from elsewhere is named as unknown."""
    env: list[Setting] = []
    unknown = False
    for one in nodes.items(nodes.get(container, "envFrom")):
        name = nodes.scalar(nodes.get(one, "configMapRef", "name"))
        prefix = nodes.scalar(nodes.get(one, "prefix"))
        if name in maps and not prefix:
            env += maps[name or ""]
        else:
            unknown = True
    node = nodes.get(container, "envFrom")
    if unknown and node is not None:
        session.doubt(
            session.source,
            "lint does not know what envFrom sets",
            nodes.place(session.source, node),
        )
    return env


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
    maps = read(source, scribe, roots)
    for root in roots:
        llm = nodes.scalar(nodes.get(root, "kind")) == "LLMInferenceService"
        model = nodes.get(root, "spec", "predictor", "model")
        if model is not None and nodes.items(nodes.get(model, "args")):
            follow(source, scribe, model, runtimes(roots))
        for pod in _pods(root):
            before = len(scribe.launches)
            shared = list(_of_pod(source, pod))
            for group in ("initContainers", "containers"):
                for node in nodes.items(nodes.get(pod, group)):
                    _container(source, scribe, pod, node, shared, maps)
            served = [launch for launch in scribe.launches[before:] if _serves(launch)]
            whole = llm or (served and not manifests.is_patch(root))
            scribe.notices += manifests.unmounted_volumes(source, pod) if whole else ()
            own = any(setting.name == "VLLM_PORT" for made in served for setting in made.env)
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
    env = [*container_variables(session, node, maps), *_environment(source, node)]
    scribe.settings += env
    session.variables.give(tuple(env))
    known = {setting.name: setting.value for setting in env if setting.literal}
    command = _expanded(words(source, nodes.get(node, "command")), known)
    arguments = _expanded(words(source, nodes.get(node, "args")), known)
    name = nodes.scalar(nodes.get(node, "name")) or ""
    comments(scribe, source, nodes.get(node, "command"))
    comments(scribe, source, nodes.get(node, "args"))
    if source.file.endswith((".yaml", ".yml", ".json")):  # a heredoc's shell may expand them
        scribe.notices += (
            Notice(Oddity.NO_EXPANSION, setting)
            for setting in env
            if f"${{{setting.name}}}" in setting.value
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
    for word in found:
        text = re.sub(r"\$?\$\(([A-Za-z_]\w*)\)", value, word.text)
        literal = word.literal or (text != word.text and "$" not in text)
        expanded.append(replace(word, text=text, literal=literal))
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
        nodes.scalar(nodes.get(node, "name")): node
        for node in nodes.items(nodes.get(pod, "volumes"))
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

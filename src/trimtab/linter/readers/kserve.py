"""KServe's models: the arguments that its runtimes hand on to vLLM."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from trimtab.linter.readers import yaml_nodes as nodes
from trimtab.linter.readers.document_builder import DocumentBuilder
from trimtab.linter.readers.launch import ShellWord
from trimtab.linter.readers.shell_session import ShellSession
from trimtab.linter.readers.source import SourceText
from trimtab.model.document import Container, Origin, Place, Setting

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
            for one in nodes.items(nodes.get(root, "spec", "containers"))[:1]:
                found[name] = nodes.scalar(nodes.get(one, "image")) or ""
    return found


def follow(
    source: SourceText, scribe: DocumentBuilder, model: Node, images: Mapping[str, str]
) -> None:
    """Follow what starts with a model's arguments, where its format or runtime is vLLM's.

    ``images``: those of the runtimes that the same file defines.
    """
    arguments = [nodes.word(source, one) for one in nodes.items(nodes.get(model, "args"))]
    at = nodes.place(source, model)
    kind = _kind(model)
    other = any("backend=huggingface" in one.text for one in arguments)
    if kind not in _IMAGES or other:
        why = "the model's args are not read: its ServingRuntime says what starts with them"
        scribe.unread.append((at, why))
        return
    memory = Setting("--shm-size", "2Gi", at, Origin.CONTAINER)  # the runtimes mount it
    image = images.get(nodes.scalar(nodes.get(model, "runtime")) or "", _IMAGES[kind])
    container = Container(image, (memory,), at)
    session = ShellSession(source, scribe, True, Origin.CONTAINER, container=container)
    env = [
        nodes.variable(source, name, key, nodes.get(one, "value"), Origin.CONTAINER)
        for one in nodes.items(nodes.get(model, "env"))
        if (key := nodes.get(one, "name")) is not None and (name := nodes.scalar(key))
    ]
    scribe.settings += env
    session.variables.give(tuple(env))
    given = _without_own(arguments) if kind == "huggingface" else arguments
    named = any(re.fullmatch(r"--model(=.*)?", one.text) for one in given)
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
    for one in arguments:
        name, equals, _ = one.text.partition("=")
        if name.startswith("--"):
            own = _OWN.fullmatch(name) is not None
            drop = own
            own = own and not equals
        else:
            drop, own = own, False
        if not drop:
            found.append(one)
    return found

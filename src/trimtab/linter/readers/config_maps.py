"""ConfigMaps: the variables that containers take from them, and the scripts that they hold."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from trimtab.linter.readers import yaml_nodes as nodes
from trimtab.linter.readers.document_builder import DocumentBuilder
from trimtab.linter.readers.launch import ShellWord
from trimtab.linter.readers.shell_session import ShellSession
from trimtab.linter.readers.source import SourceText
from trimtab.model.document import Origin, Setting

if TYPE_CHECKING:
    from yaml import Node

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
            nodes.word(source, one) for one in nodes.items(nodes.get(made, "literals"))
        ]
        env = tuple(assignment(one, Origin.CONTAINER) for one in words if "=" in one.text)
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

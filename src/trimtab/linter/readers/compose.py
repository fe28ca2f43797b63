"""Compose files: each service's container, environment and command."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from trimtab.linter.readers import entry_point as entries
from trimtab.linter.readers import yaml_nodes as nodes
from trimtab.linter.readers.launch import ShellWord, assignment, is_client, program
from trimtab.linter.readers.scripts import SHELLS
from trimtab.linter.readers.shell_session import ShellSession
from trimtab.linter.readers.source import DocumentBuilder, SourceText
from trimtab.linter.readers.yaml_commands import comments, run, words
from trimtab.model.document import Container, Document, Notice, Oddity, Origin, Setting

if TYPE_CHECKING:
    from yaml import Node

_OPTIONS: Final = {
    "devices": "--device", "volumes": "--volume", "shm_size": "--shm-size", "ipc": "--ipc",
    "network_mode": "--network", "privileged": "--privileged", "runtime": "--runtime",
    "cpuset": "--cpuset-cpus", "ulimits": "--ulimit", "pid": "--pid", "cap_add": "--cap-add",
    "sysctls": "--sysctl", "mem_limit": "--memory", "cpus": "--cpus", "gpus": "--gpus",
    "restart": "--restart", "user": "--user", "ports": "--publish",
}  # fmt: skip
"""Keys of a service → the options of ``docker run``."""


def read_compose(source: SourceText, root: Node) -> Document:
    """Return what a compose file says."""
    scribe = DocumentBuilder()
    services = nodes.get(root, "services")
    for name, _, service in nodes.entries(services):
        _service(source, scribe, name, _extended(services, service))
    return scribe.document(source, "compose")


def _extended(services: Node | None, service: Node, depth: int = 0) -> Node:
    """Return a service with what it takes from another one of the file."""
    given = nodes.get(service, "extends")
    elsewhere = nodes.get(given, "file") is not None
    name = nodes.scalar(given) or nodes.scalar(nodes.get(given, "service"))
    base = nodes.get(services, name) if name and not elsewhere else None
    if base is None or base is service or depth > 8:
        return service
    base = _extended(services, base, depth + 1)
    merged = nodes.join_nodes(base, service)
    above, own = nodes.get(base, "environment"), nodes.get(service, "environment")
    if above is not None and own is not None:
        merged = nodes.join_nodes(merged, service, environment=nodes.join_nodes(above, own))
    return merged


def _service(source: SourceText, scribe: DocumentBuilder, name: str, service: Node) -> None:
    image = nodes.get(service, "image")
    container = Container(
        nodes.scalar(image) or "",
        (*_options(source, service), *_deployed(source, service)),
        nodes.place(source, image or service),
    )
    scribe.containers.append(container)
    session = ShellSession(source, scribe, True, Origin.CONTAINER, container=container)
    env = _environment(source, scribe, nodes.get(service, "environment"))
    scribe.settings += env
    session.variables.give(tuple(env))
    given = nodes.get(service, "env_file")
    if given is not None:
        session.doubt(source, f"the env_file of {name} is not read", nodes.place(source, given))
    entry = _unescaped(words(source, nodes.get(service, "entrypoint")))
    command = _unescaped(words(source, nodes.get(service, "command")))
    comments(scribe, source, nodes.get(service, "command"))
    entered = nodes.get(service, "entrypoint") is not None
    if not entry:  # behind an entry point anything may be meant
        plain = entries.shell_syntax(
            [word for word in command if not word.text.startswith("${")], assigns=not entered
        )
        scribe.notices += () if plain is None else (plain,)
        served = entries.starts_server(container.image) or is_client(command)
        if served and program(command) not in SHELLS:
            scribe.notices += _unexpanded(words(source, nodes.get(service, "command")))
    run(session, container, entry, command, entered=entered, name=name)


def _unexpanded(found: list[ShellWord]) -> Iterator[Notice]:
    """Yield a note for each ``$$NAME`` of a command that no shell reads."""
    for word in found:
        if re.search(r"\$\$\{?[A-Za-z_]", word.text):
            text = word.text.replace("$$", "$")
            setting = Setting("command", text, word.place, Origin.CONTAINER)
            said = f"no shell runs in this container, so the program gets {text} as it is written"
            yield Notice(Oddity.NO_SHELL, setting, said=said)


def _unescaped(found: list[ShellWord]) -> list[ShellWord]:
    """Return words as compose hands them on: ``$$NAME`` is ``$NAME`` for the container's shell."""
    return [
        replace(
            word,
            text=word.text.replace("$$", "$"),
            source=word.source and replace(word.source, text=word.source.text.replace("$$", "$")),
        )
        for word in found
    ]


def _environment(source: SourceText, scribe: DocumentBuilder, node: Node | None) -> list[Setting]:
    listed = nodes.items(node)
    if not listed:
        return [
            nodes.variable(source, name, key, value, Origin.CONTAINER)
            for name, key, value in nodes.entries(node)
        ]
    settings = []
    for word in (nodes.word(source, item) for item in listed):
        name, equals, value = word.text.partition("=")
        setting = assignment(word, Origin.CONTAINER)
        if not equals:
            continue
        if name != name.strip():
            said = f"compose sets {name!r}, with the blank, and no program reads that"
            scribe.notices.append(Notice(Oddity.NOT_ASSIGNED, setting, said=said))
            continue
        block = re.match(r"\s*([|>][+-]?)\s", value)
        if block is not None:
            said = f"compose gives {name} the {block[1]!r}, too: it starts no block inside an item"
            scribe.notices.append(Notice(Oddity.NOT_ASSIGNED, setting, said=said))
        if re.fullmatch(r"(['\"]).*\1", value):
            scribe.notice(Oddity.JOINED_PARSE, setting)
        settings.append(setting)
    return settings


def _deployed(source: SourceText, service: Node) -> Iterator[Setting]:
    """Yield the options that ``deploy`` stands for: limits, and devices that are reserved."""
    limits = nodes.get(service, "deploy", "resources", "limits")
    for name, option in (("cpus", "--cpus"), ("memory", "--memory")):
        node = nodes.get(limits, name)
        if node is not None and nodes.scalar(node):
            yield _option(source, option, nodes.scalar(node) or "", node)
    reserved = nodes.get(service, "deploy", "resources", "reservations", "devices")
    for one in nodes.items(reserved):
        kinds = [nodes.scalar(kind) for kind in nodes.items(nodes.get(one, "capabilities"))]
        if "gpu" not in kinds:
            continue
        ids = [nodes.scalar(each) or "" for each in nodes.items(nodes.get(one, "device_ids"))]
        count = nodes.scalar(nodes.get(one, "count")) or "all"
        text = f"device={','.join(ids)}" if ids else count
        driver = nodes.scalar(nodes.get(one, "driver"))
        option = "--gpus" if driver in {"nvidia", None} else "--device-reservation"
        yield _option(source, option, text, one)


def _options(source: SourceText, service: Node) -> list[Setting]:
    found = []
    for name, key, value in nodes.entries(service):
        option = _OPTIONS.get(name)
        if option is None:
            continue
        listed = nodes.items(value)
        if listed:
            for node in listed:
                text = nodes.scalar(node) or _long(node)
                found.append(_option(source, option, text, node))
        elif nodes.scalar(value) is not None:
            found.append(_option(source, option, nodes.scalar(value) or "", value))
        else:
            for inner, _, given in nodes.entries(value):
                text = f"{inner}={nodes.scalar(given) or ''}"
                found.append(_option(source, option, text, key))
    return found


def _long(node: Node) -> str:
    """Return a volume's long form as its short one; the source alone where it has no target."""
    source, target = (nodes.scalar(nodes.get(node, key)) or "" for key in ("source", "target"))
    return f"{source}:{target}" if target else source


def _option(source: SourceText, name: str, text: str, node: Node) -> Setting:
    at = nodes.place(source, node)
    return Setting(name, text, at, Origin.CONTAINER, literal="$" not in text)

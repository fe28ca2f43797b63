"""Compose files: each service's container, environment and command."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from trimtab.lint.readers import entry as entries
from trimtab.lint.readers import yaml_nodes as nodes
from trimtab.lint.readers.launch import Word, assignment
from trimtab.lint.readers.scribe import Scribe
from trimtab.lint.readers.session import Session
from trimtab.lint.readers.source import Source
from trimtab.model.script import Container, Document, Origin, Setting

if TYPE_CHECKING:
    from yaml import Node

_OPTIONS: Final = {
    "devices": "--device", "volumes": "--volume", "shm_size": "--shm-size", "ipc": "--ipc",
    "network_mode": "--network", "privileged": "--privileged", "runtime": "--runtime",
    "cpuset": "--cpuset-cpus", "ulimits": "--ulimit", "pid": "--pid", "cap_add": "--cap-add",
    "sysctls": "--sysctl", "mem_limit": "--memory", "cpus": "--cpus", "gpus": "--gpus",
    "restart": "--restart", "user": "--user",
}  # fmt: skip
"""Keys of a service → the options of ``docker run``."""


def read_compose(source: Source, root: Node) -> Document:
    """Return what a compose file says."""
    scribe = Scribe()
    for name, _, service in nodes.entries(nodes.get(root, "services")):
        _service(source, scribe, name, service)
    return scribe.document(source, "compose")


def _service(source: Source, scribe: Scribe, name: str, service: Node) -> None:
    image = nodes.get(service, "image")
    container = Container(
        nodes.scalar(image) or "",
        tuple(_options(source, service)),
        nodes.place(source, image or service),
    )
    scribe.containers.append(container)
    session = Session(source, scribe, True, Origin.CONTAINER, container=container)
    env = _environment(source, nodes.get(service, "environment"))
    scribe.settings += env
    session.variables.give(tuple(env))
    if nodes.get(service, "env_file") is not None:
        session.doubt(source, f"the env_file of {name} is not read")
    entry = words(source, nodes.get(service, "entrypoint"))
    command = words(source, nodes.get(service, "command"))
    entered = nodes.get(service, "entrypoint") is not None
    if not entry:  # behind an entry point anything may be meant
        plain = entries.shell_syntax(
            [one for one in command if not one.text.startswith("${")], assigns=not entered
        )
        scribe.notices += () if plain is None else (plain,)
    run(session, container, entry, command, entered=entered, name=name)


def run(
    session: Session,
    container: Container,
    entry: list[Word],
    command: list[Word],
    *,
    entered: bool,
    name: str,
) -> None:
    """Follow what a container starts; without a command of its own, whatever its image does.

    ``name`` is the service or container by which people know it.
    """
    place = container.place or session.source.place(1)
    found, odd = entries.started(container.image, entry, command, place, entered=entered)
    session.scribe.notices += () if odd is None else (odd,)
    before = len(session.scribe.launches)
    session.start(found, found[0].place if found else place)
    launches = session.scribe.launches
    if len(launches) == before:
        session.implied()
    launches[before:] = [replace(one, service=name) for one in launches[before:]]


def words(source: Source, node: Node | None) -> list[Word]:
    """Return a command, given as a list or as one string that is split like a shell would."""
    listed = nodes.items(node)
    if listed:
        return [nodes.word(source, one) for one in listed]
    text = nodes.scalar(node)
    if text is None or node is None:
        return []
    at = nodes.place(source, node)
    try:
        parts = shlex.split(text)
    except ValueError:
        return []
    return [Word(part, at, "$" not in part) for part in parts]


def _environment(source: Source, node: Node | None) -> list[Setting]:
    listed = nodes.items(node)
    if listed:
        found = [nodes.word(source, one) for one in listed]
        return [assignment(one, Origin.CONTAINER) for one in found if "=" in one.text]
    return [
        nodes.variable(source, name, key, value, Origin.CONTAINER)
        for name, key, value in nodes.entries(node)
    ]


def _options(source: Source, service: Node) -> list[Setting]:
    found = []
    for name, key, value in nodes.entries(service):
        option = _OPTIONS.get(name)
        if option is None:
            continue
        listed = nodes.items(value)
        if listed:
            for one in listed:
                text = nodes.scalar(one) or nodes.scalar(nodes.get(one, "source")) or ""
                found.append(_option(source, option, text, one))
        elif nodes.scalar(value) is not None:
            found.append(_option(source, option, nodes.scalar(value) or "", value))
        else:
            for inner, _, given in nodes.entries(value):
                text = f"{inner}={nodes.scalar(given) or ''}"
                found.append(_option(source, option, text, key))
    return found


def _option(source: Source, name: str, text: str, node: Node) -> Setting:
    at = nodes.place(source, node)
    return Setting(name, text, at, Origin.CONTAINER, literal="$" not in text)

"""Quadlet files of podman: a ``[Container]`` is what its generator makes of it, ``podman run``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from trimtab.linter.readers import unit_environment
from trimtab.linter.readers.container import parse_run
from trimtab.linter.readers.launch import ShellWord
from trimtab.linter.readers.shell_session import ShellSession
from trimtab.linter.readers.unit_text import UnitLine
from trimtab.model.document import Container, Origin

_OPTIONS: Final = {
    "ShmSize": "--shm-size", "AddDevice": "--device", "Volume": "--volume", "User": "--user",
    "Network": "--network", "PublishPort": "--publish", "Ulimit": "--ulimit", "Mount": "--mount",
    "AddCapability": "--cap-add", "Sysctl": "--sysctl", "Memory": "--memory", "Pull": "--pull",
    "PidsLimit": "--pids-limit", "GroupAdd": "--group-add", "Entrypoint": "--entrypoint",
    "ContainerName": "--name", "WorkingDir": "--workdir", "HostName": "--hostname",
    "Tmpfs": "--tmpfs", "Secret": "--secret", "EnvironmentFile": "--env-file", "Pod": "--pod",
}  # fmt: skip
"""Keys of ``[Container]`` with a value → options of ``podman run`` (podman-systemd.unit(5))."""

_SWITCHES: Final = {"RunInit": "--init", "ReadOnly": "--read-only"}


def follow(session: ShellSession, lines: Sequence[UnitLine]) -> None:
    """Follow the container of a Quadlet file or of a drop-in for one."""
    if not lines:
        return
    options = [word for one in lines for word in _options(session, one)]
    image = next((one for one in reversed(lines) if one.key == "Image" and one.value), None)
    if image is None:
        _drop_in(session, options)
        return
    command = next((one for one in reversed(lines) if one.key == "Exec"), None)
    given = [] if command is None else _words(session, command)
    place = image.at(0, len(image.value))
    words = [*(ShellWord(text, place) for text in ("podman", "run", "--rm")), *options]
    session.start([*words, ShellWord(image.value, place, "%" not in image.value), *given], place)


def _drop_in(session: ShellSession, options: Sequence[ShellWord]) -> None:
    """Follow a file without an image: what it sets reaches a container made elsewhere."""
    begin = (ShellWord(text, session.source.place(1)) for text in ("podman", "run"))
    run = parse_run([*begin, *options])
    session.scribe.settings += run.env
    session.variables.give(run.env)
    session.inside = True
    session.container = Container("", run.container.options)


def _options(session: ShellSession, line: UnitLine) -> Iterator[ShellWord]:
    if line.key == "Environment":
        for one in unit_environment.assignments(session, line, Origin.CONTAINER):
            at = one.place or line.place
            yield ShellWord("--env", at)
            yield ShellWord(f"{one.name}={one.value}", at, one.literal)
    elif line.key == "PodmanArgs":
        yield from _words(session, line)
    elif line.key in _SWITCHES and line.value.lower() in {"true", "yes", "on", "1"}:
        yield ShellWord(_SWITCHES[line.key], line.place)
    elif line.key in _OPTIONS and line.value:
        at = line.at(0, len(line.value))
        yield ShellWord(_OPTIONS[line.key], at)
        yield ShellWord(line.value, at, "%" not in line.value)


def _words(session: ShellSession, line: UnitLine) -> list[ShellWord]:
    found = unit_environment.pieces(session, line)
    return [ShellWord(one.text, one.place, "$" not in one.text) for one in found]

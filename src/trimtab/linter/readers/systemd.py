"""systemd units and Quadlet files: environment and command of a service (systemd.exec(5))."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from trimtab.facts.parsing import parse_cpu_list
from trimtab.linter.readers import unit_text
from trimtab.linter.readers.container import parse_run
from trimtab.linter.readers.entry_point import shell_syntax
from trimtab.linter.readers.launch import ShellWord
from trimtab.linter.readers.shell_session import ShellSession
from trimtab.linter.readers.source import DocumentBuilder, SourceText
from trimtab.linter.readers.unit_text import Piece, UnitLine, lines
from trimtab.linter.scenes import percent
from trimtab.model.document import Container, Document, Oddity, Origin, Place, Setting

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
    options = [word for line in lines for word in _options(session, line)]
    image = next((line for line in reversed(lines) if line.key == "Image" and line.value), None)
    if image is None:
        _drop_in(session, options)
        return
    command = next((line for line in reversed(lines) if line.key == "Exec"), None)
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
        for assignment in unit_text.assignments(session, line, Origin.CONTAINER):
            at = assignment.place or line.place
            yield ShellWord("--env", at)
            yield ShellWord(f"{assignment.name}={assignment.value}", at, assignment.literal)
    elif line.key == "PodmanArgs":
        yield from _words(session, line)
    elif line.key in _SWITCHES and line.value.lower() in {"true", "yes", "on", "1"}:
        yield ShellWord(_SWITCHES[line.key], line.place)
    elif line.key in _OPTIONS and line.value:
        at = line.at(0, len(line.value))
        yield ShellWord(_OPTIONS[line.key], at)
        yield ShellWord(line.value, at, "%" not in line.value)


def _words(session: ShellSession, line: UnitLine) -> list[ShellWord]:
    pieces = unit_text.pieces(session, line)
    return [ShellWord(piece.text, piece.place, "$" not in piece.text) for piece in pieces]


_NAME: Final = r"[A-Za-z_]\w*"


def read_systemd(source: SourceText) -> Document:
    """Return what a unit, a drop-in or a Quadlet file says."""
    scribe = DocumentBuilder()
    session = ShellSession(source, scribe, inside=False, origin=Origin.UNIT)
    found = list(lines(source))
    service = [line for line in found if line.section == "Service"]
    for line in service:
        session.at = line.place
        _follow(session, line)
    affinities = [_cpus(o.value) for o in service if o.key in {"CPUAffinity", "AllowedCPUs"}]
    affinity = next((affinity for affinity in reversed(affinities) if affinity), None)
    for line in _commands(service):
        for words in _started(session, line):
            odd = shell_syntax(words)
            scribe.notices += () if odd is None else (odd,)
            session.start(_bound(affinity, words, line.place), words[0].place)
    follow(session, [line for line in found if line.section == "Container"])
    session.finish()
    return scribe.document(source, "systemd")


def _follow(session: ShellSession, line: UnitLine) -> None:
    """Follow one line of a service that is no command."""
    if line.key == "Environment":
        _environment(session, line)
    elif line.key == "EnvironmentFile" and line.value:
        session.doubt(line.source, f"{line.value.lstrip('-')} is not read")
    elif line.key == "UnsetEnvironment":
        for name in line.value.split():
            session.variables.unset(name)
    elif line.key == "CPUQuota":
        session.cpu_quota = percent(line.value)
    elif line.key.startswith("Limit"):
        setting = Setting(line.key, line.value, line.place, Origin.UNIT)
        session.scribe.settings.append(setting)


def _environment(session: ShellSession, line: UnitLine) -> None:
    if not line.value:  # an empty assignment resets the list (systemd.exec(5))
        for name in list(session.variables.exported()):
            session.variables.unset(name)
        return
    known = session.variables.exported()
    for setting in unit_text.assignments(session, line, Origin.UNIT):
        before = known.get(setting.name)
        known[setting.name] = setting
        if before is not None and before.value != setting.value:
            session.scribe.notice(Oddity.OVERWRITTEN, before, setting)
        session.scribe.settings.append(setting)
        session.variables.give((setting,))


def _commands(service: Sequence[UnitLine]) -> list[UnitLine]:
    """Return the lines of commands in force: an empty one resets its list."""
    found: list[UnitLine] = []
    for line in service:
        if line.key in {"ExecStartPre", "ExecStart"}:
            found = [*found, line] if line.value else [o for o in found if o.key != line.key]
    return found


def _started(session: ShellSession, line: UnitLine) -> Iterator[list[ShellWord]]:
    """Yield the commands of a line, which a lone ``;`` parts."""
    pieces = unit_text.pieces(session, line)
    signs = re.match(r"[@\-:+!|]*", pieces[0].text) if pieces else None
    if signs is None:
        return
    first = Piece(pieces[0].text[signs.end() :], pieces[0].place)
    rest = pieces[2:] if "@" in signs[0] else pieces[1:]  # the second word is its name
    words: list[ShellWord] = []
    for piece in (first, *rest):
        if piece.text == ";" and not piece.quoted:
            yield from [words] if words else ()
            words = []
        elif ":" in signs[0]:
            words.append(ShellWord(piece.text, piece.place))
        else:
            words += _expanded(session, piece)
    yield from [words] if words else ()


def _expanded(session: ShellSession, piece: Piece) -> list[ShellWord]:
    """Return a word with the unit's variables: ``$NAME`` alone splits, ``${NAME}`` does not."""
    known = {
        name: setting.value
        for name, setting in session.variables.exported().items()
        if setting.literal
    }
    whole = re.fullmatch(rf"\$({_NAME})", piece.text)
    if whole and whole[1] in known:
        return [ShellWord(part, piece.place) for part in known[whole[1]].split()]
    text = re.sub(rf"\$\{{({_NAME})\}}", lambda m: known.get(m[1], m[0]), piece.text)
    unknown = "$" in text.replace("$$", "") or "%" in text.replace("%%", "")
    return [ShellWord(text.replace("$$", "$").replace("%%", "%"), piece.place, not unknown)]


def _bound(affinity: str | None, words: list[ShellWord], place: Place) -> list[ShellWord]:
    """Show an affinity as what it is equal to: taskset."""
    if affinity is None or not words:
        return words
    return [*(ShellWord(text, place) for text in ("taskset", "-c", affinity)), *words]


def _cpus(text: str) -> str | None:
    joined = ",".join(text.replace(",", " ").split())
    try:
        parse_cpu_list(joined)
    except ValueError:
        return None
    return joined or None

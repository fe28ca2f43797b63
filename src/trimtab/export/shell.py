"""``serve.sh``: the plan as a complete POSIX shell script, and back.

The words of the script are quoted by ``shlex.quote``; nothing in it is evaluated but the
references to host, port, an inherited ``LD_PRELOAD``, and secrets.
"""

from __future__ import annotations

import re
import shlex

from trimtab.errors import StudyError
from trimtab.export.envfile import ENVIRONMENT, logical_lines
from trimtab.export.heading import comment, heading, origins
from trimtab.export.order import Artefact, Order, exportable_settings, read_settings
from trimtab.facts.parsing import format_cpu_list, parse_cpu_list
from trimtab.model import Settings
from trimtab.redaction import argv_secrets, is_secret, marker

FILE = "serve.sh"

_LISTEN = '--host "${TRIMTAB_HOST:-127.0.0.1}" --port "${TRIMTAB_PORT:-8000}"'
_FORMER_PRELOAD = '"${LD_PRELOAD:+:$LD_PRELOAD}"'
_PIN = ("taskset", "-cp")
_UNDO = "end the server: this file changes nothing else"
_REQUIRED = re.compile(r"\$\{(\w+):\?[^}]*\}$")
_CONTINUED = " \\\n  "

_PREAMBLE = """\
# shellcheck disable=SC1003,SC1110,SC1111,SC1112,SC2016  # values are meant literally
set -eu
"""


def render(order: Order) -> str:
    """Return the script that starts the server.

    Raises:
        StudyError: the plan holds something that a script cannot carry.
    """
    settings = exportable_settings(order.profile.plan.settings)
    blocks = [
        "#!/bin/sh\n" + comment(heading(order, "vLLM launch script", _UNDO)),
        _PREAMBLE,
        "".join(f"unset {name}\n" for name in settings.unset),
        _pin(settings),
        _exports(settings, origins(order.profile)),
        _command(settings.argv),
    ]
    return "\n".join(block for block in blocks if block)


def _pin(settings: Settings) -> str:
    if settings.affinity is None:
        return ""
    return f"{' '.join(_PIN)} {format_cpu_list(settings.affinity)} $$ >/dev/null\n"


def _exports(settings: Settings, worth: dict[str, str]) -> str:
    lines: list[str] = []
    for name, value in settings.env:
        lines.append(comment([worth[name]] if name in worth else []))
        if is_secret(name, value):
            lines.append(f'export {name}="{_required(name)}"\n')
        else:
            lines.append(f"export {name}={shlex.quote(value)}\n")
    if settings.preload:
        lines.append(comment(worth[path] for path in settings.preload if path in worth))
        paths = shlex.quote(":".join(settings.preload))
        lines.append(f"export LD_PRELOAD={paths}{_FORMER_PRELOAD}\n")
    return "".join(lines)


def _command(argv: tuple[str, ...]) -> str:
    secrets = {index: (prefix, name) for index, prefix, name in argv_secrets(argv)}
    lines: list[list[str]] = [[]]
    for index, word in enumerate(argv):
        if word.startswith("--") and index:
            lines.append([])
        if index in secrets:
            prefix, name = secrets[index]
            quoted = shlex.quote(prefix) if prefix else ""
            lines[-1].append(f'{quoted}"{_required(name)}"')
        else:
            lines[-1].append(shlex.quote(word))
    return f"exec {_CONTINUED.join(' '.join(line) for line in [*lines, [_LISTEN]])}\n"


def _required(name: str) -> str:
    return f"${{{name}:?set it: secrets are never stored in this file}}"


def parse(text: str) -> Settings:
    """Return the settings of a script that :func:`render` wrote.

    Raises:
        StudyError: it holds a line that :func:`render` does not write.
    """
    try:
        return _parse(text)
    except ValueError as error:
        raise StudyError(f"{FILE} must be as trimtab wrote it, but: {error}") from error


def _parse(text: str) -> Settings:
    env: list[tuple[str, str]] = []
    unset: list[str] = []
    preload: tuple[str, ...] = ()
    affinity: tuple[int, ...] | None = None
    argv: tuple[str, ...] = ()
    for line in logical_lines(text):
        if line.startswith("#"):
            continue
        words = shlex.split(line)
        match words[0], words[1:]:
            case "set", ["-eu"]:
                pass
            case "unset", [name]:
                unset.append(name)
            case "taskset", ["-cp", cpus, "$$", ">/dev/null"]:
                affinity = parse_cpu_list(cpus)
            case "export", [assignment]:
                name, value = _assignment(assignment, line)
                if name == "LD_PRELOAD":
                    preload = tuple(value.split(":"))
                else:
                    env.append((name, value))
            case "exec", [*command]:
                argv = _own_words(command, line)
            case _:
                raise StudyError(f"a line of {FILE} must be as trimtab wrote it, but is {line!r}")
    return Settings(argv, tuple(env), tuple(unset), preload, affinity)


def _assignment(words: str, line: str) -> tuple[str, str]:
    name, _, value = words.partition("=")
    if name == "LD_PRELOAD":
        former = shlex.split(_FORMER_PRELOAD)[0]
        if not value.endswith(former):
            raise StudyError(f"LD_PRELOAD must keep what it was before, but does not in {line!r}")
        return name, value.removesuffix(former)
    return name, marker(name) if value == _required(name) else value


def _own_words(command: list[str], line: str) -> tuple[str, ...]:
    listen = shlex.split(_LISTEN)
    if command[-len(listen) :] != listen:
        raise StudyError(f"{FILE} must listen where TRIMTAB_HOST and TRIMTAB_PORT say: {line!r}")
    words = [_REQUIRED.sub(r"${\1}", word) for word in command[: -len(listen)]]
    for index, prefix, name in argv_secrets(words):
        words[index] = prefix + marker(name)
    return tuple(words)


SCRIPT = Artefact(FILE, render, read_settings(parse), mode=0o755, summary="script")
FORMATS = {"shell": (SCRIPT, ENVIRONMENT)}

"""``serve.env``: the plan's variables, for ``. serve.env`` and systemd's ``EnvironmentFile=``.

Values are quoted so that a POSIX shell and systemd read the same (docker's ``--env-file`` does
not unquote at all). An env file can only set: what it cannot say stands in its comments.
"""

from __future__ import annotations

import re
import shlex

from trimtab.errors import StudyError
from trimtab.export.heading import comment, heading, origins
from trimtab.export.order import Artefact, Order, exportable_settings, read_settings
from trimtab.model import Settings
from trimtab.redaction import is_secret, marker

FILE = "serve.env"
_TOKEN = re.compile(
    r"""(?P<quoted>'[^']*'|"[^"]*") | (?P<comment>(?m:^)\#[^\n]*)
    | (?P<continued>\\\n) | (?P<end>\n)""",
    re.VERBOSE,
)
_REFERENCE = "# secret: "
_UNDO = "leave it out: it sets nothing until it is read"


def render(order: Order) -> str:
    """Return the env file.

    Raises:
        StudyError: the plan holds something that an env file cannot carry.
    """
    settings = exportable_settings(order.profile.plan.settings)
    worth = origins(order.profile)
    left = [f"cannot be said in an env file: unset {name}" for name in settings.unset]
    if settings.affinity is not None:
        left.append("cannot be said in an env file: the CPUs that the server is bound to")
    left.append("cannot be said in an env file: the server's command; serve.sh has it")
    lines = [comment(heading(order, "vLLM environment", _UNDO, more=left)), "\n"]
    for name, value in settings.env:
        lines.append(comment([worth[name]] if name in worth else []))
        if is_secret(name, value):
            lines.append(f"{_REFERENCE}{name} (set it yourself: secrets are never written here)\n")
        else:
            lines.append(f"{name}={shlex.quote(value)}\n")
    if settings.preload:
        lines.append(comment(worth[path] for path in settings.preload if path in worth))
        lines.append(f"LD_PRELOAD={shlex.quote(':'.join(settings.preload))}\n")
    return "".join(lines)


def parse(text: str) -> Settings:
    """Return what a file that :func:`render` wrote sets: variables and preloads.

    Raises:
        StudyError: a line is not an assignment.
    """
    try:
        env, preload = _parse(text)
    except ValueError as error:
        raise StudyError(f"{FILE} must be as trimtab wrote it, but: {error}") from error
    return Settings((), env, (), preload)


def _parse(text: str) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    env: list[tuple[str, str]] = []
    preload: tuple[str, ...] = ()
    for line in logical_lines(text):
        if line.startswith(_REFERENCE):
            name = line.removeprefix(_REFERENCE).split(" ", 1)[0]
            env.append((name, marker(name)))
        if line.startswith("#"):
            continue
        name, equals, quoted = line.partition("=")
        words = shlex.split(quoted)
        if not equals or len(words) > 1:
            raise StudyError(f"a line of an env file must be NAME=VALUE, but is {line!r}")
        value = words[0] if words else ""
        if name == "LD_PRELOAD":
            preload = tuple(value.split(":"))
        else:
            env.append((name, value))
    return tuple(env), preload


def logical_lines(text: str) -> list[str]:
    """Return the lines of shell text, less empty ones, continued lines joined.

    A quoted newline does not end a line. Only for text whose backslashes are all quoted or at a
    line's end, as ``shlex.quote`` leaves them.
    """
    lines: list[str] = [""]
    last = 0
    for token in _TOKEN.finditer(text):
        lines[-1] += text[last : token.start()]
        last = token.end()
        if token["end"]:
            lines.append("")
        else:
            lines[-1] += " " if token["continued"] else token[0]
    lines[-1] += text[last:]
    return [line for line in lines if line]


ENVIRONMENT = Artefact(FILE, render, read_settings(parse), summary="env file")

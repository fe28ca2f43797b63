"""``vllm.service`` and a drop-in: the plan as a systemd unit, and back.

Quoting follows ``man 7 systemd.syntax`` (double quotes with C escapes), ``%%`` for the percent
sign (``man 5 systemd.unit``, Specifiers) and ``$$`` for the dollar sign on command lines
(``man 5 systemd.service``, Command lines).
"""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Iterator
from pathlib import Path

from trimtab import formatting
from trimtab.errors import StudyError
from trimtab.export.heading import comment, heading, origins
from trimtab.export.order import Artefact, Order, exportable_settings, read_settings
from trimtab.facts.parsing import format_cpu_list, parse_cpu_list
from trimtab.model import Settings
from trimtab.redaction import argv_secrets, is_secret, marker

FILE = "vllm.service"
DROP_IN = "trimtab.conf"
SECRETS = "/etc/trimtab/secrets.env"
"""Where the unit looks for secrets: lines of NAME=VALUE, mode 0600, absent if there are none."""

_LISTEN = ("--host", "${TRIMTAB_HOST}", "--port", "${TRIMTAB_PORT}")
_LISTEN_ENV = (("TRIMTAB_HOST", "127.0.0.1"), ("TRIMTAB_PORT", "8000"))
_LISTENING = ("Host and port: set TRIMTAB_HOST and TRIMTAB_PORT with systemctl edit.",)
_PLAIN = re.compile(r"[\w@=+:,./-]+", re.ASCII)
_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|([^\s"\\]+)', re.DOTALL)
_ESCAPE = re.compile(r"\\(?:x([0-9a-f]{2})|(.))")
_NAMED = {"\n": "n", "\t": "t", '"': '"', "\\": "\\"}
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")

_SERVICE = """\
# The API server may exit with status 0 when its engine died (vLLM 0.32), so 0 restarts as well;
# 2 is a command line that vLLM refuses, which no restart cures.
Restart=on-failure
RestartForceExitStatus=0
RestartPreventExitStatus=2
RestartSec=5
# TERM to the API server, which ends its engine and workers; then KILL to what is left of them.
KillMode=mixed
TimeoutStopSec=60
"""

_UNIT = """\
[Unit]
Description={description}
After=network-online.target
Wants=network-online.target
StartLimitIntervalSec=600
StartLimitBurst=5

[Service]
Type=exec
# Who tuned it, where: caches lie in this user's home, and relative paths are relative to here.
User={user}
WorkingDirectory={folder}
# Each connection takes a descriptor, and systemd's default is 1024.
LimitNOFILE=65536
"""

_INSTALL = """
[Install]
WantedBy=multi-user.target
"""


def render(order: Order) -> str:
    """Return the unit that runs the server.

    Raises:
        StudyError: the plan holds something that a unit cannot carry.
    """
    profile = order.profile
    lines = own_lines(order)
    described = formatting.line(f"vLLM {profile.model} (trimtab profile {profile.name})")
    said = heading(
        order,
        "vLLM systemd unit",
        f"systemctl disable --now {FILE}; rm /etc/systemd/system/{FILE}",
        pid=main_pid(FILE),
        more=_LISTENING,
    )
    unit = _UNIT.format(
        description=described.replace("%", "%%"), user=_user(), folder=_folder(Path.cwd())
    )
    return "".join((comment(said), "\n", unit, *lines, _SERVICE, _INSTALL))


def render_drop_in(order: Order) -> str:
    """Return the drop-in that gives the plan to a unit that exists already.

    Raises:
        StudyError: the plan holds something that a unit cannot carry.
    """
    lines = own_lines(order)
    said = heading(
        order,
        "drop-in for a systemd unit that serves vLLM already",
        f"rm UNIT.d/{DROP_IN}; systemctl daemon-reload; systemctl restart UNIT",
        pid=main_pid("UNIT"),
        more=(
            f"Put it into /etc/systemd/system/UNIT.d/{DROP_IN}, then systemctl daemon-reload. The",
            "unit's own command is replaced; its variables stay, and these win.",
            *_LISTENING,
        ),
    )
    return "".join((comment(said), "\n[Service]\n", *lines[:-1], "ExecStart=\n", lines[-1]))


def main_pid(unit: str) -> str:
    """Return what stands for the process id of a unit's server in a shell."""
    return f'"$(systemctl show --property MainPID --value {unit})"'


def own_lines(order: Order) -> list[str]:
    """Return the directives that carry the plan; the last is the command.

    Raises:
        StudyError: the plan holds something that a unit cannot carry.
    """
    settings = exportable_settings(order.profile.plan.settings)
    _check(settings)
    return [
        *(f"CPUAffinity={format_cpu_list(cpus)}\n" for cpus in [settings.affinity] if cpus),
        *(f"UnsetEnvironment={_unset(name, settings)}\n" for name in settings.unset),
        *_environment(settings, origins(order.profile)),
        _command(settings.argv),
    ]


def _user() -> str:
    """Return the name of the current user; its number where it has none."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _folder(path: Path) -> str:
    """Return ``path`` as a unit names a folder; the user's home if it has no form in one line."""
    text = str(path)
    if _CONTROL.search(text) or not text.isprintable() or text != text.strip().rstrip("\\"):
        return "~"
    return text.replace("%", "%%")


def _check(settings: Settings) -> None:
    for name, value in settings.env:
        if _CONTROL.search(value):
            raise StudyError(
                f"a unit's variables must not hold control characters (systemd drops them), but "
                f"{name} does: use serve.sh"
            )
    if "$" in settings.argv[0]:
        raise StudyError(f"a unit's program must have no $ in its path, but is {settings.argv[0]}")


def _unset(name: str, settings: Settings) -> str:
    # systemd removes after it sets: the plan's own LD_PRELOAD must survive, and a service has
    # inherited none. The form NAME=VALUE removes exactly that value, here the empty one.
    return f"{name}=" if name == "LD_PRELOAD" and settings.preload else name


def _environment(settings: Settings, worth: dict[str, str]) -> list[str]:
    lines = [f"Environment={name}={value}\n" for name, value in _LISTEN_ENV]
    for name, value in settings.env:
        lines.append(comment([worth[name]] if name in worth else []))
        if is_secret(name, value):
            lines.append(comment([f"a secret: write {name}=... into {SECRETS} (mode 0600)"]))
            lines.append(f"PassEnvironment={name}\n")
        else:
            lines.append(f"Environment={_quote(f'{name}={value}')}\n")
    if settings.preload:
        lines.append(comment(worth[path] for path in settings.preload if path in worth))
        lines.append(f"Environment={_quote('LD_PRELOAD=' + ':'.join(settings.preload))}\n")
    lines.append(f"EnvironmentFile=-{SECRETS}\n")
    return lines


def _command(argv: tuple[str, ...]) -> str:
    secrets = {index: (prefix, name) for index, prefix, name in argv_secrets(argv)}
    lines: list[list[str]] = [[]]
    for index, word in enumerate(argv):
        if word.startswith("--") and index:
            lines.append([])
        if index in secrets:
            prefix, name = secrets[index]
            lines[-1].append(f'"{_escape(prefix.replace("$", "$$"))}{marker(name)}"')
        else:
            lines[-1].append(_quote(word.replace("$", "$$")))
    lines.append(list(_LISTEN))
    return "ExecStart=" + " \\\n    ".join(" ".join(line) for line in lines) + "\n"


def _quote(word: str) -> str:
    if _PLAIN.fullmatch(word):
        return word
    return f'"{_escape(word)}"'


def _escape(text: str) -> str:
    return "".join(_escaped(character) for character in text)


def _escaped(character: str) -> str:
    if character in _NAMED:
        return "\\" + _NAMED[character]
    if character == "%":
        return "%%"
    return f"\\x{ord(character):02x}" if _CONTROL.match(character) else character


def parse(text: str) -> Settings:
    """Return the settings of a unit that :func:`render` wrote.

    Raises:
        StudyError: a line is not quoted as :func:`render` quotes, or the command is not its own.
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
    for key, value in _directives(text):
        if key == "CPUAffinity":
            affinity = parse_cpu_list(value)
        elif key == "UnsetEnvironment":
            unset.append(value.removesuffix("="))
        elif key == "PassEnvironment":
            env.append((value, marker(value)))
        elif key == "Environment":
            name, _, content = _words(value)[0].partition("=")
            if name == "LD_PRELOAD":
                preload = tuple(content.split(":"))
            elif (name, content) not in _LISTEN_ENV:
                env.append((name, content))
        elif key == "ExecStart" and value:
            argv = _own_words(_words(value))
    return Settings(argv, tuple(env), tuple(unset), preload, affinity)


def _directives(text: str) -> Iterator[tuple[str, str]]:
    for line in text.replace("\\\n", " ").split("\n"):
        key, equals, value = line.partition("=")
        if equals and key.isalpha():
            yield key, value


def _words(text: str) -> list[str]:
    rest = _WORD.sub("", text).strip()
    if rest:
        raise StudyError(f"a line of {FILE} must be quoted as trimtab quotes, but holds {rest!r}")
    return [_unescaped(match[1] or match[2] or "") for match in _WORD.finditer(text)]


def _unescaped(word: str) -> str:
    meaning = {letter: character for character, letter in _NAMED.items()}
    plain = _ESCAPE.sub(lambda m: chr(int(m[1], 16)) if m[1] else meaning[m[2]], word)
    return plain.replace("%%", "%")


def _own_words(words: list[str]) -> tuple[str, ...]:
    if tuple(words[-len(_LISTEN) :]) != _LISTEN:
        raise StudyError(f"{FILE} must listen where TRIMTAB_HOST and TRIMTAB_PORT say")
    argv = [word.replace("$$", "$") for word in words[: -len(_LISTEN)]]
    for index, prefix, name in argv_secrets(argv):
        argv[index] = prefix + marker(name)
    return tuple(argv)


UNIT = Artefact(FILE, render, read_settings(parse), summary="unit")
FORMATS = {
    "systemd": (
        UNIT,
        Artefact(f"{FILE}.d/{DROP_IN}", render_drop_in, read_settings(parse), summary="drop-in"),
    )
}

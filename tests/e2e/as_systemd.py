"""Starts a service as systemd starts it, where systemd is not process 1.

Read from man 7 systemd.syntax (lines, quotes, escapes), man 5 systemd.unit (specifiers), man 5
systemd.exec (environment, affinity, limits, user) and man 5 systemd.service (command lines). It
shares no code with what writes units; an unknown directive that acts on the process is refused.
"""

import os
import pwd
import re
import resource
import subprocess
from pathlib import Path
from typing import IO

_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "s": " ", "\\": "\\", '"': '"', "'": "'"}
_WITHOUT_EFFECT = {
    *("Type", "Restart", "RestartForceExitStatus", "RestartPreventExitStatus", "RestartSec"),
    *("KillMode", "TimeoutStopSec"),
}
"""What tells when to start and stop, not how the process is made."""


def start(text: str, output: IO[str], **overrides: str) -> subprocess.Popen[str]:
    """Start a unit's ExecStart. ``overrides`` are variables of a drop-in (systemctl edit)."""
    said = _service(text)
    env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "LANG": "C.UTF-8"}
    user = pwd.getpwnam(said["User"][0])
    assert user.pw_uid == os.getuid(), "this runner changes no user"
    env |= {"HOME": user.pw_dir, "USER": user.pw_name, "LOGNAME": user.pw_name}
    for line in said.get("Environment", []):
        for word in _words(line):
            name, _, value = word.partition("=")
            env[name] = value
    env |= overrides
    for line in said.get("UnsetEnvironment", []):
        name, equals, value = line.partition("=")
        if not equals or env.get(name) == value:
            env.pop(name, None)
    for line in said.get("EnvironmentFile", []):
        assert line.startswith("-"), line
        assert not Path(line[1:]).exists(), "this runner reads no secrets"
    (command,) = said["ExecStart"]
    argv = [_variables(word, env) for word in _words(command)]
    cpus = {int(cpu) for line in said.get("CPUAffinity", []) for cpu in line.split(",")}
    files = int(said["LimitNOFILE"][0])

    def prepare() -> None:
        if cpus:
            os.sched_setaffinity(0, cpus)
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(files, hard), hard))

    return subprocess.Popen(
        argv,
        env=env,
        cwd=said["WorkingDirectory"][0],
        stdout=output,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=prepare,
    )


def _service(text: str) -> dict[str, list[str]]:
    """Return the directives of the section [Service], lines joined, specifiers resolved."""
    section, found = "", dict[str, list[str]]()
    for line in re.sub(r"\\\n", " ", text).split("\n"):
        if line.startswith("["):
            section = line
        elif section == "[Service]" and line and line[0] not in "#;":
            key, _, value = line.partition("=")
            assert not re.search(r"%[^%]", value.replace("%%", "")), f"a specifier in {line!r}"
            found.setdefault(key, []).append(value.strip().replace("%%", "%"))
    known = {
        *("User", "WorkingDirectory", "LimitNOFILE", "CPUAffinity", "UnsetEnvironment"),
        *("Environment", "EnvironmentFile", "ExecStart", *_WITHOUT_EFFECT),
    }
    assert not set(found) - known, f"this runner does not know {set(found) - known}"
    return found


def _words(line: str) -> list[str]:
    """Split as systemd does: blanks separate, quotes group, a backslash begins a C escape."""
    words, word, quote, index = [], None, "", 0
    while index < len(line):
        character = line[index]
        if character == "\\":
            match = re.match(r"\\(?:x([0-9a-fA-F]{2})|(.))", line[index:])
            assert match, line
            word = (word or "") + (chr(int(match[1], 16)) if match[1] else _ESCAPES[match[2]])
            index += match.end() - 1
        elif quote and character == quote:
            quote = ""
        elif not quote and character in "\"'" and word is None:
            quote, word = character, ""
        elif not quote and character in " \t":
            words += [] if word is None else [word]
            word = None
        else:
            word = (word or "") + character
        index += 1
    assert not quote, line
    return words if word is None else [*words, word]


def _variables(word: str, env: dict[str, str]) -> str:
    return re.sub(r"\$\$|\$\{(\w+)\}", lambda m: env.get(m[1], "") if m[1] else "$", word)

"""Programs that start another one: where in their words its command stands.

Their own options are many and change; so the command is found by what it is, not by counting.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from trimtab.families import launch_pattern
from trimtab.linter.readers.launch import (
    ShellWord,
    assignment,
    is_python,
    is_server,
    program,
    unwrap,
)
from trimtab.linter.readers.scripts import SHELLS
from trimtab.model.document import Setting

_FORWARD: Final = {
    **dict.fromkeys(
        ("uvx", "srun", "mpirun", "mpiexec", "orterun", "prterun", "ibrun", "aprun", "jsrun",
         "flock", "xargs", "systemd-run", "runuser", "prlimit", "chroot", "unshare", "nsenter",
         "cgexec", "strace", "ltrace", "gdb", "proxychains", "proxychains4", "su-exec",
         "s6-setuidgid", "setpriv", "setarch", "linux64", "nsys", "ncu", "py-spy", "perf",
         "memray", "viztracer", "daemonize", "start-stop-daemon", "caffeinate", "doas",
         "torchrun", "accelerate", "runcon", "firejail", "bwrap", "cpulimit", "hwloc-bind",
         "likwid-pin", "pixi", "systemd-inhibit", "valgrind", "entr", "parallel", "watch",
         "clush", "pdsh", "deepspeed", "horovodrun", "jemalloc.sh", "nodemon", "forever"),
        (),
    ),
    "uv": ("run", "tool"), "conda": ("run",), "mamba": ("run",), "micromamba": ("run",),
    "poetry": ("run",), "pdm": ("run",), "hatch": ("run",), "pipenv": ("run",), "rye": ("run",),
    "pipx": ("run",), "nix": ("develop", "shell", "run"), "dotenv": ("run",), "op": ("run",),
    "doppler": ("run",), "infisical": ("run",), "ray": ("job",), "pm2": ("start",),
    "flux": ("run", "submit"), "sky": ("exec", "launch"), "aws-vault": ("exec",),
}  # fmt: skip
"""Programs that hand the rest of their words on → the subcommands that do, any where none."""

_TEXTS: Final = {
    "tmux": (), "screen": (), "su": (), "runuser": (), "script": (), "watch": (), "flock": (),
    "pm2": ("start",), "nix-shell": (), "parallel": (), "pdsh": (), "clush": (), "sbatch": (),
    "byobu": (), "zellij": (), "ray": ("job",), "sg": (), "newgrp": (), "nix": (),
    "concurrently": (), "expect": (), "unbuffer": (), "xterm": (), "gnome-terminal": (),
    "sky": (), "srun": (), "zsh": (), "systemd-run": (), "pueue": (), "nq": (), "at": (),
}  # fmt: skip
"""Programs of which one word is a whole shell command."""

_QUEUES: Final = frozenset({"sbatch", "at", "batch", "qsub", "bsub"})
"""Programs that run later the script that they are fed."""

_REMOTE: Final = frozenset({"ssh", "pdsh", "clush", "sshpass", "dsh", "pssh", "parallel-ssh"})
"""Programs that run a command on another machine: it inherits no variable from here."""

_QUOTING: Final = frozenset(
    {
        *("echo", "printf", "pkill", "pgrep", "grep", "egrep", "rg", "kill", "killall", "which"),
        *("man", "logger", "sed", "awk", "test", "[", "[[", "git", "alias", "trap", "ps", "cat"),
        *("type", "command", "export", "read", "pip", "pip3", "log", "info", "warn", "error"),
        *("die", "fail", "usage", "true", ":", "tee", "jq", "yq", "curl", "wget", "crictl", "cut"),
    }
)
"""Programs that only speak of a command."""

_MODULES: Final = r"\bvllm\.entrypoints\.|\bapi_server\.py\b"


@dataclass(frozen=True, slots=True)
class LaunchedCommand:
    """What a launcher starts: ``words`` of a command, or a shell's ``text``.

    ``env`` is what the launcher sets for it. ``remote``: nothing of this shell's variables gets
    there. ``inside``: it runs in a container, of ``image`` where that is named.
    """

    words: tuple[ShellWord, ...] = ()
    text: ShellWord | None = None
    env: tuple[Setting, ...] = ()
    remote: bool = False
    inside: bool = False
    image: str = ""


def launched_command(
    words: Sequence[ShellWord], fed: ShellWord | None = None
) -> LaunchedCommand | None:
    """Return what a launcher starts; ``None`` where the program is none or nothing is found.

    ``fed`` is what it reads from its input.
    """
    name = program(words)
    texts = [word.text for word in words[1:]]
    if name == "eval":
        return LaunchedCommand(text=_joined(words[1:])) if len(words) > 1 else None
    if name in _QUEUES and fed is not None:
        return LaunchedCommand(text=fed)
    if name in {"kubectl", "oc"} and texts[:1] == ["run"]:
        return _pod(words)
    if name in {"apptainer", "singularity"} and {"exec", "run"} & set(texts[:4]):
        return _in_image(words)
    if _composes(name, texts):
        found = _forwarded(words)
        return LaunchedCommand(found, inside=True) if found else None
    if name in _REMOTE:
        found_there = _remote(words)
        return found_there or (LaunchedCommand(text=fed, remote=True) if fed is not None else None)
    return _local(words, name, texts)


def _local(words: Sequence[ShellWord], name: str, texts: Sequence[str]) -> LaunchedCommand | None:
    if _allowed(_FORWARD, name, texts):
        found = _forwarded(words)
        if found:
            return LaunchedCommand(found, env=_set_by(words[: len(words) - len(found)]))
    if _allowed(_TEXTS, name, texts):
        text = next((word for word in words[1:] if re.search(_mention(), word.text)), None)
        if text is not None and _is_shell_text(text):
            joined = re.match(r"--[a-z-]+=", text.text)  # sbatch --wrap="..."
            return LaunchedCommand(
                text=replace(text, text=text.text[joined.end() :]) if joined else text
            )
        found = _forwarded(words)
        return LaunchedCommand(found) if found else None
    return None


def _mention() -> str:
    """Return a pattern of a server's command inside a text."""
    return rf"\b(?:{launch_pattern()})\b|{_MODULES}"


def speaks_of(words: Sequence[ShellWord]) -> bool:
    """Whether a command that nobody could follow has a server's command among its words."""
    if program(words) in _QUOTING or any(word.text.startswith("#") for word in words[:1]):
        return False
    return bool(re.search(_mention(), " ".join(word.text for word in words[1:])))


def _pod(words: Sequence[ShellWord]) -> LaunchedCommand | None:
    """Return what ``kubectl run`` starts, as the ``docker run`` that is equal to it."""
    texts = [word.text for word in words]
    behind = words[texts.index("--") + 1 :] if "--" in texts else ()
    image, env = None, []
    for before, word in itertools.pairwise(words):
        name, equals, value = word.text.partition("=")
        if name in {"--image", "--env"} and equals:
            given = ShellWord(value, word.place, word.literal)
        elif before.text in {"--image", "--env"}:
            name, given = before.text, word
        else:
            continue
        if name == "--image":
            image = given
        else:
            env += [ShellWord("--env", given.place), given]
    if image is None:
        return None
    entry: tuple[ShellWord, ...] = ()
    if "--command" in texts and behind:
        entry, behind = (ShellWord("--entrypoint", behind[0].place), behind[0]), behind[1:]
    begin = (ShellWord("docker", words[0].place), ShellWord("run", words[0].place))
    return LaunchedCommand((*begin, *env, *entry, image, *behind), remote=True)


def _allowed(table: dict[str, tuple[str, ...]], name: str, texts: Sequence[str]) -> bool:
    subcommands = table.get(name)
    return subcommands is not None and (
        not subcommands or any(text in subcommands for text in texts[:4])
    )


def _composes(name: str, texts: Sequence[str]) -> bool:
    begins = name in {"docker-compose", "podman-compose"} or (
        name in {"docker", "podman", "nerdctl"} and texts[:1] == ["compose"]
    )
    return begins and bool({"run", "exec"} & set(texts))


def _is_shell_text(word: ShellWord) -> bool:
    return bool(re.search(r"\s", word.text.strip()))


def _joined(words: Sequence[ShellWord]) -> ShellWord:
    literal = all(word.literal for word in words)
    source = words[0].source if len(words) == 1 else None
    return ShellWord(" ".join(word.text for word in words), words[0].place, literal, source)


def _forwarded(words: Sequence[ShellWord]) -> tuple[ShellWord, ...]:
    """Return the first end of the words that is a command which starts a server or a script."""
    for index in range(1, len(words)):
        rest = tuple(words[index:])
        bare = unwrap(rest).words
        if not bare or bare[0].text.startswith("-"):
            continue
        name = program(bare)
        shell = name in SHELLS and len(bare) > 1
        if is_server(bare) or is_python(bare) or shell or name in _FORWARD or name in _REMOTE:
            return rest
        if re.fullmatch(r"[./~$\w-][\w./~${}-]*\.sh", bare[0].text):
            return rest
    return ()


def _set_by(words: Sequence[ShellWord]) -> tuple[Setting, ...]:
    """Return the variables that a launcher sets: ``-x A=1`` of mpirun, ``--env A=1``, --export."""
    found = []
    for before, word in itertools.pairwise(words):
        name, _, value = word.text.partition("=")
        if before.text in {"-x", "--env", "-E", "--setenv", "-env", "-genv"}:
            if re.fullmatch(r"[A-Za-z_]\w*", name) and value:
                found.append(assignment(word))
        elif re.fullmatch(r"--(?:env|setenv)", name) and re.match(r"[A-Za-z_]\w*=", value):
            found.append(assignment(ShellWord(value, word.place, word.literal)))
        elif name == "--export":
            parts = (part for part in value.split(",") if re.match(r"[A-Za-z_]\w*=", part))
            found += [assignment(ShellWord(part, word.place, word.literal)) for part in parts]
    return tuple(found)


def _in_image(words: Sequence[ShellWord]) -> LaunchedCommand | None:
    """Return what apptainer starts in an image; memory and variables there are the host's."""
    found = _forwarded(words)
    if not found:
        return None
    before = words[: len(words) - len(found)]
    return LaunchedCommand(found, env=_set_by(before), inside=True, image=before[-1].text)


def _remote(words: Sequence[ShellWord]) -> LaunchedCommand | None:
    found = _forwarded(words)
    if found and program(found) in _REMOTE:  # sshpass
        return _remote(found)
    text = next((word for word in words[1:] if re.search(_mention(), word.text)), None)
    if text is not None and _is_shell_text(text):
        return LaunchedCommand(text=text, remote=True)
    if any(re.search(r"[{\[]\s*[\"']", word.text) for word in found):
        return LaunchedCommand(
            text=_joined(found), remote=True
        )  # the other shell takes quotes off again
    return LaunchedCommand(found, remote=True) if found else None

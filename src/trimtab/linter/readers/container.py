"""``docker run`` and its like: image, options by long name, environment, the command inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from trimtab.linter.readers.launch import ShellWord, assignment
from trimtab.model.document import Container, Origin, Setting

ENGINES: Final = frozenset({"docker", "podman", "nerdctl"})

_SHORT: Final = {
    "-e": "--env", "-v": "--volume", "-p": "--publish", "-w": "--workdir", "-u": "--user",
    "-m": "--memory", "-h": "--hostname", "-l": "--label", "-c": "--cpu-shares",
    "--net": "--network", "--mount": "--mount",
}  # fmt: skip

_SWITCHES: Final = frozenset(
    {
        *("--rm", "--detach", "-d", "--interactive", "-i", "--tty", "-t", "--privileged"),
        *("--init", "--read-only", "--publish-all", "-P", "--no-healthcheck", "-q", "--quiet"),
        *("--oom-kill-disable", "--sig-proxy", "--disable-content-trust", "--replace"),
        *("--service-ports", "--no-deps", "--build", "--use-aliases", "--remove-orphans"),
        *("--no-TTY", "-T", "--quiet-pull", "--quiet-build"),
    }
)
"""Options of ``docker run`` and ``docker compose run`` without a value; others take a word."""


_LONG: Final = frozenset(
    {
        *("shm-size", "gpus", "ipc", "name", "network", "runtime", "ulimit", "restart", "env"),
        *("volume", "publish", "privileged", "entrypoint", "memory", "cpus", "device", "user"),
        *("workdir", "env-file", "mount", "pid", "cap-add", "hostname", "platform", "pull"),
    }
)
"""Options that people write with one dash, which docker takes for short ones."""


@dataclass(frozen=True, slots=True)
class ContainerRun:
    """A parsed ``docker run``; ``passed`` are names handed on from the caller's environment."""

    container: Container
    env: tuple[Setting, ...]
    passed: tuple[str, ...]
    env_files: tuple[str, ...]
    command: tuple[ShellWord, ...]
    entrypoint: str
    entered: bool = False
    engine: str = "docker"


def is_run(words: Sequence[ShellWord]) -> bool:
    """Whether a command makes a container."""
    texts = [word.text for word in words[:3]]
    return bool(texts) and texts[0].rpartition("/")[2] in ENGINES and "run" in texts[1:]


def is_exec(words: Sequence[ShellWord]) -> bool:
    """Whether a command runs something in a container that is there."""
    texts = [word.text for word in words[:2]]
    return (
        len(texts) == 2
        and texts[0].rpartition("/")[2] in {*ENGINES, "kubectl"}
        and texts[1] == "exec"
    )


def parse_run(words: Sequence[ShellWord]) -> ContainerRun:
    """Parse a command for which `is_run` holds."""
    index = next(i for i, word in enumerate(words) if i and word.text == "run") + 1
    options, index = _options(words, index)
    image = words[index] if index < len(words) else None
    env = [word for name, word in options if name == "--env"]
    return ContainerRun(
        Container(
            image.text if image is not None else "",
            tuple(
                Setting(name, word.text, word.place, Origin.CONTAINER, literal=word.literal)
                for name, word in options
                if name not in {"--env", "--env-file"}
            ),
            words[0].place,
        ),
        tuple(assignment(word, Origin.CONTAINER) for word in env if "=" in word.text),
        tuple(word.text for word in env if "=" not in word.text),
        tuple(word.text for name, word in options if name == "--env-file"),
        tuple(words[index + 1 :]),
        next((word.text for name, word in options if name == "--entrypoint"), ""),
        any(name == "--entrypoint" for name, _ in options),
        words[0].text.rpartition("/")[2],
    )


def _options(words: Sequence[ShellWord], index: int) -> tuple[list[tuple[str, ShellWord]], int]:
    found: list[tuple[str, ShellWord]] = []
    while index < len(words) and words[index].text.startswith("-"):
        word = words[index]
        index += 1
        name, equals, value = word.text.partition("=")
        if name[1:] in _LONG:
            found.append((name, ShellWord(value, word.place, word.literal)))
            index += not equals and f"-{name}" not in _SWITCHES
            continue
        if _joined(word.text):
            found.append(
                (_SHORT[word.text[:2]], ShellWord(word.text[2:], word.place, word.literal))
            )
            continue
        name = _SHORT.get(name, name)
        if equals:
            found.append((name, ShellWord(value, word.place, word.literal)))
        elif name in _SWITCHES or _only_switches(name):
            found += [(switch, ShellWord("", word.place)) for switch in _switches(name)]
        elif index < len(words):
            found.append((name, words[index]))
            index += 1
    return found, index


def _only_switches(name: str) -> bool:
    """Whether it is a bundle such as ``-itd``."""
    return not name.startswith("--") and set(name[1:]) <= set("itdPq") and len(name) > 1


def _switches(name: str) -> tuple[str, ...]:
    if name.startswith("--"):
        return (name,)
    long = {"i": "--interactive", "t": "--tty", "d": "--detach", "P": "--publish-all"}
    return tuple(long.get(letter, f"-{letter}") for letter in name[1:])


def _joined(name: str) -> bool:
    """Whether it is a short option with its value, such as ``-eNAME=x`` or ``-v/a:/b``."""
    return not name.startswith("--") and name[:2] in _SHORT and len(name) > 2


def parse_exec(words: Sequence[ShellWord]) -> tuple[ShellWord, ...]:
    """Return the command that ``docker exec`` or ``kubectl exec`` runs inside."""
    texts = [word.text for word in words]
    if "--" in texts:
        return tuple(words[texts.index("--") + 1 :])
    _, index = _options(words, 2)
    return tuple(words[index + 1 :])

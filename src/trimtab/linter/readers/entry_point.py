"""What a container starts: the image's entry point and the command that it is given."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from trimtab.linter.images import split
from trimtab.linter.readers.launch import ShellWord, is_server, program, unwrap
from trimtab.linter.readers.scripts import SHELLS
from trimtab.model.document import Notice, Oddity, Origin, Place, Setting

_DISTINCT: Final = frozenset(
    {
        *("--tensor-parallel-size", "-tp", "--max-model-len", "--gpu-memory-utilization"),
        *("--served-model-name", "--max-num-seqs", "--max-num-batched-tokens", "--kv-cache-dtype"),
        *("--enforce-eager", "--pipeline-parallel-size", "--enable-prefix-caching"),
        *("--enable-chunked-prefill", "--swap-space", "--num-scheduler-steps", "--block-size"),
        *("--trust-remote-code", "--quantization", "--tool-call-parser", "--kv-transfer-config"),
    }
)
"""Options by which a command of arguments alone shows that a vLLM server reads them."""

_NO_SERVER: Final = re.compile(r"router|gateway|proxy|exporter|operator|controller|epp|sim$|bench")
"""Images of the projects around vLLM whose programs take other options."""


def starts_server(image: str) -> bool:
    """Whether an image's entry point is ``vllm serve``, as that of vLLM's own images is."""
    _, name, _ = split(image)
    return name.startswith("vllm-openai") and not _NO_SERVER.search(name)


def container_command(
    image: str,
    entry: Sequence[ShellWord],
    command: Sequence[ShellWord],
    place: Place,
    *,
    entered: bool,
) -> tuple[list[ShellWord], Notice | None]:
    """Return the command that a container runs, and an oddity of it.

    ``entered``: the entry point is given, even if it is empty; else the image's own holds.
    """
    if entry and command and not is_server(unwrap(entry).words) and _is_script(entry):
        if is_server(unwrap(command).words):  # the script ends with exec "$@"
            return list(command), None
        if _arguments_of_server(image, command):
            return [*_serve(command[0].place), *command], None
    if entry or entered:
        return [*entry, *command], None
    if starts_server(image):
        return _behind_serve(image, command, place)
    if _arguments_of_server(image, command):
        return [*_serve(command[0].place), *command], None
    return list(command), None


def _behind_serve(
    image: str, command: Sequence[ShellWord], place: Place
) -> tuple[list[ShellWord], Notice | None]:
    """Return what ``vllm serve`` gets; a second command behind it is what was meant."""
    name = program(command)
    again = name in {"vllm", "serve", *SHELLS} or re.fullmatch(r"python[\d.]*|env|exec", name)
    if not command or not again:
        return [*_serve(command[0].place if command else place), *command], None
    meant = [ShellWord("vllm", command[0].place), *command] if name == "serve" else list(command)
    if split(image)[0] != "vllm":  # an image of one's own may have another entry point
        return meant, None
    said = " ".join(word.text for word in command[:2])
    setting = Setting("entrypoint", said, command[0].place, Origin.CONTAINER)
    return meant, Notice(Oddity.ENTRYPOINT_TWICE, setting)


_SHELL_ONLY: Final = re.compile(r"&&|\|\|?|\d?>>?(?:&\d|\S+)?|&>>?\S*|<")


def shell_syntax(words: Sequence[ShellWord], *, assigns: bool = True) -> Notice | None:
    """Return a note of a word that only a shell understands, in a command that none reads.

    ``assigns``: ``NAME=value`` before the program counts too.
    """
    for index, word in enumerate(words):
        first = index == 0 and assigns and re.match(r"[A-Za-z_]\w*=", word.text)
        if first or _SHELL_ONLY.fullmatch(word.text) or re.match(r"\$\{\w+:[-=]", word.text):
            return Notice(
                Oddity.NO_SHELL, Setting("command", word.text, word.place, Origin.CONTAINER)
            )
    return None


def ignored_arguments(words: Sequence[ShellWord]) -> Notice | None:
    """Return a note of words behind the script of ``sh -c`` that it does not look at."""
    if program(words) not in SHELLS:
        return None
    flag = next((i for i, word in enumerate(words) if re.fullmatch(r"-[a-z]*c", word.text)), None)
    if flag is not None and [word.text for word in words[flag + 1 : flag + 2]] == ["--"]:
        flag += 1
    if flag is None or len(words) < flag + 3:
        return None
    script, arguments = words[flag + 1].text, words[flag + 2 :]
    if re.search(r"\$[{@*#0-9]", script):
        return None
    said = " ".join(argument.text for argument in arguments[:3])
    return Notice(
        Oddity.IGNORED_ARGUMENTS, Setting("args", said, arguments[0].place, Origin.CONTAINER)
    )


def _serve(place: Place) -> list[ShellWord]:
    return [ShellWord("vllm", place), ShellWord("serve", place)]


def _is_script(entry: Sequence[ShellWord]) -> bool:
    words = unwrap(entry).words
    return "entrypoint" in program(words) or any(word.text.endswith(".sh") for word in words)


def _arguments_of_server(image: str, command: Sequence[ShellWord]) -> bool:
    """Whether a command of arguments alone is for a vLLM server."""
    if not command or not command[0].text.startswith("-"):
        return False
    names = {re.split(r"[=\s]", word.text, maxsplit=1)[0] for word in command}
    _, name, _ = split(image)
    if _NO_SERVER.search(name.lower()):
        return False
    ours = len(names & _DISTINCT)
    return ours > 1 or ("vllm" in name.lower() and (ours > 0 or "--model" in names))

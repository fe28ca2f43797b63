"""What a container starts: the image's entry point and the command that it is given."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from trimtab.families import Family, families
from trimtab.linter.images import family_of_image, split
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
"""Images of the projects around an engine whose programs take other options."""


def starts_server(image: str) -> bool:
    """Whether an image's entry point is an engine's server, as that of vLLM's own images is."""
    return family_of_image(image) is not None


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
            return [*_serve(image, command[0].place), *command], None
    if entry or entered:
        return [*entry, *command], None
    if starts_server(image):
        return _behind_serve(image, command, place)
    if _arguments_of_server(image, command):
        return [*_serve(image, command[0].place), *command], None
    return list(command), None


def _behind_serve(
    image: str, command: Sequence[ShellWord], place: Place
) -> tuple[list[ShellWord], Notice | None]:
    """Return what the server gets; a second command behind it is what was meant."""
    name = program(command)
    family = _family(image)
    grammar = family.grammar
    starts = {*grammar.programs, grammar.subcommand, *SHELLS}
    again = name in starts or re.fullmatch(r"python[\d.]*|env|exec", name)
    if not command or not again:
        return [*_serve(image, command[0].place if command else place), *command], None
    start = [ShellWord(grammar.programs[0], command[0].place)]
    meant = [*(start if name == grammar.subcommand else ()), *command]
    if split(image)[0] != family.name:  # an image of one's own may have another entry point
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


def _family(image: str) -> Family:
    """Return the family of an image's entry point, else the one its name tells, else the first."""
    named = (family for family in families() if family.name in split(image)[1].lower())
    return family_of_image(image) or next(named, families()[0])


def _serve(image: str, place: Place) -> list[ShellWord]:
    grammar = _family(image).grammar
    return [ShellWord(word, place) for word in (grammar.programs[0], grammar.subcommand) if word]


def _is_script(entry: Sequence[ShellWord]) -> bool:
    words = unwrap(entry).words
    return "entrypoint" in program(words) or any(word.text.endswith(".sh") for word in words)


def _arguments_of_server(image: str, command: Sequence[ShellWord]) -> bool:
    """Whether a command of arguments alone is for an engine's server."""
    if not command or not command[0].text.startswith("-"):
        return False
    names = {re.split(r"[=\s]", word.text, maxsplit=1)[0] for word in command}
    _, name, _ = split(image)
    if _NO_SERVER.search(name.lower()):
        return False
    ours = len(names & _DISTINCT)
    named = [family for family in families() if family.name in name.lower()]
    return ours > 1 or any(ours > 0 or one.grammar.model_option in names for one in named)

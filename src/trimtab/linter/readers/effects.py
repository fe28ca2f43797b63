"""What a command changes beside the environment: kernel settings and start-up files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from trimtab.linter.readers.launch import ShellWord
from trimtab.model.document import Origin, Place, Redirect, Setting

_STARTUP = re.compile(r"(?:.*/)?\.(?:bashrc|bash_profile|profile|zshrc)|/etc/profile(?:\.d/.*)?")
_KERNEL = re.compile(r"/(?:sys|proc/sys)/\S+")
_PAIR = re.compile(r"([A-Za-z][\w./-]*)\s*=\s*(\S[^#]*)")


def is_startup_file(path: str) -> bool:
    """Whether only interactive or login shells read the file."""
    return bool(_STARTUP.fullmatch(path.strip("\"'")))


def is_sysctl_file(path: str) -> bool:
    """Whether sysctl reads the file at every boot."""
    return path == "/etc/sysctl.conf" or bool(re.fullmatch(r"/(?:etc|run)/sysctl\.d/.*", path))


def kernel_path(key: str) -> str:
    """Return the file of a sysctl key; slashes and dots may both separate (sysctl(8))."""
    return "/proc/sys/" + (key if "/" in key else key.replace(".", "/"))


def sysctl_pairs(words: Sequence[ShellWord]) -> Iterator[Setting]:
    """Yield the settings of a ``sysctl`` command: every ``key=value``, with or without ``-w``."""
    for word in words[1:]:
        key, equals, value = word.text.partition("=")
        if equals and not key.startswith("-"):
            yield Setting(
                kernel_path(key.strip()), value.strip(), word.place, Origin.HOST, word.literal
            )


def sysctl_lines(text: str, place: Place) -> Iterator[Setting]:
    """Yield the settings of a sysctl file's text that stands at ``place`` (its first line)."""
    for index, line in enumerate(text.splitlines()):
        match = _PAIR.match(line.strip().removeprefix("-"))
        if match and not line.lstrip().startswith(("#", ";")):
            at = replace(place, line=place.line + index, column=1, end_column=0, text=line)
            yield Setting(kernel_path(match[1]), match[2].strip(), at, Origin.BOOT)


def kernel_writes(
    words: Sequence[ShellWord], redirects: Sequence[Redirect], said: str | None
) -> Iterator[Setting]:
    """Yield what a command writes into files of the kernel.

    ``said`` is the text that it writes: of echo itself, or what comes through a pipe into tee.
    """
    if said is None or not words:
        return
    targets = [(one.target, words[0].place) for one in redirects if ">" in one.operator]
    if words[0].text.rpartition("/")[2] == "tee":
        targets += [(one.text, one.place) for one in words[1:] if not one.text.startswith("-")]
    for target, place in targets:
        if _KERNEL.fullmatch(target):
            yield Setting(target, said.strip(), place, Origin.HOST)

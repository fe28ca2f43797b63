"""Texts inside a script or guide: other scripts, manifests, compose files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

from trimtab.errors import UsageError
from trimtab.families import program_names
from trimtab.linter.readers.launch import ShellWord
from trimtab.linter.readers.source import DocumentBuilder, SourceText

SHELLS: Final = frozenset({"bash", "sh", "dash", "zsh", "ash"})


@dataclass
class Scripts:
    """Texts that were written into files, by path; ``taken`` are those that something has run."""

    texts: dict[str, SourceText] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)

    def put(self, path: str, text: SourceText) -> None:
        """Note that a text was written into a file."""
        self.texts[_plain(path)] = text

    def take(self, path: str) -> SourceText | None:
        """Return the text of a file that is run or sourced now."""
        text = self.texts.get(_plain(path))
        if text is not None:
            self.taken.add(_plain(path))
        return text

    def never_run(self) -> Iterator[SourceText]:
        """Yield the shell scripts that nothing has run: somebody will later."""
        for path, text in self.texts.items():
            shell = path.endswith(".sh") or text.text.startswith("#!")
            if shell and path not in self.taken:
                yield text


def _plain(path: str) -> str:
    return str(PurePosixPath(path.strip("\"'")))


def inline_script(words: Sequence[ShellWord]) -> ShellWord | None:
    """Return the word behind ``-c`` of a shell."""
    for index, word in enumerate(words[1:], 1):
        if word.text.startswith("-") and not word.text.startswith("--") and "c" in word.text:
            behind = words[index + 1 :]
            if behind and behind[0].text == "--":  # ends the options of the shell
                behind = behind[1:]
            return behind[0] if behind else None
        if not word.text.startswith("-"):
            return None
    return None


def file_of(words: Sequence[ShellWord]) -> str | None:
    """Return the script that a shell is given as a file; ``None`` when it reads its input."""
    rest = [word.text for word in words[1:] if not word.text.startswith("-")]
    return rest[0] if rest and "-s" not in [word.text for word in words] else None


_FILES: Final = (
    (re.compile(r"\.ya?ml$"), "x.yaml"),
    (re.compile(r"\.(?:service|container)$|\.service\.d/[^/]+\.conf$"), "x.service"),
    (re.compile(r"(?:^|/)(?:Docker|Container)file[\w.-]*$"), "Dockerfile"),
)


def name_for(path: str) -> str:
    """Return a name of the format in which a written file is read; "" for a script or a text."""
    plain = path.strip("\"'")
    return next((name for pattern, name in _FILES if pattern.search(plain)), "")


def read_in(scribe: DocumentBuilder, name: str, block: SourceText) -> None:
    """Read a text of another format into what is found; one that cannot be read is noted."""
    from trimtab.linter import readers

    try:
        document = readers.read_as(name, block)
    except UsageError as error:
        if any(name in block.text for name in program_names()):
            at = next((i for i, line in enumerate(block.lines, 1) if line.strip()), 1)
            said = " ".join(str(error).split())
            scribe.unread.append(
                (block.place(at), f"the text that begins here is not read: {said}")
            )
        return
    scribe.settings += document.settings
    scribe.commands += document.commands
    scribe.host += document.host
    scribe.launches += document.launches
    scribe.containers += document.containers
    scribe.notices += document.notices
    scribe.unread += document.unread
    scribe.env_files += document.env_files

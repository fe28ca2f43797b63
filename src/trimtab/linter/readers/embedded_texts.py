"""Texts of another format inside a script or guide: manifests, compose files, units."""

from __future__ import annotations

import re
from typing import Final

from trimtab.errors import UsageError
from trimtab.linter.readers.document_builder import DocumentBuilder
from trimtab.linter.readers.source import SourceText

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
        found = readers.read_as(name, block)
    except UsageError as error:
        if re.search(r"vllm", block.text):
            at = next((i for i, line in enumerate(block.lines, 1) if line.strip()), 1)
            said = " ".join(str(error).split())
            scribe.unread.append(
                (block.place(at), f"the text that begins here is not read: {said}")
            )
        return
    scribe.settings += found.settings
    scribe.commands += found.commands
    scribe.host += found.host
    scribe.launches += found.launches
    scribe.containers += found.containers
    scribe.notices += found.notices
    scribe.unread += found.unread
    scribe.env_files += found.env_files

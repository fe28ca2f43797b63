"""Files that a launch file hands to docker, read as docker reads them."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from trimtab.errors import UsageError

if TYPE_CHECKING:
    from trimtab.model.document import Document


def with_env_files(documents: Sequence[Document]) -> list[Document]:
    """Return the documents, and those of the files that ``docker run --env-file`` names.

    A file is looked up beside the text that names it. One that was linted as well is read in
    docker's way alone. What cannot be read stays named as unread.
    """
    from trimtab.cli import launch_files
    from trimtab.lint.readers.env_file import read_env_file
    from trimtab.lint.readers.source import Source

    found = {_where(one.file): one for one in documents}  # a link is a document of its own
    for document in documents:
        for name in document.env_files:
            path = Path(document.file).parent / name
            if Path(name).is_absolute() or re.search(r"[$~`]", name) or not path.is_file():
                continue
            key = _where(path)
            shown = found[key].file if key in found else str(path)
            try:
                found[key] = read_env_file(Source(shown, launch_files.text_of(path)))
            except UsageError:
                continue
            reader = _where(document.file)
            kept = (one for one in found[reader].unread if one[1] != f"{name} is not read")
            found[reader] = replace(found[reader], unread=tuple(kept))
    return list(found.values())


def _where(file: str | Path) -> str:
    """Return a file's absolute name, links not followed."""
    return os.path.abspath(file)  # noqa: PTH100

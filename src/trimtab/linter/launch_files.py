"""The files that ``lint`` is to read: those of a folder, and the text of each.

Files that a launch file hands to docker, read as docker reads them.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from trimtab.errors import UsageError
from trimtab.storage import atomic_files

if TYPE_CHECKING:
    from trimtab.model.document import Document

LIMIT = 2_000_000
"""Most bytes of one launch file."""

_HEAD = 100_000
_SILENT_FOLDERS = frozenset({"node_modules", "__pycache__", "site-packages"})


def expand_argument(name: str) -> Iterator[Path | None]:
    """Yield the files that an argument means; ``None`` is standard input.

    Raises:
        UsageError: a folder holds no launch file.
    """
    if name == "-":
        yield None
        return
    path = Path(name)
    if not path.is_dir():
        yield path
        return
    paths = [one for one in sorted(path.rglob("*")) if _visible(one, path) and _is_launch(one)]
    if not paths:
        raise UsageError(f"{path}: no file in it has a name that says it is one to lint")
    yield from paths


def _visible(path: Path, folder: Path) -> bool:
    """Whether a path is a file in no hidden folder; ``.env`` files count as visible."""
    *above, name = path.relative_to(folder).parts
    hidden = any(one.startswith(".") or one in _SILENT_FOLDERS for one in above)
    shown = (
        not name.startswith(".")
        or name in {".env", ".envrc"}
        or name.startswith((".env.", ".env-"))
    )
    return shown and not hidden and path.is_file()


def _is_launch(path: Path) -> bool:
    """Whether a file of a folder is one to lint; its content decides where its name does not."""
    from trimtab.linter.readers import format_of

    kind = format_of(str(path))
    if kind not in {"", "yaml"}:
        return True
    if kind == "yaml" or path.suffix.lower() == ".json":
        head = _head(path)
        manifest = "apiVersion" in head and "kind" in head
        return _has_key(head, "services") or (manifest and _has_key(head, "apiVersion"))
    return not path.suffix and _head(path).startswith("#!") and _shell_first(path)


def _shell_first(path: Path) -> bool:
    from trimtab.linter.readers import format_of

    return format_of(path.name, _head(path).partition("\n")[0]) == "shell"


def _has_key(head: str, key: str) -> bool:
    """Whether a YAML or JSON text has a key; in JSON it stands between quotes."""
    return f"\n{key}:" in f"\n{head}" or f'"{key}"' in head


def _head(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_HEAD).decode("utf-8", "replace").removeprefix("\ufeff")
    except OSError:
        return ""


def text_of(path: Path | None) -> str:
    """Return the text of a launch file; of standard input for ``None``.

    Text that is no UTF-8 is taken byte by byte (Latin-1): what matters to a launch is ASCII.

    Raises:
        UsageError: it cannot be read, or is no text of reasonable size.
    """
    name = "standard input" if path is None else str(path)
    try:
        data = _standard_input() if path is None else atomic_files.read(path, LIMIT)
    except OSError as error:
        raise UsageError(f"{name}: cannot be read: {error.strerror}") from error
    text = _decoded(data)
    if "\0" in text:
        raise UsageError(f"{name}: must be text, but holds binary data")
    return text


def _standard_input() -> bytes:
    data = sys.stdin.buffer.read(LIMIT + 1)
    if len(data) > LIMIT:
        raise OSError(errno.EFBIG, f"it has more than {LIMIT:,} bytes")
    return data


def _decoded(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) and len(data) % 2 == 0:
        try:
            return data.decode("utf-16")
        except UnicodeDecodeError:
            pass
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def with_env_files(documents: Sequence[Document]) -> list[Document]:
    """Return the documents, and those of the files that ``docker run --env-file`` names.

    A file is looked up beside the text that names it. One that was linted as well is read in
    docker's way alone. What cannot be read stays named as unread.
    """
    from trimtab.linter.readers.env_file import read_env_file
    from trimtab.linter.readers.source import SourceText

    found = {
        _where(document.file): document for document in documents
    }  # a link is a document of its own
    for document in documents:
        for name in document.env_files:
            path = Path(document.file).parent / name
            if Path(name).is_absolute() or re.search(r"[$~`]", name) or not path.is_file():
                continue
            key = _where(path)
            shown = found[key].file if key in found else str(path)
            try:
                found[key] = read_env_file(SourceText(shown, text_of(path)))
            except UsageError:
                continue
            reader = _where(document.file)
            kept = (one for one in found[reader].unread if one[1] != f"{name} is not read")
            found[reader] = replace(found[reader], unread=tuple(kept))
    return list(found.values())


def _where(file: str | Path) -> str:
    """Return a file's absolute name, links not followed."""
    return os.path.abspath(file)  # noqa: PTH100


def documents(names: Sequence[str], stdin_filename: str = "") -> tuple[list[Document], list[str]]:
    """Return the documents of files and folders, and one sentence for each that is none.

    ``-`` is standard input, which is read as ``stdin_filename`` says.
    """
    from trimtab.linter import read
    from trimtab.linter.readers import name_of

    found, trouble = [], []
    paths: list[Path | None] = []
    for name in names:
        try:
            paths += expand_argument(name)
        except UsageError as error:
            trouble.append(" ".join(str(error).split()))
    for path in paths:  # one that cannot be read hides none of the others
        try:
            text = text_of(path)
            shown = (stdin_filename or name_of(text)) if path is None else str(path)
            found.append(read(shown, text))
        except UsageError as error:
            trouble.append(" ".join(str(error).split()))
    return with_env_files(found), trouble


def preset_documents(names: Sequence[str]) -> list[Document]:
    """Return the texts of presets.

    Raises:
        UsageError: there is no preset of a name.
    """
    from trimtab import presets
    from trimtab.linter import read

    return [read(*presets.text_of(presets.find(name))) for name in names]

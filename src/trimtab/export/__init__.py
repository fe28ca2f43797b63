"""Artefacts that carry a plan: how each is rendered, and read back.

A module of this package that holds ``FORMATS`` (format → its artefacts, the main one first) adds
formats. The commands, their help and the contract tests find them there.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from trimtab.errors import StudyError
from trimtab.export import envfile, shell, systemd
from trimtab.export.order import Artefact, Order, ParsedArtefact
from trimtab.profiles.profile import ProfileRecord
from trimtab.storage import atomic_files

__all__ = ["ALL", "FORMATS", "Artefact", "Order", "ParsedArtefact", "render", "write", "write_all"]

ALL = "all"
MARK = "written by trimtab"
"""What every artefact's heading says: a file without it is somebody else's."""


def _discover() -> dict[str, tuple[Artefact, ...]]:
    found: dict[str, tuple[Artefact, ...]] = {}
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{info.name}")
        for name, artefacts in getattr(module, "FORMATS", {}).items():
            if name in found:
                raise ValueError(f"two modules export the format {name}: one is {info.name}")
            found[name] = artefacts
    return found


FORMATS: Mapping[str, tuple[Artefact, ...]] = MappingProxyType(dict(sorted(_discover().items())))
"""Format → its files, the main one first, from the modules of this package."""


def formats_help() -> str:
    """Return the formats in one sentence, each with what its files are."""
    texts = []
    for name, artefacts in FORMATS.items():
        summaries = ", ".join(filter(None, (artefact.summary for artefact in artefacts)))
        texts.append(f"{name} ({summaries})" if summaries else name)
    return f"Formats: {', '.join(texts)}, {ALL}."


OF_A_STUDY = (shell.SCRIPT, envfile.ENVIRONMENT, systemd.UNIT)
"""What a study writes at its end: what needs no image, and nothing that it does not know."""


def render(artefact: Artefact, order: Order) -> str:
    """Return an artefact's text.

    Raises:
        StudyError: it cannot carry the plan, or would not say the engine's caveat.
        UsageError: it needs an option that was not given.
    """
    text = artefact.render(order)
    if order.profile.engine.caveat not in text:
        raise StudyError(f"{artefact.file} must carry the caveat of its numbers, but does not")
    return text


def write_all(profile: ProfileRecord, file: Path, folder: Path) -> dict[str, str]:
    """Write what a study exports of ``profile``, whose own file is ``file``, into ``folder``.

    Returns what each file is, mapped to its path.

    Raises:
        StudyError: an artefact cannot carry the plan, or cannot be written.
    """
    order = Order(profile, file)
    texts = [(artefact, render(artefact, order)) for artefact in OF_A_STUDY]
    return {f"export {artefact.file}": str(path) for artefact, path in write(texts, folder)}


def write(texts: Iterable[tuple[Artefact, str]], folder: Path) -> list[tuple[Artefact, Path]]:
    """Write rendered artefacts into ``folder``, each complete or not at all.

    Raises:
        StudyError: one cannot be written.
    """
    return [
        (artefact, write_file(folder / artefact.file, text, artefact.mode))
        for artefact, text in texts
    ]


def write_file(path: Path, text: str, mode: int) -> Path:
    """Write one file with its folder.

    Raises:
        StudyError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_files.write(path, text.encode("utf-8"), mode=mode)
    except OSError as error:
        raise StudyError(f"the export to {path} cannot be written: {error.strerror}") from error
    return path

"""Artefacts that carry a plan: how each is rendered, and read back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from trimtab.errors import StudyError
from trimtab.export import (
    compose,
    docker,
    dockerfile,
    envfile,
    host_files,
    kubernetes,
    shell,
    systemd,
    vllm_config,
)
from trimtab.export.order import Order, ParsedArtefact
from trimtab.model import Settings
from trimtab.profiles.profile import ProfileRecord
from trimtab.storage import atomic_files

__all__ = ["ALL", "FORMATS", "Artefact", "Order", "ParsedArtefact", "render", "write", "write_all"]

ALL = "all"
MARK = "written by trimtab"
"""What every artefact's heading says: a file without it is somebody else's."""


def _always(order: Order) -> str:
    return ""


def _read(parse: Callable[[str], Settings]) -> Callable[[str], ParsedArtefact]:
    return lambda text: ParsedArtefact(parse(text))


@dataclass(frozen=True, slots=True)
class Artefact:
    """One file. ``absent`` says why an order has none of it; "" if it has."""

    file: str
    render: Callable[[Order], str]
    parse: Callable[[str], ParsedArtefact]
    absent: Callable[[Order], str] = _always
    mode: int = 0o644


_SCRIPT = Artefact(shell.FILE, shell.render, _read(shell.parse), mode=0o755)
_ENVIRONMENT = Artefact(envfile.FILE, envfile.render, _read(envfile.parse))
_UNIT = Artefact(systemd.FILE, systemd.render, _read(systemd.parse))

FORMATS: Mapping[str, tuple[Artefact, ...]] = {
    "shell": (_SCRIPT, _ENVIRONMENT),
    "systemd": (
        _UNIT,
        Artefact(
            f"{systemd.FILE}.d/{systemd.DROP_IN}", systemd.render_drop_in, _read(systemd.parse)
        ),
    ),
    "docker": (Artefact(docker.FILE, docker.render, docker.parse, mode=0o755),),
    "compose": (Artefact(compose.FILE, compose.render, compose.parse),),
    "kubernetes": (
        Artefact(
            kubernetes.DEPLOYMENT,
            kubernetes.render_deployment,
            kubernetes.parse_deployment,
            kubernetes.absent_deployment,
        ),
        Artefact(
            kubernetes.GROUP,
            kubernetes.render_group,
            kubernetes.parse_group,
            kubernetes.absent_group,
        ),
    ),
    "dockerfile": (Artefact(dockerfile.FILE, dockerfile.render, dockerfile.parse),),
    "sysctl": (
        Artefact(
            host_files.SYSCTL,
            host_files.render_sysctl,
            host_files.parse_sysctl,
            host_files.absent_sysctl,
        ),
    ),
    "tuned": (
        Artefact(
            host_files.TUNED,
            host_files.render_tuned,
            host_files.parse_tuned,
            host_files.absent_tuned,
        ),
    ),
    "vllm": (Artefact(vllm_config.FILE, vllm_config.render, vllm_config.parse),),
}
"""Format → its files, the main one first."""

OF_A_STUDY = (_SCRIPT, _ENVIRONMENT, _UNIT)
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

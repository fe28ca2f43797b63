"""Artefacts that carry a proven plan: one module each, with ``render`` and ``parse``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from trimtab.errors import StudyError
from trimtab.export import envfile, shell, systemd
from trimtab.profile import Profile

Render = Callable[[Profile, Path], str]

ARTEFACTS: Mapping[str, tuple[Render, int]] = {
    shell.FILE: (shell.render, 0o755),
    envfile.FILE: (envfile.render, 0o644),
    systemd.FILE: (systemd.render, 0o644),
}
"""File name → how to render it, and its mode."""

__all__ = ["ARTEFACTS", "envfile", "shell", "systemd", "write_all"]


def write_all(profile: Profile, file: Path, folder: Path) -> dict[str, str]:
    """Write every artefact of ``profile``, whose own file is ``file``, into ``folder``.

    Returns what each file is, mapped to its path.

    Raises:
        StudyError: an artefact cannot carry the plan, or cannot be written.
    """
    texts = {name: render(profile, file) for name, (render, _) in ARTEFACTS.items()}
    for name, text in texts.items():
        if profile.engine.caveat not in text:
            raise StudyError(f"{name} must carry the caveat of its numbers, but does not")
    written: dict[str, str] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            path = folder / name
            path.write_bytes(text.encode("utf-8"))
            path.chmod(ARTEFACTS[name][1])
            written[f"export {name}"] = str(path)
    except OSError as error:
        raise StudyError(f"the export to {folder} cannot be written: {error.strerror}") from error
    return written

"""A folder for what servers compile, which no start that was cut short leaves half written.

A linker that is killed leaves a truncated library at its final path, and every later start that
loads it fails ("file too short"). So a study has a folder of its own, never the user's, and a mark
in it from launch to readiness: whoever finds the mark finds leftovers, and begins anew.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

_MARK: Final = ".starting"


def begin(folder: Path) -> None:
    """Make the folder, without anything in it if the last start never became ready."""
    if (folder / _MARK).exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MARK).touch()


def whole(folder: Path) -> None:
    """Say that what lies in the folder is complete: the server is ready."""
    (folder / _MARK).unlink(missing_ok=True)

"""What is installed in an interpreter's environment, read without importing any of it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from importlib.metadata import distributions
from pathlib import Path

from trimtab.errors import EngineMissingError
from trimtab.families import program_names

_SECONDS = 30.0
_PATHS = "import json, sys; print(json.dumps([p for p in sys.path if p]))"
_LONG = re.compile(r"^'''exec' \"?([^\"\s]+)\"? ", re.MULTILINE)
_WRAPPER = re.compile(r"^\s*exec\s+[\"']?(/[^\s\"']+)", re.MULTILINE)


def search_path(python: Path) -> list[str]:
    """Return where ``python`` looks for modules.

    Raises:
        EngineMissingError: it is no interpreter that runs.
    """
    return _ask(python, _PATHS)


def installed_versions(paths: Sequence[str]) -> dict[str, str]:
    """Return canonical name → version of the distributions found on ``paths``.

    Where a name occurs twice, the first wins, as for an import.
    """
    found: dict[str, str] = {}
    for distribution in distributions(path=list(paths)):
        metadata = distribution.metadata
        if "Name" in metadata and "Version" in metadata:  # else its files are damaged
            name = re.sub(r"[-_.]+", "-", metadata["Name"]).lower()
            found.setdefault(name, metadata["Version"])
    return found


def script_interpreter(script: Path) -> Path | None:
    """Return the interpreter that a console script runs with; ``None`` if it does not say.

    pip writes it into the first line, or behind ``'''exec'`` in the second when it is long. A
    shell script may hand over to another command (``exec /opt/vllm/bin/vllm "$@"``). A script
    whose first line names nothing that is there (a moved environment) belongs to the environment
    that it lies in.
    """
    return _named(script) or _beside(script)


def _named(script: Path, *, further: bool = True) -> Path | None:
    try:
        head = script.read_bytes()[:4096].decode(errors="replace")
    except OSError:
        return None
    first = head.partition("\n")[0].removeprefix("#!").split() if head.startswith("#!") else []
    if first and Path(first[0]).name == "env":
        name = next((one for one in first[1:] if one.startswith("python")), None)
        found = shutil.which(name) if name else None
        return Path(found) if found else None
    long = _LONG.search(head)
    named = Path(long[1] if long else first[0]) if long or first else None
    if named is not None and named.name.startswith("python"):
        return named if named.exists() else None
    for match in _WRAPPER.finditer(head):
        other = Path(match[1])
        if other.name.startswith("python") and other.exists():
            return other
        if other.name in program_names() and further:
            return _named(other, further=False) or _beside(other)
    return None


def _beside(script: Path) -> Path | None:
    """Return the interpreter of the virtual environment that a script lies in."""
    for folder in (script.parent, script.resolve().parent):
        if (folder / "pyvenv.cfg").exists() or (folder.parent / "pyvenv.cfg").exists():
            python = folder / "python"
            return python if python.exists() else None
    return None


def version(python: Path) -> tuple[int, int]:
    """Return major and minor version of an interpreter.

    Raises:
        EngineMissingError: it is no interpreter that runs.
    """
    major, minor = _ask(python, "import json, sys; print(json.dumps(sys.version_info[:2]))")
    return int(major), int(minor)


def _ask(python: Path, program: str) -> list[str]:
    try:
        answer = subprocess.run(
            [str(python), "-c", program],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=True,
            stdin=subprocess.DEVNULL,
        )
        return [str(load) for load in json.loads(answer.stdout)]
    except (OSError, subprocess.SubprocessError, ValueError, TypeError) as error:
        raise EngineMissingError(
            f"the engine's interpreter must be a Python that runs, but {python} is not: "
            f"{_why(error)}"
        ) from error


def _why(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        return f"it ended with exit code {error.returncode} on a line of Python"
    if isinstance(error, subprocess.TimeoutExpired):
        return f"it did not answer a line of Python in {_SECONDS:.0f} s"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return "it does not answer a line of Python"

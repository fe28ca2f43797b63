"""Why a build failed, from its output: the line that a person would look for. Pure."""

from __future__ import annotations

import re

_CAUSES = {
    r"No space left on device": "the disk is full: free some space and build again",
    r"no acceptable C compiler found|C compiler cannot create executables": (
        "the C compiler does not work: apt-get install gcc libc6-dev, or dnf install gcc "
        "glibc-devel"
    ),
    r"Killed signal terminated|ran out of memory|internal compiler error: Killed": (
        "the compiler was killed, most likely for want of memory: try --jobs 1"
    ),
    r"llvm-profdata.*(?:not found|required)": (
        "PGO with clang needs llvm-profdata: install the llvm of the compiler's version"
    ),
}
_COMPILER = re.compile(r"(?:^|: )((?:fatal error|error): .+)", re.MULTILINE)
_SPOKEN = re.compile(r"^(\w*Error: .+|ERROR.+|configure: error: .+)$", re.MULTILINE)
_MAKE = re.compile(r"^(make(?:\[\d+\])?: \*\*\* .+)$", re.MULTILINE)
_UNBUILT = re.compile(r"^Failed to build these modules:\n((?:\S.*\n)+)", re.MULTILINE)


def cause(output: str) -> str:
    """Return the cause in one line: a known one, else the last error said, else the last line.

    An error of the compiler may be one that ``configure`` or ``setup.py`` tried and lived with:
    what a program said last counts before it.
    """
    for pattern, sentence in _CAUSES.items():
        if re.search(pattern, output):
            return sentence
    for errors in (_SPOKEN, _COMPILER, _MAKE):
        if found := errors.findall(output):
            return " ".join(str(found[-1]).split())[:300]
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it said nothing"


def unbuilt_modules(output: str) -> list[str]:
    """Return the modules that CPython's build could not compile, as it lists them at its end."""
    found = _UNBUILT.findall(output)
    return found[-1].split() if found else []


def apt(output: str) -> str:
    """Return what apt says went wrong: its first error, without the mark."""
    match = re.search(r"^E: (.+)$", output, re.MULTILINE)
    return match[1][:300] if match else cause(output)

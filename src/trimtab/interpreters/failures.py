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
_ERRORS = re.compile(
    r"(?:^|: )(?:fatal error|error): .+|^make(?:\[\d+\])?: \*\*\* .+|^\w*Error: .+|^ERROR.+"
    r"|^configure: error: .+",
    re.MULTILINE,
)


def cause(output: str) -> str:
    """Return the cause in one line: a known one, else the first error, else the last line."""
    for pattern, sentence in _CAUSES.items():
        if re.search(pattern, output):
            return sentence
    if found := _ERRORS.search(output):
        return found[0].lstrip(": ").strip()[:300]
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it said nothing"


def apt(output: str) -> str:
    """Return what apt says went wrong: its first error, without the mark."""
    found = re.search(r"^E: (.+)$", output, re.MULTILINE)
    return found[1][:300] if found else cause(output)

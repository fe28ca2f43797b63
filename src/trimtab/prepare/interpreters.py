"""Where an optimized Python comes from: the one place that knows of ``trimtab python``.

Two commands of it are run: ``build`` (from the distribution's source) and ``fetch`` (a ready build
with PGO and LTO); what they have made is on its record. What is emitted runs where there is no
trimtab: there uv, from the package index, fetches the same ready build.
"""

from __future__ import annotations

import sys
from typing import Final

from trimtab.interpreters import store
from trimtab.prepare.version_matrix import Span

UV: Final = "0.13.9"
PLACE: Final = "/opt/trimtab-python"
FETCHED: Final = f"{PLACE}/current/bin/python3"
"""The interpreter that the emitted lines fetch; ``current`` is made last, when it is whole."""

CHOICE: Final = f'if [ -n "${{OPTIMIZED_PYTHON:-}}" ]; then PYTHON={FETCHED}; fi'
"""A line of sh for each script that uses ``${PYTHON}``: a Dockerfile's RUNs share no variables."""

_TRIMTAB: Final = (sys.executable, "-m", "trimtab", "python")


def folder(version: str) -> str:
    """Return where the interpreter of a version ("3.12") is made."""
    return str(store.folder() / _name(version))


def command(version: str, *, distribution: bool) -> tuple[str, ...]:
    """Return the command that makes an optimized Python ``version`` ("3.12").

    ``distribution``: the distribution's Python is of that version, so its source is built, with
    its security fixes; else a ready build is fetched.
    """
    if distribution:
        return (*_TRIMTAB, "build", "--source", "distribution", "--name", _name(version))
    return (*_TRIMTAB, "fetch", version, "--name", _name(version))


def fetch_lines(span: Span) -> tuple[str, ...]:
    """Return lines of sh that fetch an optimized Python where OPTIMIZED_PYTHON asks, once.

    It is of the version of ``${PYTHON}`` where that fits, else the newest that does. uv comes into
    an environment that is removed again; it holds the checksums of what it fetches.
    """
    (low, high), tool = span, f"{PLACE}/uv"
    version = (
        f"import sys; v = sys.version_info[:2]; "
        f'print("%d.%d" % (v if {low} <= v < {high} else {(high[0], high[1] - 1)}))'
    )
    pip = "-m pip --disable-pip-version-check --no-input install --no-cache-dir"
    refusal = 'echo "OPTIMIZED_PYTHON must be fetch or empty, but is ${OPTIMIZED_PYTHON}" >&2'
    variables = f"UV_PYTHON_INSTALL_DIR={PLACE} UV_NO_PROGRESS=1"
    install = f'{tool}/bin/uv python install --no-bin --no-cache "${{version}}"'
    link = f'ln -sfn "${{one}}" {PLACE}/current'
    return (
        f'case "${{OPTIMIZED_PYTHON:-}}" in "" | fetch) ;; *) {refusal}; exit 1 ;; esac',
        f'if [ -n "${{OPTIMIZED_PYTHON:-}}" ] && [ ! -x {FETCHED} ]; then',
        f"  version=$(\"${{PYTHON}}\" -c '{version}')",
        f'  "${{PYTHON}}" -m venv --clear {tool}',
        f"  {tool}/bin/python {pip} uv=={UV}",
        f"  env {variables} {install}",
        f"  rm -rf {tool}",
        f'  for one in {PLACE}/cpython-"${{version}}".*; do {link}; done',
        "fi",
        CHOICE,
    )


def find_optimized(span: Span) -> str:
    """Return an interpreter that ``trimtab python`` has made of a fitting version; "" if none."""
    for record in store.list_records():
        version = tuple(int(part) for part in record.version.split(".")[:2])
        if (
            record.options.get("pgo")
            and record.options.get("lto")
            and span[0] <= version < span[1]
        ):
            return str(store.binary(store.folder() / record.name, record.version))
    return ""


def _name(version: str) -> str:
    """Return what the interpreter is called in the list of ``trimtab python``."""
    return f"prepared-{version}"

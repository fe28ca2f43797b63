"""An upstream release of CPython: downloaded from python.org, and only with a checksum to hold."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

from trimtab.environments.installing import Say
from trimtab.errors import InterpreterError, UsageError

KNOWN = {
    "3.11.2": "2411c74bda5bbcfcddaf4531f66d1adc73f247f529aee981b029513aefdbf849",
    "3.11.14": "563d2a1b2a5ba5d5409b5ecd05a0e1bf9b028cf3e6a6f0c87a5dc8dc3f2d9182",
    "3.11.15": "f4de1b10bd6c70cbb9fa1cd71fc5038b832747a74ee59d599c69ce4846defb50",
    "3.12.12": "487c908ddf4097a1b9ba859f25fe46d22ccaabfb335880faac305ac62bffb79b",
    "3.12.13": "0816c4761c97ecdb3f50a3924de0a93fd78cb63ee8e6c04201ddfaedca500b0b",
    "3.13.12": "12e7cb170ad2d1a69aee96a1cc7fc8de5b1e97a2bdac51683a3db016ec9a2996",
    "3.13.13": "f9cde7b0e2ec8165d7326e2a0f59ea2686ce9d0c617dbbb3d66a7e54d31b74b9",
    "3.14.3": "d7fe130d0501ae047ca318fa92aa642603ab6f217901015a1df6ce650d5470cd",
    "3.14.4": "b4c059d5895f030e7df9663894ce3732bfa1b32cd3ab2883980266a45ce3cb3b",
}
"""SHA-256 of ``Python-VERSION.tgz``, as pyenv's build definitions have them."""

_SECONDS = 60.0
_LARGEST_RELEASE = 100 * 1000**2
_CHUNK = 1 << 20


def release_checksum(version: str) -> str:
    """Return the checksum of a release.

    Raises:
        UsageError: it is not known here, so that it has to be given.
    """
    if version not in KNOWN:
        raise UsageError(
            f"the checksum of Python {version} is not known here: give it with --sha256 (of "
            f"Python-{version}.tgz), or take one of {', '.join(KNOWN)}"
        )
    return KNOWN[version]


def address(version: str) -> str:
    """Return where a release lies."""
    return f"https://www.python.org/ftp/python/{version}/Python-{version}.tgz"


def download_release(version: str, work: Path, say: Say) -> Path:
    """Download a release into ``work``; the caller compares its checksum.

    Raises:
        InterpreterError: it cannot be reached.
    """
    url = address(version)
    target = work / f"Python-{version}.tgz"
    say(f"  downloading {url}")
    try:
        with urllib.request.urlopen(url, timeout=_SECONDS) as answer, target.open("wb") as out:  # noqa: S310
            while chunk := answer.read(_CHUNK):
                out.write(chunk)
                if out.tell() > _LARGEST_RELEASE:
                    raise InterpreterError(f"{url} is larger than a release of CPython can be")
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        why = getattr(error, "reason", error)
        raise InterpreterError(
            f"{url} cannot be reached ({why}): download it elsewhere and give the file with "
            "--source, or build the distribution's with --source distribution"
        ) from error
    return target

"""What a build of CPython is asked for, and what ``configure`` is told. Pure.

Facts it rests on (CPython's ``configure.ac`` and ``Makefile.pre.in``): ``--enable-optimizations``
makes ``make`` build twice, with a run of PROFILE_TASK between; ``--with-lto`` is independent of
it; ``--enable-bolt`` exists since 3.12 and needs llvm-bolt and merge-fdata.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from trimtab.errors import UsageError

TRAININGS = ("default", "serving")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
_BOLT_SINCE = (3, 12)


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """Which optimizations a build gets; ``train`` is the load that PGO learns from."""

    pgo: bool
    lto: bool
    bolt: bool = False
    train: str = "default"

    @property
    def suffix(self) -> str:
        """The end of a name that tells them: "pgo-lto", "plain"."""
        on = [word for word in ("pgo", "lto", "bolt") if getattr(self, word)]
        serving = ["serving"] if self.train == "serving" else []
        return "-".join([*on, *serving]) or "plain"

    def configure(self, prefix: Path) -> tuple[str, ...]:
        """Return the arguments of ``configure``."""
        return (
            f"--prefix={prefix}",
            "--with-ensurepip=install",
            *(("--enable-optimizations",) if self.pgo else ()),
            *(("--with-lto",) if self.lto else ()),
            *(("--enable-bolt",) if self.bolt else ()),
        )


def choose(*, pgo: bool, lto: bool, bolt: bool, plain: bool, train: str) -> BuildOptions:
    """Return what the flags ask for; with none of them, PGO and LTO.

    Raises:
        UsageError: they contradict each other, or there is no such training.
    """
    if train not in TRAININGS:
        raise UsageError(f"--train must be {' or '.join(TRAININGS)}, but is {train!r}")
    if plain and (pgo or lto or bolt):
        raise UsageError("--plain builds without optimizations: leave --pgo, --lto, --bolt out")
    if not (plain or pgo or lto or bolt):
        pgo = lto = True
    if train != "default" and not pgo:
        raise UsageError(f"--train {train} is what PGO learns from: add --pgo")
    return BuildOptions(pgo=pgo, lto=lto, bolt=bolt, train=train)


def check_version(options: BuildOptions, version: str) -> None:
    """Make sure that this version of CPython can be built so.

    Raises:
        UsageError: it cannot.
    """
    if options.bolt and minor_version(version) < _BOLT_SINCE:
        raise UsageError(
            f"--bolt needs Python 3.12 or later, but the source is {version}: leave it out"
        )


def minor_version(version: str) -> tuple[int, int]:
    """Return (3, 11) of "3.11.2"."""
    first, second = version.split(".")[:2]
    return int(first), int(second)


def check_name(name: str) -> str:
    """Return a name that can be a folder's.

    Raises:
        UsageError: it cannot.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"a Python's name must be letters, digits and . _ + -, and begin with a letter or "
            f"digit, but is {name!r}"
        )
    return name

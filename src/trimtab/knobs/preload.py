"""A library loaded before all others, by ``LD_PRELOAD``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trimtab.errors import LibraryMissingError, UsageError
from trimtab.facts import Facts
from trimtab.knobs.draft import PRELOAD, Draft, preloaded
from trimtab.model import Check, CheckKind, HostWrite, Proves, Settings, Value

FAMILIES = {
    "malloc": ("libjemalloc.so", "libtcmalloc_minimal.so", "libtcmalloc.so", "libmimalloc.so"),
    "openmp": ("libiomp5.so", "libomp.so", "libgomp.so"),
}
"""Libraries that serve the same symbols: of each family only the first in the list acts."""

ROLES = ("api", "engine", "worker")


@dataclass(frozen=True, slots=True)
class Preload:
    """Preloads one of ``sonames``; the value is the SONAME. ``package`` says where to get it."""

    sonames: tuple[str, ...]
    family: str
    package: str

    @property
    def place(self) -> str:
        """The variable that the loader reads, and the library."""
        return f"LD_PRELOAD[{'|'.join(self.sonames)}]"

    @property
    def setting(self) -> str:
        """See `Knob.setting`."""
        return PRELOAD

    def contribute(self, draft: Draft, value: Value, facts: Facts) -> None:
        """Append the library. Behind another one of its family it only arrives, and never acts."""
        if value is not None and value not in self.sonames:
            raise UsageError(
                f"the library must be one of {', '.join(self.sonames)}, not {value!r}"
            )
        draft.preload = [path for path in draft.preload if self._soname(path) is None]
        if value is None:
            return
        path = facts.libraries.path(str(value))
        if path.value is None:
            raise LibraryMissingError(f"{value} is not installed: install {self.package}")
        rival = any(name_matches(other, FAMILIES[self.family]) for other in draft.preload)
        draft.preload.append(path.value)
        draft.checks.append(
            Check(
                CheckKind.MAPPED,
                path.value,
                True,
                roles=ROLES,
                proves=Proves.DELIVERY if rival else Proves.EFFECT,
            )
        )

    def parse(self, settings: Settings, writes: Sequence[HostWrite] = ()) -> Value:
        """Return the SONAME of the first preloaded library of this knob."""
        for path in preloaded(settings):
            if soname := self._soname(path):
                return soname
        return None

    def _soname(self, path: str) -> str | None:
        for soname in self.sonames:
            if name_matches(path, (soname,)):
                return soname
        return None


def name_matches(path: str, prefixes: Sequence[str]) -> bool:
    """Whether a file is one of these libraries: "libx.so" matches "libx.so" and "libx.so.4.2"."""
    name = path.rpartition("/")[2]
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)

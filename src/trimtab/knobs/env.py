"""An environment variable of the server.

One key inside a variable that holds a list: ``PYTORCH_NPU_ALLOC_CONF=key:value,key:value``.

A library loaded before all others, by ``LD_PRELOAD``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from trimtab.errors import LibraryMissingError, UsageError
from trimtab.facts import Facts
from trimtab.knobs.protocol import PRELOAD, Draft, parse_value, preload_libraries, require_text
from trimtab.model import Check, CheckKind, HostWrite, Proof, Settings, Value


@dataclass(frozen=True, slots=True)
class Env:
    """A variable that holds one value; ``kind`` is what ``parse`` returns its text as."""

    name: str
    kind: type[str] | type[int] = str

    @property
    def place(self) -> str:
        """The variable's name."""
        return self.name

    @property
    def setting(self) -> str:
        """See `Knob.setting`."""
        return self.name

    def contribute(self, draft: Draft, value: Value, facts: Facts) -> None:
        """Set the variable. The default check proves only that it arrived."""
        text = None if value is None else require_text(self.name, value)
        draft.set_env(self.name, text)
        draft.checks.append(
            Check(CheckKind.ENVIRON, self.name, text, roles=("api",), proves=Proof.DELIVERY)
        )

    def parse(self, settings: Settings, writes: Sequence[HostWrite] = ()) -> Value:
        """Return the variable's value."""
        text = dict(settings.env).get(self.name)
        return None if text is None else parse_value(text, self.kind)


@dataclass(frozen=True, slots=True)
class EnvList:
    """A key of a list-valued variable; other keys of the base are kept, in their order."""

    name: str
    key: str
    separator: str = ","
    assign: str = ":"

    @property
    def place(self) -> str:
        """Variable and key."""
        return f"{self.name}[{self.key}]"

    @property
    def setting(self) -> str:
        """See `Knob.setting`."""
        return self.name

    def contribute(self, draft: Draft, value: Value, facts: Facts) -> None:
        """Set, replace or take away the key."""
        others = [pair for pair in self._pairs(draft.env.get(self.name)) if pair[0] != self.key]
        if value is not None:
            text = require_text(self.place, value).strip()
            if self.separator in text:
                raise UsageError(
                    f"{self.place} must not hold {self.separator!r}, but got {text!r}"
                )
            others.append((self.key, text))
        joined = self.separator.join(f"{key}{self.assign}{text}" for key, text in others)
        # An empty list is worse than none: torch_npu takes "" followed by a comma as a key.
        draft.set_env(self.name, joined or None)
        draft.checks.append(
            Check(
                CheckKind.ENVIRON,
                self.name,
                joined or None,
                roles=("api",),
                proves=Proof.DELIVERY,
            )
        )

    def parse(self, settings: Settings, writes: Sequence[HostWrite] = ()) -> Value:
        """Return the key's text; the last one wins."""
        return dict(self._pairs(dict(settings.env).get(self.name))).get(self.key)

    def _pairs(self, text: str | None) -> list[tuple[str, str]]:
        # a separator in brackets belongs to the value: roundup_power2_divisions:[256:1,>:4]
        element = rf"(?:\[[\d>:,\s]*\]|[^{re.escape(self.separator)}])+"
        parts = (part.strip() for part in re.findall(element, text or ""))
        split = (part.partition(self.assign) for part in parts if part)
        return [(key.strip(), value.strip()) for key, _, value in split]


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
                proves=Proof.DELIVERY if rival else Proof.EFFECT,
            )
        )

    def parse(self, settings: Settings, writes: Sequence[HostWrite] = ()) -> Value:
        """Return the SONAME of the first preloaded library of this knob."""
        for path in preload_libraries(settings):
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

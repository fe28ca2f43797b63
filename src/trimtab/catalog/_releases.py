"""Which options, variables and keys each release has: since and until, as data.

``scripts/vllm-tables`` writes ``versions/vllm.json`` and ``versions/vllm-ascend.json`` from the
source archives of the releases; nobody edits them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources

from trimtab.catalog._rules import release

Stretch = tuple[int, int, str]
"""First and last release, by position, that have a name alike, and how they read its value."""


@dataclass(frozen=True, slots=True, eq=False)
class Releases:
    """The releases of ``product`` in ascending order, and what each of them has.

    ``parts`` maps "options", "variables", a configuration class ... to name → its stretches.
    ``aliases`` maps a short option to the long one.
    """

    product: str
    component: str
    releases: tuple[str, ...]
    parts: Mapping[str, Mapping[str, tuple[Stretch, ...]]]
    aliases: Mapping[str, str]

    def like(self, version: str) -> tuple[int, ...]:
        """Return the positions of the releases to judge a version by; () where none can be.

        "0.9" is every release of it. A release between two known ones is as the one before it of
        the same minor version, else as both neighbours. One before the first or beyond the last
        cannot be judged.
        """
        return _like(self.releases, version)

    def kinds(self, part: str, name: str, version: str) -> tuple[str | None, ...]:
        """Return how the releases like a version read a name, ``None`` for those without it.

        () where the part of one of them is not known: its table begins later.
        """
        if any(index < self.begin(part) for index in self.like(version)):
            return ()
        stretches = self.parts.get(part, {}).get(name, ())
        return tuple(
            next((kind for first, last, kind in stretches if first <= index <= last), None)
            for index in self.like(version)
        )

    def begin(self, part: str) -> int:
        """Return the position of the first release of which a part is known."""
        return _begin(self, part)

    def has(self, part: str, name: str, version: str) -> bool | None:
        """Whether a version has a name; ``None`` where that is not known."""
        found = {kind is not None for kind in self.kinds(part, name, version)}
        return found.pop() if len(found) == 1 else None

    def names(self, part: str) -> frozenset[str]:
        """Return every name that any release has."""
        return frozenset(self.parts.get(part, {}))

    def names_of(self, part: str, version: str) -> frozenset[str]:
        """Return the names of a version; of all releases where the version cannot be judged."""
        return _names_of(self, part, version)

    def since(self, part: str, name: str) -> str:
        """Return the first release with a name; "" where the first one known has it already."""
        first = min(one[0] for one in self.parts[part][name])
        return self.releases[first] if first > self.begin(part) else ""

    def until(self, part: str, name: str) -> tuple[str, str]:
        """Return the last release with a name and the next one without; "" where it goes on."""
        last = max(one[1] for one in self.parts[part][name])
        if last == len(self.releases) - 1:
            return "", ""
        return self.releases[last], self.releases[last + 1]


@lru_cache(maxsize=256)
def _like(releases: tuple[str, ...], version: str) -> tuple[int, ...]:
    have = release(version)
    known = [release(one) for one in releases]
    if len(have) < 2 or have[:2] < known[0][:2] or have[:2] > known[-1][:2]:
        return ()
    same = [index for index, one in enumerate(known) if one[:2] == have[:2]]
    if not same:
        above = next(index for index, one in enumerate(known) if one > have)
        return (above - 1, above)
    if len(have) == 2:
        return tuple(same)
    return (max((index for index in same if known[index] <= have), default=same[0]),)


@lru_cache(maxsize=256)
def _begin(table: Releases, part: str) -> int:
    firsts = (first for those in table.parts.get(part, {}).values() for first, _, _ in those)
    return min(firsts, default=0)


@lru_cache(maxsize=256)
def _names_of(table: Releases, part: str, version: str) -> frozenset[str]:
    if not table.like(version):
        return table.names(part)
    return frozenset(n for n in table.names(part) if table.has(part, n, version) is not False)


def parse(text: str, product: str, component: str) -> Releases:
    """Return what a file of JSON holds."""
    data = json.loads(text)
    parts = {
        part: {name: tuple((a, b, c) for a, b, c in those) for name, those in value.items()}
        for part, value in data.items()
        if part not in {"releases", "aliases"}
    }
    return Releases(product, component, tuple(data["releases"]), parts, data["aliases"])


@cache
def vllm() -> Releases:
    """Return what the releases of vLLM have."""
    return parse(_text("vllm"), "vLLM", "vllm")


@cache
def vllm_ascend() -> Releases:
    """Return what the releases of vllm-ascend have."""
    return parse(_text("vllm-ascend"), "vllm-ascend", "vllm-ascend")


def _text(name: str) -> str:
    path = resources.files("trimtab.catalog") / "versions" / f"{name}.json"
    return path.read_text(encoding="utf-8")

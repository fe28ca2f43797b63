"""What several versions of torch_npu said to the same texts: since and until, as data.

``scripts/oracle_matrix.py`` writes ``versions/torch-npu.json`` and the page of it; nobody
edits it. What is not in it, all versions asked take alike.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from trimtab.catalog.applicability import is_before

TAKEN = ("accepted", "read as")
"""How an answer begins where a version takes the text, as written or as something else."""

_FILE = "versions/torch-npu.json"


@dataclass(frozen=True, slots=True)
class Versions:
    """Versions in ascending order, and where they differ.

    ``known`` maps an entry to the versions that know it, where not all do. ``answers`` maps a
    setting, as people write it, to each version's answer in short, where they are not all alike.
    ``not_asked`` are sentences about versions left out; ``command`` is what asked.
    """

    command: str
    versions: tuple[str, ...]
    not_asked: tuple[str, ...]
    known: Mapping[str, tuple[str, ...]]
    answers: Mapping[str, tuple[str, ...]]

    def like(self, version: str) -> tuple[str, ...]:
        """Return the asked versions to judge a version by: the same release, or its neighbours.

        Post releases of one release are taken to be alike, which was not tried: 2.9.0 is
        2.9.0.post9. Empty where the text is no version.
        """
        older: list[str] = []
        for one in self.versions:
            earlier = is_before(version, one)
            if earlier is None:
                return ()
            if earlier:
                return (*older[-1:], one)
            if not is_before(one, version):
                return (one,)
            older.append(one)
        return tuple(older[-1:])

    def beyond(self, version: str) -> bool:
        """Whether a version is older than all that were asked, or newer."""
        return bool(is_before(version, self.versions[0]) or is_before(self.versions[-1], version))

    def refusing(self, name: str, place: str) -> tuple[str, ...]:
        """Return the versions that do not know an entry, or do not take this text of it."""
        known = self.known.get(name, self.versions)
        said = self.answers.get(place, ("accepted",) * len(self.versions))
        answers = zip(self.versions, said, strict=True)
        return tuple(
            one for one, answer in answers if one not in known or not answer.startswith(TAKEN)
        )


@cache
def torch_npu() -> Versions:
    """Return what the versions of torch_npu said."""
    return parse((resources.files("trimtab.catalog") / _FILE).read_text(encoding="utf-8"))


def parse(text: str) -> Versions:
    """Return what a file of JSON holds."""
    data = json.loads(text)
    return Versions(
        data["command"],
        tuple(data["versions"]),
        tuple(data["not_asked"]),
        {name: tuple(those) for name, those in data["known"].items()},
        {place: tuple(answers) for place, answers in data["answers"].items()},
    )


def life(taking: Sequence[str], against: Sequence[str], versions: Sequence[str]) -> str:
    """Return until and since when versions take what those of ``against`` do not; "" for never."""
    if not against:
        return ""
    at = versions.index(against[0])
    earlier = [one for one in versions[:at] if one in taking]
    later = [one for one in versions[at:] if one in taking]
    words = [f"until {earlier[-1]}"] if earlier else []
    words += [f"since {later[0]}"] if later else []
    return " and again ".join(words)

"""Several versions of one software asked the same: which know a setting, where they differ. Pure.

A version knows an entry if it takes one of its texts, as written or as something else. What it
refuses whatever the text, or never asks for, it does not know.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from trimtab.catalog.releases import Versions
from trimtab.oracle import LABEL
from trimtab.oracle.model import Handling

_TAKES = (Handling.ACCEPTED, Handling.READ_AS)


@dataclass(frozen=True, slots=True)
class VersionReply:
    """What one version says to one text of one entry; ``sentence`` is the whole answer."""

    tuning: str
    place: str
    verdict: Handling
    sentence: str


Found = Mapping[str, Sequence[VersionReply]]
"""Version → its answers; versions in ascending order."""


def known_versions(found: Found) -> dict[str, tuple[str, ...]]:
    """Return entry → the versions that know it, for each entry that any can be seen to know."""
    entries: dict[str, list[str]] = {}
    for version, told in found.items():
        for name in dict.fromkeys(reply.tuning for reply in told if reply.verdict in _TAKES):
            entries.setdefault(name, []).append(version)
    return {name: tuple(versions) for name, versions in entries.items()}


def differences(found: Found) -> Iterator[tuple[str, list[VersionReply | None]]]:
    """Yield each text that is not taken alike by all, with every version's answer."""
    by_place = [{reply.place: reply for reply in told} for told in found.values()]
    for place in dict.fromkeys(place for answers in by_place for place in answers):
        row = [answers.get(place) for answers in by_place]
        if len({_short(reply) for reply in row}) > 1:
            yield place, row


def versions(found: Found, not_asked: Sequence[str], command: str) -> Versions:
    """Return what lint reads; ``not_asked`` are sentences about versions left out."""
    return Versions(
        command,
        tuple(found),
        tuple(not_asked),
        {name: those for name, those in known_versions(found).items() if len(those) < len(found)},
        {place: tuple(_short(reply) for reply in row) for place, row in differences(found)},
    )


def page(told: Versions) -> str:
    """Return the matrix as Markdown."""
    lines = [
        "# torch_npu's settings over its versions",
        "",
        f"Made by `{told.command}`:",
        f"{LABEL}. Each text was set alone, in a process of its own;",
        "[the page of one version](oracle.md) has the words of the answers. A version knows a",
        "setting if it takes any of its texts; where it does not let a value be read back,",
        "accepted means that it took the text without an error.",
        "",
        *(f"- {sentence}" for sentence in told.not_asked),
        *([""] if told.not_asked else []),
        "## Since and until",
        "",
        "Known to all versions asked, unless it is listed here.",
        "",
        "| entry | since | until | between, not in |",
        "|---|---|---|---|",
    ]
    lines += [_life(name, those, told.versions) for name, those in told.known.items()]
    lines += ["", "## Texts taken differently", ""]
    width = len(told.versions) + 1
    lines += ["| setting | " + " | ".join(told.versions) + " |", "|---" * width + "|"]
    for place, row in told.answers.items():
        lines.append(f"| `{_cell(place)}` | {' | '.join(map(_cell, row))} |")
    return "\n".join([*lines, ""])


def _life(name: str, those: Sequence[str], versions: Sequence[str]) -> str:
    first, last = those[0], those[-1]
    since = first if first != versions[0] else ""
    until = last if last != versions[-1] else ""
    span = versions[versions.index(first) : versions.index(last) + 1]
    gaps = ", ".join(one for one in span if one not in those)
    return f"| `{name}` | {since} | {until} | {gaps} |"


def _short(told: VersionReply | None) -> str:
    """Return an answer without the vendor's words, which change from version to version.

    Not every version lets the value in force be read back, and where threads are bound depends on
    the machine's CPUs.
    """
    if told is None:
        return "not asked"
    whole = told.verdict is Handling.READ_AS and told.tuning != "cpu-affinity-conf"
    return told.sentence if whole else told.verdict.value


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")

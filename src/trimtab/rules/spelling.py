"""Misspellings: which known name a text was meant to be, and when nothing can be said.

A name that differs in a whole word is another feature, not a slip: ``..._FP4`` is no misspelt
``..._INT4``. A slip exchanges, drops, adds or replaces one letter (two in a long word), loses an
underscore, or exchanges two words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache

_LONG = 8
"""Letters from which on two slips in one word are still taken for slips."""


def distance(one: str, other: str) -> int:
    """Return how many letters are added, left out, replaced or exchanged with a neighbour."""
    rows = [list(range(len(other) + 1))]
    for i, left in enumerate(one, 1):
        row = [i]
        for j, right in enumerate(other, 1):
            cost = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (left != right))
            swapped = i > 1 and j > 1 and left == other[j - 2] and one[i - 2] == right
            row.append(min(cost, rows[-2][j - 2] + 1) if swapped else cost)
        rows.append(row)
    return rows[-1][-1]


def is_slip(written: str, meant: str, words: frozenset[str]) -> bool:
    """Whether a name is another one with a slip in it; ``words`` are those of all known names."""
    ours, theirs = _parts(written), _parts(meant)
    if "".join(ours) == "".join(theirs) or (ours != theirs and sorted(ours) == sorted(theirs)):
        return True
    if len(ours) != len(theirs):
        return False
    pairs = [(a, b) for a, b in zip(ours, theirs, strict=True) if a != b]
    return len(pairs) == 1 and _near(*pairs[0], words)


def _near(ours: str, theirs: str, words: frozenset[str]) -> bool:
    short = min(len(ours), len(theirs))
    if short < 3 or (short == 3 and len(ours) == len(theirs)):  # another short word, such as DBO
        return False
    if re.sub(r"\D", "", ours) != re.sub(r"\D", "", theirs):
        return False
    shorter, longer = sorted((ours, theirs), key=len)
    inflected = longer in {f"{shorter}S", f"{shorter}D"}  # DISABLE, DISABLED
    if ours in words and not inflected:
        return False
    return distance(ours, theirs) <= (2 if len(theirs) >= _LONG else 1)


def intended_name(written: str, known: Iterable[str]) -> str | None:
    """Return the one known name that a text is with a slip in it; ``None`` for none or several."""
    names = frozenset(known)
    found = [one for one in _close(written, names) if is_slip(written, one, _words(names))]
    return found[0] if len(found) == 1 else None


def _close(written: str, names: frozenset[str]) -> Iterator[str]:
    for name in sorted(names):
        if abs(len(name) - len(written)) <= 2 and name != written:
            yield name


def _parts(name: str) -> list[str]:
    return [part for part in re.split(r"[_\-.]+", name.upper()) if part]


@cache
def _words(names: frozenset[str]) -> frozenset[str]:
    return frozenset(part for name in names for part in _parts(name))

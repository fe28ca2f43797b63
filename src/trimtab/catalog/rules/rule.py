"""A rule: one trap that a setting holds, and how to see it in a scene or in a text."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from trimtab.catalog.rules.scene import Scene
from trimtab.model.document import Document
from trimtab.model.finding import Hit, Problem, Severity
from trimtab.model.situation import Situation

InProcess: TypeAlias = Callable[[Scene], Iterable[Hit]]
InText: TypeAlias = Callable[[Document, Situation], Iterable[Hit]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One trap.

    ``id`` is unique in the catalogue, in kebab-case, and stable: people write it into suppressing
    comments. ``process`` looks at each process, ``text`` at a whole file; a rule has one of them
    at least, and both are total: no scene makes them raise. ``traps`` names the recorded traps of
    the vllm-ascend guide (T1 to T33) that it shows.
    """

    id: str
    severity: Severity
    problem: Problem
    summary: str
    process: InProcess | None = None
    text: InText | None = None
    traps: tuple[str, ...] = ()

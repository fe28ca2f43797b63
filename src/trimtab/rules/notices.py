"""A rule for each notice that a reader makes of a text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from trimtab.catalog import Rule
from trimtab.model.document import Document, Notice, Oddity
from trimtab.model.finding import Hit, Problem, Remedy, Severity
from trimtab.model.situation import Situation


def reader_sentence(notice: Notice) -> str:
    """Return the sentence that the reader gave the notice."""
    return notice.said


def counts_always(notice: Notice, document: Document) -> bool:
    """Count every notice."""
    return True


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an oddity means: its rule, the sentence about one notice, and what to do.

    ``counts`` says whether a notice of a document is a finding.
    """

    id: str
    severity: Severity
    problem: Problem
    summary: str
    message: Callable[[Notice], str]
    fix: str
    remedy: Remedy | None = None
    traps: tuple[str, ...] = ()
    counts: Callable[[Notice, Document], bool] = counts_always


def rules_of(meanings: Mapping[Oddity, Meaning]) -> tuple[Rule, ...]:
    """Return the rules of oddities, in their order."""
    return tuple(_rule(oddity, meaning) for oddity, meaning in meanings.items())


def _rule(oddity: Oddity, meaning: Meaning) -> Rule:
    def check(document: Document, situation: Situation) -> Iterator[Hit]:
        for one in document.notices:
            if one.oddity is oddity and meaning.counts(one, document):
                yield Hit(
                    one.setting.name,
                    one.said or meaning.message(one),
                    meaning.fix,
                    place=one.setting.place,
                    remedy=meaning.remedy,
                    given=one.given,
                )

    return Rule(
        id=meaning.id,
        severity=meaning.severity,
        problem=meaning.problem,
        summary=meaning.summary,
        text=check,
        traps=meaning.traps,
    )

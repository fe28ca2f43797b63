"""What a run of lint found over all its files, without what a comment suppresses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from trimtab import rules
from trimtab.linter import check
from trimtab.model.document import Document, Place
from trimtab.model.finding import Finding, Problem, Severity
from trimtab.model.situation import Situation
from trimtab.oracle import RULE as ORACLE

UNKNOWN = "unknown-suppression"


def split(
    document: Document, findings: Sequence[Finding]
) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    """Return the findings that stand, and those that a comment switches off."""
    off: dict[int, frozenset[str]] = {}
    for line, names in document.suppressed:
        off[line] = off.get(line, frozenset()) | names
    everywhere = off.get(0, frozenset())

    def silenced(finding: Finding) -> bool:
        names = everywhere | (
            off.get(finding.place.line, frozenset()) if finding.place else frozenset()
        )
        return bool(names & {"all", finding.rule})

    stand = tuple(finding for finding in findings if not silenced(finding))
    return stand, tuple(finding for finding in findings if silenced(finding))


def unknown_rules(document: Document) -> Iterator[Finding]:
    """Yield a finding for each suppressed rule that does not exist: it silences nothing."""
    known = {*rules.all_rules(), UNKNOWN, ORACLE, "all"}
    lines = document.text.split("\n")
    for name in sorted({name for _, names in document.suppressed for name in names} - known):
        line = next((n for n, text in enumerate(lines, 1) if f"{name}" in text), 1)
        yield Finding(
            UNKNOWN,
            Severity.WARNING,
            Problem.NO_EFFECT,
            name,
            f"no rule is called {name}: the comment switches nothing off",
            "'trimtab catalog --rules' lists them",
            Place(document.file, line, text=lines[line - 1]),
        )


@dataclass(frozen=True, slots=True)
class Report:
    """Findings of several files, in the order of files and lines.

    ``suppressed`` are those that comments switch off; ``unread`` what no reader understood, as
    (file, place, sentence). ``fixable`` are those that ``--fix`` mends, each tried on a copy.
    """

    files: tuple[str, ...]
    findings: tuple[Finding, ...]
    suppressed: tuple[Finding, ...]
    unread: tuple[tuple[str, Place, str], ...]
    fixable: frozenset[Finding] = frozenset()

    @property
    def failed(self) -> bool:
        """Whether anything of severity warning or above was found."""
        return any(finding.severity.rank >= Severity.WARNING.rank for finding in self.findings)


@dataclass(frozen=True, slots=True)
class FindingFilter:
    """Which findings are wanted: rules by glob, and a least severity."""

    select: Sequence[str] = ()
    ignore: Sequence[str] = ()
    least: Severity = Severity.INFO

    def wants(self, finding: Finding) -> bool:
        """Whether a finding is wanted."""
        return self.has(finding.rule) and finding.severity.rank >= self.least.rank

    def has(self, rule: str) -> bool:
        """Whether findings of a rule can be wanted."""
        chosen = not self.select or any(fnmatchcase(rule, glob) for glob in self.select)
        return chosen and not any(fnmatchcase(rule, glob) for glob in self.ignore)


def report_on(
    documents: Sequence[Document],
    situation: Situation,
    choice: FindingFilter | None = None,
    others: Mapping[str, Sequence[Finding]] | None = None,
) -> Report:
    """Return what is found in documents.

    ``others`` are findings of another judge than the rules, by file: chosen and suppressed alike.
    """
    wanted = choice or FindingFilter()
    standing: list[Finding] = []
    silenced: list[Finding] = []
    for document in documents:
        findings = [*check(document, situation), *(others or {}).get(document.file, ())]
        chosen = [finding for finding in sorted(findings, key=_line) if wanted.wants(finding)]
        stand, off = split(document, chosen)
        standing += [*stand, *(rule for rule in unknown_rules(document) if wanted.wants(rule))]
        silenced += off
    return Report(
        tuple(document.file for document in documents),
        tuple(standing),
        tuple(silenced),
        tuple((d.file, place, why) for d in documents for place, why in d.unread),
    )


def _line(finding: Finding) -> int:
    return finding.place.line if finding.place is not None else 0

"""Findings for people: the place, the source line marked, the reason and what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from trimtab import wording
from trimtab.credentials import looks_secret
from trimtab.lint.report import Report
from trimtab.masking import masked
from trimtab.model.finding import Finding, Severity

_COLOURS = {Severity.ERROR: "31", Severity.WARNING: "33", Severity.INFO: "36"}


def render(report: Report, *, colour: bool = False) -> str:
    """Return all findings and a summary line as text."""
    parts = ["\n".join(_finding(one, colour=colour)) for one in report.findings]
    parts += [
        f"{file}:{place.line}: note: {sentence}"
        for file, place, sentence in report.unread
    ]  # fmt: skip
    return "\n".join([*parts, summary(report)]) + "\n"


def _finding(one: Finding, *, colour: bool) -> Iterator[str]:
    place = one.place
    where = f"{place.file}:{place.line}:{place.column}" if place else "-"
    kind = one.severity.value
    if colour:
        kind = f"\x1b[{_COLOURS[one.severity]};1m{kind}\x1b[0m"
    yield f"{where}: {kind}[{one.rule}]: {one.message}"
    if place is not None and place.text.strip() and not looks_secret(one.setting):
        line = masked(place.text)
        yield f"    {line.expandtabs(4)}"
        if line == place.text:
            before = place.text[: place.column - 1].expandtabs(4)
            marked = place.text[place.column - 1 : place.end_column - 1 or None]
            yield f"    {' ' * len(before)}{'^' * max(1, len(marked.expandtabs(4).rstrip()))}"
    if one.fix:
        yield f"    fix: {one.fix}"


def summary(report: Report) -> str:
    """Return the closing line: how many findings of which severity in how many files."""
    counts: Counter[Severity] = Counter(one.severity for one in report.findings)
    said = [wording.count(counts[one], one.value) for one in Severity if counts[one]]
    files = wording.count(len(report.files), "file")
    silenced = f" ({len(report.suppressed)} suppressed)" if report.suppressed else ""
    return f"{files}: {', '.join(said) or 'nothing found'}{silenced}"

"""How findings are shown: text for people, JSON, SARIF 2.1.0 and GitHub annotations."""

from __future__ import annotations

import hashlib
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import Any

from trimtab import __version__, formatting, rules
from trimtab.linter.report import UNKNOWN, Report
from trimtab.model.finding import Finding, Severity
from trimtab.redaction import looks_secret, mask_text

_COLOURS = {Severity.ERROR: "31", Severity.WARNING: "33", Severity.INFO: "36"}
_MOST_LINES = 12
"""Most lines that a repeated finding lists."""


@dataclass(frozen=True, slots=True)
class Style:
    """How text is laid out: ``width`` in columns, 0 for lines of any length (a pipe).

    ``everything`` prints each info; else a line counts them by rule.
    """

    colour: bool = False
    width: int = 0
    everything: bool = True


def render(report: Report, style: Style = Style()) -> str:
    """Return all findings and the closing lines as text."""
    told = [
        finding
        for finding in sorted(report.findings, key=lambda one: -one.severity.rank)
        if style.everything or finding.severity is not Severity.INFO
    ]
    lines = [line for group in _groups(told) for line in _group(group, report, style)]
    for file, place, sentence in report.unread:
        lines += _wrapped(f"{file}:{place.line}: note: {sentence}", "  ", style.width)
    if not style.everything:
        lines += _wrapped(_folded(report), "  ", style.width) if _infos(report) else []
    lines.append(summary(report))
    if report.fixable:
        lines.append(f"[*] {len(report.fixable)} fixable with --fix")
    return "\n".join(lines) + "\n"


def _groups(findings: Sequence[Finding]) -> list[list[Finding]]:
    """Return findings with those of one file that say the same beside the first of them."""
    groups: dict[tuple[str, str, str, str], list[Finding]] = {}
    for finding in findings:
        file = finding.place.file if finding.place else ""
        groups.setdefault((file, finding.rule, finding.message, finding.fix), []).append(finding)
    return list(groups.values())


def _group(group: Sequence[Finding], report: Report, style: Style) -> Iterator[str]:
    finding = group[0]
    place = finding.place
    where = f"{place.file}:{place.line}:{place.column}" if place else "-"
    kind = finding.severity.value
    mark = " [*]" if any(each in report.fixable for each in group) else ""
    first, *rest = _wrapped(
        f"{where}: {kind}[{finding.rule}]{mark}: {finding.message}", "  ", style.width
    )
    if style.colour:
        shown = f"\x1b[{_COLOURS[finding.severity]};1m{kind}\x1b[0m["
        first = first.replace(f"{kind}[", shown, 1)
    yield first
    yield from rest
    yield from _source(finding, style.width)
    if finding.fix:
        yield from _wrapped(f"    fix: {finding.fix}", "      ", style.width)
    if more := _also(group):
        yield from _wrapped(f"    {more}", "      ", style.width)


def _source(finding: Finding, width: int) -> Iterator[str]:
    """Yield the source line and its mark; a long line is cut around what is marked."""
    place = finding.place
    if place is None or not place.text.strip() or looks_secret(finding.setting):
        return
    line = mask_text(place.text).rstrip("\r")
    before = place.text[: place.column - 1].expandtabs(4)
    marked = place.text[place.column - 1 : place.end_column - 1 or None].expandtabs(4).rstrip()
    shown = line.expandtabs(4)
    room = width - 4 if width else 0
    cut = 0
    if room and len(shown) > room:
        cut = max(0, min(len(before) - 8, len(shown) - room))
        shown = shown[cut : cut + room]
    yield f"    {shown}"
    if line == place.text.rstrip("\r"):
        length = max(1, len(marked))
        length = min(length, max(1, room - (len(before) - cut))) if room else length
        yield f"    {' ' * (len(before) - cut)}{'^' * length}"


def _also(group: Sequence[Finding]) -> str:
    lines = sorted({finding.place.line for finding in group[1:] if finding.place is not None})
    if group[0].place is not None and group[0].place.line in lines:
        lines.remove(group[0].place.line)
    if not lines:
        return ""
    more = len(lines) - _MOST_LINES
    said = ", ".join(map(str, lines[:_MOST_LINES])) + (f" and {more} more" if more > 0 else "")
    return f"and at {'line' if len(lines) == 1 else 'lines'} {said}"


def _infos(report: Report) -> list[Finding]:
    return [finding for finding in report.findings if finding.severity is Severity.INFO]


def _folded(report: Report) -> str:
    counts = Counter(info.rule for info in _infos(report))
    rules = ", ".join(f"{rule} ({count})" for rule, count in counts.most_common())
    return f"{formatting.count(counts.total(), 'info')}: {rules}; --all shows them"


def _wrapped(text: str, indent: str, width: int) -> list[str]:
    """Return a text in lines of at most ``width`` columns; words and paths stay whole."""
    if not width or len(text) <= width:
        return [text]
    return textwrap.wrap(
        text,
        width,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
    )


def summary(report: Report) -> str:
    """Return the line with the count: how many findings of which severity in how many files."""
    counts: Counter[Severity] = Counter(finding.severity for finding in report.findings)
    said = [
        formatting.count(counts[severity], severity.value)
        for severity in Severity
        if counts[severity]
    ]
    if not report.files:
        return "no file was read"
    files = formatting.count(len(report.files), "file")
    silenced = f" ({len(report.suppressed)} suppressed)" if report.suppressed else ""
    return f"{files}: {', '.join(said) or 'nothing found'}{silenced}"


def as_data(report: Report) -> dict[str, Any]:
    """Return the report as plain data."""
    return {
        "version": __version__,
        "files": list(report.files),
        "findings": [
            finding_data(finding, fixable=finding in report.fixable) for finding in report.findings
        ],
        "suppressed": [finding_data(finding) for finding in report.suppressed],
        "unread": [
            {"file": file, "line": place.line, "message": sentence}
            for file, place, sentence in report.unread
        ],
    }


def finding_data(finding: Finding, *, fixable: bool = False) -> dict[str, Any]:
    """Return one finding as plain data; without a place, its line and column are null."""
    place = finding.place
    return {
        "file": place.file if place else None,
        "line": place.line if place else None,
        "column": place.column if place else None,
        "end_column": (place.end_column or None) if place else None,
        "rule": finding.rule,
        "severity": finding.severity.value,
        "problem": finding.problem.value,
        "setting": finding.setting,
        "tuning": finding.tuning or None,
        "message": finding.message,
        "fix": finding.fix,
        "fixable": fixable,
    }


_KINDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def as_annotations(report: Report) -> str:
    """Return one line for each finding."""
    return "".join(f"{_annotation(finding)}\n" for finding in report.findings)


def _annotation(finding: Finding) -> str:
    fields = {"title": f"trimtab {finding.rule}"}
    if finding.place is not None:
        fields = {
            "file": finding.place.file,
            "line": str(finding.place.line),
            "col": str(finding.place.column),
            **fields,
        }
    given = ",".join(f"{key}={_property(value)}" for key, value in fields.items())
    fix = f" Fix: {finding.fix}." if finding.fix else ""
    return f"::{_KINDS[finding.severity]} {given}::{_data(f'{finding.message}.{fix}')}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


def as_sarif(report: Report) -> dict[str, Any]:
    """Return a SARIF log with one run."""
    everything = (*report.findings, *report.suppressed)
    used = sorted({finding.rule for finding in everything})
    silenced = set(report.suppressed)
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "trimtab",
                        "semanticVersion": __version__,
                        "rules": [_rule(name) for name in used],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "artifacts": [{"location": {"uri": file}} for file in report.files],
                "results": [
                    _result(
                        finding,
                        used.index(finding.rule),
                        silenced=finding in silenced,
                        fixable=finding in report.fixable,
                    )
                    for finding in everything
                ],
            }
        ],
    }


@cache
def documentation() -> str:
    """Return the address of the project's docs folder, "" if its metadata names none."""
    try:
        named: list[str] = metadata.metadata("trimtab").get_all("Project-URL") or []
    except metadata.PackageNotFoundError:
        return ""
    known = dict(one.partition(", ")[::2] for one in named)
    return known.get("Documentation", "").rstrip("/")


def _page(page: str) -> dict[str, str]:
    return {"helpUri": f"{documentation()}/{page}"} if documentation() else {}


def _rule(name: str) -> dict[str, Any]:
    if name not in rules.all_rules():
        unknown = name == UNKNOWN
        said = "A comment names an unknown rule." if unknown else "The vendors' own code said it."
        page = "lint.md" if unknown else "oracle.md"
        help_ = {"help": {"text": f"See docs/{page}."}, **_page(page)}
        return {"id": name, "shortDescription": {"text": said}, **help_}
    rule, owner = rules.all_rules()[name]
    page = f"rules.md#{name}"
    return {
        "id": name,
        "shortDescription": {"text": rule.summary},
        "fullDescription": {"text": rule.summary},
        "help": {"text": f"See docs/{page}, or run: trimtab catalog {name}"},
        **_page(page),
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {"problem": rule.problem.value, "tuning": owner, "traps": list(rule.traps)},
    }


def _result(finding: Finding, index: int, *, silenced: bool, fixable: bool) -> dict[str, Any]:
    fix = f" Fix: {finding.fix}." if finding.fix else ""
    found: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": _LEVELS[finding.severity],
        "message": {"text": f"{finding.message}.{fix}"},
        "properties": {"fixable": fixable},
        "partialFingerprints": {"trimtab/v1": _fingerprint(finding)},
    }
    if finding.place is not None:
        region = {"startLine": finding.place.line, "startColumn": finding.place.column}
        if finding.place.end_column:
            region["endColumn"] = finding.place.end_column
        found["locations"] = [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": finding.place.file},
                    "region": region,
                }
            }
        ]
    if silenced:
        found["suppressions"] = [{"kind": "inSource"}]
    return found


def _fingerprint(finding: Finding) -> str:
    """Return what stays the same when lines are added above."""
    text = finding.place.text.strip() if finding.place else ""
    return hashlib.sha256(f"{finding.rule}\0{finding.setting}\0{text}".encode()).hexdigest()[:32]

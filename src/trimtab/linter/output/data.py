"""Findings as one JSON object; its keys are stable."""

from __future__ import annotations

from typing import Any

from trimtab import __version__
from trimtab.linter.report import Report
from trimtab.model.finding import Finding


def as_data(report: Report) -> dict[str, Any]:
    """Return the report as plain data."""
    return {
        "version": __version__,
        "files": list(report.files),
        "findings": [finding_data(one, fixable=one in report.fixable) for one in report.findings],
        "suppressed": [finding_data(one) for one in report.suppressed],
        "unread": [
            {"file": file, "line": place.line, "message": sentence}
            for file, place, sentence in report.unread
        ],
    }


def finding_data(one: Finding, *, fixable: bool = False) -> dict[str, Any]:
    """Return one finding as plain data; without a place, its line and column are null."""
    place = one.place
    return {
        "file": place.file if place else None,
        "line": place.line if place else None,
        "column": place.column if place else None,
        "end_column": (place.end_column or None) if place else None,
        "rule": one.rule,
        "severity": one.severity.value,
        "problem": one.problem.value,
        "setting": one.setting,
        "tuning": one.tuning or None,
        "message": one.message,
        "fix": one.fix,
        "fixable": fixable,
    }

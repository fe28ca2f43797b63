"""Findings as workflow commands, which GitHub Actions shows as annotations."""

from __future__ import annotations

from trimtab.linter.report import Report
from trimtab.model.finding import Finding, Severity

_KINDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def as_annotations(report: Report) -> str:
    """Return one line for each finding."""
    return "".join(f"{_annotation(one)}\n" for one in report.findings)


def _annotation(one: Finding) -> str:
    fields = {"title": f"trimtab {one.rule}"}
    if one.place is not None:
        fields = {
            "file": one.place.file,
            "line": str(one.place.line),
            "col": str(one.place.column),
            **fields,
        }
    given = ",".join(f"{key}={_property(value)}" for key, value in fields.items())
    fix = f" Fix: {one.fix}." if one.fix else ""
    return f"::{_KINDS[one.severity]} {given}::{_data(f'{one.message}.{fix}')}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")

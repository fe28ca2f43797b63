"""Findings as SARIF 2.1.0 (OASIS), which code hosts show beside the source."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import metadata
from typing import Any

from trimtab import __version__, rules
from trimtab.linter.report import Report
from trimtab.linter.suppression import UNKNOWN
from trimtab.model.finding import Finding, Severity

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


def as_sarif(report: Report) -> dict[str, Any]:
    """Return a SARIF log with one run."""
    everything = (*report.findings, *report.suppressed)
    used = sorted({one.rule for one in everything})
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
                        one,
                        used.index(one.rule),
                        silenced=one in silenced,
                        fixable=one in report.fixable,
                    )
                    for one in everything
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


def _result(one: Finding, index: int, *, silenced: bool, fixable: bool) -> dict[str, Any]:
    fix = f" Fix: {one.fix}." if one.fix else ""
    found: dict[str, Any] = {
        "ruleId": one.rule,
        "ruleIndex": index,
        "level": _LEVELS[one.severity],
        "message": {"text": f"{one.message}.{fix}"},
        "properties": {"fixable": fixable},
        "partialFingerprints": {"trimtab/v1": _fingerprint(one)},
    }
    if one.place is not None:
        region = {"startLine": one.place.line, "startColumn": one.place.column}
        if one.place.end_column:
            region["endColumn"] = one.place.end_column
        found["locations"] = [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": one.place.file},
                    "region": region,
                }
            }
        ]
    if silenced:
        found["suppressions"] = [{"kind": "inSource"}]
    return found


def _fingerprint(one: Finding) -> str:
    """Return what stays the same when lines are added above."""
    text = one.place.text.strip() if one.place else ""
    return hashlib.sha256(f"{one.rule}\0{one.setting}\0{text}".encode()).hexdigest()[:32]

"""Lint: read a text of any launch format, and say what its settings will do.

``read`` makes a `Document` of a text, ``check`` applies every rule of the catalogue to the
processes that it would start and to the text as a whole.
"""

from __future__ import annotations

from trimtab import rules
from trimtab.linter.context import parse_context
from trimtab.linter.scenes import document_situation, scenes
from trimtab.model.document import Document
from trimtab.model.finding import Finding
from trimtab.model.situation import Situation

__all__ = ["check", "parse_context", "read"]


def read(name: str, text: str) -> Document:
    """Return what a text says; its format follows from ``name`` and content.

    Raises:
        UsageError: the format is not known, or the text is none of it.
    """
    from trimtab.linter import readers

    return readers.read(name, text)


def check(document: Document, situation: Situation) -> tuple[Finding, ...]:
    """Return the findings of a document, in the order of its lines."""
    findings = [*rules.text_findings(document, document_situation(document, situation))]
    for scene in scenes(document, situation):
        findings += rules.process_findings(scene)
    return tuple(sorted(dict.fromkeys(findings), key=_position))


def _position(finding: Finding) -> tuple[int, int, int, str]:
    place = finding.place
    line, column = (place.line, place.column) if place is not None else (0, 0)
    return line, column, -finding.severity.rank, finding.rule

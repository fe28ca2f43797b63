"""What lint found, as Python sees it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

from trimtab.linter.output import as_data
from trimtab.linter.report import Report
from trimtab.model.finding import Finding


@dataclass(frozen=True, slots=True)
class LintReport:
    """The findings of launch files, errors and warnings and infos, in the order of the files.

    Example:
        >>> for finding in lint("serve.sh"):  # doctest: +SKIP
        ...     print(finding.severity, finding.message)
    """

    record: Report
    """Findings, suppressed ones, and what no reader understood."""
    unreadable: tuple[str, ...] = ()
    """One sentence for each file that could not be read."""

    def __iter__(self) -> Iterator[Finding]:
        """Yield the findings."""
        return iter(self.record.findings)

    def __len__(self) -> int:
        """Return how many findings there are."""
        return len(self.record.findings)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings that no comment suppresses."""
        return self.record.findings

    @property
    def failed(self) -> bool:
        """Whether there is a warning or an error, or a file that could not be read."""
        return self.record.failed or bool(self.unreadable)

    def as_data(self) -> dict[str, Any]:
        """Return the object that ``trimtab lint --json`` prints."""
        return as_data(self.record)

    def _repr_html_(self) -> str:
        """Return the findings as a table, for a notebook."""
        rows = "".join(
            f"<tr><td>{escape(_place(finding))}</td>"
            f"<td>{escape(finding.severity.value)}</td><td>{escape(finding.message)}</td></tr>"
            for finding in self.findings
        )
        return f"<table><tr><th>place</th><th>severity</th><th>finding</th></tr>{rows}</table>"


def _place(finding: Finding) -> str:
    return f"{finding.place.file}:{finding.place.line}" if finding.place else ""

"""Reports of a study: tables for the terminal, and one self-contained HTML file."""

from __future__ import annotations

from pathlib import Path

from trimtab.report.study import Study

__all__ = ["Study", "write_html"]


def write_html(study: Study, path: Path) -> Path:
    """Write the page of ``study`` to ``path`` and return the path.

    Raises:
        StudyError: it cannot be written.
    """
    from trimtab.report import html  # plotly and jinja2 are slow to import

    return html.write(study, path)

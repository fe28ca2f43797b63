"""What lint and doctor ask the oracle, and the findings they get."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from trimtab.lint.report import Report
    from trimtab.model.finding import Finding
    from trimtab.model.script import Document, Setting
    from trimtab.oracle.model import Given

OracleOption = Annotated[
    bool,
    typer.Option(
        "--oracle", help="Ask the vendors' own code about Ascend settings too (about 30 s)."
    ),
]


def with_answers(report: Report, documents: Sequence[Document]) -> Report:
    """Return lint's report with what the vendors' code says of each launch.

    Raises:
        EngineMissingError: the vendors' software is not installed.
    """
    from dataclasses import replace

    from trimtab.oracle import gather
    from trimtab.oracle.findings import made_by

    asked = {
        givens: made_by(launch)
        for document in documents
        for launch in document.launches
        if (givens := gather.of_launch(launch))
    }
    return replace(report, findings=(*report.findings, *answered(asked.items())))


def answered(
    asked: Iterable[tuple[tuple[Given, ...], dict[str, Setting]]],
) -> tuple[Finding, ...]:
    """Return the findings about groups of settings; each group goes with who made them.

    Raises:
        EngineMissingError: the vendors' software is not installed.
    """
    from trimtab.oracle import environment, gather
    from trimtab.oracle.findings import findings
    from trimtab.oracle.session import Oracle

    groups = list(asked)
    if not groups:
        return ()
    with Oracle(environment.interpreter()) as oracle:
        found = [
            finding
            for givens, made in groups
            for finding in findings(oracle.ask(givens, graph=gather.captures(givens)), made)
        ]
    return tuple(dict.fromkeys(found))

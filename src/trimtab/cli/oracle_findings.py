"""What lint and doctor ask the oracle, and the findings they get."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from trimtab.cli import terminal
from trimtab.diagnosis import DiagnosisView
from trimtab.errors import EngineError, UsageError
from trimtab.linter.scenes import launch_situation
from trimtab.model.document import Document, Setting
from trimtab.model.finding import Finding
from trimtab.model.situation import Situation
from trimtab.oracle import settings, vendor
from trimtab.oracle.model import OracleSettings
from trimtab.oracle.oracle import Question, ask_all
from trimtab.oracle.output import settings_by_name
from trimtab.oracle.settings import oracle_target

OracleOption = Annotated[
    bool,
    typer.Option(
        "--oracle",
        help="Ask the vendors' own code about Ascend settings too: about 5 s, 8 to 20 s where "
        "vllm-ascend is asked.",
    ),
]


def file_findings(
    documents: Sequence[Document], situation: Situation
) -> dict[str, tuple[Finding, ...]]:
    """Return file → what the vendors' code says of its launches, each on what it is to run on.

    Raises:
        UsageError: the vendors' software is not installed, or does not run.
    """
    asked = [
        (
            document.file,
            _question(
                givens, settings_by_name(launch), launch_situation(launch, situation, document)
            ),
        )
        for document in documents
        for launch in document.launches
        if (givens := settings.launch_settings(launch))
    ]
    found: dict[str, tuple[Finding, ...]] = {}
    answers = _answered([question for _, question in asked])
    for (file, _), findings in zip(asked, answers, strict=True):
        found[file] = tuple(dict.fromkeys((*found.get(file, ()), *findings)))
    return found


def machine_findings(view: DiagnosisView) -> tuple[Finding, ...]:
    """Return what the vendors' code says of what each process of a machine is given.

    Raises:
        UsageError: the vendors' software is not installed, or does not run.
    """
    models = [npu.name for npu in view.facts.ascend.npus.value or ()]
    groups = {
        settings.plan_settings(process.scene.settings): process.scene for process in view.processes
    }
    answers = _answered(
        [
            _question(givens, dict(scene.env), scene.situation, models)
            for givens, scene in groups.items()
            if givens
        ]
    )
    return tuple(dict.fromkeys(finding for findings in answers for finding in findings))


def _question(
    givens: OracleSettings,
    made: Mapping[str, Setting],
    situation: Situation,
    models: Sequence[str] = (),
) -> Question:

    graph = situation.graphs is not False and settings.captures_graphs(givens)
    return Question(givens, made, oracle_target(situation, models), graph)


def _answered(questions: Sequence[Question]) -> tuple[tuple[Finding, ...], ...]:
    """Ask, say on standard error what was asked, and return the findings of each question."""
    try:
        if not questions:
            vendor.interpreter()  # that it is missing is told whatever there is to ask
        findings = ask_all(questions)
    except EngineError as error:  # 1 would say that something is found
        raise UsageError(f"--oracle: {error}") from error
    nothing = "--oracle: there is no setting of torch_npu or vllm-ascend to ask about"
    for sentence in findings.asked or (nothing,):
        terminal.warn(sentence)
    return findings.findings

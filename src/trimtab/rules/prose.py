"""Rules about a guide as a text: what it leaves out, and where its links lead."""

from __future__ import annotations

import re
from collections.abc import Iterator

from trimtab.catalog import Rule
from trimtab.model.document import Document
from trimtab.model.finding import Hit, Problem, Severity
from trimtab.model.situation import Situation

_MEASURES = re.compile(
    r"\b(bench(mark)?|measur\w+|ttft|tpot|throughput of|before and after|compare)\b", re.IGNORECASE
)
_ENOUGH = 3


def _unmeasured(document: Document, situation: Situation) -> Iterator[Hit]:
    if document.kind != "markdown":
        return
    tuned = {setting.name for setting in (*document.settings, *document.host)}
    if len(tuned) < _ENOUGH:
        return
    prose = [mention for mention in document.mentions if mention.kind in ("prose", "heading")]
    commands = (" ".join(command.words) for command in document.commands)
    if any(_MEASURES.search(mention.text) for mention in prose) or any(
        map(_MEASURES.search, commands)
    ):
        return
    first = next((mention.place for mention in prose), None)
    yield Hit(
        "measurement",
        (
            f"the guide sets {len(tuned)} values and does not say how to measure whether they "
            "make a server faster"
        ),
        "measure each against none, at a fixed concurrency: 'trimtab tune'",
        place=first,
    )


def _training(document: Document, situation: Situation) -> Iterator[Hit]:
    for mention in document.mentions:
        if mention.kind == "link" and re.search(r"hiascend\.com/\S*(training|migr)", mention.text):
            release = re.search(r"/Pytorch/(\d+)/", mention.text)
            of = f", for release {release[1]}" if release else ""
            yield Hit(
                "link",
                f"the link leads to advice on migrating training{of}, not on serving",
                "link the reference of the variable",
                place=mention.place,
            )


PROSE: tuple[Rule, ...] = (
    Rule(
        id="no-measurement",
        severity=Severity.INFO,
        problem=Problem.ADVICE,
        summary="A guide advises settings and does not say how to measure them.",
        text=_unmeasured,
        traps=("T28",),
    ),
    Rule(
        id="training-link",
        severity=Severity.INFO,
        problem=Problem.ADVICE,
        summary="A link leads to advice on training.",
        text=_training,
        traps=("T32",),
    ),
)

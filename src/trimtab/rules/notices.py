"""Rules about what a reader notices in a text: formats, pipes, secrets of a build."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from trimtab.catalog import Rule
from trimtab.model.document import Document, Notice, Oddity, Place
from trimtab.model.finding import Hit, Problem, Remedy, Severity
from trimtab.model.situation import Situation
from trimtab.redaction import looks_secret


def reader_sentence(notice: Notice) -> str:
    """Return the sentence that the reader gave the notice."""
    return notice.said


def counts_always(notice: Notice, document: Document) -> bool:
    """Count every notice."""
    return True


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an oddity means: its rule, the sentence about one notice, and what to do.

    ``counts`` says whether a notice of a document is a finding.
    """

    id: str
    severity: Severity
    problem: Problem
    summary: str
    message: Callable[[Notice], str]
    fix: str
    remedy: Remedy | None = None
    traps: tuple[str, ...] = ()
    counts: Callable[[Notice, Document], bool] = counts_always


def rules_of(meanings: Mapping[Oddity, Meaning]) -> tuple[Rule, ...]:
    """Return the rules of oddities, in their order."""
    return tuple(_rule(oddity, meaning) for oddity, meaning in meanings.items())


def _rule(oddity: Oddity, meaning: Meaning) -> Rule:
    def check(document: Document, situation: Situation) -> Iterator[Hit]:
        for notice in document.notices:
            if notice.oddity is oddity and meaning.counts(notice, document):
                yield Hit(
                    notice.setting.name,
                    notice.said or meaning.message(notice),
                    meaning.fix,
                    place=notice.setting.place,
                    remedy=meaning.remedy,
                    given=notice.given,
                )

    return Rule(
        id=meaning.id,
        severity=meaning.severity,
        problem=meaning.problem,
        summary=meaning.summary,
        text=check,
        traps=meaning.traps,
    )


_MEANINGS: Mapping[Oddity, Meaning] = {
    Oddity.NOT_ASSIGNED: Meaning(
        "not-assigned",
        Severity.WARNING,
        Problem.NO_EFFECT,
        "A word among assignments has no =, so it sets nothing.",
        reader_sentence,
        "write NAME=value without blanks; quote a value that holds blanks",
    ),
    Oddity.MANIFEST_REFUSED: Meaning(
        "manifest-refused",
        Severity.ERROR,
        Problem.WRONG_VALUE,
        "The API of Kubernetes refuses the manifest: a value is of another type.",
        reader_sentence,
        "quote numbers and switches; write commands as lists; give devices in limits, too",
    ),
    Oddity.SERVICE_VARIABLE: Meaning(
        "service-variable",
        Severity.WARNING,
        Problem.WRONG_VALUE,
        "A Service's name makes Kubernetes set variables that vLLM reads.",
        reader_sentence,
        "call the Service something else, or set enableServiceLinks: false in the pod",
    ),
    Oddity.START_KILLED: Meaning(
        "start-killed",
        Severity.WARNING,
        Problem.HAZARD,
        "A probe ends the server while it still loads its model.",
        reader_sentence,
        "add a startupProbe with failureThreshold x periodSeconds of 10 minutes or more",
    ),
    Oddity.VOLUME_UNMOUNTED: Meaning(
        "volume-unmounted",
        Severity.WARNING,
        Problem.NO_EFFECT,
        "A pod has a volume that none of its containers mounts.",
        reader_sentence,
        "mount it with volumeMounts, or take it out",
    ),
    Oddity.QUOTES_LOST: Meaning(
        "quotes-lost",
        Severity.ERROR,
        Problem.WRONG_VALUE,
        "The shell takes the quotes off JSON, so the server gets something else.",
        reader_sentence,
        "put the whole value between single quotes",
    ),
    Oddity.ENV_FILE_REFUSED: Meaning(
        "env-file-refused",
        Severity.ERROR,
        Problem.WRONG_VALUE,
        "docker refuses the file of --env-file: a name is missing or holds a blank.",
        reader_sentence,
        "write NAME=value: no export, and no blanks around the sign",
    ),
    Oddity.QUOTES_KEPT: Meaning(
        "env-file-literal",
        Severity.WARNING,
        Problem.WRONG_VALUE,
        "docker reads the file of --env-file to the letter: quotes, expansions, comments.",
        reader_sentence,
        "write NAME=value alone on the line",
    ),
}


FORMATS: tuple[Rule, ...] = rules_of(_MEANINGS)


_LIST = r"[\d,-]+(?::\d+)?"
_PIPED = re.compile(
    rf"(?P<name>[A-Z][A-Z0-9_]*)=(?P<value>{_LIST})\s*\|\s*(?P<rest>{_LIST})(?=[\s|;&]|$)"
)


def _piped(document: Document, situation: Situation) -> Iterator[Hit]:
    """Yield the lists of CPUs that a pipe cuts: no program's name is made of numbers."""
    if document.kind not in {"shell", "markdown"}:
        return
    seen = set()
    for setting in (*document.settings, *(s for launch in document.launches for s in launch.env)):
        place = setting.place
        match = _PIPED.match(place.text[place.column - 1 :]) if place is not None else None
        if match is None or match["name"] != setting.name or (setting.name, place) in seen:
            continue
        seen.add((setting.name, place))
        yield Hit(
            setting.name,
            f"the shell takes | for a pipe: {setting.name} is {match['value']} alone, and "
            f"{match['rest']} is run as a command",
            f"quote the value: {setting.name}='...'",
            place=place,
        )


PIPES: tuple[Rule, ...] = (
    Rule(
        id="value-piped",
        severity=Severity.WARNING,
        problem=Problem.WRONG_VALUE,
        summary="A shell takes | in a value without quotes for a pipe.",
        text=_piped,
    ),
)


_FROM = re.compile(r"\s*FROM\s", re.IGNORECASE)
_ARG = re.compile(r"\s*ARG\s+(?P<name>[A-Za-z_]\w*)(?:=(?:\"\"|''))?\s*$", re.IGNORECASE)


def _baked(document: Document, situation: Situation) -> Iterator[Hit]:
    """Yield the build arguments of the last stage that hold a secret and are used behind it."""
    if document.kind != "dockerfile":
        return
    lines = document.text.splitlines()
    last = max((index for index, line in enumerate(lines) if _FROM.match(line)), default=0)
    for index in range(last, len(lines)):
        match = _ARG.match(lines[index])
        if match is None:
            continue
        name, behind = match["name"], "\n".join(lines[index + 1 :])
        kept = re.search(rf"(?im)^\s*ENV\s+(\w+)[= ].*\$\{{?{name}\b", behind)
        ran = re.search(r"(?im)^\s*RUN\s", behind) and re.search(rf"\$\{{?{name}\b", behind)
        if (looks_secret(name) and (kept or ran)) or (kept and looks_secret(kept[1])):
            yield Hit(
                name,
                f"the image keeps {name}: whoever can pull it reads the build's argument in its "
                f"{'environment' if kept else 'history'}",
                "use RUN --mount=type=secret in the build, or give it to the container at its "
                "start",
                place=Place(
                    document.file,
                    index + 1,
                    match.start("name") + 1,
                    match.end("name") + 1,
                    lines[index],
                ),
            )


BAKED: tuple[Rule, ...] = (
    Rule(
        id="secret-in-image",
        severity=Severity.WARNING,
        problem=Problem.HAZARD,
        summary="A build's argument leaves a secret in the image.",
        text=_baked,
    ),
)


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

"""The rule about secrets that a build's arguments leave in an image."""

from __future__ import annotations

import re
from collections.abc import Iterator

from trimtab.catalog import Rule
from trimtab.model.document import Document, Place
from trimtab.model.finding import Hit, Problem, Severity
from trimtab.model.situation import Situation
from trimtab.redaction import looks_secret

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

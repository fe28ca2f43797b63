"""Rules about what a format makes of a text: the sentence comes from its reader."""

from __future__ import annotations

from collections.abc import Mapping

from trimtab.catalog import Rule
from trimtab.model.document import Oddity
from trimtab.model.finding import Problem, Severity
from trimtab.rules.notices import Meaning, reader_sentence, rules_of

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

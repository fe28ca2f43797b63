"""The end of ``trimtab tune``: the answer in at most 15 lines of 80 columns. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from trimtab import formatting
from trimtab.metrics.wall_time import time_breakdown
from trimtab.model import Headline, StudyStatus, Verdict
from trimtab.report import rows
from trimtab.report.headline import headline
from trimtab.report.study import Study

LINES = 15
WIDTH = 80
_INDENT = 10
_GAINS = (Verdict.ADOPT, Verdict.LIKELY)


def summary(study: Study, width: int = WIDTH) -> list[str]:
    """Return the lines: result, tunings of the profile, counts, next command, files.

    No line is wider than ``width`` but for a single word (a path) that is. Tunings that find no
    room are counted.
    """
    found = headline(study)
    head = [*_wrapped("Result:", found.text, width), *_wrapped("", found.detail, width)]
    foot = [
        *(line for caveat in study.caveats for line in _wrapped("Caveat:", caveat, width)),
        *_wrapped("Answers:", _answers(study), width),
        *_wrapped("Tested:", _tested(study), width),
        *_wrapped("Time:", time_breakdown(study.starts).sentence(), width),
        *_wrapped("Needs:", found.needs, width),
        *_command("Next:", found.next, width),
        *_files(study, width),
        *_wrapped("Details:", _details(study), width),
    ]
    room = max(0, LINES - len(head) - len(foot))
    return [*head, *_tunings(study, found, room, width), *foot]


def _wrapped(label: str, text: str, width: int) -> list[str]:
    """Return a labelled text as lines, none if it is empty."""
    if not text:
        return []
    first, rest = label.ljust(_INDENT), " " * _INDENT
    return formatting.wrap_lines(text, width, first, rest)


def _command(label: str, command: str, width: int) -> list[str]:
    """Return a command as lines that a shell takes as one."""
    lines: list[str] = []
    line = label.ljust(_INDENT)
    for word in shell_words(command):
        if len(line) > _INDENT and len(line) + len(word) + 3 > width:
            lines.append(f"{line} \\")
            line = " " * _INDENT
        line = f"{line}{word}" if len(line) == _INDENT else f"{line} {word}"
    return [*lines, line]


def shell_words(command: str) -> list[str]:
    """Return a command's words, each as it is typed; an option's value stays beside it."""
    words: list[str] = []
    for word in map(shlex.quote, shlex.split(command)):
        if words and words[-1].startswith("--") and " " not in words[-1] and word[:1] != "-":
            words[-1] += f" {word}"
        else:
            words.append(word)
    return words


def _tunings(study: Study, found: Headline, room: int, width: int) -> Iterator[str]:
    """Yield a line for each tuning that the headline is about, as many as there is room for."""
    shown = subjects(study, found)
    cut = len(shown) > room
    fitting = shown[: max(0, room - cut)]
    names = [formatting.line(formatting.setting(row.tuning, row.value)) for row in fitting]
    wide = min(max(map(len, names), default=0), width - 50)
    for name, row in zip(names, fitting, strict=True):
        effect = " ".join(filter(None, (row.change, row.interval, row.metric)))
        yield _row(f"{name:<{wide}}", row, effect, width)
    if cut and room:
        yield f"{'':{_INDENT}}and {len(shown) - len(fitting)} more"


def _row(name: str, row: rows.VerdictRow, effect: str, width: int) -> str:
    """Return the line of a tuning; where the interval finds no room, it is left out."""
    start = f"{'':{_INDENT}}{name}  {row.verdict.value:<13} "
    line = f"{start}{effect}".rstrip()
    return line if len(line) <= width else f"{start}{row.change or ''}".rstrip()


def subjects(study: Study, found: Headline) -> Sequence[rows.VerdictRow]:
    """Return the tunings that a headline is about: its profile's, or those with a gain."""
    verdicts = rows.verdicts(study)
    if found.status is StudyStatus.NO_GAIN:
        return ()
    held = [row for row in verdicts if found.arm in row.profiles]
    return held or [row for row in verdicts if row.verdict in _GAINS]


def _tested(study: Study) -> str:
    answers = [
        answer for answer in study.conclusion.answers if answer.tuning not in study.controls
    ]
    without = [answer for answer in answers if answer.verdict is Verdict.NOT_TESTED]
    tunings = formatting.count(len(answers), "tuning")
    parts = [f"{len(answers) - len(without)} of {tunings}"]
    if without:
        parts.append(f"{len(without)} not tested")
    if study.left_out:
        parts.append(f"{len(study.left_out)} not applicable")
    starts = formatting.count(len(study.starts), "start")
    cost = f"{starts}, {formatting.duration(study.minutes * 60)}"
    notes = len(study.conclusion.notes)
    said = f" {formatting.count(notes, 'note')}." if notes else ""
    return f"{'; '.join(parts)}. {cost}.{said}"


def _answers(study: Study) -> str:
    """Say which profile changes what the model answers."""
    changed = [fidelity.arm for fidelity in study.conclusion.fidelity if not fidelity.kept]
    if not changed:
        return ""
    verb = "changes" if len(changed) == 1 else "change"
    return f"{' and '.join(changed)} {verb} what the model answers: {study.advice.show}"


def _files(study: Study, width: int) -> Iterator[str]:
    if "report" in study.files:
        yield from _wrapped("Report:", study.files["report"], width)
    names = [name.removeprefix("profile ") for name in study.files if name.startswith("profile ")]
    if names:
        path = study.files[f"profile {names[0]}"]
        stem = path.removesuffix(f"{names[0]}.yaml")
        joined = names[0] if len(names) == 1 else f"{{{','.join(names)}}}"
        yield from _wrapped("Profiles:", f"{stem}{joined}.yaml", width)


def _details(study: Study) -> str:
    return f"{study.advice.show} [--why NAME | --left-out]"

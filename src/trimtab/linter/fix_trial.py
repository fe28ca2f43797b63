"""Fixes are tried on a copy: one that changes more than the finding's own item is refused."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trimtab.errors import UsageError
from trimtab.linter import fix
from trimtab.linter.fix import count_empty_values
from trimtab.linter.readers import read
from trimtab.linter.readers.grammar import errors
from trimtab.linter.report import Report, report_on
from trimtab.model.document import Document, Launch, Setting
from trimtab.model.finding import Action, Finding, Severity
from trimtab.model.situation import Situation

Check = Callable[[Document], Sequence[Finding]]
"""What finds the findings of a document, as they are shown."""


@dataclass(frozen=True, slots=True)
class FixedText:
    """A text with its fixes made: ``fixed`` are the findings that went, ``left`` what remains."""

    text: str
    fixed: tuple[Finding, ...]
    left: tuple[Finding, ...]


def fix_all(document: Document, check: Check, wants: Callable[[Finding], bool]) -> FixedText:
    """Return a document's text after every wanted fix that can be made without another change."""
    fixed: list[Finding] = []
    while True:
        findings = check(document)
        for finding in filter(wants, findings):
            after = attempt(document, finding, check, findings)
            if after is not None:
                fixed.append(finding)
                document = after
                break
        else:
            return FixedText(document.text, tuple(fixed), tuple(filter(wants, findings)))


def fixable_findings(
    document: Document, findings: Iterable[Finding], check: Check
) -> set[Finding]:
    """Return the findings that a fix mends, each tried on its own."""
    chosen = [finding for finding in findings if finding.remedy is not None]
    every = check(document) if chosen else ()
    return {finding for finding in chosen if attempt(document, finding, check, every) is not None}


def attempt(
    document: Document, finding: Finding, check: Check, every: Sequence[Finding]
) -> Document | None:
    """Return the document after a finding's fix; ``None`` if no edit mends that alone.

    ``every`` are the document's findings before.
    """
    made = fix.setting_of(document, finding)
    for edit in fix.proposals(document, finding):
        try:
            after = read(document.file, edit.applied(document.text))
        except UsageError:
            continue
        if (
            errors(after) <= errors(document)
            and count_empty_values(after) <= count_empty_values(document)
            and _same(document, after, finding, made)
            and _mended(every, check(after), finding)
        ):
            return after
    return None


def _mended(before: Sequence[Finding], after: Sequence[Finding], finding: Finding) -> bool:
    """Whether a finding is gone, and no trouble has come for it."""
    old, new = Counter(map(_key, before)), Counter(map(_key, after))
    came = [finding for finding in after if new[_key(finding)] > old[_key(finding)]]
    worse = any(finding.severity.rank >= Severity.WARNING.rank for finding in came)
    return new[_key(finding)] < old[_key(finding)] and not worse


def _key(finding: Finding) -> tuple[str, str]:
    return finding.rule, finding.setting


def _same(before: Document, after: Document, finding: Finding, made: Setting | None) -> bool:
    """Whether two readings differ by the item of a finding and by nothing else."""
    if before.kind != after.kind:
        return False
    remedy = finding.remedy
    assert remedy is not None
    if made is None or remedy.action is Action.REPLACE:  # a span inside a value: its words change
        place = finding.place
        old = place.text[place.column - 1 : place.end_column - 1 or None] if place else ""
        names = {finding.setting, *re.findall(r"^--[\w-]+", remedy.text)}
        return _others(before, after, _Item(names, old, remedy.text))
    renamed = remedy.text if remedy.action is Action.RENAME else made.name
    item = _Item({made.name, renamed}, _words(made), f"{remedy.text} {renamed}={made.value}")
    gone = _made(before) - _made(after)
    came = _made(after) - _made(before)
    names = {one[0] for one in (*gone, *came)}
    lone = remedy.action is Action.REMOVE and bool(came)
    return names <= item.names and not lone and gone.total() <= 1 and _others(before, after, item)


def _words(made: Setting) -> str:
    exported = (
        f"export declare -x env -e --env {made.name}={made.value} --env={made.name}={made.value}"
    )
    written = made.name.replace("-", "_").replace("__", "--", 1)
    return f"{exported} {made.name} {written} {written}={made.value} {made.value}"


def _made(document: Document) -> Counter[tuple[object, ...]]:
    return Counter(
        (setting.name, setting.value, setting.origin, setting.exported, setting.literal)
        for setting in document.settings
    )


class _Item:
    """The names and the words of what a fix may change."""

    def __init__(self, names: set[str], old: str, new: str) -> None:
        self.names = names
        self.old = {*_tokens(old), ":"}
        self.new = {*_tokens(new), *self.old}
        self.span = (old, new)

    def alike(self, before: Sequence[str], after: Sequence[str]) -> bool:
        """Whether two commands differ by words of the item only, at one place."""
        first, second = _tokens(" ".join(before)), _tokens(" ".join(after))
        if first == second:
            return True
        old, new = self.span
        if new and " ".join(before).replace(old, new) == " ".join(after).replace(old, new):
            return True
        while first and second and first[0] == second[0]:
            first, second = first[1:], second[1:]
        while first and second and first[-1] == second[-1]:
            first, second = first[:-1], second[:-1]
        return set(first) <= self.old and {*second} <= self.new

    def settings(self, made: Iterable[Setting]) -> Counter[tuple[str, str]]:
        """Return names and values without those of the item."""
        return Counter(
            (setting.name, setting.value) for setting in made if setting.name not in self.names
        )


def _tokens(text: str) -> list[str]:
    return [one.strip("\"'") for one in text.split()]


def _others(before: Document, after: Document, item: _Item) -> bool:
    """Whether all that is not the item is read alike: commands, launches, containers, host."""
    return (
        _commands(before, after, item)
        and len(before.launches) == len(after.launches)
        and all(_launch(*pair, item) for pair in zip(before.launches, after.launches, strict=True))
        and item.settings(before.settings) == item.settings(after.settings)
        and item.settings(before.host) == item.settings(after.host)
        and [container.image for container in before.containers]
        == [container.image for container in after.containers]
        and [why for _, why in before.unread] == [why for _, why in after.unread]
        and [(m.kind, m.text) for m in before.mentions]
        == [(m.kind, m.text) for m in after.mentions]
    )


def _commands(before: Document, after: Document, item: _Item) -> bool:
    first = [
        command
        for command in before.commands
        if not {*_tokens(" ".join(command.words))} <= item.old
    ]
    second = [
        command
        for command in after.commands
        if not {*_tokens(" ".join(command.words))} <= item.new
    ]
    return len(first) == len(second) and all(
        item.alike(a.words, b.words)
        and a.redirects == b.redirects
        and a.inside == b.inside
        and item.settings(a.env) == item.settings(b.env)
        for a, b in zip(first, second, strict=True)
    )


def _launch(before: Launch, after: Launch, item: _Item) -> bool:
    boxes = [
        () if launch.container is None else launch.container.options for launch in (before, after)
    ]
    return (
        item.alike(before.argv, after.argv)
        and item.settings(before.env) == item.settings(after.env)
        and item.settings(before.options) == item.settings(after.options)
        and item.settings(boxes[0]) == item.settings(boxes[1])
        and len(before.wrappers) == len(after.wrappers)
        and (before.affinity, before.service) == (after.affinity, after.service)
    )


def finder(situation: Situation) -> Callable[[Document], Sequence[Finding]]:
    """Return what finds the findings of a document again, after an edit."""
    return lambda document: report_on([document], situation).findings


def with_fixable(report: Report, documents: Sequence[Document], situation: Situation) -> Report:
    """Return the report with the findings that a fix would mend, each tried on a copy."""
    check = finder(situation)
    fixable: set[Finding] = set()
    for document in documents:
        own = [
            finding
            for finding in report.findings
            if finding.place and finding.place.file == document.file
        ]
        if fix.obstacle(Path(document.file)) is None:
            fixable |= fixable_findings(document, own, check)
    return replace(report, fixable=frozenset(fixable))

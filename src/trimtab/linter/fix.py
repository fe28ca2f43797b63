"""Mechanical fixes: the edits that a finding asks for, in text and in YAML.

An edit is a proposal. `trimtab.linter.fix_trial` tries it on a copy, and refuses it where anything
but the finding's own item would change.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import shlex
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from trimtab.errors import UsageError
from trimtab.linter.readers.grammar import Statement, statement
from trimtab.model.document import Document, Place, Setting
from trimtab.model.finding import Action, Finding
from trimtab.redaction import mask_text

if TYPE_CHECKING:
    from yaml import Node


KINDS: Final = frozenset({"compose", "kubernetes"})
"""The kinds of documents that are YAML as a whole."""

_ENVIRONMENTS: Final = frozenset({"env", "environment"})


@dataclass(frozen=True, slots=True)
class _Holder:
    """A map or a list, its members as spans, and the member of the map above that holds it."""

    flow: bool
    members: tuple[tuple[int, int], ...]
    above: tuple[_Holder, int] | None = None
    key: str = ""


def spans(text: str, made: Setting) -> Iterator[tuple[int, int]]:
    """Yield the spans to delete for a setting, those nearest to its place first."""
    import yaml

    try:
        roots = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
    except yaml.YAMLError:
        return
    line = made.place.line - 1 if made.place is not None else 0
    found = [one for root in roots for one in _list_items(root, made, None, "", 0)]
    for _, holder, first, last in sorted(found, key=lambda one: abs(one[0] - line)):
        span = _deletion(text, holder, first, last)
        if span is not None:
            yield span


def count_empty_values(document: Document) -> int:
    """Return how many values a YAML text leaves out: what loses its last item is one more."""
    import yaml

    if document.kind not in KINDS:
        return 0
    found, nodes = 0, list(yaml.compose_all(document.text, Loader=yaml.SafeLoader))
    while nodes:
        node = nodes.pop()
        if isinstance(node, yaml.ScalarNode):
            found += node.value == "" and node.style is None
        elif isinstance(node, yaml.MappingNode):
            nodes += (value for _, value in node.value)
        elif node is not None:
            nodes += node.value
    return found


def _list_items(
    node: Node, made: Setting, above: tuple[_Holder, int] | None, key: str, depth: int
) -> Iterator[tuple[int, _Holder, int, int]]:
    """Yield (line, holder, first member, last member) of each place that makes a setting."""
    import yaml

    if depth > 50:
        return
    if isinstance(node, yaml.SequenceNode):
        members = tuple((one.start_mark.index, one.end_mark.index) for one in node.value)
        holder = _Holder(bool(node.flow_style), members, above, key)
        for first, last in _listed(node.value, made):
            yield node.value[first].start_mark.line, holder, first, last
        for index, one in enumerate(node.value):
            yield from _list_items(one, made, (holder, index), "", depth + 1)
    elif isinstance(node, yaml.MappingNode):
        members = tuple((k.start_mark.index, v.end_mark.index) for k, v in node.value)
        holder = _Holder(bool(node.flow_style), members, above, key)
        for index, (name, value) in enumerate(node.value):
            if getattr(name, "value", None) == made.name and key in _ENVIRONMENTS:
                yield name.start_mark.line, holder, index, index
            inner = str(getattr(name, "value", ""))
            yield from _list_items(value, made, (holder, index), inner, depth + 1)


def _listed(nodes: Sequence[Node], made: Setting) -> Iterator[tuple[int, int]]:
    """Yield the first and the last member of a list that make a setting."""
    import yaml

    for index, node in enumerate(nodes):
        if isinstance(node, yaml.MappingNode):
            names = [str(v.value) for k, v in node.value if getattr(k, "value", "") == "name"]
            if names == [made.name]:
                yield index, index
            continue
        text = str(node.value).replace("_", "-") if made.name.startswith("-") else str(node.value)
        if text.partition("=")[0] != made.name:
            continue
        if "=" in text or not made.value:
            yield index, index
        elif index + 1 < len(nodes) and str(nodes[index + 1].value) == made.value:
            yield index, index + 1


def _deletion(text: str, holder: _Holder, first: int, last: int) -> tuple[int, int] | None:
    """Return what to delete so that a holder loses some members and stays whole."""
    members = holder.members
    if len(members) == last - first + 1 and not holder.flow:
        if holder.key not in _ENVIRONMENTS or holder.above is None:
            return None
        outer, index = holder.above
        return _deletion(text, replace(outer, members=_closed(outer, text)), index, index)
    begin, end = members[first][0], members[last][1]
    if holder.flow:
        if last + 1 < len(members):
            return begin, members[last + 1][0]
        return (members[first - 1][1], end) if first else (begin, end)
    start = text.rfind("\n", 0, begin) + 1
    if text[start:begin].strip() not in {"", "-"}:
        return None
    stop = text.find("\n", len(text[:end].rstrip()))
    return start, len(text) if stop < 0 else stop + 1


def _closed(outer: _Holder, text: str) -> tuple[tuple[int, int], ...]:
    """Return members without the blanks and comments behind them."""
    return tuple((begin, begin + len(text[begin:end].rstrip())) for begin, end in outer.members)


_BEFORE = re.compile(
    r"\s*(?:-\s+)?(?:name:\s*)?(?:export\s+|declare -x\s+|ENV\s+|Environment=|(?:-e|--env)[\s=]+)?"
    r"[\"']?"
)
"""What may stand before an item for its lines to hold nothing else."""

_AFTER = re.compile(r"[\"']?\s*(?P<on>\\)?\s*(?:\s#.*)?")
_DROP = "take it out"
"""The fix of a setting that nothing replaces; only such a one is ever removed."""

_SHELLS = frozenset({"shell", "markdown"})


@dataclass(frozen=True, slots=True)
class Edit:
    """The characters ``begin`` to ``end`` of a text (from 0, end exclusive) become ``text``."""

    begin: int
    end: int
    text: str = ""

    def applied(self, to: str) -> str:
        """Return a text with the edit made."""
        return to[: self.begin] + self.text + to[self.end :]


def proposals(document: Document, finding: Finding) -> Iterator[Edit]:
    """Yield the edits that may mend a finding, the neatest first; none is tried yet."""
    remedy, made = finding.remedy, setting_of(document, finding)
    if remedy is None or finding.place is None:
        return
    if remedy.action is Action.REPLACE:
        yield from _span(document, finding.place, remedy.text)
    elif made is None:
        return
    elif remedy.action is Action.REMOVE:
        if finding.fix.startswith(_DROP):  # else a person writes what replaces it
            yield from _without(document, made)
    elif remedy.action is Action.RENAME:
        yield from _renamed(document, made, remedy.text)
    elif remedy.action is Action.SET_VALUE:
        yield from _span(document, made.value_place, _quoted(document.kind, remedy.text))
    elif document.kind in _SHELLS and made.name_place is not None:
        at = _offset(document.text, made.name_place.line, made.name_place.column)
        yield Edit(at, at, "export ")


def _without(document: Document, made: Setting) -> Iterator[Edit]:
    """Yield the edits that take a setting out."""
    if document.kind in KINDS:
        yield from (Edit(*span) for span in spans(document.text, made))
    for begin, end in _items(document, made):
        if _names(document.text[begin:end], made):
            yield from _removals(document, begin, end)
    if document.kind not in _SHELLS:
        yield from _spread(document.text, made)


def setting_of(document: Document, finding: Finding) -> Setting | None:
    """Return the setting that a finding is about, if the text makes it."""
    options = (option for launch in document.launches for option in launch.options)
    for setting in (*document.settings, *options):
        if setting.name == finding.setting and setting.place == finding.place:
            return setting
    return None


def _offset(text: str, line: int, column: int) -> int:
    at = 0
    for _ in range(line - 1):
        at = text.index("\n", at) + 1
    mark = line == 1 and text.startswith("\ufeff")
    return at + column - 1 + mark


def _span(document: Document, place: Place | None, text: str) -> Iterator[Edit]:
    """Yield the edit of a place of which the columns are known."""
    if place is None or not place.text or place.end_column <= place.column:
        return
    begin = _offset(document.text, place.line, place.column)
    yield Edit(begin, begin + place.end_column - place.column, text)


def _renamed(document: Document, made: Setting, text: str) -> Iterator[Edit]:
    """Yield edits of a name: as its reader has placed it, and where it stands in its line."""
    place = made.name_place or made.place
    if place is None:
        return
    begin = _offset(document.text, place.line, 1)
    line = document.text[begin:].partition("\n")[0]
    written = re.escape(made.name).replace(r"\-", "[-_]")
    for match in re.finditer(rf"(?<![\w-]){written}(?![\w-])", line):
        if match.start() + 1 >= place.column:
            yield Edit(begin + match.start(), begin + match.end(), text)
    yield from _span(document, made.name_place, text)


def _items(document: Document, made: Setting) -> Iterator[tuple[int, int]]:
    """Yield the spans that may hold a setting: by its places, then by its words in the line."""
    text, first, last = document.text, made.name_place or made.place, made.value_place
    if first is None:
        return
    begin = _offset(text, first.line, first.column)
    start = _offset(text, first.line, 1)
    line = text[start:].partition("\n")[0]
    value = re.escape(made.value)
    quote = "[\"']?"
    for pattern in (
        rf"{quote}(?<![\w-]){re.escape(made.name)}={quote}{value}{quote}(?!\S)",
        rf"(?<![\w-]){re.escape(made.name)}(?:[\s=]+{quote}{value}{quote})(?![\w-])",
    ):
        yield from (
            (start + match.start(), start + match.end()) for match in re.finditer(pattern, line)
        )
    if last is not None and last.end_column and last.line >= first.line:
        end = _offset(text, last.line, last.end_column)
        if end > begin:
            yield begin, end
    whole = made.place
    if whole is not None and whole.end_column:
        yield begin, _offset(text, whole.line, whole.end_column)


def _names(text: str, made: Setting) -> bool:
    """Whether a span holds a setting's name, not a variable that holds it among others."""
    found = text.replace("_", "-") if made.name.startswith("-") else text
    return made.name in found


def _spread(text: str, made: Setting) -> Iterator[Edit]:
    """Yield the edits that take an option out of a command of several lines, or a JSON list."""
    name, value = (re.escape(one) for one in (made.name, made.value))
    blank = r"(?:\s|\\\r?\n)+"
    quote = "[\"']?"
    whole = f"{name}(?:={quote}{value}{quote}|{blank}{quote}{value}{quote})" if value else name
    words = rf"{blank}{whole}(?=[\s\"']|$)"
    comma = r"(?:\s|\\\r?\n)*,(?:\s|\\\r?\n)*"
    listed = f'"{name}"{comma}"{value}"' if value else f'"{name}"'
    joined = f'"{name}={value}"'
    items = rf"{comma}(?:{listed}|{joined})"
    leading = rf"(?:{listed}|{joined}){comma}"
    for pattern in (words, items, leading):
        for match in re.finditer(pattern, text):
            yield Edit(match.start(), match.end())


def _removals(document: Document, begin: int, end: int) -> Iterator[Edit]:
    """Yield the edits that take a span away with what belongs to it alone."""
    text = document.text
    around = statement(document, begin) if document.kind in _SHELLS else None
    if around is not None and around.alone:
        yield from _of_statement(text, around)
        return
    first = _start(text, begin)
    last = len(text) if (at := text.find("\n", end)) < 0 else at + 1
    before, after = text[first:begin], text[end:last].rstrip("\r\n")
    rest = _AFTER.fullmatch(after)
    if _BEFORE.fullmatch(before) and rest is not None:
        above = re.search(r"[ \t]*\\\r?\n\Z", text[:first])
        if rest["on"] is None and above is not None:
            yield Edit(above.start(), end + len(text[end:last].rstrip("\r\n")))
        else:
            yield Edit(first, last)
    if comma := re.compile(r"\s*,\s*").match(text, end):
        yield Edit(begin, comma.end())
    if comma := re.search(r"\s*,\s*\Z", text[:begin]):
        yield Edit(comma.start(), end)
    flag = re.search(r"(?:(?<=\s)(?:-e|--env)[ =]+)\Z", text[:begin])
    begin = flag.start() if flag else begin
    blanks = re.search(r"[ \t]+\Z", text[:begin])
    if blanks and blanks.start() > first:
        yield Edit(blanks.start(), end)
    if following := re.compile(r"[ \t]+").match(text, end):
        yield Edit(begin, following.end())


def _of_statement(text: str, around: Statement) -> Iterator[Edit]:
    """Yield the edit of a statement that sets nothing else: away with its line, or a ``:``."""
    first = _start(text, around.begin)
    last = len(text) if (at := text.find("\n", around.end)) < 0 else at + 1
    after = text[around.end : last].strip()
    whole = not text[first : around.begin].strip() and (not after or after.startswith("#"))
    if whole and around.removable:
        yield Edit(first, last)
    elif around.replaceable:
        yield Edit(around.begin, around.end, ":")


def _start(text: str, at: int) -> int:
    """Return where the line of a character begins, after a byte order mark."""
    first = text.rfind("\n", 0, at) + 1
    return first + (first == 0 and text.startswith("\ufeff"))


def _quoted(kind: str, text: str) -> str:
    return json.dumps(text) if kind in {"compose", "kubernetes"} else shlex.quote(text)


def diff(name: str, before: str, after: str) -> Iterator[str]:
    """Yield a unified diff, line by line, without the secrets in it."""
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), name, f"{name} (fixed)", lineterm=""
    )
    yield from map(mask_text, lines)


def obstacle(path: Path) -> str | None:
    """Return why a file is not written, ``None`` if nothing speaks against it."""
    if path.is_symlink():
        return f"{path} is a symbolic link: nothing is written; run lint --fix on {path.resolve()}"
    if not path.is_file():
        return f"{path} is no file: nothing is written"
    writable = path.stat().st_mode & 0o222 and os.access(path, os.W_OK)
    if not writable:
        return f"{path} is read-only: nothing is written; make it writable first"
    if not os.access(path.parent, os.W_OK):
        return f"the folder of {path} is read-only: nothing is written"
    return None


def write(path: Path, before: str, after: str) -> None:
    """Replace a file's text atomically, keeping its mode and its encoding.

    Raises:
        UsageError: the file is a symbolic link or read-only, or is not what was read any more.
    """
    if why := obstacle(path):
        raise UsageError(why)
    now = path.read_bytes()
    data = _encoded(now, before, after)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), path.stat().st_mode & 0o7777)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if path.read_bytes() != now:
            raise UsageError(f"{path} was changed meanwhile: nothing is written; run lint again")
        os.replace(name, path)  # noqa: PTH105
    except BaseException:
        os.unlink(name)  # noqa: PTH108
        raise


def _encoded(now: bytes, before: str, after: str) -> bytes:
    """Return the new text in the encoding and with the byte order mark of the file."""
    marks = (
        (b"", "utf-8"),
        (b"", "latin-1"),
        (b"\xff\xfe", "utf-16-le"),
        (b"\xfe\xff", "utf-16-be"),
    )
    for mark, encoding in marks:
        try:
            if mark + before.encode(encoding) == now:
                return mark + after.encode(encoding)
        except UnicodeEncodeError:
            continue
    raise UsageError("the file was changed meanwhile: nothing is written; run lint again")

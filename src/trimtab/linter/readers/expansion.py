"""Words of a shell with their places, expanded as far as the text tells. Nothing is run."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from trimtab.linter.readers.launch import ShellWord
from trimtab.linter.readers.source import SourceText
from trimtab.model.document import Notice, Oddity, Origin, Setting

if TYPE_CHECKING:
    from tree_sitter import Node
if TYPE_CHECKING:
    from tree_sitter import Node


_LONGEST: Final = 20_000


@dataclass(frozen=True, slots=True)
class ExpandedText:
    """A word's text; not ``literal`` where a part stands as written because it is unknown."""

    value: str
    literal: bool = True

    def plus(self, other: ExpandedText) -> ExpandedText:
        """Return both together, cut at a length that no real word has."""
        if len(self.value) + len(other.value) > _LONGEST:
            return ExpandedText(self.value[:_LONGEST], literal=False)
        return ExpandedText(self.value + other.value, self.literal and other.literal)


Lookup = Callable[[str], ExpandedText | None]
"""Return the text of a variable, ``None`` when it is not known."""

Elements = Callable[[str], tuple[ExpandedText, ...] | None]
"""Return the elements of an array, ``None`` when it is not known."""


def text_of(node: Node) -> str:
    """Return a node's source text."""
    return node.text.decode("utf-8", "replace") if node.text is not None else ""


def expand(node: Node, lookup: Lookup) -> ExpandedText:
    """Return a word as one text."""
    match node.type:
        case "word" | "number" | "extglob_pattern" | "regex" | "variable_name":
            return ExpandedText(re.sub(r"\\(\n|.)", _unescaped, text_of(node)))
        case "raw_string":
            return ExpandedText(text_of(node)[1:-1])
        case "ansi_c_string":
            return ExpandedText(text_of(node)[2:-1], "\\" not in text_of(node))
        case "string" | "translated_string":
            return _string(node, lookup)
        case "concatenation":
            text = ExpandedText("")
            for child in node.children:
                text = text.plus(expand(child, lookup))
            return text
        case "simple_expansion":
            return _variable(node, text_of(node)[1:], lookup)
        case "expansion":
            return _braced(node, lookup)
    return ExpandedText(text_of(node), literal=False)


def _unescaped(match: re.Match[str]) -> str:
    return "" if match[1] == "\n" else match[1]


def _string(node: Node, lookup: Lookup) -> ExpandedText:
    """Expand a double-quoted string: what lies between its parts belongs to it as written."""
    text, at = (
        ExpandedText(""),
        node.start_byte + len(text_of(node)) - len(text_of(node).lstrip("$")),
    )
    at += 1  # the opening quote
    whole, begin = node.text or b"", node.start_byte
    for child in node.named_children:
        text = text.plus(_between(whole[at - begin : child.start_byte - begin]))
        if child.type == "string_content":
            text = text.plus(_between(child.text or b""))
        else:
            text = text.plus(expand(child, lookup))
        at = child.end_byte
    end = len(whole) - 1 if whole.endswith(b'"') else len(whole)
    text = text.plus(_between(whole[at - begin : end]))
    filled = text.value != "" or not node.named_children
    return (
        text if filled else ExpandedText("", literal=False)
    )  # who fills the variable stands elsewhere


def _between(data: bytes) -> ExpandedText:
    text = data.decode("utf-8", "replace")
    return ExpandedText(re.sub(r'\\([$`"\\\n])', _unescaped, text))


def _variable(node: Node, name: str, lookup: Lookup) -> ExpandedText:
    text = lookup(name)
    return ExpandedText(text_of(node), literal=False) if text is None else text


def _braced(node: Node, lookup: Lookup) -> ExpandedText:
    plain = re.fullmatch(r"\$\{(\w+)\}", text_of(node))
    if plain:
        return _variable(node, plain[1], lookup)
    fallback = re.match(r"\$\{(\w+):?[-=]", text_of(node))
    if fallback:  # a value that is set beats the default
        return _variable(node, fallback[1], lookup)
    return ExpandedText(text_of(node), literal=False)


def words(node: Node, lookup: Lookup, elements: Elements) -> Iterator[ExpandedText]:
    """Yield the words that one word of a command becomes: unquoted values split at blanks."""
    array = re.fullmatch(r'"?\$\{(\w+)\[[@*]\](?::?[-+].*)?\}"?', text_of(node))
    if array is not None:
        texts = elements(array[1])
        if texts is not None:
            yield from texts
            return
    if node.type not in {"simple_expansion", "expansion"}:
        yield expand(node, lookup)
        return
    alternate = re.fullmatch(r"\$\{(\w+):?\+(.*)\}", text_of(node), re.DOTALL)
    if alternate is not None:
        yield from _alternate(alternate[1], alternate[2], lookup)
        return
    text = expand(node, lookup)
    if text.literal:
        yield from (ExpandedText(part) for part in text.value.split())
    else:
        for part in _PART.findall(text.value) or [text.value]:
            yield ExpandedText(part, "$" not in part and "`" not in part)


_PART: Final = re.compile(r"(?:\$\{[^}]*\}|\$\([^)]*\)|`[^`]*`|\S)+")
"""A word of a value that is not known to the letter: blanks in what is unknown split nothing."""

_WORD: Final = re.compile(r"""(?:"(?:[^"\\]|\\.)*"|'[^']*'|[^\s"'])+""")


def _alternate(name: str, said: str, lookup: Lookup) -> Iterator[ExpandedText]:
    """Yield the words of ``${NAME:+...}``: what stands there if NAME is set."""
    tested = lookup(name)
    if tested is not None and tested.literal and not tested.value:
        return
    for word in _WORD.findall(said):
        value = ExpandedText("")
        for part in re.split(r"(\$\w+|\$\{\w+\})", re.sub(r"[\"']", "", word)):
            known = lookup(part.strip("${}")) if part.startswith("$") else ExpandedText(part)
            value = value.plus(ExpandedText(part, literal=False) if known is None else known)
        yield ExpandedText(value.value, literal=False)  # it may not be there


def flaw(written: str, words: Sequence[str]) -> str:
    """Return what the shell made of JSON that is ``written``; "" where it is whole or none."""
    first = words[0] if words else ""
    text = first.partition("=")[2] if first.startswith("--") else first
    if not text.startswith(("{", "[")) or _is_json(text):
        return ""
    if len(words) > 1 and written.startswith("$"):
        return f"the shell splits {written} at its blanks, so the option gets {text!r} alone"
    value = written.partition("=")[2] if written.startswith("--") else written
    whole = re.fullmatch(
        r'"[^"]*"', value
    )  # one pair of quotes around all of it takes nothing off
    if '"' in value and '"' not in text and not whole:
        return f"the shell takes the quotes off this JSON: the server gets {text}"
    return ""


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def notices(words: Sequence[ShellWord]) -> list[Notice]:
    """Return notes of the words of a server that are JSON no more."""
    found = []
    for index, word in enumerate(words):
        if word.flaw:
            own = word.text.startswith("--")
            name = (word if own or not index else words[index - 1]).text.partition("=")[0]
            setting = Setting(name, word.text, word.place, Origin.ARGUMENT, literal=False)
            found.append(Notice(Oddity.QUOTES_LOST, setting, said=word.flaw))
    return found


def words_of_node(
    source: SourceText, node: Node, texts: Sequence[ExpandedText]
) -> list[ShellWord]:
    """Return the words that a word in a text becomes."""
    place = source.of_node(node)
    broken = flaw(text_of(node), [text.value for text in texts])
    words = [ShellWord(text.value, place, text.literal and not broken) for text in texts]
    if not words:
        return []
    script = _in_lines(source, node, words[0].text) if len(words) == 1 else None
    return [replace(words[0], flaw=broken, source=script), *words[1:]]


def words_behind(node: Node) -> list[Node]:
    """Return the words of a command that stand behind its redirections."""
    nodes = []
    for one in node.children_by_field_name("redirect"):
        nodes += one.children_by_field_name("argument")
        inner = (*one.children_by_field_name("redirect"), one)
        for made_of in inner:
            if made_of.type == "file_redirect":
                nodes += made_of.children_by_field_name("destination")[1:]
    return nodes


def _in_lines(source: SourceText, node: Node, value: str) -> SourceText | None:
    """Return a quoted word of several lines as a text in their places; ``None`` for any other.

    ``value`` is what the shell makes of it.
    """
    written = text_of(node)
    if "\n" not in written or node.type not in {"raw_string", "string"} or source.fixed:
        return None
    inner = written[1:-1]
    if node.type == "string":
        plain = re.sub(r'\\([$`"\\])', r"\1", inner)
        if plain.replace("\\\n", "") == value:
            inner = plain  # a continuation stays one
        elif inner.count("\n") == value.count("\n"):
            inner = value
        else:
            return None
    place = source.of_node(node)
    return SourceText(source.file, "\n" * node.start_point[0] + " " * place.column + inner)

"""Words of a shell's command with their places; a text of several lines keeps its lines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from trimtab.linter.readers import json_words
from trimtab.linter.readers.expansion import ExpandedText, text_of
from trimtab.linter.readers.launch import ShellWord
from trimtab.linter.readers.source import SourceText

if TYPE_CHECKING:
    from tree_sitter import Node


def words_of_node(
    source: SourceText, node: Node, texts: Sequence[ExpandedText]
) -> list[ShellWord]:
    """Return the words that a word in a text becomes."""
    place = source.of_node(node)
    flaw = json_words.flaw(text_of(node), [one.value for one in texts])
    words = [ShellWord(one.value, place, one.literal and not flaw) for one in texts]
    if not words:
        return []
    script = _in_lines(source, node, words[0].text) if len(words) == 1 else None
    return [replace(words[0], flaw=flaw, source=script), *words[1:]]


def words_behind(node: Node) -> list[Node]:
    """Return the words of a command that stand behind its redirections."""
    found = []
    for one in node.children_by_field_name("redirect"):
        found += one.children_by_field_name("argument")
        inner = (*one.children_by_field_name("redirect"), one)
        for made_of in inner:
            if made_of.type == "file_redirect":
                found += made_of.children_by_field_name("destination")[1:]
    return found


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

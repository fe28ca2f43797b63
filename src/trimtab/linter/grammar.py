"""What the grammar of shell says of a place in a text: the statement there, and errors."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trimtab.linter.readers.grammar import parse
from trimtab.model.document import Document

if TYPE_CHECKING:
    from tree_sitter import Node

_FENCE = re.compile(
    r"^[ \t]*(?P<mark>```+|~~~+)[^\n]*\n(?P<text>.*?)^[ \t]*(?P=mark)", re.MULTILINE | re.DOTALL
)
_BODIES = frozenset({"compound_statement", "do_group", "subshell"})
_MAKING = frozenset({"declaration_command", "variable_assignment"})


@dataclass(frozen=True, slots=True)
class Statement:
    """The assignment at a place, by its characters ``begin`` to ``end``.

    ``alone``: it sets one name. ``removable``: the text stays whole without it.
    ``replaceable``: ``:`` may stand in its place.
    """

    begin: int
    end: int
    alone: bool
    removable: bool
    replaceable: bool


def statement(document: Document, at: int) -> Statement | None:
    """Return the assignment statement at a character of a shell text or of a guide's block."""
    begin, text = _block(document, at)
    data = text.encode("utf-8", "surrogatepass")
    offset = len(text[: at - begin].encode("utf-8", "surrogatepass"))
    node = _root(data).descendant_for_byte_range(offset, offset + 1)
    while node is not None and node.type != "variable_assignment":
        node = node.parent
    if node is None or node.parent is None or node.parent.type == "command":
        return None
    alone = True
    if node.parent.type in _MAKING | {"variable_assignments"}:
        node = node.parent
        made = [
            one
            for one in node.named_children
            if one.type in {"variable_assignment", "variable_name"}
            or (one.type == "word" and one.text is not None and not one.text.startswith(b"-"))
        ]
        alone = len(made) == 1
    above = node.parent
    start = begin + len(data[: node.start_byte].decode("utf-8", "surrogatepass"))
    end = begin + len(data[: node.end_byte].decode("utf-8", "surrogatepass"))
    kind = above.type if above is not None else ""
    return Statement(
        start, end, alone, _spared(above), kind not in {"pipeline", "redirected_statement"}
    )


def _spared(above: Node | None) -> bool:
    """Whether a body still holds a statement without the one in question."""
    if above is None or above.type == "program":
        return True
    others = [node for node in above.named_children if node.type != "comment"]
    return above.type in _BODIES and len(others) > 1


def errors(document: Document) -> int:
    """Return how many places of a shell text the grammar cannot read; 0 for other formats."""
    if document.kind != "shell":
        return 0
    found, nodes = 0, [_root(document.text.encode("utf-8", "surrogatepass"))]
    while nodes:
        node = nodes.pop()
        found += node.is_error or node.is_missing
        nodes += node.children
    return found


def _root(data: bytes) -> Node:
    return parse(data).root_node


def _block(document: Document, at: int) -> tuple[int, str]:
    """Return the shell text around a character, and where it begins."""
    if document.kind == "shell":
        return 0, document.text
    for match in _FENCE.finditer(document.text):
        if match.start("text") <= at < match.end("text"):
            return match.start("text"), match["text"]
    return 0, document.text

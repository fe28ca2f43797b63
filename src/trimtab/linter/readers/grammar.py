"""The grammar of shells, and what stands in a heredoc."""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Final

from trimtab.linter.readers.source import SourceText
from trimtab.model.document import Document

if TYPE_CHECKING:
    from tree_sitter import Language, Node, Tree
if TYPE_CHECKING:
    from tree_sitter import Node
if TYPE_CHECKING:
    from tree_sitter import Node


_MASK: Final = bytes(range(128)) + b"." * 128
"""Bytes of characters that are not ASCII, as a character that is a part of any word."""


_PLACEHOLDER: Final = re.compile(
    rb"(?<![<&\w)])<(?=[A-Za-z_])(?![^<>\n]*\s\d>)[\w .:/|,-]*[\w)]>(?![\w$(&>])", re.ASCII
)
"""``<model>``: a shell takes it for redirections, and its writer for a word to be filled in."""


@cache
def _language() -> Language:
    import tree_sitter_bash
    from tree_sitter import Language

    return Language(tree_sitter_bash.language())


def parse(data: bytes) -> Tree:
    """Return the syntax tree of a shell text in UTF-8; its nodes have the text as written.

    The scanner of the grammar (0.25.1) asks C's isdigit() about any character, which reads memory
    that is not its own and ends the process at times: ``{`` before an emoji is enough. So it sees
    ASCII alone, of the same length; the text is put back before a node is asked for it. A parser
    also hands heredocs of one text on to the next one, therefore each text has its own. A
    placeholder such as ``<model>`` is one word.
    """
    from tree_sitter import Parser

    masked = _PLACEHOLDER.sub(lambda match: b"." * len(match[0]), data.translate(_MASK))
    shown = bytearray(masked)
    if data.startswith(BOM_UTF8):  # the parser leaves it out
        shown[: len(BOM_UTF8)] = BOM_UTF8
    tree = Parser(_language()).parse(shown)
    shown[:] = data
    return tree


def first_error(node: Node) -> int:
    """Return the line of the first part that the grammar could not take."""
    while not (node.is_error or node.is_missing):
        inner = next((one for one in node.children if one.has_error or one.is_missing), None)
        if inner is None:
            break
        node = inner
    # What stands before a construct without an end is in the error too: its keyword tells where.
    opened = next((one for one in node.children if not one.is_named and one.type.strip()), node)
    return opened.start_point[0] + 1


def body_source(source: SourceText, redirect: Node, body: Node) -> SourceText:
    """Return the body alone, each line where it stands.

    Where the end mark is not quoted, the shell makes one backslash of two at the end of a line.
    """
    end, column = body.end_point
    kept = source.only(body.start_point.row + 1, end + (1 if column else 0))
    mark = next((node for node in redirect.named_children if node.type == "heredoc_start"), None)
    if mark is None or re.search(rb"[\"'\\]", mark.text or b""):
        return kept
    return replace(kept, text=re.sub(r"\\\\(?=\r?\n)", r" \\", kept.text))


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

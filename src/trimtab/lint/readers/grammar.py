"""The grammar of shells."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Node, Parser


@cache
def parser() -> Parser:
    """Return the parser of bash."""
    import tree_sitter_bash
    from tree_sitter import Language, Parser

    return Parser(Language(tree_sitter_bash.language()))


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

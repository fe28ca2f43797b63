"""What stands in a heredoc, as the program that is fed with it reads it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from trimtab.linter.readers.source import SourceText

if TYPE_CHECKING:
    from tree_sitter import Node


def body_source(source: SourceText, redirect: Node, body: Node) -> SourceText:
    """Return the body alone, each line where it stands.

    Where the end mark is not quoted, the shell makes one backslash of two at the end of a line.
    """
    end, column = body.end_point
    kept = source.only(body.start_point.row + 1, end + (1 if column else 0))
    mark = next((one for one in redirect.named_children if one.type == "heredoc_start"), None)
    if mark is None or re.search(rb"[\"'\\]", mark.text or b""):
        return kept
    return replace(kept, text=re.sub(r"\\\\(?=\r?\n)", r" \\", kept.text))

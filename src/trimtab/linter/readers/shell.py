"""Shell scripts, by a real grammar: what each process that they start is given.

The walk follows the text once, top to bottom, as a run would: branches one after the other, loops
once, functions where they are called. Nothing is evaluated beyond variables that the text sets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from trimtab.linter.readers import grammar
from trimtab.linter.readers.expansion import (
    ExpandedText,
    expand,
    text_of,
    words,
    words_behind,
    words_of_node,
)
from trimtab.linter.readers.grammar import first_error, parse
from trimtab.linter.readers.launch import ShellWord, printed_text
from trimtab.linter.readers.shell_session import ShellSession
from trimtab.linter.readers.source import DocumentBuilder, SourceText
from trimtab.model.document import Document, Notice, Oddity, Redirect, Setting

if TYPE_CHECKING:
    from tree_sitter import Node

_DEEPEST: Final = 200
_MOST_CALLS: Final = 500
_VALUES: Final = {"simple_expansion", "expansion", "string", "concatenation", "word"}


def read_shell(source: SourceText) -> Document:
    """Return what a shell script says."""
    session = ShellSession(source, DocumentBuilder())
    if "\r\n" in source.text:  # read as it was meant: a CR ends no word, and no continuation
        first = source.text[: source.text.find("\r\n")].count("\n") + 1
        setting = Setting("line-ends", "CR LF", source.place(first))
        session.scribe.notices.append(Notice(Oddity.LINE_ENDS, setting))
    walk_text(session, replace(source, text=source.text.replace("\r\n", "\n")))
    session.finish()
    return session.scribe.document(source, "shell")


def walk_text(session: ShellSession, source: SourceText, depth: int = 0) -> None:
    """Follow one more text in a session: a script, a fenced block, the string of ``sh -c``."""
    tree = parse(source.data)
    if tree.root_node.has_error:
        at = source.place(first_error(tree.root_node))
        session.doubt(source, "a part of it is no shell that can be understood", at)
    before = session.source
    session.source = source
    _Walk(session, source, depth).statements(tree.root_node)
    session.source = before


@dataclass
class _Walk:
    """One pass over a syntax tree; what is found goes into the session."""

    session: ShellSession
    source: SourceText
    depth: int = 0
    functions: dict[str, Node] = field(default_factory=dict)
    called: set[str] = field(default_factory=set)
    calls: int = 0
    _comment: tuple[int, str] = (0, "")

    def statements(self, node: Node) -> None:
        """Follow the children of a node as statements."""
        if self.depth > _DEEPEST:
            return
        self.depth += 1
        for child in node.named_children:
            self.statement(child)
        self.depth -= 1

    def statement(self, node: Node) -> None:
        """Follow one statement; a test or a text sets no variable."""
        if node.type in {"test_command", "heredoc_body"}:
            return
        follow = {
            "comment": self._remember,
            "variable_assignment": self._assign,
            "variable_assignments": self._assign,
            "declaration_command": self._declare,
            "unset_command": self._unset,
            "command": self._plain,
            "redirected_statement": self._redirected,
            "pipeline": self._pipeline,
            "function_definition": self._define,
            "if_statement": self._branches,
            "case_statement": self._branches,
            "for_statement": self._loop,
            "while_statement": self._loop,
            "c_style_for_statement": self._loop,
            "subshell": self._subshell,
        }.get(node.type, self.statements)
        follow(node)

    def _unset(self, node: Node) -> None:
        for child in node.named_children:
            self.session.variables.unset(text_of(child))

    def _plain(self, node: Node) -> None:
        self._command(node, (), None)

    def _subshell(self, node: Node) -> None:
        with self.session.variables.subshell():
            self.statements(node)

    def _loop(self, node: Node) -> None:
        with self.session.variables.branch():
            self.statements(node)

    def _remember(self, node: Node) -> None:
        """Keep a comment for the statement below it; those on adjacent lines belong together."""
        line, text = self._comment
        row = node.start_point[0] + 1
        if text_of(node).startswith("#!"):
            return
        words_ = text_of(node).lstrip("# ")
        self._comment = (row, f"{text} {words_}" if line == row - 1 else words_)

    def _comment_above(self, node: Node) -> str:
        line, text = self._comment
        return text if line == node.start_point[0] else ""

    def _assign(self, node: Node) -> None:
        for child in [node] if node.type == "variable_assignment" else node.named_children:
            if child.type == "variable_assignment":
                self._set(child, exported=False, above=node)

    def _set(self, node: Node, *, exported: bool, above: Node) -> None:
        name, value = node.child_by_field_name("name"), node.child_by_field_name("value")
        if name is None or name.type != "variable_name":
            return  # an element of an array
        label = text_of(name)
        if value is not None and value.type == "array":
            elements = [text for part in value.named_children for text in self._expanded(part)]
            more = text_of(node)[len(label) :].startswith("+=")
            before = (self.session.variables.elements(label) or ()) if more else ()
            self.session.variables.set_array(label, (*before, *elements))
            return
        text = ExpandedText("") if value is None else expand(value, self.session.variables.lookup)
        whole = text_of(node)
        extends = value is not None and f"${label}" in whole.replace("{", "")
        if "+=" in whole[: len(label) + 2]:
            known = self.session.variables.lookup(label)
            text, extends = (known or ExpandedText(f"${label}", literal=False)).plus(text), True
        self.session.variables.assign(
            label,
            text,
            place=self.source.of_node(node),
            name_place=self.source.of_node(name),
            value_place=None if value is None else self.source.of_node(value),
            exported=exported,
            extends=extends,
            comment=self._comment_above(above),
        )

    def _declare(self, node: Node) -> None:
        keyword = text_of(node.children[0])
        flags = [text_of(one) for one in node.named_children if text_of(one).startswith("-")]
        exports = keyword == "export" or any("x" in flag for flag in flags)
        last, end = None, node.start_byte
        for child in node.named_children:
            if child.type == "variable_assignment":
                self._set(child, exported=exports, above=node)
                last = child.child_by_field_name("name")
            elif child.type == "variable_name" and exports:
                self.session.variables.export(text_of(child), on="-n" not in flags)
            elif last is not None and child.start_byte > end and child.type in _VALUES:
                self.session.variables.lost_by_space(text_of(last))
            end = child.end_byte

    def _expanded(self, node: Node) -> Iterator[ExpandedText]:
        return words(node, self.session.variables.lookup, self.session.variables.elements)

    def _word(self, node: Node) -> list[ShellWord]:
        return words_of_node(self.source, node, list(self._expanded(node)))

    def _command(
        self,
        node: Node,
        redirects: Sequence[Redirect],
        stdin: str | None,
        behind: Sequence[Node] = (),
    ) -> str | None:
        """Follow a simple command and return what it prints, where that can be told."""
        inline, found = [], []
        for child in (*node.named_children, *behind):
            if child.type == "variable_assignment":
                inline.append(child)
            elif child.type == "command_name":
                for part in child.named_children:
                    found += self._word(part)
            elif child.type in {"file_redirect", "heredoc_redirect", "herestring_redirect"}:
                more, text = self._redirect(child)
                redirects, stdin = (*redirects, *more), stdin if text is None else text
            elif child.type == "comment":
                self._remember(child)
            else:
                found += self._word(child)
        if not found:
            return None
        if found[0].text in self.functions and not inline:
            self._call(found[0].text)
            return None
        with self.session.variables.inline() if inline else nullcontext():
            for one in inline:
                self._set(one, exported=True, above=node)
            self.session.command(found, self.source.of_node(node), redirects, stdin)
        return printed_text(found, stdin)

    def _redirected(self, node: Node) -> None:
        body = node.child_by_field_name("body")
        redirects: list[Redirect] = []
        stdin = None
        for child in node.children:
            if child.type in {"file_redirect", "heredoc_redirect", "herestring_redirect"}:
                more, text = self._redirect(child)
                redirects += more
                stdin = text if text is not None else stdin
        said = None
        if body is not None and body.type == "command":
            said = self._command(body, redirects, stdin, words_behind(node))
        elif body is not None and body.type == "pipeline":
            self._pipeline(body, redirects)
        elif body is not None:
            self.statement(body)
        # What stands behind << on its line, such as "| kubectl apply -f -", is a part of it.
        parts = [one for one in node.named_children if one.type == "heredoc_redirect"]
        for child in (node for part in parts for node in part.named_children):
            if child.type == "pipeline":
                self._pipeline(child, said=said)
            elif child.type in {"command", "list", "redirected_statement"}:
                self.statement(child)

    def _redirect(self, node: Node) -> tuple[list[Redirect], str | None]:
        if node.type == "heredoc_redirect":
            body = next((one for one in node.named_children if one.type == "heredoc_body"), None)
            inner = [one for one in node.named_children if one.type == "file_redirect"]
            more = [redirect for node in inner for redirect in self._redirect(node)[0]]
            text = "" if body is None else text_of(body)
            for name in re.findall(r"\$\{?([A-Za-z_]\w*)", text):  # the shell reads them here
                self.session.variables.lookup(name)
            if body is not None:
                kept = grammar.body_source(self.source, node, body)
                self.session.heredoc = text, self.source.of_node(body), kept
            return more, text
        if node.type == "herestring_redirect":
            last = node.named_children[-1] if node.named_children else None
            found = None if last is None else expand(last, self.session.variables.lookup)
            return [], found.value if found is not None and found.literal else None
        target = node.child_by_field_name("destination")
        operator = next((one.type for one in node.children if not one.is_named), ">")
        if target is None:
            return [], None
        return [Redirect(operator, expand(target, self.session.variables.lookup).value)], None

    def _pipeline(
        self, node: Node, redirects: Sequence[Redirect] = (), said: str | None = None
    ) -> None:
        """Follow the commands of a pipe, each in a shell of its own."""
        parts = [one for one in node.named_children if one.type != "comment"]
        for index, part in enumerate(parts):
            with self.session.variables.subshell():
                if part.type == "command":
                    own = redirects if index == len(parts) - 1 else ()
                    said = self._command(part, own, said)
                else:
                    self.statement(part)
                    said = None

    def _define(self, node: Node) -> None:
        name, body = node.child_by_field_name("name"), node.child_by_field_name("body")
        if name is not None and body is not None:
            self.functions[text_of(name)] = body

    def _call(self, name: str) -> None:
        self.calls += 1
        if name in self.called or self.calls > _MOST_CALLS:
            return  # a function that calls itself
        self.called.add(name)
        self.statements(self.functions[name])
        self.called.discard(name)

    def _branches(self, node: Node) -> None:
        """Follow every branch; what each sets stays, and none overwrites another's."""
        for child in node.named_children:
            if child.type in {"elif_clause", "else_clause", "case_item"}:
                with self.session.variables.branch():
                    self.statements(child)
            else:
                with self.session.variables.branch():
                    self.statement(child)

"""YAML as nodes with their places. Aliases are followed, never copied; nothing is constructed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from trimtab.errors import UsageError
from trimtab.linter.readers.launch import ShellWord
from trimtab.linter.readers.source import SourceText
from trimtab.model.document import Origin, Place, Setting

if TYPE_CHECKING:
    from yaml import Node

_MOST: Final = 50_000


def documents(source: SourceText) -> list[Node]:
    """Return the root nodes of a YAML text.

    Raises:
        UsageError: it is no YAML; the message names the line.
    """
    import yaml

    try:
        return list(yaml.compose_all(source.text, yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UsageError(f"{source.file}:{line}: no YAML: {error.problem}") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise UsageError(f"{source.file}: no YAML: {' '.join(str(error).split())}") from error


def place(source: SourceText, node: Node) -> Place:
    """Return where a node stands."""
    start, end = node.start_mark, node.end_mark
    column = end.column + 1 if end.line == start.line else 0
    return source.place(start.line + 1, start.column + 1, column)


def entries(node: Node | None) -> Iterator[tuple[str, Node, Node]]:
    """Yield (key, key node, value node) of a mapping, merged ones (``<<``) first."""
    import yaml

    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode) and key.value == "<<":
            merged = value.value if isinstance(value, yaml.SequenceNode) else [value]
            for one in merged[:50]:
                if one is not node:
                    yield from _plain(one)
    yield from _plain(node)


def _plain(node: Node) -> Iterator[tuple[str, Node, Node]]:
    import yaml

    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                yield key.value, key, value


def get(node: Node | None, *path: str) -> Node | None:
    """Return the node under a path of keys; ``None`` when there is none."""
    for key in path:
        found = None
        for name, _, value in entries(node):
            if name == key:
                found = value
        node = found
        if node is None:
            return None
    return node


def join_nodes(first: Node, second: Node, **replaced: Node) -> Node:
    """Return both together, as a mapping (the second one wins) or as a sequence.

    ``replaced`` are values by key that win over both. Where they differ in kind it is the second.
    """
    import yaml

    if isinstance(first, yaml.SequenceNode) and isinstance(second, yaml.SequenceNode):
        both = [*first.value, *second.value]
        return yaml.SequenceNode(second.tag, both, second.start_mark, second.end_mark)
    if not (isinstance(first, yaml.MappingNode) and isinstance(second, yaml.MappingNode)):
        return second
    found = {name: (key, value) for one in (first, second) for name, key, value in entries(one)}
    for name, given in replaced.items():
        found[name] = found[name][0], given
    return yaml.MappingNode(second.tag, [*found.values()], second.start_mark, second.end_mark)


def items(node: Node | None) -> list[Node]:
    """Return the elements of a sequence, none of anything else."""
    import yaml

    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def scalar(node: Node | None) -> str | None:
    """Return a scalar's text."""
    import yaml

    return node.value if isinstance(node, yaml.ScalarNode) else None


def all_nodes(node: Node) -> Iterator[Node]:
    """Yield every node of a tree once, up to a number that no real file has."""
    import yaml

    seen: set[int] = set()
    waiting = [node]
    while waiting and len(seen) < _MOST:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        if isinstance(one, yaml.MappingNode):
            waiting += [value for _, value in reversed(one.value)]
        elif isinstance(one, yaml.SequenceNode):
            waiting += list(reversed(one.value))


def word(source: SourceText, node: Node) -> ShellWord:
    """Return a scalar as a word; one of several lines keeps the places of its lines."""
    text = scalar(node) or ""
    literal = "${" not in text and "$(" not in text
    style = getattr(node, "style", None)
    if style == "|":
        lines = source.only(node.start_mark.line + 2, node.end_mark.line + 1)
        return ShellWord(text, place(source, node), literal, lines)
    if style == ">" and not re.search(r"(^|\s)#", text):
        return ShellWord(text, place(source, node), literal, _unfolded(source, node))
    return ShellWord(text, place(source, node), literal)


def _unfolded(source: SourceText, node: Node) -> SourceText:
    """Return a folded text in its lines: where YAML folds, a shell's continuation stands."""
    first, last = node.start_mark.line + 1, node.end_mark.line
    lines = source.only(first + 1, last).text.split("\n")
    for index in range(first, min(last, len(lines)) - 1):
        line, after = lines[index], lines[index + 1]
        same = len(line) - len(line.lstrip()) == len(after) - len(after.lstrip())
        if line.strip() and after.strip() and same:
            lines[index] = f"{line.rstrip()} \\"
    return replace(source, text="\n".join(lines))


def variable(
    source: SourceText, name: str, key: Node, value: Node | None, origin: Origin
) -> Setting:
    """Return the setting that a key and its value make; ``value`` may be anything but a scalar."""
    text = scalar(value)
    at = place(source, key)
    return Setting(
        name,
        text or "",
        at,
        origin,
        literal=text is not None and "$" not in text,
        name_place=at,
        value_place=place(source, value) if value is not None else None,
    )

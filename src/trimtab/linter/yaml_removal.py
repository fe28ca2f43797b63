"""Taking an item out of YAML: a pair of list items, an entry of a map, a named variable.

The spans come from the composed nodes, so flow and block style, comments and several lines are
alike. A map or list that would become empty goes with its key where that is an environment.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from trimtab.model.document import Document, Setting

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
    found = [one for root in roots for one in _items(root, made, None, "", 0)]
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


def _items(
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
            yield from _items(one, made, (holder, index), "", depth + 1)
    elif isinstance(node, yaml.MappingNode):
        members = tuple((k.start_mark.index, v.end_mark.index) for k, v in node.value)
        holder = _Holder(bool(node.flow_style), members, above, key)
        for index, (name, value) in enumerate(node.value):
            if getattr(name, "value", None) == made.name and key in _ENVIRONMENTS:
                yield name.start_mark.line, holder, index, index
            inner = str(getattr(name, "value", ""))
            yield from _items(value, made, (holder, index), inner, depth + 1)


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

"""YAML that is only data: what ``yaml.safe_load`` accepts, less what surprises or explodes.

Refused beside what a safe loader refuses: aliases (a kilobyte of them can stand for gigabytes),
duplicate keys (the last would silently win), keys that are not text, and documents of more than
a given size.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import yaml

MAX_BYTES = 1_000_000


class NotDataError(ValueError):
    """The text is not the plain YAML that this module accepts; the message is one line."""


class _Loader(yaml.SafeLoader):
    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise NotDataError(f"an alias{_at(mark)} is not allowed")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            where = _at(key_node.start_mark)
            if not isinstance(key, str):
                raise NotDataError(f"the key {key!r}{where} must be text")
            if key in seen:
                raise NotDataError(f"the key {key!r}{where} stands twice")
            seen.add(key)
        return super().construct_mapping(node, deep)


# An unquoted date stays text: what it means is for the reader of the field to say.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        del data  # every value is written out where it stands
        return True


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    # PyYAML's single-quoted style loses line separators other than \n; double quotes escape them.
    style = None if text.isprintable() else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def load(text: bytes | str) -> Any:
    """Return the plain data (mappings, lists, text, numbers, booleans, ``None``) in ``text``.

    Raises:
        NotDataError: it is too large, not UTF-8, or not plain YAML.
    """
    size = len(text)
    if size > MAX_BYTES:
        raise NotDataError(f"it has {size} bytes, more than {MAX_BYTES}")
    loader: _Loader | None = None
    try:
        loader = _Loader(text.decode("utf-8") if isinstance(text, bytes) else text)
        return loader.get_single_data()
    except RecursionError as error:
        raise NotDataError("it is nested too deeply") from error
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise NotDataError(_one_line(error)) from error
    finally:
        if loader is not None:
            loader.dispose()


def dump(data: object) -> str:
    """Return plain data as YAML, keys in the order given, one value a line."""
    return str(
        yaml.dump(
            data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000, indent=2
        )
    )


def _at(mark: yaml.Mark | None) -> str:
    return "" if mark is None else f" in line {mark.line + 1}"


def _one_line(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError):
        return f"{error.problem or error.context}{_at(error.problem_mark)}"
    return " ".join(str(error).split())

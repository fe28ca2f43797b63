"""Frozen records as plain JSON values, and back: strict about fields, types and enumerations."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, Union, cast, get_args, get_origin, get_type_hints


def encode(value: Any) -> Any:
    """Return a frozen record as plain JSON values."""
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value):
        return {field.name: encode(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: encode(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    return value


def decode(kind: Any, value: Any) -> Any:
    """Return the record of type ``kind`` that :func:`encode` turned into ``value``.

    Raises:
        ValueError: an unknown field or enumeration value, or a value of another type.
        TypeError: a field without default is missing.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin in (Union, types.UnionType):
        if any(type(value) is option for option in arguments):
            return value
        records = [option for option in arguments if is_dataclass(option)]
        if len(records) == 1 and type(value) is dict:
            return decode(records[0], value)
        raise ValueError(f"{value!r} is none of {kind}")
    if is_dataclass(kind):
        return _decode_record(cast("type", kind), value)
    if origin is tuple:
        items = require(list, value)
        if arguments[-1] is Ellipsis:
            return tuple(decode(arguments[0], item) for item in items)
        return tuple(decode(*pair) for pair in zip(arguments, items, strict=True))
    if origin is Mapping:
        return {key: decode(arguments[1], item) for key, item in require(dict, value).items()}
    if issubclass(kind, Enum):
        return kind(value)
    return (
        float(require(int, value))
        if kind is float and type(value) is int
        else require(kind, value)
    )


def _decode_record(kind: type, value: Any) -> Any:
    hints = _hints(kind)
    values = require(dict, value)
    if unknown := values.keys() - hints.keys():
        raise ValueError(f"{kind.__name__} has no field {sorted(unknown)}")
    return kind(**{name: decode(hints[name], item) for name, item in values.items()})


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def require(kind: type, value: Any) -> Any:
    """Return a value that is exactly of a type.

    Raises:
        ValueError: it is of another one.
    """
    if type(value) is not kind:
        raise ValueError(f"{value!r} must be of type {kind.__name__}")
    return value

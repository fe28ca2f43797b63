"""How ``vllm serve`` reads the value of an option, and what it refuses, by its kind.

A kind is written as in ``versions/vllm.json``: "int >=1", "human-auto", "choice:a|b?", "json",
"text+". "?" takes None too, "+" takes several words; plugins may add words to "open:a|b", and
"folded:a_b" takes A-B.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Mapping
from typing import Final

from trimtab.knobs.server_arg import human_int

_BOOLEANS: Final = frozenset({"true", "false", "yes", "no", "on", "off", "1", "0", "none"})
_SIGNS: Final[Mapping[str, tuple[Callable[[float, float], bool], str]]] = {
    ">=": (operator.ge, "at least"),
    "<=": (operator.le, "at most"),
    ">": (operator.gt, "above"),
    "<": (operator.lt, "below"),
}
_SUFFIXED: Final = re.compile(r"\b\d+(?:\.\d+)?[kKmMgGtT]\b")


def refusal(kind: str, text: str, *, joined: bool) -> str | None:
    """Return what the parser wants instead of a text, ``None`` where it takes it.

    ``joined``: the value stands behind "=" in the option's own word.
    """
    base, _, limits = kind.partition(" ")
    optional, base = base.endswith("?"), base.removesuffix("?")
    if base in {"switch", "flag"}:
        return _no_value(text, joined=joined)
    if base == "maybe" or (optional and text in {"", "None"}):
        return None
    several, base = base.endswith("+"), base.removesuffix("+")
    if base.startswith("folded:"):
        text, base = text.lower().replace("-", "_"), base.replace("folded:", "choice:", 1)
    if base.startswith(("choice:", "open:")):
        choices = list(dict.fromkeys(base.partition(":")[2].split("|")))
        path = base.startswith("open:") and re.search(r"[./]", text)  # of a class, or a plugin's
        words = text.split(",") if several else [text]
        return None if path or set(words) <= {*choices} else f"one of {', '.join(choices)}"
    reader = _READERS.get(base)
    return reader(text) or _within(base, text, limits) if reader is not None else None


def _no_value(text: str, *, joined: bool) -> str | None:
    given = joined or text.lower() in _BOOLEANS
    return "no value" if given else None


def _boolean(text: str) -> str | None:
    return None if text.lower() in {"true", "false", ""} else "true or false"


def _whole(text: str) -> str | None:
    try:
        int(text)
    except ValueError:
        return "an integer"
    return None


def _decimal(text: str) -> str | None:
    try:
        float(text)
    except ValueError:
        return "a number"
    return None


def _human(text: str) -> str | None:
    taken = human_int(text.strip()) is not None or _whole(text) is None
    return None if taken else "an integer such as 4096, 4k (4000) or 4K (4096)"


def _auto(text: str) -> str | None:
    return None if text.strip().lower() == "auto" else _human(text)


def _json(text: str) -> str | None:
    parts = re.split(r'("(?:[^"\\]|\\.)*")', text)
    parts[::2] = [_SUFFIXED.sub("0", part) for part in parts[::2]]
    try:
        json.loads("".join(parts))
    except (ValueError, RecursionError) as error:
        return f"JSON ({str(error).partition(':')[0]})"
    return None


_READERS: Final[Mapping[str, Callable[[str], str | None]]] = {
    "int": _whole,
    "float": _decimal,
    "human": _human,
    "human-auto": _auto,
    "bool": _boolean,
    "json": _json,
}


def _within(base: str, text: str, limits: str) -> str | None:
    """Return the range that a number misses."""
    if not limits or text.strip().lower() == "auto":
        return None
    number = human_int(text.strip()) if base.startswith("human") else None
    value = float(text) if number is None else float(number)
    spans = re.findall(r"([<>]=?)(-?[\d.]+)", limits)
    if all(_SIGNS[sign][0](value, float(limit)) for sign, limit in spans):
        return None
    what = "a number" if base == "float" else "an integer"
    return f"{what} " + " and ".join(f"{_SIGNS[sign][1]} {limit}" for sign, limit in spans)

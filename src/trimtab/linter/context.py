"""``--context chip=A2,graphs=on,vllm-ascend=0.18``: what the file itself does not tell."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields

from trimtab.errors import UsageError
from trimtab.model.platforms import PLATFORMS
from trimtab.model.situation import Situation

_YES = frozenset({"on", "yes", "true", "1"})
_NO = frozenset({"off", "no", "false", "0"})
COMPONENTS = (
    *("vllm", "vllm-ascend", "torch", "torch-npu", "cann", "driver", "python", "transformers"),
)
"""Components whose version can be told."""

_SWITCHES = frozenset({"graphs", "sleep_mode", "container", "root", "swap"})
_NUMBERS = frozenset({"page_size", "cpus", "numa_nodes", "npus", "hosts"})
_DECIMALS = frozenset({"cpu_quota"})
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "platform": PLATFORMS,
    "chip": ("A2", "A3", "310P", "950", "910"),
    "arch": ("aarch64", "x86_64"),
}
_TEXTS = frozenset(field.name for field in fields(Situation)) - {
    *_SWITCHES, *_NUMBERS, *_DECIMALS, *_CHOICES, "versions",
}  # fmt: skip


def parse_context(text: str) -> Situation:
    """Return the situation that ``key=value,key=value`` describes; "" tells nothing.

    Raises:
        UsageError: an unknown key, or a value that does not fit it.
    """
    known: dict[str, object] = {}
    versions: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = (piece.strip() for piece in pair.partition("="))
        if not equals or not value:
            raise UsageError(f"--context must be key=value pairs joined by commas, not {pair!r}")
        if key in COMPONENTS:
            versions[key] = _version(key, value)
        else:
            name = key.replace("-", "_")
            known[name] = _value(name, key, value)
    return Situation(**known, versions=versions)  # type: ignore[arg-type]


def _version(key: str, value: str) -> str:
    judged = key in {"vllm", "vllm-ascend"}
    if judged and re.fullmatch(r"v?\d+(\.\w+)*([-+.]?\w+)*", value) is None:
        raise UsageError(f"--context {key} must be a version such as 0.10.1, but got {value!r}")
    return value.removeprefix("v")


def _value(name: str, key: str, value: str) -> object:
    if name in _SWITCHES:
        if value.lower() in _YES | _NO:
            return value.lower() in _YES
        raise UsageError(f"--context {key} must be on or off, but got {value!r}")
    if name in _NUMBERS | _DECIMALS:
        return _number(name, key, value)
    if choices := _CHOICES.get(name):
        for choice in choices:
            if choice.lower() == value.lower():
                return choice
        raise UsageError(f"--context {key} must be one of {', '.join(choices)}, not {value!r}")
    if name in _TEXTS:
        return value.lower()
    everything = sorted({*_SWITCHES, *_NUMBERS, *_DECIMALS, *_CHOICES, *_TEXTS})
    keys = ", ".join((*(one.replace("_", "-") for one in everything), *COMPONENTS))
    raise UsageError(f"--context has no key {key!r}: it is one of {keys}")


def _number(name: str, key: str, value: str) -> int | float:
    if name in _NUMBERS and value.isascii() and value.isdigit():
        return int(value)
    if name in _NUMBERS:
        raise UsageError(f"--context {key} must be a whole number, but got {value!r}")
    if re.fullmatch(r"\d{1,6}(\.\d{1,6})?", value) and float(value) > 0:
        return float(value)
    raise UsageError(f"--context {key} must be a number above 0, but got {value!r}")

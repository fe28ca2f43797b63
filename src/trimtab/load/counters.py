"""Samples of a server's Prometheus page (exposition format 0.0.4), whatever else it holds."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from typing import Final

_SAMPLE: Final = re.compile(
    r'(?P<name>[^\s{]+)(?:\{(?:[^"}]|"(?:[^"\\]|\\.)*")*\})?\s+(?P<value>\S+)(?:\s.*)?'
)


def sums(page: bytes, names: Collection[str]) -> dict[str, float]:
    """Return name → sum over all labels of the samples of these names.

    A name without a finite sample is absent: the server does not tell.
    """
    found: dict[str, float] = {}
    wanted = tuple(names)
    for line in page.decode("utf-8", "replace").split("\n"):
        sample = _SAMPLE.fullmatch(line.rstrip("\r")) if line.startswith(wanted) else None
        if sample is None or sample["name"] not in wanted:
            continue
        value = _number(sample["value"])
        if math.isfinite(value):
            found[sample["name"]] = found.get(sample["name"], 0.0) + value
    return found


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan

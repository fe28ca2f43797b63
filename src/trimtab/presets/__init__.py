"""Presets: named candidates, as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from trimtab.catalog import Context
from trimtab.model import BASELINE, Candidate
from trimtab.presets.guide import guide, guide_skipped

__all__ = ["PRESETS", "guide", "guide_skipped", "stock"]


def stock(context: Context) -> Candidate:
    """Return the baseline itself: nothing is set."""
    return BASELINE


PRESETS: Mapping[str, Callable[[Context], Candidate]] = MappingProxyType(
    {"stock": stock, "guide": guide}
)

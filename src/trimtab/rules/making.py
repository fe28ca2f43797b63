"""Rules about how a text makes its settings, whatever they are."""

from __future__ import annotations

from trimtab.catalog import Rule

MAKING: tuple[Rule, ...] = ()

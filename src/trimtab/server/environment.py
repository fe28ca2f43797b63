"""Which variables of our own environment are part of what a server is given. Pure."""

from __future__ import annotations

from trimtab.families.variables import reaching_prefixes
from trimtab.redaction import holds_secret, looks_secret


def reaches_engine(name: str, value: str = "") -> bool:
    """Whether a variable changes how an engine serves, and is no secret by name or value."""
    reaches = name.startswith(reaching_prefixes())
    return reaches and not looks_secret(name) and not holds_secret(value)

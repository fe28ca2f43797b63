"""Source lines may be shown only without the secrets in them."""

from __future__ import annotations

import re

from trimtab.redaction import looks_secret

_PAIR = re.compile(
    r"(?P<name>--?[A-Za-z][\w-]*|[A-Za-z_]\w*)(?P<mid>\s*[=:]\s*|\s+)(?P<value>\S+)"
)


def masked(line: str) -> str:
    """Return a line with every value that stands under a secret's name replaced by ``***``."""

    def hide(match: re.Match[str]) -> str:
        name, mid, value = match["name"], match["mid"], match["value"]
        if not looks_secret(name.lstrip("-").replace("-", "_").upper()) or value.startswith("$"):
            return match[0]
        if mid.isspace() and not name.startswith("-"):
            return match[0]
        return f"{name}{mid}***"

    return _PAIR.sub(hide, line)

"""Source lines may be shown only without the secrets in them."""

from __future__ import annotations

import re

from trimtab.redaction import looks_secret

_NAME = re.compile(r"(?<![\w-])(?P<dashes>-{0,2})(?P<name>[A-Za-z_][\w-]*)")
_GIVEN = re.compile(r"\s*[=:]\s*(?P<value>[^\s$]\S*)")
_FOLLOWING = re.compile(r"\s+(?P<value>[^\s$-]\S*)")


def masked(line: str) -> str:
    """Return a line with every value that stands under a secret's name replaced by ``***``."""
    shown, at = "", 0
    for match in _NAME.finditer(line):
        if match.start() < at or not looks_secret(match["name"].replace("-", "_").upper()):
            continue
        given = _GIVEN.match(line, match.end())
        if given is None and match["dashes"]:
            given = _FOLLOWING.match(line, match.end())
        if given is not None:
            shown += line[at : given.start("value")] + "***"
            at = given.end("value")
    return shown + line[at:]

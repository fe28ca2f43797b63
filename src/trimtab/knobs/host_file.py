"""What host knobs share: a value that is one file's text."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab.knobs.draft import Draft
from trimtab.knobs.protocol import require_text, typed
from trimtab.model import Check, CheckKind, HostWrite, Proves, Value


def write_host_file(draft: Draft, path: str, value: Value) -> None:
    """Draft the write of a value and its check; ``None`` leaves the file as it is.

    That the file holds the value proves delivery: what it does to the server shows elsewhere.
    """
    if value is None:
        draft.writes.pop(path, None)
        return
    text = require_text(path, value)
    draft.writes[path] = text
    draft.checks.append(Check(CheckKind.HOST_FILE, path, text, proves=Proves.DELIVERY))


def host_file_value(writes: Sequence[HostWrite], path: str, kind: type[str] | type[int]) -> Value:
    """Return the value that the writes give to a file, ``None`` if none."""
    for write_ in writes:
        if write_.path == path:
            return typed(write_.text, kind)
    return None

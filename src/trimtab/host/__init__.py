"""The machine as a narrow port: every read of it and every write to it goes through here.

``LocalHost`` is the machine we run on. ``SnapshotHost`` is a captured one: a folder with
``root/`` (files under their absolute paths), ``commands/`` (outputs of commands) and
``meta.yaml`` (what no file shows). Fact parsers and checks see only the protocol, so every one
of them can be shown any machine.
"""

from trimtab.host.local_host import LocalHost
from trimtab.host.port import LIMIT, Host, command_slug, draft_path
from trimtab.host.snapshot import SnapshotHost, open_snapshot

__all__ = [
    "LIMIT",
    "Host",
    "LocalHost",
    "SnapshotHost",
    "command_slug",
    "draft_path",
    "open_snapshot",
]

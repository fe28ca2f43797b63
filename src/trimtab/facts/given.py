"""The variables that a process of a server was given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trimtab.facts.process import parse_environ
from trimtab.host import Host
from trimtab.model import Process

TRUSTED = ("api",)
"""Roles whose ``environ`` is whole. vLLM titles its other processes (setproctitle), which writes
over the head of theirs: there a variable that is missing may still have been given."""


def variables(host: Host, processes: Sequence[Process], one: Process) -> Mapping[str, str]:
    """Return a process's variables; those of its parent where a title has written over them.

    Only several API servers are read so: the command that supervises them gave them its own.

    Raises:
        HostError: they cannot be read.
    """
    text = host.read(f"/proc/{one.pid}/environ")
    inside = any(other.pid == one.ppid for other in processes)
    covered = not text or text.startswith("\0")  # the title's rest; a tail may be left
    if not covered or one.role not in TRUSTED or not inside:
        return parse_environ(text)
    return parse_environ(host.read(f"/proc/{one.ppid}/environ"))

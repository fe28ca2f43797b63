"""A plan: what is launched, written and verified, as one immutable value."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from trimtab.model.terms import Candidate, Value


@dataclass(frozen=True, slots=True)
class Settings:
    """What one launch is given: the command line, and what the environment has on top of ours.

    ``argv`` is the complete command without host and port. ``env`` holds only what differs from
    the inherited environment; ``unset`` names inherited variables that must not reach the server.
    ``preload`` holds absolute paths in the order of ``LD_PRELOAD``. ``affinity`` holds logical
    CPU numbers, ``None`` when the process inherits ours.
    """

    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    unset: tuple[str, ...] = ()
    preload: tuple[str, ...] = ()
    affinity: tuple[int, ...] | None = None


class CheckKind(StrEnum):
    """How a check is observed in a live server; ``verify.py`` holds one observer per kind."""

    MAPPED = "mapped"  # subject: absolute path of a library; expected: True
    NOT_MAPPED = "not-mapped"  # subject: SONAME prefix; expected: True
    ENVIRON = "environ"  # subject: variable; expected: its text, None for absent
    THREAD_AFFINITY = "affinity"  # subject: "threads"; expected: cpu list such as "0-1,4"
    THREAD_NAMED = "thread"  # subject: a thread's name; expected: whether the tree has one
    THREADS_NAMED = "threads"  # subject: a thread's name; expected: how many one process has
    NAMED_AFFINITY = "thread-affinity"  # subject: a thread's name; expected: cpu list
    ROLES = "roles"  # subject: a role; expected: number of such processes
    CONFIG = "config"  # subject: key of the engine's reported configuration
    ARENAS = "arenas"  # subject: "glibc"; expected: largest number of arenas
    HUGE_PAGES = "huge-pages"  # subject: "anonymous"; expected: whether there are any
    EXECUTABLE = "executable"  # subject: "exe"; expected: path of the program that runs
    HOST_FILE = "host-file"  # subject: path under /proc or /sys; expected: its text


class Proof(StrEnum):
    """What a passed check proves: that the setting arrived, or that it acts."""

    DELIVERY = "delivery"
    EFFECT = "effect"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to observe in the live process tree or on the host.

    ``roles`` names the processes that must show it ("api", "engine", "worker"); empty means
    every process of the tree. ``tuning`` is the catalogue entry it belongs to ("" for the plan's
    own).
    """

    kind: CheckKind
    subject: str
    expected: Value
    tuning: str = ""
    roles: tuple[str, ...] = ()
    proves: Proof = Proof.EFFECT


class CheckOutcome(StrEnum):
    """Verdict of one observation. ``UNOBSERVABLE`` is never a quiet yes."""

    YES = "yes"
    NO = "no"
    UNOBSERVABLE = "unobservable"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the live process or host showed for one check, and where it was read."""

    check: Check
    verdict: CheckOutcome
    observed: str
    where: str


@dataclass(frozen=True, slots=True)
class Process:
    """One live process of a server's tree.

    ``role`` is what the engine says it is: "api", "engine", "worker" or "helper". ``comm`` is the
    kernel's name of it (15 characters), ``cmdline`` its arguments as ``/proc`` shows them now.
    """

    pid: int
    ppid: int
    role: str
    comm: str
    cmdline: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HostWrite:
    """A file under /proc/sys or /sys to be written before the start and restored after it."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Plan:
    """A compiled candidate: everything that is launched, written and verified.

    The same value is shown (dry run), launched, verified, measured, exported and reported.
    """

    candidate: Candidate
    settings: Settings
    writes: tuple[HostWrite, ...] = ()
    checks: tuple[Check, ...] = ()

    @property
    def digest(self) -> str:
        """First 16 hex digits of the SHA-256 of the plan's canonical JSON."""
        return hashlib.sha256(to_json(self).encode()).hexdigest()[:16]


def to_json(record: Any) -> str:
    """Return the canonical JSON (sorted keys, no spaces) of a frozen record of this module."""
    return json.dumps(asdict(record), sort_keys=True, separators=(",", ":"), default=str)

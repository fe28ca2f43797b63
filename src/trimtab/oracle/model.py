"""What is asked, what a check showed, and what is concluded of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

TORCH_NPU = "torch_npu"
VLLM_ASCEND = "vllm-ascend"

ADDITIONAL = "--additional-config"
PARALLEL = "--tensor-parallel-size"
SLEEP = "--enable-sleep-mode"
SIZES: Mapping[str, str] = {
    PARALLEL: "-tp",
    "--pipeline-parallel-size": "-pp",
    "--data-parallel-size": "-dp",
}
"""Options that say how many workers there are, with their short names."""

SWITCHES = ("--enforce-eager", SLEEP, "--enable-expert-parallel", *SIZES)
"""Options that decide for the others: they are given in every check, never asked about alone.

A size without a text is one that nobody knows: it is given to no check.
"""

OPTIONS = (ADDITIONAL, "--compilation-config")
"""Options that can be asked about. Others depend on the model, and the oracle's is a small one."""

STAGES: Mapping[str, str] = {
    "import": "the import of torch_npu",
    "device": "the first use of the device",
    "operator": "an operator",
    "streams": "a second stream",
    "copies": "copies and pinned memory",
    "collective": "a process group",
    "graph": "the capture of a graph",
    "configuration": "vllm-ascend's configuration",
    "variables": "vllm-ascend's table of variables",
    "sleep": "the allocator of sleep mode",
    "binding": "vllm-ascend's plan of CPU binding",
    "look": "reading back",
}
"""Stages of a check, and what each is, in words."""


class Handling(StrEnum):
    """What the vendors' code does with a setting."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    READ_AS = "read as"  # silently something else
    IGNORED = "ignored"  # no code of the wheels, of torch or of vLLM mentions it
    NOT_OBSERVABLE = "not observable"
    CRASHED = "crashed"
    HUNG = "hung"

    @property
    def fails(self) -> bool:
        """Whether a server with the setting does not start."""
        return self in (Handling.REJECTED, Handling.CRASHED, Handling.HUNG)


@dataclass(frozen=True, slots=True)
class OracleSetting:
    """A setting: a variable, or an option of the server when ``name`` begins with dashes."""

    name: str
    text: str

    @property
    def is_option(self) -> bool:
        """Whether it is an option of the server."""
        return self.name.startswith("-")

    @property
    def place(self) -> str:
        """The setting as people write it."""
        if self.is_option:
            return f"{self.name} {self.text}".rstrip()
        return f"{self.name}={self.text}"


OracleSettings: TypeAlias = tuple[OracleSetting, ...]


@dataclass(frozen=True, slots=True)
class SkippedSetting:
    """A setting of a file that cannot be asked about, and why, in words."""

    given: OracleSetting
    why: str


@dataclass(frozen=True, slots=True)
class CheckFailure:
    """Where a check ended early: the stage, how, and the message as raised ("" if there is none).

    ``verdict`` is one of those that fail.
    """

    verdict: Handling
    stage: str
    message: str


@dataclass(frozen=True, slots=True)
class CheckRun:
    """What one check showed.

    ``asked`` maps a variable to the first stage in which it was asked for. ``seen`` is what was
    read back, as the child names it. ``output`` is what the vendors' code printed.
    """

    kind: str
    stages: tuple[str, ...] = ()
    asked: Mapping[str, str] = field(default_factory=dict)
    seen: Mapping[str, Any] = field(default_factory=dict)
    failure: CheckFailure | None = None
    output: str = ""


@dataclass(frozen=True, slots=True)
class SettingReply:
    """What the vendors' code says to one setting, alone.

    ``sentence`` is the vendor's own message, or why there is no better answer. ``effective`` is
    the value in force as read back, "" where nothing shows it. ``through`` names the software
    whose code decided; ``stage`` is a key of `STAGES`, "" where none decided. ``said`` are
    warnings, one line each.
    """

    given: OracleSetting
    verdict: Handling
    sentence: str = ""
    effective: str = ""
    stage: str = ""
    through: str = ""
    said: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Conflict:
    """Settings that are taken alone, but not together: none of them can be left out of it.

    ``verdict`` is one that fails, or READ_AS where one of them is then read as something else.
    """

    givens: OracleSettings
    verdict: Handling
    sentence: str
    stage: str
    through: str


@dataclass(frozen=True, slots=True)
class OracleReply:
    """All answers of one question, and what they were asked of."""

    chip: str
    versions: Mapping[str, str]
    answers: tuple[SettingReply, ...]
    conflicts: tuple[Conflict, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether anything is refused, misread or in conflict."""
        without_effect = (Handling.READ_AS, Handling.IGNORED)
        wrong = any(one.verdict.fails or one.verdict in without_effect for one in self.answers)
        return wrong or bool(self.conflicts)

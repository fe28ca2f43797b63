"""What is asked, what a check showed, and what is concluded of it. Pure."""

from __future__ import annotations

import re
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
        wrong = any(
            answer.verdict.fails or answer.verdict in without_effect for answer in self.answers
        )
        return wrong or bool(self.conflicts)


LONGEST = 300
_SAID = 3

_TAIL = re.compile(
    r"\n\[ERROR\].*|\n?\s*\[type=\w+, input_value.*|\n\s*For further information.*"
    r"|\nException raised from.*|\nC\+\+ CapturedTraceback.*",
    re.DOTALL,
)
_PYDANTIC = re.compile(
    r"^ValidationError: \d+ validation errors? for \w+\s+(?:\S+\s+)?"
    r"(?=Value error|Assertion failed)"
)
_WARNS = re.compile(
    r"warn|deprecat|will be removed|instead|ignor|invalid|not support|only support"
    r"|fall(?:s|ing)? back",
    re.IGNORECASE,
)
_STAMP = re.compile(
    r"^\[?[IWEF]\d{4} [\d:.]+ +\d* *|^(?:INFO|WARNING|ERROR) \d\d-\d\d [\d:]+ "
    r"|^\[[IWEF]\d+ [\d:.]+ "
)
_CHANGING = re.compile(r"0x[0-9a-f]+|\d\d:\d\d:\d\d(?:\.\d+)?|\bPID:\d+|\b\d{5,}\b")


def one_line(message: str) -> str:
    """Return a message as one line: the vendor's words, without what the runtime adds."""
    text = _TAIL.sub("", message)
    text = _PYDANTIC.sub("", " ".join(text.split()))
    text = re.sub(r"^Value error, ", "ValueError: ", text)
    text = re.sub(r"^Assertion failed, ", "AssertionError: ", text).strip()
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def is_same_message(one: str, other: str) -> bool:
    """Whether two messages are the same but for addresses, times and process ids."""
    return _CHANGING.sub("#", one_line(one)) == _CHANGING.sub("#", one_line(other))


def new_warnings(output: str, before: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the warnings in ``output`` that are not in ``before``, and lines about ``names``.

    ``before`` is what is printed without the setting.
    """
    usual = {_plain(line) for line in before.splitlines()}
    found: dict[str, None] = {}
    for line in output.splitlines():
        plain = _plain(line)
        if not plain or plain in usual or "alloc conf" in line:
            continue
        about = any(name in line for name in names) and "get env " not in line
        if _WARNS.search(line) or about:
            found.setdefault(one_line(_STAMP.sub("", line.strip())))
    return tuple(found)[:_SAID]


def _plain(line: str) -> str:
    return _CHANGING.sub("#", _STAMP.sub("", line)).strip()

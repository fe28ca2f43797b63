"""What a profile's file may hold, field by field, read strictly: nothing unknown, nothing coerced.

The models here mirror the file; the records that the rest of trimtab uses are ``profile.Profile``
and those of ``model``.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from trimtab.model import (
    Check,
    CheckKind,
    Comparison,
    Effect,
    HostWrite,
    Plan,
    Proof,
    Settings,
    TuningVerdict,
    Value,
    Verdict,
    candidate,
)

Name = Annotated[str, Field(min_length=1, max_length=200)]


class SchemaError(ValueError):
    """The data is not a profile; the message names the place and what is wrong, in one line."""


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class EffectPart(_Part):
    """An estimated ratio to the comparison with its 95 % interval; greater is better."""

    ratio: float | None
    low: float | None
    high: float | None
    p: float | None
    starts: int = Field(ge=0)

    def record(self) -> Effect:
        """Return the record that the rest of trimtab uses."""
        return Effect(self.ratio, self.low, self.high, self.p, self.starts)


class TuningPart(_Part):
    """What was measured of one tuning of the profile."""

    tuning: Name
    value: Value
    verdict: Verdict
    metric: Name
    effect: EffectPart
    phase: str
    reason: str
    risk: str | None
    removal: EffectPart | None = None

    def record(self) -> TuningVerdict:
        """Return the record that the rest of trimtab uses."""
        return TuningVerdict(
            self.tuning,
            self.value,
            self.verdict,
            self.effect.record(),
            self.metric,
            self.reason,
            self.phase,
            None if self.removal is None else self.removal.record(),
        )


class ComparisonPart(_Part):
    """One arm against the baseline."""

    arm: Name
    metric: Name
    baseline: float
    value: float
    effect: EffectPart

    def record(self) -> Comparison:
        """Return the record that the rest of trimtab uses."""
        return Comparison(self.arm, self.metric, self.baseline, self.value, self.effect.record())


class SettingsPart(_Part):
    """What the launch is given. ``env`` is a mapping in the file, in order."""

    argv: tuple[str, ...] = Field(min_length=1)
    env: dict[Name, str]
    unset: tuple[Name, ...]
    preload: tuple[Name, ...]
    affinity: tuple[int, ...] | None


class WritePart(_Part):
    """A host file that the plan writes before the start."""

    path: Name
    text: str


class CheckPart(_Part):
    """One thing that must be seen in the live process tree or on the host."""

    kind: CheckKind
    subject: str
    expected: Value
    tuning: str = ""
    roles: tuple[str, ...] = ()
    proves: Proof = Proof.EFFECT


class PlanPart(_Part):
    """The whole plan, with the digest that it must have."""

    digest: str = Field(pattern=r"^[0-9a-f]{16}$")
    settings: SettingsPart
    writes: tuple[WritePart, ...]
    checks: tuple[CheckPart, ...]

    def record(self, chosen: dict[str, Value]) -> Plan:
        """Return the plan of the candidate ``chosen``."""
        given = self.settings
        return Plan(
            candidate=candidate(chosen),
            settings=Settings(
                given.argv, tuple(given.env.items()), given.unset, given.preload, given.affinity
            ),
            writes=tuple(HostWrite(write.path, write.text) for write in self.writes),
            checks=tuple(
                Check(c.kind, c.subject, c.expected, c.tuning, c.roles, c.proves)
                for c in self.checks
            ),
        )


class EnginePart(_Part):
    """The engine that was measured."""

    name: Name
    version: Name
    packages: dict[str, str]
    caveat: str = ""


class ProfileFile(_Part):
    """The whole file, format 1, in the order in which it is written."""

    format: Literal[1]
    name: Name
    label: str = ""
    made: datetime
    trimtab: Name
    command: str
    engine: EnginePart
    model: Name
    workload: dict[str, JsonValue]
    objective: Name
    slo: str | None
    seed: int
    candidate: dict[Name, Value]
    tunings: tuple[TuningPart, ...]
    comparisons: tuple[ComparisonPart, ...]
    plan: PlanPart
    evidence: str | None
    facts: dict[str, str]


def validate(data: Any) -> ProfileFile:
    """Return the plain ``data`` of a file as a checked profile.

    Raises:
        SchemaError: a key is missing, unknown, or holds what it must not.
    """
    if not isinstance(data, dict):
        raise SchemaError("it must be a mapping with the keys of a profile")
    if data.get("format") != 1:
        raise SchemaError(f"format must be 1, but is {data.get('format')!r}")
    try:
        # JSON is the strict form in which a list may become a tuple and text an enum member.
        return ProfileFile.model_validate_json(json.dumps(data, allow_nan=False))
    except ValidationError as error:
        raise SchemaError(_first(error)) from error
    except (TypeError, ValueError, RecursionError) as error:
        raise SchemaError(" ".join(str(error).split())) from error


def _first(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    place = ".".join(str(part) for part in problems[0]["loc"]) or "the file"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{place}: {' '.join(problems[0]['msg'].split())}{more}"

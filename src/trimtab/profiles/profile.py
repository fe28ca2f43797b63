"""A profile: the answer of a study as a YAML file that can be read, run, verified and exported.

Format history:
    1 (trimtab 0.1): the first.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from trimtab import engines
from trimtab.errors import StudyError, UsageError
from trimtab.families import platform_of_packages
from trimtab.model import (
    Candidate,
    Check,
    CheckKind,
    Comparison,
    Effect,
    Evidence,
    HostWrite,
    Plan,
    Proof,
    Settings,
    TuningVerdict,
    Value,
    Verdict,
    candidate,
    platforms,
    to_json,
)
from trimtab.redaction import redact_plan
from trimtab.storage import atomic_files, strict_yaml

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


FORMAT = 1
_INSTANT = "%Y-%m-%dT%H:%M:%SZ"
_NONE = object()
_NAME_ONE = "name a file that trimtab tune wrote"

_HEADER = """\
# A trimtab profile: one launch configuration, with the measured effect of each of its tunings.
# Run it:    the folder export beside it starts the proven profile: serve.sh, or vllm.service
# Verify it: trimtab doctor --pid PID --profile THIS_FILE
# A value written as ${NAME} is a secret: it is taken from the environment, never stored.
"""


@dataclass(frozen=True, slots=True)
class EngineId:
    """The engine that was measured: its name, its version, and the distributions that matter.

    ``caveat`` is what must be said with every number of it; "" if nothing.
    """

    name: str
    version: str
    packages: Mapping[str, str]
    caveat: str = ""


@dataclass(frozen=True, slots=True)
class ProfileRecord:
    """A plan with what was measured about it.

    ``answers`` holds one entry for each tuning of the plan's candidate; ``risks`` maps such a
    tuning to its sentence. ``comparisons`` are with the baseline. ``evidence`` is the
    :func:`evidence_digest` of the plan's starts, ``None`` if nothing was observed. ``facts`` is
    the machine's fingerprint. ``command`` is what reproduces the study. ``made`` is in UTC.
    The plan holds markers in place of secrets (``redaction``). ``label`` says what it is where the
    name does not ("" for ``proven`` and ``max``).
    """

    name: str
    made: datetime
    trimtab: str
    engine: EngineId
    model: str
    workload: Mapping[str, Any]
    objective: str
    slo: str | None
    answers: tuple[TuningVerdict, ...]
    risks: Mapping[str, str]
    comparisons: tuple[Comparison, ...]
    plan: Plan
    evidence: str | None
    facts: Mapping[str, str]
    seed: int
    command: str
    label: str = ""

    @property
    def candidate(self) -> Candidate:
        """What the profile sets, tuning by tuning."""
        return self.plan.candidate


def platform_of(profile: ProfileRecord) -> str:
    """Return the platform a profile was measured on: of the build, else as it was recorded.

    A profile holds few distributions, and those alone do not always tell.
    """
    built = platform_of_packages(profile.engine.packages)
    return profile.facts.get("platform", built) if built == platforms.UNKNOWN else built


def evidence_digest(evidence: Iterable[Evidence]) -> str | None:
    """Return the first 16 hex digits of the SHA-256 over all evidence, ``None`` if there is none.

    The order does not matter: it is the digest of the sorted canonical JSON lines.
    """
    lines = sorted(to_json(one) for one in evidence)
    if not lines:
        return None
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def write_profile(profile: ProfileRecord, path: Path) -> ProfileRecord:
    """Write ``profile`` to ``path``, complete or not at all; return it as it reads back.

    Secrets in the plan are replaced by their markers first.

    Raises:
        StudyError: the file cannot be written, a tuning of the candidate has no answer, or a
            value has no form in YAML (such as text that is not valid Unicode).
    """
    answered = {answer.tuning for answer in profile.answers}
    if missing := [name for name, _ in profile.candidate if name not in answered]:
        raise StudyError(
            f"every tuning of a profile must have an answer, but {', '.join(missing)} has none"
        )
    try:
        content = to_dict(profile)
        text = (_HEADER + strict_yaml.dump(content)).encode("utf-8")
        again = _from_file(validate(strict_yaml.load(text)))
        _require_same(again, profile)
        atomic_files.write(path, text)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise StudyError(f"the profile {path} cannot be written: {reason}") from error
    return again


def read_profile(path: Path) -> ProfileRecord:
    """Read a profile.

    Raises:
        UsageError: it cannot be read, is not a profile of this format, or its plan is not the
            one that was measured (its digest differs).
    """
    try:
        text = atomic_files.read(path, strict_yaml.MAX_BYTES)
    except OSError as error:
        raise UsageError(
            f"the profile {path} cannot be read ({error.strerror}): {_NAME_ONE}"
        ) from error
    try:
        return _from_file(validate(strict_yaml.load(text)))
    except strict_yaml.NotDataError as error:
        raise UsageError(
            f"the profile {path} must be plain YAML, but {error}: {_NAME_ONE}"
        ) from error
    except SchemaError as error:
        raise UsageError(f"{path} is no profile that can be taken: {error}") from error


def read_trusted_profile(path: Path) -> ProfileRecord:
    """Read a profile to act upon it: nobody else may have written it.

    Raises:
        UsageError: see :func:`read_profile`.
        StudyError: another user could have written it.
    """
    profile = read_profile(path)
    atomic_files.require_trusted(path)
    return profile


def to_dict(profile: ProfileRecord) -> dict[str, Any]:
    """Return the content of the profile's file as plain data, without secrets."""
    plan = redact_plan(profile.plan)
    settings = plan.settings
    return {
        "format": FORMAT,
        "name": profile.name,
        **({"label": profile.label} if profile.label else {}),
        "made": profile.made.astimezone(UTC).strftime(_INSTANT),
        "trimtab": profile.trimtab,
        "command": profile.command,
        "engine": _engine(profile.engine),
        "model": profile.model,
        "workload": _plain(profile.workload),
        "objective": profile.objective,
        "slo": profile.slo,
        "seed": profile.seed,
        "candidate": dict(plan.candidate),
        "tunings": [
            _tuning(answer, profile.risks.get(answer.tuning) or None) for answer in profile.answers
        ],
        "comparisons": [_plain(asdict(comparison)) for comparison in profile.comparisons],
        "plan": {
            "digest": plan.digest,
            "settings": {**_plain(asdict(settings)), "env": dict(settings.env)},
            "writes": [asdict(write) for write in plan.writes],
            "checks": [_check(check) for check in plan.checks],
        },
        "evidence": profile.evidence,
        "facts": dict(profile.facts),
    }


def _engine(engine: EngineId) -> dict[str, Any]:
    fields = _plain(asdict(engine))
    return {key: value for key, value in fields.items() if value != "" or key != "caveat"}


def _tuning(answer: TuningVerdict, risk: str | None) -> dict[str, Any]:
    return {**_plain(asdict(answer)), "risk": risk}


def _check(check: Check) -> dict[str, Any]:
    """Return a check, less the fields that have their defaults."""
    fields = _plain(asdict(check))
    defaults = {"tuning": "", "roles": [], "proves": Proof.EFFECT.value}
    return {key: value for key, value in fields.items() if defaults.get(key, _NONE) != value}


def _plain(value: Any) -> Any:
    """Return nested records' data with enums as text and tuples as lists."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value.value if isinstance(value, Enum) else value


def _from_file(content: ProfileFile) -> ProfileRecord:
    plan = content.plan.record(content.candidate)
    if plan.digest != content.plan.digest:
        raise SchemaError(
            f"plan.digest: the plan that was measured is {content.plan.digest}, but this one is "
            f"{plan.digest}: it was edited, so nothing is proven about it; run trimtab tune again"
        )
    engine = EngineId(**content.engine.model_dump())
    due = engines.caveat(engine.name)
    if not engine.caveat.startswith(due) or bool(engine.caveat) != bool(due):
        raise SchemaError(
            f"engine.caveat: what is measured on {engine.name} must say {due!r}, but says "
            f"{engine.caveat!r}"
        )
    return ProfileRecord(
        name=content.name,
        made=content.made,
        trimtab=content.trimtab,
        engine=engine,
        model=content.model,
        workload=content.workload,
        objective=content.objective,
        slo=content.slo,
        answers=tuple(tuning.record() for tuning in content.tunings),
        risks={
            tuning.tuning: tuning.risk for tuning in content.tunings if tuning.risk is not None
        },
        comparisons=tuple(comparison.record() for comparison in content.comparisons),
        plan=plan,
        evidence=content.evidence,
        facts=content.facts,
        seed=content.seed,
        command=content.command,
        label=content.label,
    )


def _require_same(again: ProfileRecord, profile: ProfileRecord) -> None:
    if again.plan != redact_plan(profile.plan):
        raise ValueError("the plan does not read back as it was measured")

"""The question a study answers: the options as given, and the record that identifies it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from trimtab import presets
from trimtab.errors import StudyMismatchError, UsageError
from trimtab.metrics.table import (
    FURTHER_OBJECTIVES,
    HOST_OVERHEAD,
    HOST_OVERHEAD_METRIC,
    OBJECTIVES,
    Slo,
    objective_words,
)
from trimtab.model import Budget, RiskLevel
from trimtab.presets import Preset

AUTO = "auto"
"""The number of windows that the noise of a study's own starts asks for."""

_DURATION = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked for, not yet resolved against the machine."""

    model: str | None = None
    """Model to serve; the embedded one if neither model nor command is given."""
    engine: str | None = None
    """Name of the engine; by default the program that the command names."""
    engine_python: str | None = None
    """Interpreter, environment or ``vllm`` command of the engine."""
    baseline: tuple[str, ...] = ()
    """Words of a ``vllm serve`` command. Excludes ``baseline_file``."""
    baseline_file: Path | None = None
    """File that holds such a command."""
    workload: str | None = None
    """Preset or file of the workload."""
    objective: str = "output_throughput"
    """Metric to improve, with further ones after commas (`parse_objectives`)."""
    slo: str | None = None
    """Limits on latencies, such as ``ttft_p99<=500ms``."""
    budget: str | None = None
    """Number of starts or duration (`parse_budget`)."""
    only: tuple[str, ...] = ()
    """Names or globs of the tunings to test."""
    skip: tuple[str, ...] = ()
    """Names or globs of the tunings to leave out."""
    max_risk: str = RiskLevel.MEDIUM.value
    """Highest risk of a tuning to test."""
    allow_host: bool = False
    """Whether trimtab may change kernel settings."""
    seed: int = 0
    """Seed of every random choice."""
    start_deadline: float = 600.0
    """Seconds that a server may take to become ready."""
    landscape: str | None = None
    """Landscape that the simulated engine plays."""
    shared_host: bool = False
    """Whether to measure while others use the machine: they delay no start and void no window."""
    aa: int = 0
    """Number of inert tunings that replace the catalogue's (an A/A study); 0 for an ordinary
    study.
    """
    windows: str | None = None
    """Number of windows of a start, or AUTO: as the noise asks."""
    noise: str | None = None
    """Standard deviation between starts that a design assumes, as a share."""
    tries: tuple[str, ...] = ()
    """``tuning=value`` words: values to test instead of the recommended ones."""
    device_time: str | None = None
    """Model by which the emulator's device takes time."""
    arm: str | None = None
    """Preset whose candidate is an arm of the first block, unchanged; by default the platform's.
    """
    demo: bool = False
    """Whether to use the built-in model on the embedded engine."""


def parse_tries(words: Iterable[str]) -> dict[str, str]:
    """Parse ``tuning=value`` words; what values a tuning has, the catalogue decides.

    A further value of a tuning stands under the word itself, as the entry of its own that it is
    in the study (``catalog.with_further``).

    Raises:
        UsageError: a word has no "=", or is given twice.
    """
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name and equals and value) or word in found or found.get(name) == value:
            raise UsageError(
                "--try must be TUNING=VALUE, each value once, such as task-queue=0, but is "
                f"{word!r}"
            )
        found[word if name in found else name] = value
    return found


def parse_budget(text: str) -> Budget:
    """Parse a budget: ``24`` starts, or a duration such as ``30m``, ``1.5h``, ``900s``.

    Raises:
        UsageError: it is neither, or not above zero.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(starts|min|[smh])?\s*", text)
    if match is None or float(match[1]) <= 0:
        raise UsageError(
            f"--budget must be a number of starts above 0 (24) or a duration (30m), but is "
            f"{text!r}"
        )
    if match[2] in _DURATION:
        return Budget(seconds=float(match[1]) * _DURATION[match[2]])
    if not float(match[1]).is_integer():
        raise UsageError(f"--budget must be a whole number of starts, but is {text!r}")
    return Budget(starts=int(float(match[1])))


def parse_objectives(text: str) -> tuple[str, ...]:
    """Parse objectives: the one that decides and, after commas, those of the Pareto set with it.

    Raises:
        UsageError: one is given twice.
    """
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"--objective must name each metric once, but has {name!r} twice")
    return names


def resolve_objectives(text: str, slo: Slo | None) -> tuple[str, ...]:
    """Return the metrics that an objective names, the one that decides first.

    Raises:
        UsageError: one is no objective, or needs an SLO that is not given.
    """
    given = parse_objectives(text)
    names = tuple(HOST_OVERHEAD_METRIC if one == HOST_OVERHEAD else one for one in given)
    if names[0] not in OBJECTIVES:
        raise UsageError(
            f"--objective must be {objective_words(OBJECTIVES)}, or {HOST_OVERHEAD}, "
            f"not {names[0]!r}"
        )
    for name in names[1:]:
        if name not in FURTHER_OBJECTIVES:
            raise UsageError(
                "--objective: a further one must be "
                f"{objective_words(FURTHER_OBJECTIVES)}, not {name!r}"
            )
    if "goodput" in names and slo is None:
        raise UsageError("--objective goodput needs --slo, such as --slo 'ttft_p99<=500ms'")
    return names


def parse_windows(text: str | None) -> int | None:
    """Parse a number of windows; ``None`` for AUTO, or where none is given.

    Raises:
        UsageError: it is neither.
    """
    if text is None or text == AUTO:
        return None
    if not re.fullmatch(r"[1-9]\d{0,3}", text):
        raise UsageError(f"--windows must be a number of at least 1 or {AUTO}, but is {text!r}")
    return int(text)


def parse_arm(text: str) -> Preset:
    """Return the preset that is an arm of a study.

    Raises:
        UsageError: there is no such preset, or it is the baseline.
    """
    if (preset := presets.find(text)) is presets.stock:
        raise UsageError("--arm stock is the baseline, which is measured anyway: leave it out")
    return preset


def parse_share(option: str, text: str) -> float:
    """Parse a share: "1%" and "0.01" are the same.

    Raises:
        UsageError: it is neither, or not between 0 and 50 %.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(%?)\s*", text)
    value = float(match[1]) / (100 if match[2] else 1) if match else 0.0
    if not 0 < value <= 0.5:
        raise UsageError(f"{option} must be a share such as 1% or 0.01, but is {text!r}")
    return value


def parse_risk(text: str) -> RiskLevel:
    """Parse a risk level.

    Raises:
        UsageError: it is not one of the levels.
    """
    try:
        return RiskLevel(text)
    except ValueError as error:
        levels = ", ".join(level.value for level in RiskLevel)
        raise UsageError(f"--max-risk must be one of {levels}, but is {text!r}") from error


def require_question(
    asked: Mapping[str, object], found: Mapping[str, object], folder: Path
) -> None:
    """Make sure that the study in ``folder`` holds the question that is asked.

    Raises:
        StudyMismatchError: it does not; the message names the first difference.
    """
    for key in sorted({*asked, *found} - {"trimtab"}):
        if asked.get(key) != found.get(key):
            raise StudyMismatchError(
                f"{folder} holds a study with {key} {_short(found.get(key))}, but {key} "
                f"{_short(asked.get(key))} was asked: name another --study, or ask the same again"
            )


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 80 else text[:77] + "..."

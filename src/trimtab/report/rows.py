"""The rows of every table, as plain records: what the text and the HTML report both show.

The machine before each start, as the gate read it: median and range over a study.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from trimtab import formatting
from trimtab.facts.parsing import format_cpu_list
from trimtab.metrics.table import METRICS, geometric_mean
from trimtab.metrics.wall_time import time_breakdown
from trimtab.model import (
    Comparison,
    Effect,
    Phase,
    Plan,
    Start,
    TuningVerdict,
    VarianceComponents,
    Verdict,
)
from trimtab.redaction import redact_settings
from trimtab.report.study import Study

_READINGS: Final = {
    "busy": ("others' share of the CPUs", "%", 100.0),
    "steal": ("stolen by the hypervisor", "%", 100.0),
    "gflops": ("matrix product", "GFLOP/s", 1.0),
    "copy_gbps": ("memory copy", "GB/s", 1.0),
    "mhz": ("CPU clock", "MHz", 1.0),
    "celsius": ("hottest sensor", "°C", 1.0),
    "available_gb": ("free memory", "GB", 1.0),
    "waited": ("waited for quiet", "s", 1.0),
}
"""The gate's key → what people call it, its unit, and the factor to it."""


def readings(starts: Sequence[Start]) -> Iterator[tuple[str, str]]:
    """Yield a name and a text for each reading that the starts hold; what none has is left out."""
    for key, (name, unit, factor) in _READINGS.items():
        values = [factor * start.gate[key] for start in starts if key in start.gate]
        if values:
            middle, low, high = map(formatting.number, (median(values), min(values), max(values)))
            many = formatting.count(len(values), "start")
            yield name, f"{middle} {unit}, {low} to {high} before {many}"


def arms_of(study: Study) -> tuple[str, ...]:
    """Return the arms every reader wants to see, in this order."""
    return ("baseline", _preset(study), "proven", "max")


def _preset(study: Study) -> str:
    return str(study.question.get("arm", "guide"))


_ORDER = (
    Verdict.ADOPT,
    Verdict.AVOID,
    Verdict.LIKELY,
    Verdict.INCONCLUSIVE,
    Verdict.NO_EFFECT,
    Verdict.INEFFECTIVE,
    Verdict.START_FAILED,
    Verdict.NOT_TESTED,
    Verdict.NOT_APPLICABLE,
)
"""What decides comes first, what could not be tried comes last."""

_REFERENCE = re.compile(r"(?:--[\w-]+=)?\$\{\w+\}")


@dataclass(frozen=True, slots=True)
class VerdictRow:
    """One tuning. ``change`` and ``interval`` are ``None`` where there is no estimate.

    ``metric`` is "" when it is the study's objective. ``profiles`` names the profiles that hold
    the tuning. ``risk`` is ``None`` for a tuning without one.
    """

    tuning: str
    value: str
    verdict: Verdict
    effect: Effect
    change: str | None
    interval: str | None
    metric: str
    phase: str
    profiles: tuple[str, ...]
    reason: str
    risk: str | None


@dataclass(frozen=True, slots=True)
class ArmRow:
    """One arm on the objective; ``effect`` is ``None`` for the baseline itself.

    ``starts`` are the baseline's own in its row, the arm's and the baseline's in every other.
    """

    arm: str
    value: float
    unit: str
    effect: Effect | None
    starts: int


@dataclass(frozen=True, slots=True)
class MetricRow:
    """The geometric means of one metric over the starts of each arm, described, not tested."""

    metric: str
    unit: str
    better: str
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class StartRow:
    """One start in time order; ``value`` is its objective, ``None`` if it measured nothing."""

    number: int
    phase: str
    block: int
    arm: str
    outcome: str
    value: float | None
    seconds: float
    detail: str


def verdicts(study: Study) -> tuple[VerdictRow, ...]:
    """Return a row for each answer, decided ones first, the largest effect first."""
    ranked = sorted(study.conclusion.answers, key=_rank)
    return tuple(_verdict_row(answer, study) for answer in ranked)


def _rank(answer: TuningVerdict) -> tuple[int, float, str]:
    ratio = answer.effect.ratio
    size = abs(math.log(ratio)) if ratio is not None and ratio > 0 else -1.0
    return _ORDER.index(answer.verdict), -size, answer.tuning


def _verdict_row(answer: TuningVerdict, study: Study) -> VerdictRow:
    profiles = {"proven": study.conclusion.proven, "max": study.conclusion.best}
    return VerdictRow(
        tuning=answer.tuning,
        value=formatting.value(answer.value),
        verdict=answer.verdict,
        effect=answer.effect,
        change=formatting.ratio(answer.effect),
        interval=formatting.interval(answer.effect),
        metric="" if answer.metric == study.objective else answer.metric,
        phase=answer.phase,
        profiles=tuple(name for name, chosen in profiles.items() if answer.tuning in dict(chosen)),
        reason="inert control: " * (answer.tuning in study.controls) + answer.reason,
        risk=study.risks.get(answer.tuning) or None,
    )


def arms(study: Study) -> tuple[ArmRow, ...]:
    """Return baseline, guide, profiles and Pareto members on the objective.

    Empty before any comparison.
    """
    compared = study.compared
    if not compared:
        return ()
    unit = unit_of(study.objective)
    base = compared[0].baseline
    own = [s for s in _starts_of(study, "baseline") if s.metrics.get(study.objective, 0.0) > 0]
    first = ArmRow("baseline", base, unit, None, len(own))
    rows = [ArmRow(c.arm, _beside(base, c), unit, c.effect, c.effect.starts) for c in compared]
    return (first, *sorted(rows, key=lambda row: _arm_rank(study, row.arm)))


def _beside(base: float, comparison: Comparison) -> float:
    """Return an arm's value next to the baseline shown.

    The guide was compared in other blocks, with other requests: only its ratio carries over.
    """
    return (
        comparison.value
        if comparison.baseline == base
        else base * comparison.value / comparison.baseline
    )


def _arm_rank(study: Study, arm: str) -> tuple[int, str]:
    known = arms_of(study)
    return (known.index(arm) if arm in known else len(known), arm)


def metrics(study: Study) -> tuple[tuple[str, ...], tuple[MetricRow, ...]]:
    """Return the arms and, for each metric they measured, its mean over each arm's starts.

    The starts are those of the confirmation, or of the first phase for an arm that was only
    there (the guide). A profile that the confirmation rejected is no arm of the report.
    """
    by_arm = {arm: group for arm in arms_of(study) if (group := _starts_of(study, arm))}
    names = dict.fromkeys(name for group in by_arm.values() for s in group for name in s.metrics)
    rows = (
        MetricRow(
            name, unit_of(name), _better(name), tuple(_mean(g, name) for g in by_arm.values())
        )
        for name in names
    )
    return tuple(by_arm), tuple(rows)


def _starts_of(study: Study, arm: str) -> list[Start]:
    """Return the measured starts that the numbers of an arm of the report rest on."""
    conclusion = study.conclusion
    tested = (start for start in study.starts if start.request.phase is not Phase.ANSWERS)
    measured = [start for start in tested if start.valid]
    fresh = [start for start in measured if start.request.phase is Phase.CONFIRM]
    if arm in ("proven", "max"):
        if arm not in {comparison.arm for comparison in conclusion.confirmed}:
            return []
        chosen = conclusion.proven if arm == "proven" else conclusion.best
        return [start for start in fresh if start.request.candidate == chosen]
    own = [start for start in measured if start.request.stem == arm]
    first = [s.request.phase for s in measured if s.request.stem == _preset(study)]
    phases = [Phase.CONFIRM] if conclusion.confirmed else first[:1]
    return [start for start in own if start.request.phase in phases] or own


def _mean(starts: Iterable[Start], metric: str) -> float | None:
    values = [start.metrics[metric] for start in starts if metric in start.metrics]
    return geometric_mean(values) if values else None


def starts(study: Study) -> tuple[StartRow, ...]:
    """Return a row for each start, in time order."""
    return tuple(
        StartRow(
            number=start.number,
            phase=start.request.phase.value,
            block=start.request.block,
            arm=start.request.arm,
            outcome=start.outcome.value,
            value=start.metrics.get(study.objective) if start.valid else None,
            seconds=start.seconds,
            detail="; ".join(filter(None, (start.detail, *start.marks.values()))),
        )
        for start in sorted(study.starts, key=lambda start: start.number)
    )


def totals(study: Study) -> tuple[tuple[str, str], ...]:
    """Return what the study cost and could see, as pairs of a name and its text."""
    measured = sum(start.valid for start in study.starts)
    spread = study.conclusion.sd
    return (
        ("starts", f"{len(study.starts)}, {measured} of them measured"),
        ("time", formatting.duration(study.minutes * 60)),
        *_divided(study),
        ("spread between starts", formatting.percent(spread)),
        *_components(study.conclusion.spread),
        ("detectable effect", formatting.percent(study.conclusion.detectable)),
        *readings(study.starts),
    )


def _divided(study: Study) -> tuple[tuple[str, str], ...]:
    """Return where the time went, if the starts tell it."""
    said = time_breakdown(study.starts).sentence()
    return (("where the time went", said),) if said else ()


def _components(spread: VarianceComponents | None) -> tuple[tuple[str, str], ...]:
    """Return the part of starts and of windows in it, and the windows that they ask for."""
    if spread is None:
        return ()
    windows = f"{spread.windows:.3g}; best for the time: {spread.best}"
    return (
        ("spread of starts alone", f"{formatting.percent(spread.between)} (s_r)"),
        ("spread of windows", f"{formatting.percent(spread.within)} (s_w)"),
        ("windows a start", windows),
    )


def commands(study: Study) -> dict[str, str]:
    """Return the command line of each arm's plan, in the readers' order."""
    ranked = sorted(study.plans, key=lambda arm: _arm_rank(study, arm))
    return {arm: command_line(study.plans[arm]) for arm in ranked}


def command_line(plan: Plan) -> str:
    """Return a plan as one would type it, an option a line, with references for secrets."""
    settings = redact_settings(plan.settings)
    dropped = " ".join(f"-u {name}" for name in settings.unset)
    words = [f"env {dropped}"] if dropped else []
    words += [f"{name}={_shown(value)}" for name, value in settings.env]
    if settings.preload:
        words.append(f"LD_PRELOAD={shlex.quote(':'.join(settings.preload))}")
    if settings.affinity is not None:
        words.append(f"taskset -c {format_cpu_list(settings.affinity)}")
    lines = [*words, ""]
    for word in settings.argv:
        if word.startswith("--"):
            lines.append("  " + _shown(word))
        else:
            lines[-1] = f"{lines[-1]} {_shown(word)}" if lines[-1] else _shown(word)
    return " \\\n".join(line for line in lines if line)


def _shown(word: str) -> str:
    """Quote a word for the shell, but leave a secret's reference to the shell."""
    return f'"{word}"' if _REFERENCE.fullmatch(word) else shlex.quote(word)


def unit_of(metric: str) -> str:
    """Return a metric's unit as the metrics table has it, "" for a share or an unknown one."""
    unit = METRICS[metric].unit if metric in METRICS else ""
    return "" if unit == "1" else unit


def _better(metric: str) -> str:
    if metric not in METRICS:
        return ""
    return "more" if METRICS[metric].higher_is_better else "less"

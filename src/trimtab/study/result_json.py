"""The answer of a study as one JSON object, for scripts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from trimtab.catalog import CATALOG, Tuning
from trimtab.metrics.wall_time import time_breakdown
from trimtab.model import Comparison, Headline, ParetoArm, TuningVerdict
from trimtab.report import Study
from trimtab.report.headline import headline
from trimtab.study.artifacts import PROVEN, path_of, profiles_of

FORMAT = 1


def as_json(study: Study, folder: Path, catalog: Mapping[str, Tuning] = CATALOG) -> dict[str, Any]:
    """Return the object that ``trimtab tune --json`` and ``trimtab show --json`` print.

    Effects are relative changes, better is greater: 0.10 means 10 % better. ``headline`` comes
    first. ``confirmed`` is ``None`` when no profile was confirmed. ``verdicts`` are those of the
    study's tunings, ``left_out`` those of the others. ``pareto`` is there in a study with several
    objectives.
    """
    conclusion = study.conclusion
    proven = next(
        (comparison for comparison in conclusion.confirmed if comparison.arm == PROVEN), None
    )
    return {
        "format": FORMAT,
        "headline": _headline(headline(study)),
        "measures": None if study.measured is None else study.measured.as_data(),
        "verdicts": [_verdict(answer, study, catalog) for answer in conclusion.answers],
        "left_out": [
            {"name": name, "verdict": verdict.value, "reason": reason}
            for name, verdict, reason in study.left_out
        ],
        "confirmed": None if proven is None else _comparison(proven),
        "comparisons": [
            {"arm": one.arm, **_comparison(one)}
            for one in (*conclusion.confirmed, *((conclusion.guide,) if conclusion.guide else ()))
        ],
        "profiles": {name: str(path_of(folder, name)) for name in profiles_of(conclusion)},
        **(
            {"pareto": [_standing(arm) for arm in conclusion.pareto]}
            if study.objectives[1:]
            else {}
        ),
        "proven": dict(conclusion.proven),
        "max": dict(conclusion.best),
        "report": str(folder / "report.html"),
        "starts": len(study.starts),
        "minutes": study.minutes,
        "time": time_breakdown(study.starts).as_data(),
        "sd": conclusion.sd,
        "detectable_effect": conclusion.detectable,
        "noise": None if conclusion.spread is None else asdict(conclusion.spread),
        "fidelity": [asdict(fidelity) for fidelity in conclusion.fidelity],
        "notes": list(conclusion.notes),
    }


def _headline(found: Headline) -> dict[str, Any]:
    """Return the headline; ``effect`` is a relative change like those of the verdicts."""
    effect = found.effect
    return {
        "status": found.status.value,
        "text": found.text,
        "detail": found.detail,
        "arm": found.arm or None,
        "tuning": found.tuning or None,
        "metric": found.metric,
        "baseline": found.baseline,
        "value": found.value,
        "effect": None if effect is None else _change(effect.ratio),
        "low": None if effect is None else _change(effect.low),
        "high": None if effect is None else _change(effect.high),
        "starts": None if effect is None else effect.starts,
        "needs": found.needs or None,
        "next": found.next,
    }


def _verdict(answer: TuningVerdict, study: Study, catalog: Mapping[str, Tuning]) -> dict[str, Any]:
    effect, removal = answer.effect, answer.removal
    return {
        "name": answer.tuning,
        "value": answer.value,
        "verdict": answer.verdict.value,
        "metric": answer.metric,
        "effect": _change(effect.ratio),
        "low": _change(effect.low),
        "high": _change(effect.high),
        "p": effect.p,
        "starts": effect.starts,
        "removal": None if removal is None else _change(removal.ratio),
        "removal_low": None if removal is None else _change(removal.low),
        "removal_high": None if removal is None else _change(removal.high),
        "phase": answer.phase,
        "reason": answer.reason,
        "risk": study.risks.get(answer.tuning, ""),
        "may_change_answers": _may_change_answers(answer, catalog),
    }


def _may_change_answers(answer: TuningVerdict, catalog: Mapping[str, Tuning]) -> bool:
    """Whether a value may change what the model answers; a further one's entry has its name."""
    entry = catalog.get(answer.tuning) or catalog.get(answer.tuning.partition("=")[0])
    return entry is not None and answer.value in entry.lowers_fidelity


def _standing(arm: ParetoArm) -> dict[str, Any]:
    return {**asdict(arm), "candidate": dict(arm.candidate), "member": arm.member}


def _change(ratio: float | None) -> float | None:
    return None if ratio is None else ratio - 1.0


def _comparison(comparison: Comparison) -> dict[str, Any]:
    return {
        "metric": comparison.metric,
        "baseline": comparison.baseline,
        "proven": comparison.value,
        "ratio": comparison.effect.ratio,
        "low": comparison.effect.low,
        "high": comparison.effect.high,
        "starts": comparison.effect.starts,
    }

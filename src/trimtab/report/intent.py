"""What a study intends, before its first start: space, what is left out, design, duration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trimtab.catalog import CATALOG, LeftOut, Tuning
from trimtab.model import Design, Space


def describe(
    space: Space,
    design: Design,
    left_out: Sequence[LeftOut],
    catalog: Mapping[str, Tuning] = CATALOG,
    arm_left_out: Sequence[LeftOut] = (),
) -> dict[str, Any]:
    """Return the object that ``trimtab tune --dry-run --json`` prints.

    ``detectable_effect`` is a relative gain (0.05 = 5 %), ``None`` where the budget leaves no
    room for a test. ``objectives`` is there where there are several, the one that decides first.
    ``guide`` is the preset's arm; ``arm_left_out`` are the steps of the preset that are not in it.
    """
    return {
        "objective": space.objective,
        **({"objectives": list(space.all_objectives)} if space.objectives else {}),
        "space": [
            {
                "name": factor.tuning,
                "values": ["stock", factor.value],
                "scope": factor.scope.value,
                "summary": catalog[factor.tuning].summary,
                "expected_large_because": factor.lead or None,
                "screened": bool(factor.lead) or factor.tuning in design.screened,
                "metric": factor.metric or space.objective,
                "risk": catalog[factor.tuning].risk.level.value,
                "may_change_answers": factor.value in catalog[factor.tuning].lowers_fidelity,
            }
            for factor in space.factors
        ],
        "left_out": [{"name": one.name, "reason": one.reason} for one in left_out],
        "preset": space.preset,
        "guide": None if space.guide is None else dict(space.guide),
        "guide_left_out": [{"name": one.name, "reason": one.reason} for one in arm_left_out],
        "design": {
            "starts": design.starts,
            "lead_starts": design.lead_starts,
            "screen_starts": design.screen_starts,
            "follow_starts": design.follow_starts,
            "host_starts": design.host_starts,
            "confirm_starts": design.confirm_starts,
            "trial_starts": design.trial_starts,
            "blocks": design.blocks,
            "minutes": round(design.minutes, 1),
            "assumed_sd": design.sd,
            "detectable_effect": design.detectable,
            "not_screened": list(design.not_screened),
        },
    }


def text(shown: Mapping[str, Any]) -> str:
    """Return the same for people."""
    design = shown["design"]
    lines = [_objective(shown), "", "Tunings to test:"]
    for one in shown["space"]:
        mark = "" if one["screened"] else "  (no room in this budget)"
        lines.append(f"  {one['name']:<24} {_values(one['values']):<28} {one['summary']}{mark}")
        if one["expected_large_because"]:
            lines.append(f"  {'':<24} first, alone: {one['expected_large_because']}")
        if one["may_change_answers"]:
            lines.append(f"  {'':<24} may change answers: tested because it is named")
    if shown["left_out"]:
        lines += ["", "Left out:"]
    lines += [f"  {one['name']:<24} {one['reason']}" for one in shown["left_out"]]
    lines += _arm(shown)
    lines += [
        "",
        (
            f"Design: {design['starts']} starts in {design['blocks']} blocks, about "
            f"{design['minutes']:.0f} minutes: {design['lead_starts']} for large known effects, "
            f"{design['screen_starts']} to screen the rest, {_followed(design)}{_hosts(design)}"
            f"{_ended(design)}."
        ),
        _detectable(design),
    ]
    return "\n".join(lines)


def _ended(design: Mapping[str, Any]) -> str:
    """Return what the last starts are for."""
    if design.get("trial_starts"):
        return f"{design['trial_starts']} to try the profiles, none to confirm"
    return f"{design['confirm_starts']} to confirm"


def _arm(shown: Mapping[str, Any]) -> list[str]:
    """Return what the preset's arm sets here, as it stands, and what it leaves out."""
    if shown["guide"] is None:
        return []
    name = shown["preset"]
    lines = ["", f"Arm {name}, as it stands, in the first block:"]
    lines += [f"  {one:<24} {value}" for one, value in shown["guide"].items()]
    if not shown["guide"]:
        lines.append("  nothing of it can be set here, so it is not measured")
    if shown["guide_left_out"]:
        lines += ["", f"Left out of {name}:"]
    left_out = (f"  {one['name']:<24} {one['reason']}" for one in shown["guide_left_out"])
    return [*lines, *dict.fromkeys(left_out)]  # some steps are told twice in their source


def _objective(shown: Mapping[str, Any]) -> str:
    further = ", ".join(shown.get("objectives", [])[1:])
    more = f" decides; Pareto set with {further}" if further else ""
    return f"Objective: {shown['objective']}{more}"


def _values(values: Sequence[object]) -> str:
    return " | ".join(str(value) for value in values)


def _followed(design: Mapping[str, Any]) -> str:
    many = design["follow_starts"]
    return f"{many} to follow up what that leaves open, " if many else ""


def _hosts(design: Mapping[str, Any]) -> str:
    many = design["host_starts"]
    return f"{many} for settings of the host, " if many else ""


def _detectable(design: Mapping[str, Any]) -> str:
    found = design["detectable_effect"]
    if found is None:
        return "Detectable effect: none is tested in the screen at this budget."
    return (
        f"Detectable effect: {found:.1%} (80 % power, one-sided 5 % after Holm, assuming "
        f"{design['assumed_sd']:.0%} between starts). Smaller effects stay inconclusive."
    )

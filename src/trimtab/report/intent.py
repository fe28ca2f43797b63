"""What a study intends, before its first start: space, what is left out, design, duration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from trimtab import formatting
from trimtab.catalog import CATALOG, Tuning, UntestedTuning
from trimtab.model import Design, Space

_WIDTH: Final = 80
_INDENT: Final = 10
_NAME: Final = 22


def describe(
    space: Space,
    design: Design,
    left_out: Sequence[UntestedTuning],
    catalog: Mapping[str, Tuning] = CATALOG,
    arm_left_out: Sequence[UntestedTuning] = (),
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
        "left_out": [{"name": tuning.name, "reason": tuning.reason} for tuning in left_out],
        "preset": space.preset,
        "guide": None if space.guide is None else dict(space.guide),
        "guide_left_out": [
            {"name": tuning.name, "reason": tuning.reason} for tuning in arm_left_out
        ],
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


def text(shown: Mapping[str, Any], *, verbose: bool = False) -> str:
    """Return the same for people in 80 columns: the plan first, then what is tested and what not.

    ``verbose`` adds every tuning's summary and every reason.
    """
    lines = [
        *_labelled("Plan:", _plan(shown["design"])),
        *_labelled("Detects:", _detects(shown)),
        *_tested(shown),
        *_arm(shown),
        *_left_out("Left out:", shown["left_out"]),
    ]
    if verbose:
        lines += ["", *_every(shown)]
    else:
        lines.append("Details:  -v prints every summary and reason; --json all of it")
    return "\n".join(lines)


def _plan(design: Mapping[str, Any]) -> str:
    parts = [
        f"{design[key]} {what}"
        for key, what in (
            ("lead_starts", "for large known effects"),
            ("screen_starts", "to screen the rest"),
            ("follow_starts", "to follow up"),
            ("host_starts", "for settings of the host"),
            ("confirm_starts", "to confirm"),
            ("trial_starts", "to try the profiles"),
        )
        if design.get(key)
    ]
    if not design["confirm_starts"]:
        parts.append("none to confirm")
    time = formatting.duration(design["minutes"] * 60)
    starts = formatting.count(design["starts"], "start")
    blocks = formatting.count(design["blocks"], "block")
    return f"{starts} in {blocks}, about {time}: {', '.join(parts)}"


def _detects(shown: Mapping[str, Any]) -> str:
    found = shown["design"]["detectable_effect"]
    further = ", ".join(shown.get("objectives", [])[1:])
    metric = shown["objective"] + (f" (Pareto set with {further})" if further else "")
    if found is None:
        return f"no gain in {metric}: this budget tests nothing in the screen"
    return (
        f"gains of {formatting.percent(found)} in {metric} or more (80 % power, noise "
        f"{formatting.percent(shown['design']['assumed_sd'])}); smaller ones stay inconclusive"
    )


def _tested(shown: Mapping[str, Any]) -> list[str]:
    """Return the tunings by how they are tested, with their values."""
    space = shown["space"]
    alone = [one for one in space if one["screened"] and one["expected_large_because"]]
    together = [one for one in space if one["screened"] and not one["expected_large_because"]]
    without = [one for one in space if not one["screened"]]
    named = [one for one in space if one["may_change_answers"]]
    return [
        *_labelled("Alone:", _settings(alone), "large effects expected"),
        *_labelled("Together:", _settings(together)),
        *_labelled("No room:", _settings(without), "raise --budget"),
        *_labelled("Answers:", _settings(named), "may change; tested because named"),
    ]


def _settings(chosen: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(formatting.setting(one["name"], one["values"][1]) for one in chosen)


def _arm(shown: Mapping[str, Any]) -> list[str]:
    """Return what the preset's arm sets here, and what it leaves out."""
    remark = str(shown.get("arm_remark", ""))
    if shown["guide"] is None:
        return _labelled("Arm:", f"none: {remark.partition('because ')[2]}") if remark else []
    values = ", ".join(formatting.setting(*each) for each in shown["guide"].items())
    text = f"{shown['preset']}: {values}"
    if not values:
        text = f"{shown['preset']} sets nothing here, so it is not measured"
    without = ", ".join(dict.fromkeys(one["name"] for one in shown["guide_left_out"]))
    return [
        *_labelled("Arm:", text),
        *_labelled("", remark),
        *_labelled("", f"without {without}" if without else ""),
    ]


_KINDS = (
    ("it acts on ", "another platform"),
    ("a study tries it on ", "another platform"),
    ("--allow-host", "needs --allow-host"),
    ("not installed", "not installed"),
    ("is not found: install", "not installed"),
    ("--only", "only when named (--only, --try)"),
    ("--try", "only when named (--only, --try)"),
    ("--skip", "left out by --skip"),
)
"""Reasons that tunings share: what marks one, and how it is called."""

_OTHER = "no use on this machine"


def _left_out(label: str, left_out: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the tunings that are not tested, by kind of reason."""
    groups: dict[str, list[str]] = {}
    for one in left_out:
        kind = next((said for mark, said in _KINDS if mark in one["reason"]), _OTHER)
        groups.setdefault(kind, []).append(one["name"])
    lines = []
    for kind, names in sorted(groups.items(), key=lambda pair: pair[0] == _OTHER):
        lines += _labelled(label, f"{kind}: {', '.join(names)}")
        label = ""
    return lines


def _every(shown: Mapping[str, Any]) -> list[str]:
    """Return each tuning with its summary, and each that is left out with its reason."""
    lines = []
    for one in shown["space"]:
        lines += _entry(formatting.setting(one["name"], one["values"][1]), one["summary"])
        if one["expected_large_because"]:
            lines += _entry("", f"first, alone: {one['expected_large_because']}")
    if shown["left_out"]:
        lines += ["", "Left out:"]
    for one in shown["left_out"]:
        lines += _entry(one["name"], one["reason"])
    if shown["guide_left_out"]:
        lines += ["", f"Left out of {shown['preset']}:"]
    reasons = dict.fromkeys((one["name"], one["reason"]) for one in shown["guide_left_out"])
    for name, reason in reasons:  # some steps stand twice in their source
        lines += _entry(name, reason)
    return lines


def _entry(name: str, text: str) -> list[str]:
    """Return a name with a text beside it, or under it if the name is long."""
    head = f"  {name:<{_NAME}} "
    first = head if len(head) <= _NAME + 3 else ""
    lines = [] if first else [f"  {name}"]
    indent = " " * (_NAME + 3)
    return [*lines, *_wrap(text, first or indent, indent)]


def _labelled(label: str, text: str, remark: str = "") -> list[str]:
    """Return a labelled text as lines, none if it is empty."""
    if not text:
        return []
    whole = f"{text} ({remark})" if remark else text
    return _wrap(whole, label.ljust(_INDENT), " " * _INDENT)


def _wrap(text: str, initial_indent: str, subsequent_indent: str) -> list[str]:
    return formatting.wrap_lines(text, _WIDTH, initial_indent, subsequent_indent)

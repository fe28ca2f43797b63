"""The comment that every artefact carries: what it is, what it gives, how to verify it."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from trimtab import formatting, presets
from trimtab.export.order import Order
from trimtab.model import CheckKind, Comparison, TuningVerdict
from trimtab.profiles.profile import ProfileRecord

_WIDTH: Final = 98

_OUTSIDE: Final = "not applied (outside the launch command)"
_OWN: Final = "named by the preset, and not applied"
_KINDS: Final = (
    ("is made before the launch", _OUTSIDE),
    ("belongs to no tuning", _OUTSIDE),
)
"""Reasons that many steps share: what marks one, and how the group is called."""


def heading(
    order: Order,
    what: str,
    undo: str,
    *,
    pid: str = "PID",
    done: Collection[str] = (),
    more: Sequence[str] = (),
    verify: str = "",
) -> list[str]:
    """Return the lines of the comment, each one line of printable text, without comment marks.

    ``what`` says what the artefact is ("vLLM launch script"), ``undo`` is the command that takes
    it back, ``pid`` what stands for the server's process id in the verify command. ``done`` are
    the paths of the plan's host writes that this artefact makes; ``more`` is said at the end.
    ``verify`` is the command that verifies it, where that is not one that looks at a server.
    Evidence and reasons in full are in the profile, and in ``trimtab show``.
    """
    profile = order.profile
    lines = [
        f"{what}, written by trimtab {profile.trimtab} {_origin(order)}",
        f"model {profile.model} on {profile.engine.name} {profile.engine.version}",
        *([profile.engine.caveat] if profile.engine.caveat else []),
        *(_preset(order) if order.preset else _measured(profile)),
        f"plan {profile.plan.digest}, evidence {profile.evidence or 'none'}",
        f"verify while it runs: {verify or _verify(order, pid)}",
        f"rollback: {undo}",
        *_beside(order, done),
        *more,
    ]
    return [_keep_indent(line) for line in lines]


def _verify(order: Order, pid: str) -> str:
    if order.preset:
        return f"trimtab run --preset {order.preset} --verify-only --pid {pid}"
    return f"trimtab doctor --pid {pid} --profile {shlex.quote(str(order.file))}"


def host_command(order: Order, verb: str) -> str:
    """Return ``trimtab host VERB`` for the order's profile or preset."""
    what = f"--preset {order.preset}" if order.preset else shlex.quote(str(order.file))
    return f"trimtab host {verb} {what}"


def _origin(order: Order) -> str:
    made = formatting.instant(order.profile.made)
    if order.preset:
        return f"from the preset '{order.preset}' ({made})"
    return f"from the profile '{order.profile.name}' ({made})"


def _measured(profile: ProfileRecord) -> list[str]:
    totals = [
        f"{comparison.arm} against baseline: {formatting.comparison(comparison)}"
        for comparison in _own(profile)
    ]
    worth = [_worth(answer) for answer in profile.answers]
    sets = _list("sets", worth) or ["sets nothing: no tuning was proven, this is the baseline"]
    risky = [answer.tuning for answer in profile.answers if profile.risks.get(answer.tuning)]
    return [*totals, *sets, *_list("risks are in the profile", risky)]


def _worth(answer: TuningVerdict) -> str:
    """Return a tuning with its own effect: ``dtype=float32 (adopt 4.01x)``."""
    change = formatting.ratio(answer.effect)
    told = f"{answer.verdict.value} {change}" if change else answer.verdict.value
    return f"{formatting.setting(answer.tuning, answer.value)} ({told})"


def _preset(order: Order) -> list[str]:
    chosen = [formatting.setting(*pair) for pair in order.profile.candidate]
    return [
        *order.told,
        "NOTHING OF THIS WAS MEASURED: 'trimtab tune' measures it as an arm.",
        *(_list("sets", chosen) or ["sets nothing"]),
        *(
            f"against it (trimtab lint): {objection.partition(': ')[0]}"
            for objection in order.objections
        ),
        *_left_out(order),
    ]


def _left_out(order: Order) -> list[str]:
    """Return what a preset leaves out: names for each kind of reason, this target's in full."""
    own = {step.lost or step.aside for step in presets.find(order.preset).steps}
    source = f"{_OWN} (reasons: trimtab diff stock {order.preset})"
    groups: dict[str, list[str]] = {}
    others: list[str] = []
    for name, reason in dict.fromkeys(order.skipped):
        kind = next((said for mark, said in _KINDS if mark in reason), "")
        if kind or reason in own:
            groups.setdefault(kind or source, []).append(name)
        else:
            others.append(f"not applied: {name}: {reason}")
    lines = (_list(kind, dict.fromkeys(names)) for kind, names in groups.items())
    return [*(line for group in lines for line in group), *others]


def _list(label: str, words: Iterable[str]) -> list[str]:
    """Return words after a label as lines of a readable width, none without a word."""
    text = ", ".join(formatting.line(word) for word in words)
    if not text:
        return []
    return formatting.wrap_lines(f"{label}: {text}", _WIDTH, rest="  ")


def origins(profile: ProfileRecord) -> dict[str, str]:
    """Map variables (``NAME``) and preloaded paths to the measured effect behind them.

    The plan's checks say which tuning a variable or library belongs to; what no check names has
    no entry.
    """
    answers = {answer.tuning: answer for answer in profile.answers}
    return {
        check.subject: formatting.line(_short(answers[check.tuning]))
        for check in profile.plan.checks
        if check.kind in (CheckKind.ENVIRON, CheckKind.MAPPED) and check.tuning in answers
    }


def comment(lines: Iterable[str]) -> str:
    """Return the lines as ``#`` comments; none ends in a backslash, which would continue it."""
    return "".join(f"# {line}".rstrip().rstrip("\\") + "\n" for line in lines)


def _own(profile: ProfileRecord) -> list[Comparison]:
    return [comparison for comparison in profile.comparisons if comparison.arm == profile.name]


def _short(answer: TuningVerdict) -> str:
    return (
        f"{answer.tuning} = {formatting.value(answer.value)}: {answer.verdict.value} "
        f"{answer.metric} {formatting.effect(answer.effect)}, "
        f"{formatting.count(answer.effect.starts, 'start')}"
    )


def _beside(order: Order, done: Collection[str]) -> list[str]:
    """Say what the plan holds of the host that this artefact does not do."""
    left = [write for write in order.profile.plan.writes if write.path not in done]
    if not left:
        return []
    return [
        "NOT done by this file: host settings of the plan. On the host, as root:",
        f"({host_command(order, 'apply')}; back: trimtab host rollback)",
        *(f"  {write.path} = {write.text}" for write in left),
    ]


def _keep_indent(line: str) -> str:
    indent = len(line) - len(line.lstrip(" "))
    return " " * indent + formatting.line(line)

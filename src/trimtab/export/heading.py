"""The comment that every artefact carries: what it is, what each line is worth, how to verify."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Sequence

from trimtab import wording
from trimtab.export.order import Order
from trimtab.model import Answer, CheckKind, Comparison
from trimtab.profile import Profile


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
    """
    profile = order.profile
    lines = [
        f"{what}, written by trimtab {profile.trimtab} {_origin(order)}",
        f"model {profile.model} on {profile.engine.name} {profile.engine.version}",
        *([profile.engine.caveat] if profile.engine.caveat else []),
        *(_preset(order) if order.preset else _measured(profile)),
        "",
        f"plan {profile.plan.digest}, evidence {profile.evidence or 'none'}",
        f"verify while it runs: {verify or _verify(order, pid)}",
        f"rollback: {undo}",
        *_beside(order, done),
        *(["", *more] if more else []),
    ]
    return [_keep_indent(line) for line in lines]


def _verify(order: Order, pid: str) -> str:
    if order.preset:
        return f"trimtab run --preset {order.preset} --verify-only --pid {pid}"
    return f"trimtab doctor --pid {pid} --profile {shlex.quote(str(order.file))}"


def of_host(order: Order, verb: str) -> str:
    """Return ``trimtab host VERB`` for the order's profile or preset."""
    what = f"--preset {order.preset}" if order.preset else shlex.quote(str(order.file))
    return f"trimtab host {verb} {what}"


def _origin(order: Order) -> str:
    made = wording.instant(order.profile.made)
    if order.preset:
        return f"from the preset '{order.preset}' ({made})"
    return f"from the profile '{order.profile.name}' ({made})"


def _measured(profile: Profile) -> list[str]:
    return [
        *(f"{one.arm} against baseline: {wording.comparison(one)}" for one in _own(profile)),
        "",
        "What each tuning is worth (better is greater; 95 % interval):",
        *(line for answer in profile.answers for line in _worth(answer, profile)),
        *([] if profile.answers else ["  none: no tuning was proven, this is the baseline"]),
    ]


def _preset(order: Order) -> list[str]:
    chosen = order.profile.candidate
    return [
        *order.told,
        "NOTHING OF THIS WAS MEASURED: it is what is published, as far as it can be set there.",
        "'trimtab tune' measures it as an arm, and says what each tuning is worth here.",
        "",
        "It sets:",
        *(f"  {name} = {wording.value(value)}" for name, value in chosen),
        *([] if chosen else ["  nothing"]),
        *(["What the rules say against it there (trimtab lint):"] if order.objections else []),
        *(f"  {sentence}" for sentence in order.objections),
        *(["It leaves out:"] if order.skipped else []),
        *(f"  {name}: {reason}" for name, reason in order.skipped),
    ]


def origins(profile: Profile) -> dict[str, str]:
    """Map variables (``NAME``) and preloaded paths to the measured effect behind them.

    The plan's checks say which tuning a variable or library belongs to; what no check names has
    no entry.
    """
    answers = {answer.tuning: answer for answer in profile.answers}
    return {
        check.subject: wording.line(_short(answers[check.tuning]))
        for check in profile.plan.checks
        if check.kind in (CheckKind.ENVIRON, CheckKind.MAPPED) and check.tuning in answers
    }


def comment(lines: Iterable[str]) -> str:
    """Return the lines as ``#`` comments; none ends in a backslash, which would continue it."""
    return "".join(f"# {line}".rstrip().rstrip("\\") + "\n" for line in lines)


def _own(profile: Profile) -> list[Comparison]:
    return [one for one in profile.comparisons if one.arm == profile.name]


def _worth(answer: Answer, profile: Profile) -> list[str]:
    risk = profile.risks.get(answer.tuning)
    return [f"  {_short(answer)}", *([f"    risk: {risk}"] if risk else [])]


def _short(answer: Answer) -> str:
    return (
        f"{answer.tuning} = {wording.value(answer.value)}: {answer.verdict.value} "
        f"{answer.metric} {wording.effect(answer.effect)}, "
        f"{wording.count(answer.effect.starts, 'start')}"
    )


def _beside(order: Order, done: Collection[str]) -> list[str]:
    """Say what the plan holds of the host that this artefact does not do."""
    left = [write for write in order.profile.plan.writes if write.path not in done]
    if not left:
        return []
    how = f"{of_host(order, 'apply')}; back: trimtab host rollback"
    return [
        "",
        "NOT done by this file: host settings of the plan. On the host, as root:",
        f"({how})",
        *(f"  {write.path} = {write.text}" for write in left),
    ]


def _keep_indent(line: str) -> str:
    indent = len(line) - len(line.lstrip(" "))
    return " " * indent + wording.line(line)

"""The comment that every artefact carries: what it is, what each line is worth, how to verify."""

from __future__ import annotations

import shlex
from pathlib import Path

from trimtab import wording
from trimtab.model import Answer, CheckKind, Comparison, Plan
from trimtab.profile import Profile


def heading(profile: Profile, file: Path, what: str) -> list[str]:
    """Return the lines of the comment, each one line of printable text, without comment marks.

    ``file`` is the profile's own file, named in the verify command; ``what`` says what the
    artefact is ("vLLM launch script").
    """
    origin = f"from the profile '{profile.name}' ({wording.instant(profile.made)})"
    lines = [
        f"{what}, written by trimtab {profile.trimtab} {origin}",
        f"model {profile.model} on {profile.engine.name} {profile.engine.version}",
        *([profile.engine.caveat] if profile.engine.caveat else []),
        *(f"{one.arm} against baseline: {wording.comparison(one)}" for one in _own(profile)),
        "",
        "What each tuning is worth (better is greater; 95 % interval):",
        *(line for answer in profile.answers for line in _worth(answer, profile)),
        *([] if profile.answers else ["  none: no tuning was proven, this is the baseline"]),
        "",
        f"plan {profile.plan.digest}, evidence {profile.evidence or 'none'}",
        f"verify while it runs: trimtab doctor --pid PID --profile {shlex.quote(str(file))}",
        *_beside(profile.plan),
    ]
    return [_keep_indent(line) for line in lines]


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


def _beside(plan: Plan) -> list[str]:
    """Say what the plan holds that a launch file cannot do."""
    if not plan.writes:
        return []
    return [
        "",
        "NOT done by this file: host settings of the plan (write each as root, it is not kept",
        "over a reboot):",
        *(f"  {write.path} = {write.text}" for write in plan.writes),
    ]


def _keep_indent(line: str) -> str:
    indent = len(line) - len(line.lstrip(" "))
    return " " * indent + wording.line(line)

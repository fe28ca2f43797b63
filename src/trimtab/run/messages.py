"""What ``trimtab run`` tells: differences, evidence and the command, each as a line. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from trimtab import formatting
from trimtab.facts.parsing import format_cpu_list
from trimtab.knobs.protocol import PRELOAD
from trimtab.model import CheckOutcome, Evidence, Plan, Settings
from trimtab.model.finding import Severity
from trimtab.redaction import argv_secrets, is_secret, redact_plan
from trimtab.run.comparability import Difference
from trimtab.verification.checks import refutations, summary

_ORDER = (CheckOutcome.YES, CheckOutcome.UNOBSERVABLE, CheckOutcome.NO)
"""What is refuted comes last: there it is seen."""


def difference(one: Difference, *, forced: bool) -> str:
    """Return the line of a difference; ``forced``: a refusal is only a warning."""
    refused = one.severity is Severity.ERROR and not forced
    return formatting.line(f"{'refused' if refused else 'warning'} [{one.rule}]: {one.sentence}")


def evidence_lines(evidence: Iterable[Evidence]) -> Iterator[str]:
    """Yield a line for each check; a refuted one begins with NO and tells what was expected."""
    for one in sorted(evidence, key=lambda one: _ORDER.index(one.verdict)):
        check = one.check
        what = f"{check.tuning or 'plan'}: {check.kind.value} {check.subject}"
        refuses = one.verdict is CheckOutcome.NO
        seen = "NO" if refuses else one.verdict.value
        wanted = f", expected {formatting.value(check.expected)}" if refuses else ""
        yield formatting.line(
            f"{seen} ({check.proves.value}) {what}: {one.observed}{wanted} [{one.where}]"
        )


def verdict(name: str, plan: Plan, evidence: Sequence[Evidence]) -> str:
    """Return the line that sums up: whether the plan is in effect."""
    if not evidence:
        return f"{name}: plan {plan.digest} has nothing to verify: it changes nothing"
    wrong = len(refutations(evidence))
    checks = formatting.count(len(evidence), "check")
    if wrong:
        return f"{name} is NOT in effect: {wrong} of {checks} refuted ({summary(evidence)})"
    return f"{name} is in effect, plan {plan.digest}: {summary(evidence)}"


def as_data(
    name: str, plan: Plan, found: Sequence[Difference], evidence: Sequence[Evidence]
) -> dict[str, Any]:
    """Return what a script reads: format 1. Secrets are not in it."""
    shown = redact_plan(plan)
    checks = dict(zip(plan.checks, shown.checks, strict=True))
    return {
        "format": 1,
        "name": name,
        "plan": shown.digest,
        "in_effect": not refutations(evidence),
        "differences": [asdict(one) for one in found],
        "evidence": [{**asdict(one), "check": asdict(checks[one.check])} for one in evidence],
    }


def shell_line(settings: Settings, listen: Sequence[str], preload: str) -> str:
    """Return the command as one line for a POSIX shell; a secret is taken from its variable.

    ``preload`` is the ``LD_PRELOAD`` that the server is given, "" for none.
    """
    words = [word for name in settings.unset for word in ("-u", name)]
    for name, value in settings.env:
        words.append(f'{name}="${{{name}}}"' if is_secret(name, value) else _assigned(name, value))
    if settings.preload:
        words.append(_assigned(PRELOAD, preload))
    line = ["env", *words] if words else []
    if settings.affinity is not None:
        line += ["taskset", "-c", format_cpu_list(settings.affinity)]
    secrets = {index: (prefix, name) for index, prefix, name in argv_secrets(settings.argv)}
    for index, word in enumerate(settings.argv):
        if index in secrets:
            prefix, name = secrets[index]
            line.append(f'{shlex.quote(prefix) if prefix else ""}"${{{name}}}"')
        else:
            line.append(shlex.quote(word))
    return " ".join([*line, *map(shlex.quote, listen)])


def _assigned(name: str, value: str) -> str:
    return f"{name}={shlex.quote(value)}"

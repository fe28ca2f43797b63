"""Where this machine is not the one that was studied: each difference by a rule. Pure.

An ERROR means that the settings may not work here, or that nothing of what was measured carries
over: ``trimtab run`` refuses. A WARNING means that the plan can be run, but that its effects were
measured on something else. What the study did not know differs from nothing; what is decisive,
and was known there but cannot be read here, is a warning.
"""

from __future__ import annotations

import ast
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from trimtab import formatting
from trimtab.facts.parsing import format_cpu_list
from trimtab.families import families
from trimtab.knobs.protocol import PRELOAD
from trimtab.model import CheckOutcome, Evidence, Plan, Settings
from trimtab.model.finding import Severity
from trimtab.redaction import argv_secrets, is_secret, redact_plan
from trimtab.verification import refutations, summary

_LIBRARIES = ("torch", "torch-npu")


def decisive_distributions() -> tuple[str, ...]:
    """Return the distributions whose release decides whether and how a setting acts."""
    return (*(name for family in families() for name in family.distributions), *_LIBRARIES)


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference: the rule's name, how bad, and the sentence for the user."""

    rule: str
    severity: Severity
    sentence: str


@dataclass(frozen=True, slots=True)
class _Rule:
    """``read`` takes the value from facts as `parsed` gives them, ``None`` for unknown."""

    name: str
    severity: Severity
    what: str
    why: str
    read: Callable[[Mapping[str, Any]], object]
    same: Callable[[Any, Any], bool] = lambda study, here: bool(study == here)


def parse_facts(facts: Mapping[str, str]) -> dict[str, Any]:
    """Return a profile's facts as data; a group that is no literal stays text."""
    found: dict[str, Any] = {}
    for group, text in facts.items():
        try:
            found[group] = ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            found[group] = text
    return found


def differences(study: Mapping[str, Any], here: Mapping[str, Any]) -> tuple[Difference, ...]:
    """Return how ``here`` differs from the machine of the study, worst first."""
    found = [one for rule in _RULES if (one := _judged(rule, study, here)) is not None]
    found += _packages(_mapping(study, "packages"), _mapping(here, "packages"))
    return tuple(sorted(found, key=lambda one: -one.severity.rank))


def _judged(rule: _Rule, study: Mapping[str, Any], here: Mapping[str, Any]) -> Difference | None:
    there, now = rule.read(study), rule.read(here)
    if there is None:
        return None
    if now is None:
        if rule.severity is not Severity.ERROR:
            return None
        sentence = f"{rule.what} was {there} in the study, and cannot be read here: {rule.why}"
        return Difference(rule.name, Severity.WARNING, sentence)
    if rule.same(there, now):
        return None
    sentence = f"{rule.what} was {there} in the study, but is {now} here: {rule.why}"
    return Difference(rule.name, rule.severity, sentence)


def _packages(study: Mapping[str, Any], here: Mapping[str, Any]) -> Iterator[Difference]:
    if study and not here:
        yield Difference(
            "engine-unknown",
            Severity.WARNING,
            "the command does not tell which vLLM it starts: its versions are not compared with "
            "those of the study",
        )
        return
    others: list[str] = []
    for name in sorted(study):
        there, now = str(study[name]), str(here.get(name, "not installed"))
        if there == now:
            continue
        if name in decisive_distributions() and _minor(there) != _minor(now):
            yield Difference(
                "engine-release",
                Severity.ERROR,
                f"{name} was {there} in the study, but is {now} here: what its settings do "
                "changes between releases",
            )
        else:
            others.append(f"{name} {there} -> {now}")
    if others:
        yield Difference(
            "packages",
            Severity.WARNING,
            f"packages of the engine differ from the study's: {', '.join(others)}",
        )


def _mapping(facts: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    found: Any = facts
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _fact(group: str, name: str) -> Callable[[Mapping[str, Any]], Any]:
    return lambda facts: _mapping(facts, group, name).get("value")


def _count(group: str, name: str) -> Callable[[Mapping[str, Any]], object]:
    def read(facts: Mapping[str, Any]) -> object:
        found = _fact(group, name)(facts)
        return len(found) if isinstance(found, (list, tuple)) else None

    return read


def _platform(facts: Mapping[str, Any]) -> object:
    found = facts.get("platform")
    return found if isinstance(found, str) and found else None


def _gpus(facts: Mapping[str, Any]) -> object:
    gpus = _fact("cuda", "gpus")(facts) or ()
    names = [one["name"] for one in gpus if isinstance(one, Mapping) and "name" in one]
    return ", ".join(sorted({str(name) for name in names})) or None


def _major(group: str, name: str) -> Callable[[Mapping[str, Any]], object]:
    def read(facts: Mapping[str, Any]) -> object:
        found = _fact(group, name)(facts)
        return None if found is None else _minor(str(found))

    return read


def _minor(version: str) -> str:
    """Return "0.32" of "0.32.1+cpu"."""
    return ".".join(version.split(".")[:2])


def _gib(facts: Mapping[str, Any]) -> object:
    found = _fact("memory", "total")(facts)
    return None if not isinstance(found, (int, float)) else f"{found / 2**30:.0f} GiB"


def _enough(study: str, here: str) -> bool:
    there, now = (float(text.split()[0]) for text in (study, here))
    return now >= 0.9 * there


_MEASURED = "its effects were measured on the other"
_RULES = (
    _Rule(
        "platform",
        Severity.ERROR,
        "what the engine computes on",
        "its settings are another device's",
        _platform,
    ),
    _Rule(
        "architecture",
        Severity.ERROR,
        "the architecture",
        "libraries and defaults are others",
        _fact("cpu", "arch"),
    ),
    _Rule("chip", Severity.ERROR, "the NPU", _MEASURED, _fact("ascend", "chip")),
    _Rule("gpu", Severity.ERROR, "the GPU", _MEASURED, _gpus),
    _Rule(
        "cann",
        Severity.ERROR,
        "CANN",
        "what its settings do changes between releases",
        _major("ascend", "cann"),
    ),
    _Rule(
        "npu-count", Severity.WARNING, "the number of NPUs", _MEASURED, _count("ascend", "devices")
    ),
    _Rule("gpu-count", Severity.WARNING, "the number of GPUs", _MEASURED, _count("cuda", "gpus")),
    _Rule("npu-driver", Severity.WARNING, "the NPU driver", _MEASURED, _fact("ascend", "driver")),
    _Rule("gpu-driver", Severity.WARNING, "the GPU driver", _MEASURED, _fact("cuda", "driver")),
    _Rule("cpu-model", Severity.WARNING, "the CPU", _MEASURED, _fact("cpu", "model")),
    _Rule(
        "cpu-count",
        Severity.WARNING,
        "the number of CPUs it may use",
        "thread counts and bindings depend on it",
        _count("limits", "allowed"),
    ),
    _Rule(
        "cpu-quota",
        Severity.WARNING,
        "the CPU quota",
        "thread counts depend on it",
        _fact("limits", "cpu_quota"),
    ),
    _Rule(
        "numa",
        Severity.WARNING,
        "the number of NUMA nodes",
        "bindings depend on it",
        _count("cpu", "nodes"),
    ),
    _Rule("memory", Severity.WARNING, "the memory", "it may not suffice", _gib, _enough),
    _Rule(
        "page-size",
        Severity.WARNING,
        "the page size",
        "allocators are built for one",
        _fact("memory", "page_size"),
    ),
    _Rule("kernel", Severity.WARNING, "the kernel", _MEASURED, _major("kernel", "release")),
)


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

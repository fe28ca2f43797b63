"""Diagnosis: every rule of the catalogue applied to a scene or a text.

Pure: it answers from what it is given. ``doctor`` and ``lint`` both end here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache

from trimtab.catalog import CATALOG, Rule, Scene, Tuning
from trimtab.model.document import Document
from trimtab.model.finding import Finding, Hit, Severity
from trimtab.model.situation import Situation
from trimtab.rules import entry_rules
from trimtab.rules.arguments import ARGUMENTS
from trimtab.rules.json_keys import KEYS
from trimtab.rules.launch_syntax import STARTING
from trimtab.rules.names import NAMES
from trimtab.rules.notices import BAKED, FORMATS, PIPES, PROSE
from trimtab.rules.option_conflicts import TOGETHER
from trimtab.rules.setting_syntax import MAKING
from trimtab.rules.values import VALUES

__all__ = ["all_rules", "process_findings", "text_findings", "tuning_findings"]


@cache
def all_rules() -> Mapping[str, tuple[Rule, str]]:
    """Return rule id → (rule, name of its entry or "").

    Raises:
        ValueError: two rules have one id.
    """
    found: dict[str, tuple[Rule, str]] = {}
    owned = [(rule, tuning.name) for tuning in CATALOG.values() for rule in tuning.rules]
    for rule, owner in (
        *(
            (rule, "")
            for rule in (
                *entry_rules.RULES,
                entry_rules.RULE,
                *MAKING,
                *BAKED,
                *NAMES,
                *VALUES,
                *ARGUMENTS,
                *KEYS,
                *PIPES,
                *TOGETHER,
                *STARTING,
                *FORMATS,
                *PROSE,
            )
        ),
        *owned,
    ):
        if rule.id in found:
            raise ValueError(f"two rules are called {rule.id}")
        found[rule.id] = (rule, owner)
    return found


def process_findings(scene: Scene) -> tuple[Finding, ...]:
    """Return what the rules find in one process's settings, in the order of the catalogue."""
    findings = [
        finding for tuning in CATALOG.values() for finding in tuning_findings(tuning, scene)
    ]
    for rule, owner in all_rules().values():
        if rule.process is not None and not owner:
            findings += _finished(rule, "", rule.process(scene), scene)
    return tuple(dict.fromkeys(findings))


def tuning_findings(tuning: Tuning, scene: Scene) -> Iterator[Finding]:
    """Yield what the general rules and the entry's own say about one entry.

    Nothing where the platform is known to be none of the entry's.
    """
    if acts_elsewhere(tuning, scene.situation):
        return
    findings = [
        finding
        for rule, check in (*entry_rules.PER_TUNING, (entry_rules.RULE, entry_rules.check))
        for finding in _finished(rule, tuning.name, check(tuning, scene), scene)
    ]
    for rule in tuning.rules:
        if rule.process is not None:
            findings += _finished(rule, tuning.name, rule.process(scene), scene)
    yield from _settled(findings)


_WITHOUT_EFFECT = frozenset({"redundant", "inert", "removed-option"})


def _settled(findings: Sequence[Finding]) -> Iterator[Finding]:
    """Yield findings without advice on how to use a setting that changes nothing."""
    idle = {finding.setting for finding in findings if finding.rule in _WITHOUT_EFFECT}
    for finding in findings:
        advice = finding.severity is Severity.INFO and finding.rule not in _WITHOUT_EFFECT
        if not (advice and finding.setting in idle):
            yield finding


def acts_elsewhere(tuning: Tuning, situation: Situation) -> bool:
    """Whether a platform is known on which nothing of an entry acts.

    PyTorch and RCCL on ROCm read the names of CUDA.
    """
    platform = situation.platform
    here = {platform, "cuda"} if platform == "rocm" else {platform}
    return platform is not None and bool(tuning.platforms) and not here & set(tuning.platforms)


def text_findings(document: Document, situation: Situation) -> tuple[Finding, ...]:
    """Return what the rules find in a text as a whole."""
    findings: list[Finding] = []
    for rule, owner in all_rules().values():
        if rule.text is not None and not (owner and acts_elsewhere(CATALOG[owner], situation)):
            findings += _finished(rule, owner, rule.text(document, situation), None)
    return tuple(dict.fromkeys(findings))


def _finished(
    rule: Rule, owner: str, hits: Iterable[Hit], scene: Scene | None
) -> Iterator[Finding]:
    for hit in hits:
        made = scene.at(hit.setting) if scene is not None else None
        severity = hit.severity or (Severity.INFO if hit.given else rule.severity)
        finding = Finding(
            rule=rule.id,
            severity=severity,
            problem=rule.problem,
            setting=hit.setting,
            message=f"{hit.message} (if {hit.given})" if hit.given else hit.message,
            fix=hit.fix,
            place=hit.place or (made.place if made is not None else None),
            tuning=owner,
            remedy=hit.remedy,
        )
        yield finding

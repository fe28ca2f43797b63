"""A diagnosis as plain data, without secrets: what ``trimtab doctor --json`` prints."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from trimtab import facts as all_facts
from trimtab.diagnosis.records import DiagnosisView, InspectedProcess, TuningDiagnosis
from trimtab.facts.parsing import format_cpu_list
from trimtab.linter.serving_variables import is_serving_variable as interesting_name
from trimtab.model import Value
from trimtab.model.finding import Finding
from trimtab.redaction import MASK, is_secret, looks_secret, mask_text, redact_words, secrets_in


def concerns_serving(name: str) -> bool:
    """Whether a variable is about serving or loading; what else is there is nobody's business."""
    return interesting_name(name) or name.startswith(("LD_", "PYTHON", "HF_", "VLLM"))


def as_data(
    view: DiagnosisView,
    table: Sequence[TuningDiagnosis],
    findings: Sequence[Finding],
    differences: Sequence[str],
) -> dict[str, Any]:
    """Return the diagnosis as one JSON object; secrets are left out."""
    everything = [*findings, *(one for row in table for one in row.findings)]
    return {
        "situation": _known(asdict(view.situation)),
        "facts": all_facts.to_dict(view.facts),
        "python": _known(asdict(view.build)),
        "packages": dict(view.packages),
        "url": view.url,
        "config": {name: _reported(name, value) for name, value in view.config.items()},
        "tunings": [_row_data(row) for row in table],
        "findings": [_finding(one) for one in dict.fromkeys(everything)],
        "processes": [_process_data(one) for one in view.processes],
        "differences": list(differences),
        "unread": list(view.unread),
    }


def _reported(name: str, value: Value) -> Value:
    """Return a value of the server's configuration without secrets."""
    if looks_secret(name):
        return MASK
    return mask_text(value, secrets_in(value)) if isinstance(value, str) else value


def _known(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if value not in (None, "")}


def _row_data(row: TuningDiagnosis) -> dict[str, Any]:
    return {
        "tuning": row.tuning,
        "layer": row.layer,
        "state": row.state.value,
        "observed": row.observed,
        "where": row.where,
        "todo": row.todo,
        "rules": [one.rule for one in row.findings],
    }


def _finding(one: Finding) -> dict[str, Any]:
    return {
        "rule": one.rule,
        "severity": one.severity.value,
        "tuning": one.tuning,
        "setting": one.setting,
        "message": one.message,
        "fix": one.fix,
    }


def _process_data(one: InspectedProcess) -> dict[str, Any]:
    scene, heap = one.scene, one.allocator
    return {
        "role": one.name,
        "pid": scene.pid,
        "command": list(redact_words(scene.argv)),
        "environment_whole": one.whole,
        "environment": {
            name: "..." if is_secret(name, made.value) else made.value
            for name, made in sorted(scene.env.items())
            if concerns_serving(name)
        }
        if scene.pid is not None
        else {},
        "threads": one.threads,
        "cpus": None if one.allowed is None else format_cpu_list(one.allowed),
        "open_files": _limit(one.nofile),
        "locked_memory": _limit(one.memlock),
        "resident": one.resident,
        "swapped": one.swapped,
        "huge_pages": one.huge,
        "numa_nodes": {str(node): size for node, size in one.nodes.items()},
        "allocator": {
            "preloaded": list(heap.preloaded),
            "missing": list(heap.missing),
            "mapped": None if heap.mapped is None else list(heap.mapped),
            "serving": heap.serving,
            "reason": heap.reason,
        },
    }


def _limit(value: float | None) -> float | str | None:
    return "unlimited" if value is not None and math.isinf(value) else value

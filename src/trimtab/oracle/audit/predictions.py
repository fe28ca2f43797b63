"""The catalogue against the vendors' code: what lint foresees of a setting, what it did. Pure.

What was known of the vendors' readers before they were asked: from reading source and guides.

The entries of the catalogue were written from these statements, and corrected by the answers.
They are kept so that the page can show where reading and running differ. A statement is about
texts of a form; a text that no form fits, no statement was made about. What was said of settings
together stands beside their cases (``relations``). Paraphrased facts of
torch_npu's sources (2.13 to 2.15) and documents, and of vllm-ascend's (0.23). Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from trimtab import rules
from trimtab.catalog import Scene
from trimtab.catalog.values import Acceptance
from trimtab.model.document import Setting
from trimtab.model.finding import Severity
from trimtab.model.situation import Situation
from trimtab.oracle.model import Handling, OracleSettings, SettingReply

UNDECIDED: Mapping[str, str] = MappingProxyType(
    {
        "ascend-kv-nz": "the oracle's model has no MLA",
        "ascend-shared-expert-dp": "the oracle's model has no experts",
        "ascend-dsa-cp": "the oracle's model has no sparse attention",
        "combined-enable": "only operators that are compiled just in time ask for it",
        "npu-pin-memory-expandable-segments": "the stand-in tells no version of CANN",
        "npu-pinned-mem-register": "the stand-in tells no version of CANN or driver",
    }
)
"""Entry → why a value that is right cannot be seen to be taken."""


_MISREAD = ("value-misread", "additional-config-quoted")
"""Rules that say a value is read as another one, however bad that is."""


def prediction(givens: OracleSettings, situation: Situation) -> tuple[Acceptance | None, str]:
    """Return what lint says becomes of settings, and its sentence; ``None`` if it is ignored."""
    misread = ""
    findings = rules.process_findings(scene(givens, situation))
    for finding in findings:
        if finding.rule == "inert":
            return None, finding.message
    for finding in findings:
        if finding.rule in _MISREAD:
            misread = misread or finding.message
        elif finding.severity is Severity.ERROR:
            return Acceptance.REFUSED, finding.message
    return (Acceptance.MISREAD, misread) if misread else (Acceptance.AS_WRITTEN, "")


def scene(givens: OracleSettings, situation: Situation) -> Scene:
    """Return a server that is started with settings."""
    options = [setting for setting in givens if setting.is_option]
    words = (word for option in options for word in (option.name, option.text) if word)
    return Scene(
        situation=situation,
        argv=("vllm", "serve", "model", *words),
        env={
            setting.name: Setting(setting.name, setting.text)
            for setting in givens
            if not setting.is_option
        },
        options={option.name: Setting(option.name, option.text) for option in options},
        complete=True,
    )


def agrees(tuning: str, taken: Acceptance | None, answer: SettingReply) -> bool:
    """Whether an answer is what was foreseen.

    A value foreseen to be misread may be taken without a word: not every one can be read back.
    """
    verdict = answer.verdict
    if taken is None:
        return verdict is Handling.IGNORED
    if taken is Acceptance.REFUSED:
        return verdict.fails
    if verdict in (Handling.CRASHED, Handling.HUNG, Handling.IGNORED):
        return False
    if taken is Acceptance.AS_WRITTEN and tuning not in UNDECIDED:
        return verdict is Handling.ACCEPTED
    return tuning in UNDECIDED or verdict is not Handling.REJECTED


_TAKEN, _MISREAD_WORDS, _REFUSED = Acceptance.AS_WRITTEN, Acceptance.MISREAD, Acceptance.REFUSED
Said = tuple[tuple[str, Acceptance], ...]
"""Regular expressions of whole texts, with what becomes of them; the first that fits counts."""

_EXACT_BOOLEAN: Said = ((r"\s*(True|False)\s*", _TAKEN), (r".*", _REFUSED))
_PYTHON_INT: Said = ((r"[01]", _TAKEN), (r"(?![+-]?\d+$).*", _REFUSED))
_MODE: Said = ((r"[012]", _TAKEN), (r"(?![+-]?\d+$).*", _REFUSED))
_MEGABYTES: Said = ((r"\d+", _TAKEN),)
_TRUTHY: Said = ((r"True|False", _TAKEN), (r"[A-Za-z].*", _MISREAD_WORDS))

STATEMENTS: Mapping[str, Said] = MappingProxyType(
    {
        "task-queue": (
            (r"\s*0*[012]\s*", _TAKEN),
            (r"[+-]?\d+", _REFUSED),
            (r".*", _MISREAD_WORDS),
        ),
        "ascend-launch-blocking": ((r"[01]", _TAKEN), (r".*", _MISREAD_WORDS)),
        "multi-stream-memory-reuse": ((r"[0-3]", _TAKEN), (r".*", _REFUSED)),
        "per-stream-queue": ((r"[01]", _TAKEN),),
        "streams-per-device": ((r"8|32", _TAKEN), (r".*", _MISREAD_WORDS)),
        "cpu-affinity-conf": (
            (r"[012](,npu\d+:\d+-\d+|,force:[01])?", _TAKEN),
            (r"[^\d]*", _MISREAD_WORDS),
        ),
        "npu-max-split-size": ((r"[2-9]\d|\d{3,}", _TAKEN), (r"[+-]?\d+", _REFUSED)),
        "npu-expandable-segments": _EXACT_BOOLEAN,
        "npu-garbage-collection-threshold": ((r"0?\.\d*[1-9]\d*", _TAKEN), (r".*", _REFUSED)),
        "npu-base-addr-aligned-kb": ((r"\d|1[0-6]", _TAKEN), (r"[+-]?\d+", _REFUSED)),
        "npu-page-size": ((r"\s*1g\s*", _TAKEN), (r".*", _REFUSED)),
        "npu-segment-size-mb": (
            (r"[2-9]\d|[1-4]\d\d|50\d|51[0-2]", _TAKEN),
            (r"[+-]?\d+", _REFUSED),
        ),
        "npu-large-segment-size-mb": (
            (r"1[1-9]|[2-9]\d|\d{3,}", _TAKEN),
            (r"[+-]?\d+", _REFUSED),
        ),
        "npu-roundup-power2-divisions": ((r"[1248]|\[\d+:\d+(,\d+:\d+)*(,>:\d+)?\]", _TAKEN),),
        "npu-multi-stream-lazy-reclaim": _EXACT_BOOLEAN,
        "npu-pinned-use-background-threads": _EXACT_BOOLEAN,
        "npu-pin-memory-expandable-segments": _EXACT_BOOLEAN,
        "npu-pinned-mem-register": _EXACT_BOOLEAN,
        "npu-per-process-memory-fraction": ((r"0|1|0?\.\d+", _TAKEN),),
        "npu-throw-on-npumalloc-oom": _EXACT_BOOLEAN,
        "npu-release-lock-on-npumalloc": _EXACT_BOOLEAN,
        "npu-max-non-split-rounding-mb": _MEGABYTES,
        "npu-pinned-max-round-threshold-mb": _MEGABYTES,
        "npu-pinned-max-cached-size-mb": _MEGABYTES,
        "npu-pinned-reserve-segment-size-mb": _MEGABYTES,
        "npu-alloc-conf-alias": (
            (r"max_split_size_mb:250", _TAKEN),
            (r"[^:]+|nonsense:.*", _REFUSED),
        ),
        "ascend-cpu-binding": _TRUTHY,
        "ascend-recompute-scheduler-enable": ((r"True", _REFUSED), (r"False", _TAKEN)),
        "ascend-weight-nz-mode": ((r"[012]", _TAKEN),),
        "ascend-fused-mc2": ((r"[01]", _TAKEN),),
        "va-fused-mc2": _PYTHON_INT,
        "va-mlapo": _PYTHON_INT,
        "va-balance-scheduling": _PYTHON_INT,
        "va-flashcomm1": _PYTHON_INT,
        "va-matmul-allreduce": _PYTHON_INT,
        "va-nz": _MODE,
        "va-context-parallel": _PYTHON_INT,
        "va-transpose-kv": _PYTHON_INT,
    }
)
"""Entry → what was said of texts that it is set to."""


def statement(tuning: str, text: str) -> Acceptance | None:
    """Return what was said of a text, ``None`` if nothing was."""
    for form, taken in STATEMENTS.get(tuning, ()):
        if re.fullmatch(form, text, re.DOTALL):
            return taken
    return None

"""Everything the catalogue says about the vendors' settings, put to their code: rows of a page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from trimtab import rules
from trimtab.catalog import CATALOG, Scene
from trimtab.catalog.values import Acceptance
from trimtab.emulator.machine import EmulatedMachine
from trimtab.model.document import Setting
from trimtab.model.finding import Severity
from trimtab.model.situation import Situation
from trimtab.oracle import LABEL
from trimtab.oracle.audit.cases import CASES, NOT_ASKED, Case
from trimtab.oracle.audit.probes import TextProbe, entries, probes
from trimtab.oracle.model import (
    PARALLEL,
    TORCH_NPU,
    VLLM_ASCEND,
    Handling,
    OracleSetting,
    OracleSettings,
    SettingReply,
)
from trimtab.oracle.oracle import Oracle, Setup
from trimtab.oracle.output import sentence

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


CORRECTIONS = Path(__file__).with_name("corrections.md")
"""What the catalogue had wrong: prose for the page."""

_VERSIONS = {"torch-npu": "2.13.0", "vllm-ascend": "0.23.0"}
BARE = Situation(platform="ascend", chip="A2", graphs=False, versions=_VERSIONS)
"""What lint is told about a process that uses torch_npu alone."""
SERVED = Situation(platform="ascend", chip="A2", arch="x86_64", graphs=True, versions=_VERSIONS)
"""What lint is told about a server of vllm-ascend."""

_ASKED = {"torch_npu": _VERSIONS["torch-npu"], "vllm_ascend": _VERSIONS["vllm-ascend"]}
KINDS: Mapping[str, str] = {"torch_npu": TORCH_NPU, "vllm_ascend": VLLM_ASCEND}
"""Layer of the catalogue → the software whose code reads its settings."""

SWITCHED: Mapping[str, OracleSettings] = {
    "torch_npu": (),
    "vllm_ascend": (OracleSetting(PARALLEL, "2"),),  # several keys are refused without it
}
"""Layer → options that are given to every check of its entries."""


@dataclass(frozen=True, slots=True)
class ProbeRow:
    """One text of one entry: what lint foresees (``None``: that nothing reads it), what was."""

    probe: TextProbe
    prediction: Acceptance | None
    says: str
    answer: SettingReply

    @property
    def agrees(self) -> bool:
        """Whether the code did what lint foresees."""
        return agrees(self.probe.tuning, self.prediction, self.answer)

    @property
    def stated(self) -> Acceptance | None:
        """What was read of the text, ``None`` if nothing was."""
        return statement(self.probe.tuning, self.probe.text)

    @property
    def kept(self) -> bool:
        """Whether the code does what was read of it, or nothing was."""
        return self.stated is None or agrees(self.probe.tuning, self.stated, self.answer)


@dataclass(frozen=True, slots=True)
class CaseOutcome:
    """What became of a case: "refused", "misread" or "taken", and the code's own sentence."""

    case: Case
    outcome: str
    sentence: str

    @property
    def kept(self) -> bool:
        """Whether the code does what was read of it, or nothing was."""
        return self.case.said in ("", self.outcome)


def rows(python: Path, layer: str) -> Iterator[ProbeRow]:
    """Yield a row for every text tried on the entries of a layer.

    Raises:
        EngineError: the vendors' code does not run.
    """
    tried = [probe for entry in entries() if entry.layer == layer for probe in probes(entry)]
    switches = SWITCHED[layer]
    with Oracle(python, through=[KINDS[layer]]) as oracle:
        answers = oracle.alone([probe.given for probe in tried], Setup(switches))
    situation = BARE if layer == "torch_npu" else SERVED
    for probe, answer in zip(tried, answers, strict=True):
        taken, says = prediction((probe.given, *switches), situation)
        yield ProbeRow(probe, taken, says, answer)


def outcomes(python: Path) -> Iterator[CaseOutcome]:
    """Yield what becomes of the settings that exclude each other.

    Raises:
        EngineError: the vendors' code does not run.
    """
    for kind in KINDS.values():
        played: dict[EmulatedMachine, list[Case]] = {}
        for one in CASES:
            if one.through == kind:
                played.setdefault(one.machine, []).append(one)
        for machine, cases in played.items():
            with Oracle(python, machine, through=[kind]) as oracle:
                yield from (_outcome(oracle, one) for one in cases)


def _outcome(oracle: Oracle, case: Case) -> CaseOutcome:
    setup = Setup(case.switches, case.graph)
    trouble = oracle.at_once(case.givens, setup)
    if trouble is not None:
        kind = "misread" if trouble.verdict is Handling.READ_AS else "refused"
        return CaseOutcome(case, kind, trouble.sentence)
    (first, *others) = case.givens
    answer = oracle.alone([first], setup)[0]
    if not others and answer.verdict is Handling.READ_AS:
        return CaseOutcome(case, "misread", f"read as {answer.effective}")
    return CaseOutcome(case, "taken", answer.effective if case.shows else "")


def page(found: Mapping[str, Sequence[ProbeRow]], outcomes: Sequence[CaseOutcome]) -> str:
    """Return the page of all that was asked, as Markdown; ``found`` are the rows of each layer."""
    lines = [
        "# What the vendors' own code says",
        "",
        f"Made by `trimtab oracle table`: {LABEL}. torch_npu {_VERSIONS['torch-npu']} and",
        f"vllm-ascend {_VERSIONS['vllm-ascend']} were asked; the chip is an Ascend 910B3 (A2)",
        "where no other is named. Each text was set alone, in a process of its own. An answer is",
        "about reading and refusing, never about an NPU. The column *lint foresees* holds what",
        "`trimtab lint` reports for the same text.",
        "`tests/integration/oracle/test_vendors.py` fails if the two differ.",
        "The column *was read* holds what the sources and guides said before anybody asked.",
        "**no** marks a statement that the code does not keep.",
        "The answers corrected what lint foresees. Other versions of torch_npu:",
        "[since and until](oracle-versions.md).",
        "",
        _kept(found, outcomes),
        "",
        CORRECTIONS.read_text(encoding="utf-8").strip(),
    ]
    for layer, rows_ in found.items():
        lines += ["", f"## {layer} {_ASKED[layer]}", "", *_rows(rows_)]
    lines += ["", "## Together", "", *_outcomes(outcomes)]
    lines += ["", "Rules that are in no case, and why:", ""]
    lines += [f"- `{rule}`: {why}." for rule, why in NOT_ASKED.items()]
    lines += ["", "## Not decided here", ""]
    lines += [f"- `{name}`: {why}." for name, why in UNDECIDED.items()]
    return "\n".join([*lines, ""])


def _rows(found: Iterable[ProbeRow]) -> Iterator[str]:
    yield "| setting | text | was read | lint foresees | the code |"
    yield "|---|---|---|---|---|"
    for row in found:
        place = CATALOG[row.probe.tuning].knob.place
        told = row.prediction.value if row.prediction is not None else "nothing reads it"
        text = _cell(row.probe.text) or " "
        yield f"| `{place}` | `{text}` | {_read(row.stated, row.kept)} | {told} | {_said(row)} |"


def _said(row: ProbeRow) -> str:
    """Return the answer; bindings are left out, for they depend on the machine's CPUs."""
    if row.probe.tuning == "cpu-affinity-conf":
        return row.answer.verdict.value
    return _cell(sentence(row.answer))


def _outcomes(found: Iterable[CaseOutcome]) -> Iterator[str]:
    yield "| settings | through | rule | was read | the code |"
    yield "|---|---|---|---|---|"
    for outcome in found:
        said = (
            f"{outcome.outcome}: {_cell(outcome.sentence)}"
            if outcome.sentence
            else outcome.outcome
        )
        case, read = outcome.case, _read(outcome.case.said, outcome.kept)
        words = _cell(case.words)
        yield f"| `{words}` | {case.through} | `{case.rule}` | {read} | {said} |"


def _read(said: str | None, kept: bool) -> str:
    return (said if kept else f"{said}: **no**") if said else ""


def _kept(found: Mapping[str, Sequence[ProbeRow]], outcomes: Iterable[CaseOutcome]) -> str:
    """Return how many statements there were, and how many the code does not keep."""
    kept = [row.kept for rows_ in found.values() for row in rows_ if row.stated is not None]
    kept += [outcome.kept for outcome in outcomes if outcome.case.said]
    return f"Of {len(kept)} statements the code does not keep {kept.count(False)}."


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")

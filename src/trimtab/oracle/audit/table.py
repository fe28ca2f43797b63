"""Everything the catalogue says about the vendors' settings, put to their code: rows of a page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trimtab.catalog import CATALOG
from trimtab.catalog.values import Acceptance
from trimtab.emulator.machine import EmulatedMachine
from trimtab.model.situation import Situation
from trimtab.oracle import LABEL
from trimtab.oracle.audit.cases import CASES, NOT_ASKED, Case
from trimtab.oracle.audit.predictions import UNDECIDED, agrees, prediction, statement
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
        "about reading and refusing, never about an NPU. What lint foresees is what",
        "`trimtab lint` says of the same text; `tests/integration/oracle/test_vendors.py` fails",
        "where the two differ. What was read is what the sources and guides said of it before",
        "anybody asked, as far as they did; **no** marks a statement that the code does not keep.",
        "What lint foresees was mended by them. Other versions of torch_npu:",
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

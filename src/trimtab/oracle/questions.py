"""What the processes of files or of a machine are asked about, each on what it is to run on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from trimtab.catalog import CATALOG
from trimtab.emulator.machine import StandIn
from trimtab.knobs import Env, EnvList
from trimtab.model.document import Setting
from trimtab.model.finding import Finding
from trimtab.oracle import LABEL, settings, vendor
from trimtab.oracle import vendor as environment
from trimtab.oracle.ask import Oracle
from trimtab.oracle.model import VLLM_ASCEND, Given, Givens
from trimtab.oracle.output import findings
from trimtab.oracle.settings import Wanted


@dataclass(frozen=True, slots=True)
class Question:
    """The settings of one process, name → who made them, and what it is to run on.

    ``graph``: whether a refusal to capture a graph counts.
    """

    givens: Givens
    made: Mapping[str, Setting]
    wanted: Wanted
    graph: bool


@dataclass(frozen=True, slots=True)
class Answered:
    """The findings of each question, in order; and what was asked, one sentence each."""

    findings: tuple[tuple[Finding, ...], ...]
    asked: tuple[str, ...]


def answers(questions: Sequence[Question]) -> Answered:
    """Ask all questions; those about one chip and version share their child programs.

    Raises:
        EngineError: the vendors' software is not installed, or does not run.
    """
    sessions: dict[tuple[Path, str], list[tuple[int, Question]]] = {}
    for number, question in enumerate(questions):
        for python, part in _parts(question):
            sessions.setdefault((python, part.wanted.played), []).append((number, part))
    found: list[list[Finding]] = [[] for _ in questions]
    asked: list[str] = []
    for (python, chip), parts in sessions.items():
        with Oracle(python, StandIn(chip=chip)) as oracle:
            for number, part in parts:
                reply = oracle.ask(part.givens, graph=part.graph)
                found[number] += findings(reply, part.made, part.wanted)
                asked.append(f"{LABEL}: {part.wanted.asked(reply)}")
    return Answered(tuple(map(tuple, found)), tuple(dict.fromkeys(asked)))


def _parts(question: Question) -> Iterator[tuple[Path, Question]]:
    """Yield the interpreters to ask, each with what of a question it can answer.

    The environment of another torch_npu has no vllm-ascend: of what that reads, it would say that
    nothing asks for it. The rehearsal's own is asked about that, without the other settings.
    """
    python = environment.nearest(question.wanted.torch_npu)
    if VLLM_ASCEND in vendor.kinds(python):
        parts = [(python, question)]
    else:
        plugin = tuple(one for one in question.givens if _is_of_vllm_ascend(one))
        others = tuple(one for one in question.givens if one not in plugin)
        unnamed = replace(question.wanted, torch_npu="")  # what vllm-ascend runs on there
        parts = [(python, replace(question, givens=others))]
        if settings.asks(plugin):
            own = environment.interpreter()
            parts.append((own, replace(question, givens=plugin, wanted=unnamed)))
    yield from (one for one in parts if settings.asks(one[1].givens))


def _is_of_vllm_ascend(given: Given) -> bool:
    return given.is_option or given.name.startswith("VLLM_") or given.name in _variables()


@cache
def _variables() -> frozenset[str]:
    """Return the variables that vllm-ascend alone reads."""
    return frozenset(
        one.knob.name
        for one in CATALOG.values()
        if one.layer == "vllm_ascend" and isinstance(one.knob, Env | EnvList)
    )

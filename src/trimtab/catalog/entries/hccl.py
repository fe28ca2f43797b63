"""HCCL, the collective communication of Ascend: how operators are expanded and buffered."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from trimtab.catalog import applicability
from trimtab.catalog.rules.scene import Rule, Scene
from trimtab.catalog.schema import (
    GUIDE,
    HCCL_DOCS,
    VA,
    Claim,
    Context,
    Source,
    Tuning,
    advisory_entry,
)
from trimtab.catalog.values import Choice, Decimal, Integer
from trimtab.knobs import Env
from trimtab.model import Risk, RiskLevel
from trimtab.model.document import Document
from trimtab.model.finding import Action, Hit, Problem, Remedy, Severity
from trimtab.model.situation import Situation

_ASCEND = ("ascend",)
_MODE = "HCCL_OP_EXPANSION_MODE"
_EXEC = "HCCL_EXEC_TIMEOUT"
_BUFFER = "HCCL_BUFFSIZE"
_AIV_LIMIT = 1091
"""Seconds to which AIV cuts HCCL_EXEC_TIMEOUT (HCCL user guide, HCCL_EXEC_TIMEOUT)."""

_PARSER = Source("HCCL, environment parser", "src/common/alg_env_config.cc:176-190, 839-915")
_ADVICE = Source("HCCL, recommended configuration", "docs/zh/user_guide/recommended_config.md")

_BY_CHIP: Final = {
    "A2": ("HOST", "HOST_TS", "AI_CPU", "AIV"),
    "A3": ("AI_CPU", "AICPU_CacheDisable", "AIV"),
    "950": ("AICPU_TS", "AI_CPU", "AICPU_CacheDisable", "AIV", "CCU_MS", "CCU_SCHED"),
    "310P": ("HOST", "AI_CPU"),
    "910": (),
}
"""Modes of each chip, its default first (HCCL user guide, HCCL_OP_EXPANSION_MODE)."""

_ALL: Final = tuple(dict.fromkeys(mode for modes in _BY_CHIP.values() for mode in modes))


def _hccl_applies(context: Context) -> str | None:
    if applicability.parallel_refusal(context) is None:
        return "the baseline runs one worker on one NPU, which communicates with no other"
    return None


def _mode_of_chip(scene: Scene) -> Iterator[Hit]:
    mode, chip = scene.text(_MODE), scene.situation.chip
    if mode not in _ALL or chip is None or mode in _BY_CHIP[chip]:
        return
    legal = ", ".join(_BY_CHIP[chip]) or "none: leave it out"
    yield Hit(
        _MODE,
        f"{mode} is no mode of {chip}, so HCCL fails or takes its default",
        f"set one of {legal}",
    )


def _aiv(scene: Scene) -> bool:
    return scene.text(_MODE) == "AIV"


def _aiv_advice(scene: Scene) -> Iterator[Hit]:
    if not _aiv(scene) or scene.situation.chip not in (None, "A2"):
        return
    yield Hit(
        _MODE,
        (
            "HCCL recommends its default HOST for inference on A2: AIV is unpredictable with "
            "several communicators"
        ),
        "leave it out on A2 unless you measured that it helps",
        given="" if scene.situation.chip else "the chip is A2",
    )


def _aiv_timeout(scene: Scene) -> Iterator[Hit]:
    text = scene.text(_EXEC)
    if not _aiv(scene) or text is None or not re.fullmatch(r"\d{1,9}(\.\d{1,2})?", text):
        return
    if float(text) > _AIV_LIMIT or float(text) == 0:
        yield Hit(
            _EXEC,
            f"with {_MODE}=AIV, HCCL reads {text} as {_AIV_LIMIT} s, its limit",
            f"set at most {_AIV_LIMIT}",
            remedy=Remedy(Action.SET_VALUE, str(_AIV_LIMIT)),
        )


def _aiv_rivals(scene: Scene) -> Iterator[Hit]:
    if not _aiv(scene):
        return
    if scene.text("HCCL_DETERMINISTIC") in ("true", "strict"):
        yield Hit(
            _MODE,
            "HCCL_DETERMINISTIC wins over AIV: HCCL uses another mode",
            "keep one of the two",
        )
    if scene.text("HCCL_OP_RETRY_ENABLE") not in (None, "") and "1" in (
        scene.text("HCCL_OP_RETRY_ENABLE") or ""
    ):
        yield Hit(_MODE, "HCCL_OP_RETRY_ENABLE needs AI_CPU, not AIV", "keep one of the two")


def _buffer_reach(scene: Scene) -> Iterator[Hit]:
    if scene.text(_BUFFER) is not None:
        yield Hit(
            _BUFFER,
            (
                "vllm-ascend applies HCCL_BUFFSIZE to MoE dispatch (mc2 groups) alone; each "
                "communicator takes twice its value in device memory"
            ),
            "set it for MoE models only, and count its memory",
            given="the model has no experts that MC2 dispatches",
        )


def _mentioned(document: Document, situation: Situation) -> Iterator[Hit]:
    for mention in document.mentions:
        if mention.kind == "name" and mention.text == _BUFFER:
            yield Hit(
                _BUFFER,
                (
                    "the text does not say that HCCL_BUFFSIZE is MB for each communicator (200 by "
                    "default), and costs twice that"
                ),
                "add that beside it",
                place=mention.place,
            )


TUNINGS = (
    Tuning(
        name="hccl-op-expansion",
        layer="hccl",
        summary="Let the vector cores schedule collective communication.",
        details=(
            "What expands a collective into transfers: the host, the AI CPU or the vector cores. "
            "The default is HOST on A2 and 310P, AI_CPU on A3, AICPU_TS on 950; the text is "
            "case-sensitive. vllm-ascend's tutorials all say AIV, one reason being graphs: with "
            "AI_CPU at most six graphs can run at once on a card. AIV is limited: symmetric "
            "inference on one communicator, some collectives on one node only, at least 16 to 24 "
            "free vector cores on A2; large messages fall back to AI_CPU."
        ),
        knob=Env(_MODE),
        values=(None, "AIV"),
        stock="the chip's own: HOST on A2, AI_CPU on A3",
        accepts=Choice((*_ALL, ""), "HCCL fails with EI0001; the words are case-sensitive"),
        applies=_hccl_applies,
        risk=Risk(
            RiskLevel.MEDIUM,
            "HCCL's own advice for inference is this on A3, but the default HOST on A2; several "
            "communicators at once are unsupported with it, and HCCL_EXEC_TIMEOUT is capped at "
            "1091 s.",
        ),
        platforms=_ASCEND,
        claims=(
            Claim("One unofficial report: about 10 %.", Source("a community report", "weak")),
        ),
        rules=(
            Rule(
                id="hccl-mode-chip",
                severity=Severity.WARNING,
                problem=Problem.WRONG_VALUE,
                summary="The mode does not exist on this chip.",
                process=_mode_of_chip,
                traps=("T11",),
            ),
            Rule(
                id="hccl-aiv-a2",
                severity=Severity.WARNING,
                problem=Problem.ADVICE,
                summary="HCCL recommends its default, not AIV, for inference on A2.",
                process=_aiv_advice,
                traps=("T11",),
            ),
            Rule(
                id="hccl-aiv-rivals",
                severity=Severity.WARNING,
                problem=Problem.CONFLICT,
                summary="Another setting excludes AIV.",
                process=_aiv_rivals,
            ),
        ),
        sources=(GUIDE, _ADVICE, _PARSER, Source(HCCL_DOCS, "HCCL_OP_EXPANSION_MODE.md")),
    ),
    advisory_entry(
        "hccl-buffsize",
        "hccl",
        "The buffer that a communicator shares with each peer, in MB.",
        _BUFFER,
        Source(HCCL_DOCS, "HCCL_BUFFSIZE.md"),
        Source(f"{VA}, groups", "vllm_ascend/utils.py:70-72, 960-1005"),
        GUIDE,
        stock="200 MB",
        default="200",
        details=(
            "Sending and receiving each take it, so a communicator costs twice that of device "
            "memory. A rule of thumb: micro-batch x sequence x hidden size x bytes / 1 MiB. "
            "vllm-ascend passes its own sizes (200, data parallel 50, expert load balancing 100) "
            "to all groups whose names lack mc2, and those outrank the variable. Its fused "
            "dispatch operator reads junk or more than 65535 silently as 200."
        ),
        accepts=Integer(1, None, "HCCL and torch_npu fail", unit="MB"),
        torch_npu_reads="too",
        platforms=_ASCEND,
        risk=Risk(RiskLevel.MEDIUM, "Twice its value of device memory for each communicator."),
        rules=(
            Rule(
                id="hccl-buffsize-reach",
                severity=Severity.INFO,
                problem=Problem.NO_EFFECT,
                summary="vllm-ascend overrides it for all groups but MC2's.",
                process=_buffer_reach,
                traps=("T14",),
            ),
            Rule(
                id="hccl-buffsize-unsaid",
                severity=Severity.INFO,
                problem=Problem.ADVICE,
                summary="A text names it without unit, cost and reach.",
                text=_mentioned,
                traps=("T14",),
            ),
        ),
    ),
    advisory_entry(
        "hccl-exec-timeout",
        "hccl",
        "How long a collective may take before it fails, in seconds.",
        _EXEC,
        Source(HCCL_DOCS, "HCCL_EXEC_TIMEOUT.md"),
        stock="1836 s; 1091 s with AIV",
        default="1836",
        details="0 is never, with AIV 1091 s. On 310P and 910 it counts in multiples of 68 s.",
        accepts=Decimal(0, 2_147_483_647, "HCCL fails; at most two decimals"),
        torch_npu_reads="too",
        platforms=_ASCEND,
        rules=(
            Rule(
                id="hccl-aiv-timeout",
                severity=Severity.WARNING,
                problem=Problem.NO_EFFECT,
                summary="AIV cuts the timeout to 1091 s.",
                process=_aiv_timeout,
                traps=("T31",),
            ),
        ),
    ),
    advisory_entry(
        "hccl-connect-timeout",
        "hccl",
        "How long ranks wait for each other at the start, in seconds.",
        "HCCL_CONNECT_TIMEOUT",
        Source(HCCL_DOCS, "HCCL_CONNECT_TIMEOUT.md"),
        stock="120 s",
        default="120",
        accepts=Integer(120, 7200, "HCCL fails with EI0001", unit="s"),
        details="The effective time is 20 s longer.",
        platforms=_ASCEND,
    ),
    advisory_entry(
        "hccl-deterministic",
        "hccl",
        "Reduce in a fixed order: the same bits every time, and slower.",
        "HCCL_DETERMINISTIC",
        Source(HCCL_DOCS, "HCCL_DETERMINISTIC.md"),
        stock="false",
        default="false",
        accepts=Choice(("false", "true", "strict"), "HCCL fails", ignore_case=True),
        torch_npu_reads="too",
        platforms=_ASCEND,
        risk=Risk(RiskLevel.LOW, "Communication gets slower, and AIV is not used."),
    ),
    advisory_entry(
        "hccl-op-retry",
        "hccl",
        "Repeat a collective after a communication fault.",
        "HCCL_OP_RETRY_ENABLE",
        Source(HCCL_DOCS, "HCCL_OP_RETRY_ENABLE.md"),
        stock="off",
        details="It needs the mode AI_CPU.",
        platforms=_ASCEND,
    ),
    advisory_entry(
        "hccl-algo",
        "hccl",
        "The algorithm of collectives at each level of the topology.",
        "HCCL_ALGO",
        Source(HCCL_DOCS, "HCCL_ALGO.md"),
        stock="chosen by HCCL",
        details="Level 0 must be NA; level 2 needs the mode AI_CPU. It is parsed on A3.",
        platforms=_ASCEND,
    ),
)

"""Settings of torch_npu's dispatch and streams. They are read once, at the first use of each."""

from __future__ import annotations

import re
from collections.abc import Iterator

from trimtab.catalog.rules.scene import Rule, Scene
from trimtab.catalog.schema import GUIDE, TN, VA, Claim, Context, Source, Tuning, advisory_entry
from trimtab.catalog.values import (
    SWITCH,
    Acceptance,
    CustomReader,
    Option,
    Reading,
    is_switched_on,
)
from trimtab.facts import Facts
from trimtab.knobs import Env
from trimtab.knobs.server_arg import Switch
from trimtab.model import Check, CheckKind, Proof, Risk, RiskLevel, Settings, Value
from trimtab.model.finding import Hit, Problem, Severity

_ASCEND = ("ascend",)
_OPTIONS = Source(f"{TN}, options", "OptionsManager.cpp:570-584")
_CAPTURE = Source(f"{TN}, graph capture", "csrc/core/npu/NPUGraph.cpp:242-247")
_QUEUE = "TASK_QUEUE_ENABLE"
_BLOCKING = "ASCEND_LAUNCH_BLOCKING"
_PER_STREAM = "PER_STREAM_QUEUE"
_THREAD = "acl_thread"
"""What torch_npu calls the thread of a queue."""


def _strtol(text: str) -> Reading:
    """Read as C's strtol does: leading digits count, and no digit at all is 0."""
    digits = re.match(r"\s*[+-]?\d+", text)
    if digits is None:
        return Reading(
            Acceptance.MISREAD,
            f"it must be 0, 1 or 2, and {text!r} is no number: it is silently read as 0, which "
            "switches the queue off",
        )
    number = int(digits[0][:12])
    if number not in (0, 1, 2):
        return Reading(
            Acceptance.REFUSED, f"it must be 0, 1 or 2, but is {text!r}: torch_npu raises"
        )
    if text[digits.end() :].strip():
        return Reading(
            Acceptance.MISREAD, f"it must be 0, 1 or 2: {text!r} is silently read as {number}"
        )
    return Reading.fine()


def _queue_applies(context: Context) -> str | None:
    eager = Switch("--enforce-eager").parse(context.baseline) is True
    if eager or context.tries.get("task-queue", "2") != "2":
        return None
    return (
        "2 is refused while graphs are captured, which vllm-ascend does by default: "
        "it needs --enforce-eager"
    )


def _arrived(name: str, value: Value) -> Check:
    return Check(CheckKind.ENVIRON, name, str(value), roles=("api",), proves=Proof.DELIVERY)


def _queue_checks(value: Value, facts: Facts, settings: Settings) -> tuple[Check, ...]:
    """Level 1 and 2 have the thread alike: that it is level 2, only the delivery proves.

    Without torch_npu nothing could have the thread: the guide, verbatim, is an arm elsewhere too.
    """
    delivered = _arrived(_QUEUE, value)
    if "torch-npu" not in facts.packages:
        return (delivered,)
    return (delivered, Check(CheckKind.THREAD_NAMED, _THREAD, value != "0"))


def _queue_on(facts: Facts, settings: Settings) -> bool:
    """Whether there is a queue, so that what acts on it can show in its thread."""
    text = dict(settings.env).get(_QUEUE)
    return "torch-npu" in facts.packages and (text is None or is_switched_on(text))


def _blocking_checks(value: Value, facts: Facts, settings: Settings) -> tuple[Check, ...]:
    """Launch blocking takes the queue away; off, or beside no queue, it shows nowhere."""
    delivered = _arrived(_BLOCKING, value)
    if not is_switched_on(str(value)) or not _queue_on(facts, settings):
        return (delivered,)
    return (delivered, Check(CheckKind.THREAD_NAMED, _THREAD, False))


def _per_stream_checks(value: Value, facts: Facts, settings: Settings) -> tuple[Check, ...]:
    """Each stream that was used has a thread of its own; a server that answers uses several."""
    delivered = _arrived(_PER_STREAM, value)
    blocked = is_switched_on(dict(settings.env).get(_BLOCKING))
    if not is_switched_on(str(value)) or blocked or not _queue_on(facts, settings):
        return (delivered,)
    return (delivered, Check(CheckKind.THREADS_NAMED, _THREAD, 2))


def _queue_and_graphs(scene: Scene) -> Iterator[Hit]:
    if scene.text(_QUEUE) != "2" or scene.graphs is False:
        return
    sure = scene.graphs is True
    yield Hit(
        _QUEUE,
        f"torch_npu refuses {_QUEUE}=2 while it captures a graph, and the server exits",
        "set it to 1, or serve with --enforce-eager",
        given="" if sure else "graphs are on, vllm-ascend's default",
        severity=Severity.ERROR if sure else Severity.WARNING,
    )


def _queue_and_blocking(scene: Scene) -> Iterator[Hit]:
    blocking = scene.text(_BLOCKING)
    if is_switched_on(blocking) and scene.text(_QUEUE) not in (None, "0"):
        yield Hit(
            _QUEUE,
            f"ASCEND_LAUNCH_BLOCKING={blocking} forces the task queue off",
            "take ASCEND_LAUNCH_BLOCKING out",
        )


def _blocking_and_graphs(scene: Scene) -> Iterator[Hit]:
    if scene.text(_BLOCKING) != "1" or scene.graphs is False:
        return  # vllm-ascend looks for this one text
    sure = scene.graphs is True
    yield Hit(
        _BLOCKING,
        "vllm-ascend refuses ASCEND_LAUNCH_BLOCKING while graphs are on",
        "take it out: it is for debugging",
        given="" if sure else "graphs are on, vllm-ascend's default",
        severity=Severity.ERROR if sure else Severity.WARNING,
    )


def _per_stream(scene: Scene) -> Iterator[Hit]:
    if scene.text(_PER_STREAM) == "1" and scene.text(_QUEUE) == "0":
        yield Hit(
            _PER_STREAM,
            f"PER_STREAM_QUEUE acts only while {_QUEUE} is 1 or 2",
            f"take it out, or set {_QUEUE}=1",
        )


def _queue_lead(context: Context) -> str:
    if _queue_applies(context) is not None:
        return ""
    return (
        "without graphs every operator is dispatched by the host, and level 2 takes the workspace "
        "memory off that path too (one published log: decode 1.74 times as fast)"
    )


_CLAIM_QUEUE = Claim(
    "One unofficial log: decode without graphs 1.74 times as fast with 2.",
    Source("a community log", "unofficial, not repeated"),
)

TUNINGS = (
    Tuning(
        name="task-queue",
        layer="torch_npu",
        summary="Dispatch operators through a two-stage queue, workspace memory included.",
        details=(
            "0 is off, 1 dispatches in two stages, 2 moves the work on workspace memory to the "
            "second stage too. All vllm-ascend images bake 1, which is also torch_npu's default; "
            "the guide says 2, which the capture of a graph refuses, and graphs are vllm-ascend's "
            "default. An interactive Python sets it to 0. Whether it is on shows in a live worker "
            "as a thread named acl_thread."
        ),
        knob=Env(_QUEUE),
        values=(None, "2", "1", "0"),
        stock="1",
        default="1",
        accepts=CustomReader("0, 1 or 2", _strtol),
        applies=_queue_applies,
        lead=_queue_lead,
        checks=_queue_checks,
        prior=0.2,  # less than half of what a single log tells
        risk=Risk(RiskLevel.MEDIUM, "The peak of device memory rises."),
        platforms=_ASCEND,
        claims=(_CLAIM_QUEUE,),
        rules=(
            Rule(
                id="task-queue-graphs",
                severity=Severity.ERROR,
                problem=Problem.CONFLICT,
                summary="Level 2 is refused while graphs are captured.",
                process=_queue_and_graphs,
                traps=("T8",),
            ),
            Rule(
                id="task-queue-blocking",
                severity=Severity.WARNING,
                problem=Problem.NO_EFFECT,
                summary="Launch blocking forces the task queue off.",
                process=_queue_and_blocking,
            ),
        ),
        sources=(GUIDE, _CAPTURE, _OPTIONS),
    ),
    advisory_entry(
        "ascend-launch-blocking",
        "torch_npu",
        "Run every operator synchronously: for debugging only.",
        _BLOCKING,
        _OPTIONS,
        Source(f"{VA}, platform", "vllm_ascend/platform.py:1110"),
        stock="0: asynchronous",
        default="0",
        details="It forces the task queue off, and vllm-ascend refuses it while graphs are on.",
        accepts=SWITCH,
        checks=_blocking_checks,
        platforms=_ASCEND,
        rules=(
            Rule(
                id="launch-blocking-graphs",
                severity=Severity.ERROR,
                problem=Problem.CONFLICT,
                summary="vllm-ascend refuses launch blocking while graphs are on.",
                process=_blocking_and_graphs,
            ),
        ),
    ),
    advisory_entry(
        "multi-stream-memory-reuse",
        "torch_npu",
        "Let a stream reuse memory that another stream has done with.",
        "MULTI_STREAM_MEMORY_REUSE",
        Source(f"{TN}, environment variables", "memory_management/MULTI_STREAM_MEMORY_REUSE.md"),
        stock="1",
        default="1",
        details=(
            "It releases the memory of a communication stream early, so that the computing stream "
            "can reuse it. This is what the guide's comment above expandable_segments describes."
        ),
        accepts=Option((0, 1, 2, 3), "torch_npu raises an exception"),
        platforms=_ASCEND,
    ),
    advisory_entry(
        "per-stream-queue",
        "torch_npu",
        "Give each stream a dispatch queue of its own (experimental).",
        _PER_STREAM,
        _OPTIONS,
        stock="0",
        default="0",
        details=(
            "It acts only while the task queue is on. It shows in a worker that has answered "
            "requests as several threads named acl_thread."
        ),
        accepts=SWITCH,
        checks=_per_stream_checks,
        platforms=_ASCEND,
        rules=(
            Rule(
                id="per-stream-queue-off",
                severity=Severity.WARNING,
                problem=Problem.NO_EFFECT,
                summary="Queues for each stream act only while the task queue is on.",
                process=_per_stream,
            ),
        ),
    ),
    advisory_entry(
        "streams-per-device",
        "torch_npu",
        "How many streams torch_npu keeps for each device.",
        "STREAMS_PER_DEVICE",
        _OPTIONS,
        stock="32",
        default="32",
        accepts=Option((8, 32), "torch_npu warns and takes 32", Acceptance.MISREAD),
        platforms=_ASCEND,
    ),
)

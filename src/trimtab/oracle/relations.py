"""Settings that the catalogue says exclude each other, as cases for the vendors' code. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from trimtab.oracle.model import ADDITIONAL, PARALLEL, SLEEP, TORCH_NPU, VLLM_ASCEND, Given, Givens

_CONF, _ALIAS = "PYTORCH_NPU_ALLOC_CONF", "PYTORCH_ALLOC_CONF"
_QUEUE, _BLOCKING = "TASK_QUEUE_ENABLE", "ASCEND_LAUNCH_BLOCKING"
_EAGER, _SLEEP = Given("--enforce-eager", ""), Given(SLEEP, "")


@dataclass(frozen=True, slots=True)
class Case:
    """Settings that are given together.

    ``rule`` is the rule or conflict of the catalogue that is about them. ``outcome`` is "refused",
    "misread" or "taken"; ``said`` what was known before anybody asked (see ``reference``), "" if
    nothing.
    """

    rule: str
    givens: Givens
    outcome: str
    through: str = TORCH_NPU
    switches: Givens = ()
    graph: bool = False
    said: str = ""

    @property
    def words(self) -> str:
        """The settings as people write them."""
        told = [one.place for one in (*self.switches, *self.givens)]
        return " with ".join([*told, "the capture of a graph"] if self.graph else told)


def _conf(text: str) -> Given:
    return Given(_CONF, text)


def _config(text: str) -> Given:
    return Given(ADDITIONAL, text)


_SPLIT, _ON = "max_split_size_mb:250", "expandable_segments:True"

CASES: tuple[Case, ...] = (
    Case("alloc-conf-both-names", (_conf(_ON), Given(_ALIAS, _ON)), "refused", said="refused"),
    Case("alloc-conf-both-names", (Given(_ALIAS, _ON),), "taken", said="taken"),
    Case("alloc-conf-both-names", (Given(_ALIAS, _ON),), "refused", VLLM_ASCEND, said="refused"),
    Case(
        "alloc-conf-both-names", (Given(_ALIAS, _SPLIT),), "refused", VLLM_ASCEND, said="refused"
    ),
    Case("conflict", (_conf(f"{_SPLIT},{_ON}"),), "refused", said="refused"),
    Case(
        "conflict", (_conf(f"garbage_collection_threshold:0.8,{_ON}"),), "refused", said="refused"
    ),
    Case("conflict", (_conf(f"{_SPLIT},expandable_segments:False"),), "taken"),
    Case(
        "alloc-conf-split-segment",
        (_conf("max_split_size_mb:30,large_segment_size_mb:40"),),
        "refused",
        said="refused",
    ),
    Case(
        "alloc-conf-split-segment",
        (_conf("max_split_size_mb:40,large_segment_size_mb:40"),),
        "taken",
        said="taken",
    ),
    Case("alloc-conf-syntax", (_conf(""),), "taken"),
    Case("alloc-conf-syntax", (_conf(""),), "refused", VLLM_ASCEND, said="refused"),
    Case("alloc-conf-syntax", (_conf(f",{_ON}"),), "refused", said="refused"),
    Case("alloc-conf-syntax", (_conf(f"{_SPLIT},"),), "taken"),
    Case("alloc-conf-syntax", (_conf("max_split_size_mb"),), "refused", said="refused"),
    Case("alloc-conf-key", (_conf("nonsense:1"),), "refused", said="refused"),
    Case("task-queue-graphs", (Given(_QUEUE, "2"),), "refused", graph=True, said="refused"),
    Case("task-queue-graphs", (Given(_QUEUE, "2"),), "taken", said="taken"),
    Case(
        "task-queue-blocking",
        (Given(_QUEUE, "1"), Given(_BLOCKING, "1")),
        "misread",
        said="misread",
    ),
    Case("task-queue-blocking", (Given(_QUEUE, "1"), Given(_BLOCKING, "0")), "taken"),
    Case(
        "launch-blocking-graphs", (Given(_BLOCKING, "1"),), "refused", VLLM_ASCEND, said="refused"
    ),
    Case("launch-blocking-graphs", (Given(_BLOCKING, "1"),), "taken", VLLM_ASCEND, (_EAGER,)),
    Case("launch-blocking-graphs", (Given(_BLOCKING, "2"),), "misread", VLLM_ASCEND),
    Case(
        "per-stream-queue-off",
        (Given("PER_STREAM_QUEUE", "1"), Given(_QUEUE, "0")),
        "misread",
        said="misread",
    ),
    Case("inf-nan-chip", (Given("INF_NAN_MODE_ENABLE", "0"),), "refused"),
    Case(
        "inf-nan-chip",
        (Given("INF_NAN_MODE_ENABLE", "0"), Given("INF_NAN_MODE_FORCE_DISABLE", "1")),
        "taken",
    ),
    Case(
        "fused-mc2-rivals",
        (_config('{"enable_fused_mc2": 1, "enable_mc2_hierarchy_comm": true}'),),
        "refused",
        VLLM_ASCEND,
        said="refused",
    ),
    Case(
        "fused-mc2-rivals",
        (_config('{"enable_fused_mc2": 1, "multistream_overlap_shared_expert": true}'),),
        "misread",
        VLLM_ASCEND,
        said="refused",
    ),
    Case(
        "expandable-with-sleep-mode",
        (_conf(_ON),),
        "refused",
        VLLM_ASCEND,
        (_SLEEP,),
        said="refused",
    ),
    Case("expandable-with-sleep-mode", (_conf(_SPLIT),), "taken", VLLM_ASCEND, (_SLEEP,)),
    Case(
        "recompute-scheduler-role",
        (_config('{"recompute_scheduler_enable": true}'),),
        "refused",
        VLLM_ASCEND,
        said="refused",
    ),
    Case("additional-config-json", (_config("{"),), "refused", VLLM_ASCEND),
    Case(
        "additional-config-quoted",
        (_config('{"enable_mlapo": "False"}'),),
        "misread",
        VLLM_ASCEND,
        said="misread",
    ),
    Case(
        "value-refused",
        (_config('{"enable_flashcomm2_parallel_size": 4}'),),
        "refused",
        VLLM_ASCEND,
        (Given(PARALLEL, "2"),),
    ),
)

"""Settings that the catalogue says exclude each other, as cases for the vendors' code. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from trimtab.emulator.machine import EmulatedMachine
from trimtab.oracle.model import (
    ADDITIONAL,
    PARALLEL,
    SLEEP,
    TORCH_NPU,
    VLLM_ASCEND,
    OracleSetting,
    OracleSettings,
)

_CONF, _ALIAS = "PYTORCH_NPU_ALLOC_CONF", "PYTORCH_ALLOC_CONF"
_AFFINITY, _INF_NAN = "CPU_AFFINITY_CONF", "INF_NAN_MODE_ENABLE"
_QUEUE, _BLOCKING = "TASK_QUEUE_ENABLE", "ASCEND_LAUNCH_BLOCKING"
_EAGER, _SLEEP = OracleSetting("--enforce-eager", ""), OracleSetting(SLEEP, "")


@dataclass(frozen=True, slots=True)
class Case:
    """Settings that are given together.

    ``rule`` is the rule or conflict of the catalogue that is about them. ``outcome`` is "refused",
    "misread" or "taken"; ``said`` what was known before anybody asked (see ``reference``), "" if
    nothing. ``shows`` is what is read back of the first of them, to the letter; "" where it does
    not matter. ``chip`` and ``devices`` are those that the stand-in plays.
    """

    rule: str
    givens: OracleSettings
    outcome: str
    through: str = TORCH_NPU
    switches: OracleSettings = ()
    graph: bool = False
    said: str = ""
    shows: str = ""
    chip: str = EmulatedMachine().chip
    devices: int = EmulatedMachine().devices

    @property
    def machine(self) -> EmulatedMachine:
        """The machine that they are given on."""
        return EmulatedMachine(chip=self.chip, devices=self.devices)

    @property
    def words(self) -> str:
        """The settings as people write them, and the machine where it is another than usual."""
        told = [setting.place for setting in (*self.switches, *self.givens)]
        text = " with ".join([*told, "the capture of a graph"] if self.graph else told)
        usual = EmulatedMachine()
        where = [f"a {self.chip}"] if self.chip != usual.chip else []
        if self.devices != usual.devices:
            where.append("one device" if self.devices == 1 else f"{self.devices} devices")
        return f"{text} on {', '.join(where)}" if where else text


def _conf(text: str) -> OracleSetting:
    return OracleSetting(_CONF, text)


def _config(text: str) -> OracleSetting:
    return OracleSetting(ADDITIONAL, text)


_SPLIT, _ON = "max_split_size_mb:250", "expandable_segments:True"
_BOUND, _UNBOUND = "acl_thread on 0, release_thread on 0", "no thread is bound"

CASES: tuple[Case, ...] = (
    Case(
        "alloc-conf-both-names",
        (_conf(_ON), OracleSetting(_ALIAS, _ON)),
        "refused",
        said="refused",
    ),
    Case("alloc-conf-both-names", (OracleSetting(_ALIAS, _ON),), "taken", said="taken"),
    Case(
        "alloc-conf-both-names",
        (OracleSetting(_ALIAS, _ON),),
        "refused",
        VLLM_ASCEND,
        said="refused",
    ),
    Case(
        "alloc-conf-both-names",
        (OracleSetting(_ALIAS, _SPLIT),),
        "refused",
        VLLM_ASCEND,
        said="refused",
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
    Case(
        "task-queue-graphs", (OracleSetting(_QUEUE, "2"),), "refused", graph=True, said="refused"
    ),
    Case("task-queue-graphs", (OracleSetting(_QUEUE, "2"),), "taken", said="taken"),
    Case(
        "task-queue-blocking",
        (OracleSetting(_QUEUE, "1"), OracleSetting(_BLOCKING, "1")),
        "misread",
        said="misread",
    ),
    Case(
        "task-queue-blocking", (OracleSetting(_QUEUE, "1"), OracleSetting(_BLOCKING, "0")), "taken"
    ),
    Case(
        "launch-blocking-graphs",
        (OracleSetting(_BLOCKING, "1"),),
        "refused",
        VLLM_ASCEND,
        said="refused",
    ),
    Case(
        "launch-blocking-graphs", (OracleSetting(_BLOCKING, "1"),), "taken", VLLM_ASCEND, (_EAGER,)
    ),
    Case("launch-blocking-graphs", (OracleSetting(_BLOCKING, "2"),), "misread", VLLM_ASCEND),
    Case(
        "per-stream-queue-off",
        (OracleSetting("PER_STREAM_QUEUE", "1"), OracleSetting(_QUEUE, "0")),
        "misread",
        said="misread",
    ),
    Case("inf-nan-chip", (OracleSetting(_INF_NAN, "0"),), "refused"),
    Case(
        "inf-nan-chip",
        (OracleSetting(_INF_NAN, "0"), OracleSetting("INF_NAN_MODE_FORCE_DISABLE", "1")),
        "taken",
    ),
    Case("inf-nan-chip", (OracleSetting(_INF_NAN, "0"),), "refused", chip="910_93"),
    Case("inf-nan-chip", (OracleSetting(_INF_NAN, "0"),), "taken", chip="310P"),
    Case("inf-nan-chip", (OracleSetting(_INF_NAN, "0"),), "taken", chip="950"),
    Case(
        "cpu-affinity-overlap",
        (OracleSetting(_AFFINITY, "1"),),
        "taken",
        shows=_UNBOUND,
        devices=1,
    ),
    Case("cpu-affinity-chip", (OracleSetting(_AFFINITY, "1,npu0:0-0"),), "taken", shows=_BOUND),
    Case(
        "cpu-affinity-chip",
        (OracleSetting(_AFFINITY, "1,npu0:0-0"),),
        "taken",
        said="misread",
        shows=_BOUND,
        chip="310P",
    ),
    Case(
        "no-memory-caching",
        (OracleSetting("PYTORCH_NO_NPU_MEMORY_CACHING", "1"),),
        "taken",
        shows="the cache is off",
    ),
    Case(
        "expandable-by-default",
        (_conf("page_size:1g"),),
        "taken",
        VLLM_ASCEND,
        shows=f"page_size:1g, vllm-ascend makes it page_size:1g,{_ON}",
    ),
    Case("expandable-by-default", (_conf(_ON),), "taken", VLLM_ASCEND, shows=_ON),
    Case("max-split-opts-out", (_conf(_SPLIT),), "taken", VLLM_ASCEND, shows=_SPLIT),
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
    *(
        Case(
            "flashcomm2-above-tp",
            (_config(f'{{"enable_flashcomm2_parallel_size": {size}}}'),),
            outcome,
            VLLM_ASCEND,
            (OracleSetting(PARALLEL, "2"),),
        )
        for size, outcome in ((4, "refused"), (2, "refused"), (1, "taken"))
    ),
)

NOT_ASKED: Mapping[str, str] = MappingProxyType(
    {
        "alloc-conf-comment": "it is about a comment, which sets nothing",
        "alloc-conf-pinned-graphs": (
            "the stand-in plays no driver with which torch_npu lets "
            "pin_memory_expandable_segments stay on"
        ),
        "cpu-affinity-cpuset": "a check gives settings, and binds no process before",
        "cpu-affinity-overwritten": (
            "a worker binds after its warm-up, on ARM, and a check starts no worker"
        ),
        "cpu-binding-x86": "a worker skips the binding after its warm-up, and a check starts none",
    }
)
"""Rule of the layers that are asked → why no case can be about it."""

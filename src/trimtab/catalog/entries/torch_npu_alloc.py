"""The device allocator of torch_npu: one entry for each key of PYTORCH_NPU_ALLOC_CONF.

Facts: torch_npu NPUAllocatorConfig.cpp and the environment-variable reference of Ascend/pytorch;
the refusals were also seen from the 2.13.0 wheel's binary (see docs/vendor-names.md).
"""

from __future__ import annotations

from trimtab.catalog.rules import alloc_conf
from trimtab.catalog.rules.alloc_conf import NAME, RAISES
from trimtab.catalog.rules.scene import Rule
from trimtab.catalog.schema import GUIDE, TN, VA, Relation, Source, Tuning, advisory_entry
from trimtab.catalog.values import (
    Choice,
    CustomReader,
    Integer,
    Share,
    Size,
    ValueReader,
    divisions,
)
from trimtab.knobs import EnvList
from trimtab.model import Risk, RiskLevel
from trimtab.model.finding import Problem, Severity

_ASCEND = ("ascend",)
_CONFIG = Source(f"{TN}, allocator configuration", "NPUAllocatorConfig.cpp:236-413")
_REFERENCE = Source(f"{TN}, environment variables", "memory_management/PYTORCH_NPU_ALLOC_CONF.md")
_PLATFORM = Source(f"{VA}, platform", "vllm_ascend/platform.py:1208-1227")
_BOOLEAN = Choice(("True", "False"), f"{RAISES}; the words are case-sensitive", blanks=True)


def _key(
    key: str,
    summary: str,
    accepts: ValueReader,
    stock: str,
    details: str,
    *conflicts: Relation,
    superseded_by: str = "",
    rules: tuple[Rule, ...] = (),
) -> Tuning:
    return advisory_entry(
        f"npu-{key.replace('_', '-')}",
        "torch_npu",
        summary,
        EnvList(NAME, key),
        _CONFIG,
        _REFERENCE,
        stock=stock,
        accepts=accepts,
        details=details,
        conflicts=conflicts,
        platforms=_ASCEND,
        superseded_by=superseded_by,
        rules=rules,
    )


_NEW = "TorchNPU 26.2 or later: an older one refuses the key as unknown."
_REFUSED = "torch_npu raises an exception when both are set"
_EXPANDABLE = Relation("npu-expandable-segments", _REFUSED, fatal=True, values=("True",))

TUNINGS = (
    Tuning(
        name="npu-max-split-size",
        layer="torch_npu",
        summary="Do not split device memory blocks above 250 MB: less fragmentation.",
        details=(
            "It excludes expandable_segments, which vllm-ascend sets by default: setting it opts "
            "out of that. The guide says 250, vllm-ascend's own tests 256, its tutorials nothing. "
            "No effect on speed was published."
        ),
        knob=EnvList(NAME, "max_split_size_mb"),
        values=(None, "250"),
        stock="no limit",
        accepts=Size(20, None, "MB", RAISES),
        conflicts=(_EXPANDABLE,),
        risk=Risk(RiskLevel.LOW, "It opts out of expandable segments, vllm-ascend's own default."),
        platforms=_ASCEND,
        rules=(
            Rule(
                id="max-split-opts-out",
                severity=Severity.WARNING,
                problem=Problem.ADVICE,
                summary="It switches vllm-ascend's own default of expandable segments off.",
                process=alloc_conf.default_opt_out,
                traps=("T9",),
            ),
        ),
        sources=(GUIDE, Source(f"{TN}, conflicts", "NPUAllocatorConfig.cpp:306-312"), _PLATFORM),
    ),
    Tuning(
        name="npu-expandable-segments",
        layer="torch_npu",
        summary="Grow device memory segments instead of adding new ones.",
        details=(
            "vllm-ascend sets it by itself when sleep mode is off, so setting it by hand changes "
            "nothing. It needs HDK 23.0.0 (24.1.RC3 for several cards in one process); where the "
            "driver cannot reserve addresses torch_npu warns and goes on without. All tutorials "
            "set it."
        ),
        knob=EnvList(NAME, "expandable_segments"),
        values=(None, "True"),
        stock="vllm-ascend sets it itself when sleep mode is off",
        accepts=_BOOLEAN,
        risk=Risk(RiskLevel.LOW, "It needs HDK 23.0.0 or later, and sleep mode refuses it."),
        platforms=_ASCEND,
        rules=(
            Rule(
                id="expandable-with-sleep-mode",
                severity=Severity.ERROR,
                problem=Problem.CONFLICT,
                summary="Sleep mode's allocator asserts that expandable segments are off.",
                process=alloc_conf.sleep_conflict,
                traps=("T9",),
            ),
            Rule(
                id="expandable-by-default",
                severity=Severity.INFO,
                problem=Problem.NO_EFFECT,
                summary="vllm-ascend sets it itself.",
                process=alloc_conf.redundant_default,
            ),
            *alloc_conf.RULES,
        ),
        sources=(
            GUIDE,
            _PLATFORM,
            Source(f"{VA}, sleep mode", "vllm_ascend/device_allocator/camem.py:152-157"),
            _CONFIG,
        ),
    ),
    _key(
        "garbage_collection_threshold",
        "Reclaim cached device blocks above this share of memory.",
        Share(includes_one=False, consequence=RAISES),
        "0: off",
        "It is meant to go with a memory limit for the process.",
        _EXPANDABLE,
    ),
    _key(
        "base_addr_aligned_kb",
        "Align block addresses to this many KB.",
        Integer(0, 16, RAISES, unit="KB"),
        "16",
        "It acts with expandable_segments only.",
    ),
    _key(
        "page_size",
        "Take device memory in pages of 1 GB.",
        Choice(("1g",), RAISES, blanks=True),
        "2 MB pages",
        "It overrides sizes above 1 MB. A2 and A3, HDK 25.0.RC1 and CANN 8.1.RC1 or later.",
    ),
    _key(
        "segment_size_mb",
        "The size of a segment.",
        Integer(20, 512, RAISES, unit="MB"),
        "20",
        "Deprecated: large_segment_size_mb takes its place (TorchNPU 26.1, PyTorch 2.11).",
        superseded_by="large_segment_size_mb",
    ),
    _key(
        "large_segment_size_mb",
        "The size of a large segment.",
        Size(11, None, "MB", RAISES),
        "20",
        "TorchNPU 26.1 and PyTorch 2.11 or later; max_split_size_mb must be at least as large.",
        rules=(alloc_conf.SPLIT_BELOW_SEGMENT,),
    ),
    _key(
        "roundup_power2_divisions",
        "Round sizes up to parts of a power of two.",
        CustomReader("a power of two, or [size:divisions,...]", divisions),
        "off",
        "Fewer distinct sizes let more blocks be reused.",
    ),
    _key(
        "multi_stream_lazy_reclaim",
        "Poll events less when memory is shared between streams.",
        _BOOLEAN,
        "False",
        "TorchNPU after 7.3.0; for work that the host limits on several streams.",
    ),
    _key(
        "pinned_use_background_threads",
        "Free pinned host memory in background threads.",
        _BOOLEAN,
        "False",
        "TorchNPU 26.0 and PyTorch 2.8 or later.",
    ),
    _key(
        "pin_memory_expandable_segments",
        "Let segments of pinned host memory grow.",
        _BOOLEAN,
        "False",
        (
            "CANN 8.5 and driver 25.5.0 or later, else it warns and stays off. The capture of an "
            "ACL graph refuses it."
        ),
        rules=(alloc_conf.PINNED_AND_GRAPHS,),
    ),
    _key(
        "pinned_mem_register",
        "Register pinned host memory with the device.",
        _BOOLEAN,
        "False",
        ("CANN 8.5 and driver 26.0.RC1 or later. pin_memory_expandable_segments wins over it."),
    ),
    _key(
        "per_process_memory_fraction",
        "Limit the process to this share of device memory.",
        Share(
            includes_one=True,
            consequence=(
                "torch_npu raises an exception (with 0 at the first allocation, which then finds "
                "no memory)"
            ),
        ),
        "1.0",
        "TorchNPU 26.1 or later.",
    ),
    _key(
        "throw_on_npumalloc_oom",
        "Raise an error where device memory runs out in a driver call.",
        _BOOLEAN,
        "False",
        _NEW,
    ),
    _key(
        "release_lock_on_npumalloc",
        "Let other threads allocate while one waits for the driver.",
        _BOOLEAN,
        "False",
        _NEW,
    ),
    _key(
        "max_non_split_rounding_mb",
        "How much larger than asked a block may be that is not split, in MB.",
        Size(20, None, "MB", RAISES),
        "20",
        _NEW,
    ),
    _key(
        "pinned_max_round_threshold_mb",
        "Up to which size pinned host memory is rounded up to a power of two, in MB.",
        Size(0, None, "MB", RAISES),
        "no limit",
        f"{_NEW} pin_memory_expandable_segments wins over it.",
    ),
    _key(
        "pinned_max_cached_size_mb",
        "Up to which size pinned host memory is kept for reuse, in MB.",
        Size(0, None, "MB", RAISES),
        "no limit",
        f"{_NEW} pin_memory_expandable_segments wins over it.",
    ),
    _key(
        "pinned_reserve_segment_size_mb",
        "How much pinned host memory is set aside at the start, in MB.",
        Size(0, None, "MB", RAISES),
        "0",
        _NEW,
    ),
    advisory_entry(
        "npu-alloc-conf-alias",
        "torch_npu",
        "The other name of PYTORCH_NPU_ALLOC_CONF.",
        alloc_conf.ALIAS,
        _REFERENCE,
        _PLATFORM,
        stock="not set",
        details=(
            "TorchNPU 26.2 and PyTorch 2.10 or later read it, and refuse both names at once; "
            "vllm-ascend writes the other one itself when sleep mode is off, whatever this holds."
        ),
        accepts=CustomReader("key:value pairs joined by commas", alloc_conf.read_list),
        platforms=_ASCEND,
    ),
)

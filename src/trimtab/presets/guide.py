"""The vllm-ascend guide "Optimization and Tuning" in both editions, verbatim as to its settings.

The steps are facts of the guide (vllm-ascend, Apache-2.0); none of its wording is repeated.
Verbatim means: contradictions included. It preloads jemalloc and then tcmalloc, so the first one
serves; where it exports one variable twice, the second export is what is left.
"""

from __future__ import annotations

from trimtab.presets._guide_steps import (
    APT_MIRROR,
    EXPANDABLE,
    HCCL_MODE,
    KERNEL,
    MAX_SPLIT,
    MISPLACED,
    OR,
    OS_PACKAGES,
    PYTHON,
    at,
    container,
    jemalloc,
    named_only,
    pip,
    tcmalloc,
)
from trimtab.presets.preset import Origin, Preset, Step

_REPOSITORY = "vllm-project/vllm-ascend"

GUIDE_V1 = Preset(
    "guide-v1",
    "The vllm-ascend guide, older edition, verbatim.",
    Origin(
        _REPOSITORY,
        "docs/source/developer_guide/performance/optimization_and_tuning.md",
        "00ba07102212c7c7a40de427f09848f2e203c498",
        "tag v0.11.0rc0; v0.10.0rc1 has the same text, and earlier releases nearly",
    ),
    "markdown",
    (
        *container("TAG", 15),
        at(APT_MIRROR, 35),
        at(OS_PACKAGES, 45),
        *pip(53),
        Step(
            tuning="vllm-use-modelscope",
            value="true",
            line=57,
            written=("VLLM_USE_MODELSCOPE=true",),
            lost="it is not exported, so no server gets it",
        ),
        Step(
            tuning="mindie-turbo",
            value="installed",
            line=60,
            written=("Install vllm, vllm-ascend and mindie-turbo.",),
            prose=True,
        ),
        Step(
            tuning="install-order",
            value="after the optimized Python",
            line=63,
            written=("Install them after the optimized Python.",),
            prose=True,
        ),
        *PYTHON,
        *jemalloc(109, " $LD_PRELOAD"),
        *tcmalloc(123, export=132, check=136),
        at(MAX_SPLIT, 148, lost="line 151 replaces it: the last export of a name is what is left"),
        at(MISPLACED, 150),
        at(EXPANDABLE, 151),
        Step(tuning="task-queue", value="2", line=159, written=("export TASK_QUEUE_ENABLE=2",)),
        Step(
            tuning="cpu-affinity-conf",
            value="1",
            line=162,
            written=("export CPU_AFFINITY_CONF=1",),
        ),
        at(HCCL_MODE, 175),
        *named_only(180),
    ),
)
"""Compilation, operating system, torch_npu and CANN; nothing about the kernel."""

GUIDE_V2 = Preset(
    "guide-v2",
    "The vllm-ascend guide, newer edition, verbatim.",
    Origin(
        _REPOSITORY,
        "docs/source/developer_guide/performance_and_debug/optimization_and_tuning.md",
        "182b75ea84ff13ece27b57391331ef8935410aea",
        "August 2026, for vllm-ascend 0.23 and later",
    ),
    "markdown",
    (
        *container("9.1.0-910b-ubuntu22.04-py3.12", 14, "--shm-size=1g"),
        at(APT_MIRROR, 34),
        at(OS_PACKAGES, 44),
        *pip(51),
        Step(
            tuning="vllm-use-modelscope",
            value="True",
            line=55,
            written=("export VLLM_USE_MODELSCOPE=True",),
            aside="it chooses the hub that weights come from, and changes nothing in serving",
        ),
        Step(
            tuning="install-order",
            value="after the optimized Python",
            line=62,
            written=("Install vLLM and vllm-ascend after the optimized Python.",),
            prose=True,
        ),
        *jemalloc(74, ":$LD_PRELOAD"),
        *tcmalloc(87, export=96, check=100),
        at(MAX_SPLIT, 111, lost="the guide offers it as the alternative to line 118"),
        at(OR, 114),
        at(MISPLACED, 117),
        at(EXPANDABLE, 118),
        Step(tuning="task-queue", value="2", line=125, written=("export TASK_QUEUE_ENABLE=2",)),
        Step(
            tuning="cpu-affinity-conf",
            value="1",
            line=128,
            written=("export CPU_AFFINITY_CONF=1",),
        ),
        at(HCCL_MODE, 140),
        *named_only(145),
        *KERNEL,
    ),
)
"""No optimized Python any more; four kernel settings, for the host and as root."""

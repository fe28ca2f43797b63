"""Settings of the Ascend stack that the vllm-ascend guide names."""

import json

from trimtab.catalog import _rules
from trimtab.catalog._tuning import Context, Relation, Source, Tuning
from trimtab.knobs import Argument, Env, EnvList
from trimtab.knobs.server_arg import Switch
from trimtab.model import Risk, RiskLevel

_GUIDE = Source("vllm-ascend guide, torch_npu and CANN", "optimization_and_tuning.md")
_ALLOC = "PYTORCH_NPU_ALLOC_CONF"
_ASCEND = ("ascend",)
_BINDS_SINCE = "0.18"
"""Release of vllm-ascend since which ``enable_cpu_binding`` is on by default on ARM."""


def _queue_applies(context: Context) -> str | None:
    if Switch("--enforce-eager").parse(context.baseline) is True:
        return None
    return (
        "2 is refused while graphs are captured, which vllm-ascend does by default: "
        "it needs --enforce-eager"
    )


def _affinity_applies(context: Context) -> str | None:
    """Leave CPUs to vllm-ascend where it binds them itself (finding of its worker's source)."""
    plugin = context.packages.get("vllm-ascend", "")
    arm = context.facts.cpu.arch.value == "aarch64"
    if not arm or _rules.before(plugin, _BINDS_SINCE) is not False or _binding_off(context):
        return None
    return (
        f"vllm-ascend binds the CPUs itself on ARM since {_BINDS_SINCE}, after torch_npu has, and "
        f"the plugin is {plugin}: whatever this sets is overwritten"
    )


def _binding_off(context: Context) -> bool:
    """Whether the baseline's --additional-config says enable_cpu_binding: false."""
    text = Argument("--additional-config").parse(context.baseline)
    try:
        config = json.loads(str(text)) if text is not None else None
    except ValueError:
        return False
    return isinstance(config, dict) and config.get("enable_cpu_binding") is False


def _hccl_applies(context: Context) -> str | None:
    if _rules.parallel(context) is None:
        return "the baseline runs one worker on one NPU, which communicates with no other"
    return None


TUNINGS = (
    Tuning(
        name="npu-max-split-size",
        layer="torch_npu",
        summary="Do not split device memory blocks above 250 MB: less fragmentation.",
        knob=EnvList(_ALLOC, "max_split_size_mb"),
        values=(None, "250"),
        stock="no limit",
        conflicts=(
            Relation("npu-expandable-segments", "torch_npu raises an exception when both are set"),
        ),
        risk=Risk(RiskLevel.LOW, "It opts out of expandable segments, vllm-ascend's own default."),
        platforms=_ASCEND,
        sources=(
            _GUIDE,
            Source("torch_npu allocator configuration", "NPUAllocatorConfig.cpp:306-312"),
        ),
    ),
    Tuning(
        name="npu-expandable-segments",
        layer="torch_npu",
        summary="Grow device memory segments instead of adding new ones.",
        knob=EnvList(_ALLOC, "expandable_segments"),
        values=(None, "True"),
        stock="vllm-ascend sets it itself when sleep mode is off",
        risk=Risk(RiskLevel.LOW, "It needs HDK 23.0.0 or later, and sleep mode refuses it."),
        platforms=_ASCEND,
        sources=(
            _GUIDE,
            Source("vllm-ascend platform", "vllm_ascend/platform.py:1208-1227"),
        ),
    ),
    Tuning(
        name="task-queue",
        layer="torch_npu",
        summary="Dispatch operators through a two-stage queue, workspace memory included.",
        knob=Env("TASK_QUEUE_ENABLE"),
        values=(None, "2", "1", "0"),
        stock="1",
        applies=_queue_applies,
        risk=Risk(RiskLevel.MEDIUM, "The peak of device memory rises."),
        platforms=_ASCEND,
        sources=(
            _GUIDE,
            Source("torch_npu graph capture", "csrc/core/npu/NPUGraph.cpp:242-247"),
        ),
    ),
    Tuning(
        name="cpu-affinity-conf",
        layer="torch_npu",
        summary="Bind the threads of each NPU's process to its slice of the CPUs.",
        knob=Env("CPU_AFFINITY_CONF"),
        values=(None, "1", "2"),
        stock="0: not bound by torch_npu",
        applies=_affinity_applies,
        risk=Risk(
            RiskLevel.MEDIUM, "Two services on one host are bound to the same slices of CPUs."
        ),
        platforms=_ASCEND,
        sources=(
            _GUIDE,
            Source("torch_npu affinity", "NPUAffinityController.cpp:97-106, 265-274"),
            Source(
                "vllm-ascend CPU binding",
                "vllm_ascend/worker/worker.py:799-805; cpu_binding.py:249-257, 683-694",
            ),
        ),
    ),
    Tuning(
        name="hccl-op-expansion",
        layer="hccl",
        summary="Let the vector cores schedule collective communication.",
        knob=Env("HCCL_OP_EXPANSION_MODE"),
        values=(None, "AIV"),
        stock="the chip's own: HOST on A2, AI_CPU on A3",
        applies=_hccl_applies,
        risk=Risk(
            RiskLevel.MEDIUM,
            "HCCL's own advice for inference is this on A3, but the default HOST on A2; several "
            "communicators at once are unsupported with it, and HCCL_EXEC_TIMEOUT is capped at "
            "1091 s.",
        ),
        platforms=_ASCEND,
        sources=(
            _GUIDE,
            Source("HCCL recommended configuration", "hccl docs, recommended_config.md"),
        ),
    ),
)

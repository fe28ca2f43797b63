"""What is adapted in the vendors' Python modules over the stand-in, each with its reason.

``HOOKS`` maps a module's name to a function that is called with the module after its import.
"""

import os
import types
from collections.abc import Callable
from typing import Any


class Kernel:
    """A Triton kernel that can be launched on any grid, and does nothing."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.fn = function
        self.__name__ = getattr(function, "__name__", "kernel")
        self.__doc__ = function.__doc__

    def __getitem__(self, grid: object) -> Callable[..., None]:
        return _launch

    def __call__(self, *args: object, **kwargs: object) -> object:
        """Call the kernel as the function it was: kernels call each other so."""
        return self.fn(*args, **kwargs)


def _launch(*args: object, **kwargs: object) -> None:
    return None


def _decorate(*args: Any, **kwargs: object) -> Any:
    if args and callable(args[0]):
        return args[0] if isinstance(args[0], Kernel) else Kernel(args[0])
    return _decorate


def _triton(module: Any) -> None:
    """Let kernels be launched.

    Without Triton, vLLM's placeholder gives a kernel back as the plain function it decorates,
    which cannot be launched as ``kernel[grid](…)``. vllm-ascend launches such kernels on every
    step (the slot mapping of the block table). Triton for NPUs needs CANN's compiler, so that
    here a kernel can be launched, and does nothing, like every other operator.
    """
    placeholder = module.TritonPlaceholder
    original = placeholder.__init__

    def init(self: Any) -> None:
        original(self)
        self.jit = self.autotune = self.heuristics = _decorate

    placeholder.__init__ = init


def _build(module: Any) -> None:
    """Play the build of vllm-ascend that is made for the chip.

    The wheel on the package index is built for A2; the builds for other chips differ in this
    generated file, and in kernels, which do nothing here.
    """
    if device_type := os.environ.get("TRIMTAB_STANDIN_BUILD"):
        module.__device_type__ = device_type


def _cpu_binding(module: Any) -> None:
    """Let the CPU be taken for an ARM, if asked: on others vllm-ascend binds nothing."""
    if os.environ.get("TRIMTAB_STANDIN_ARM"):
        module.is_arm_cpu = lambda: True


def _custom_operators(module: Any) -> None:
    """Let vllm-ascend find out now that its compiled operators cannot be loaded.

    It imports them where a layer first asks for them; while torch compiles the model, an import
    that fails ends the start ("torch._dynamo.exc.Unsupported: Import failure"), where elsewhere it
    is a warning. With CANN's libraries the import succeeds, and the moment does not matter.
    """
    from vllm_ascend.utils import enable_custom_op

    if not enable_custom_op():
        _mixture_of_experts()


_LIBRARIES: list[Any] = []
"""Of torch: what a library defines is gone with it."""


def _mixture_of_experts() -> None:
    """Let torch_npu's operators stand for two compiled ones that mixtures of experts need.

    vllm-ascend has its own on A2 and calls torch_npu's of the same parameters elsewhere. The
    schemas are those in its compiled library.
    """
    import torch
    import torch_npu

    def gating(x: Any, k: int, *options: Any, **named: Any) -> Any:
        names = ("k_group", "group_count", "group_select_mode", "renorm", "norm_type", "out_flag")
        names += ("routed_scaling_factor", "eps", "bias_opt")
        named.update(zip(names, options, strict=False))
        return torch_npu.npu_moe_gating_top_k(x, k, bias=named.pop("bias_opt", None), **named)

    library = torch.library.Library("_C_ascend", "FRAGMENT")
    library.define(
        "moe_gating_top_k(Tensor x, int k, int k_group, int group_count, int group_select_mode, "
        "int renorm, int norm_type, bool out_flag, float routed_scaling_factor, float eps, "
        "Tensor? bias_opt=None) -> (Tensor y, Tensor expert_idx, Tensor out)"
    )
    library.define(
        "npu_moe_init_routing_custom(Tensor x, Tensor expert_idx, *, Tensor? scale=None, "
        "Tensor? offset=None, int active_num=-1, int expert_capacity=-1, int expert_num=-1, "
        "int drop_pad_mode=0, int expert_tokens_num_type=0, bool expert_tokens_num_flag=False, "
        "int quant_mode=0, int[2] active_expert_range=[], int row_idx_type=0) "
        "-> (Tensor, Tensor, Tensor, Tensor)"
    )
    routing = torch_npu.npu_moe_init_routing_v2
    library.impl("moe_gating_top_k", gating, "CompositeImplicitAutograd")
    library.impl("npu_moe_init_routing_custom", routing, "CompositeImplicitAutograd")
    _LIBRARIES.append(library)


def _rejection_sampler(module: Any) -> None:
    """Accept every draft token, and leave out what takes its shape from computed numbers.

    Without Triton, the sampler of speculative decoding falls back to PyTorch operators whose
    output is as long as the device's numbers say (repeat_interleave). Nothing is computed, so
    that the lengths would be wrong; with Triton it launches kernels, which do nothing here.
    """
    for name in list(vars(module)):
        if name.startswith("rejection_") and name.endswith("_pytorch"):
            setattr(module, name, _launch)


HOOKS: dict[str, Callable[[types.ModuleType], None]] = {
    "vllm.triton_utils.importing": _triton,
    "vllm_ascend._build_info": _build,
    "vllm_ascend.cpu_binding": _cpu_binding,
    "vllm_ascend.worker.model_runner_v1": _custom_operators,
    "vllm_ascend.sample.rejection_sampler": _rejection_sampler,
}

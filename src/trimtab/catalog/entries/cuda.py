"""CUDA, NCCL and PyTorch's allocator on GPUs: the common settings."""

from __future__ import annotations

import re
from collections.abc import Iterator

from trimtab.catalog.applicability import is_before
from trimtab.catalog.rules.scene import Rule, Scene
from trimtab.catalog.schema import Source, Tuning, advisory_entry
from trimtab.catalog.values import (
    ANY_TEXT,
    Acceptance,
    Choice,
    CustomReader,
    Decimal,
    Integer,
    Pattern,
    Reading,
    ValueReader,
)
from trimtab.knobs import EnvList
from trimtab.model.finding import Hit, Problem, Severity

_CUDA = ("cuda",)
_TORCH = Source("PyTorch, CUDA memory management", "docs.pytorch.org, notes/cuda.html")
_NCCL = Source("NCCL, environment variables", "docs.nvidia.com, deeplearning/nccl, env.html")
_RUNTIME = Source("CUDA programming guide", "docs.nvidia.com, CUDA environment variables")
_CONF = "PYTORCH_CUDA_ALLOC_CONF"
_RAISES = "PyTorch raises an exception at the first use of the device"


def _variable(
    name: str,
    summary: str,
    source: Source,
    accepts: ValueReader = ANY_TEXT,
    stock: str = "not set",
    default: str = "",
    details: str = "",
    rules: tuple[Rule, ...] = (),
) -> Tuning:
    return advisory_entry(
        name.lower().replace("_", "-"),
        "cuda",
        summary,
        name,
        source,
        accepts=accepts,
        stock=stock,
        default=default,
        details=details,
        platforms=_CUDA,
        rules=rules,
    )


def _nccl_switch(only: int | None) -> ValueReader:
    """Read as NCCL does, by strtoll: words are 0; ``only`` is the one number that is on."""

    def read(text: str) -> Reading:
        number = re.match(r"\s*[+-]?\d{1,18}", text)
        value = int(number[0]) if number else 0
        if text.strip() in ("0", "1"):
            return Reading.fine()
        on = value == only if only is not None else value != 0
        return Reading(
            Acceptance.MISREAD, f"it must be 0 or 1, but is {text!r}: it counts as {int(on)}"
        )

    return CustomReader("0 or 1", read)


def _expandable(scene: Scene) -> Iterator[Hit]:
    """Yield what refuses them: sleep mode before vLLM 0.20.1, connectors from 0.21 on."""
    if "expandable_segments:True" not in (scene.text(_CONF) or ""):
        return
    version = scene.version("vllm")
    setting = f"{_CONF}[expandable_segments]"
    sleeps = "--enable-sleep-mode" in scene.options
    if sleeps and (not version or is_before(version, "0.20.1")):
        yield Hit(
            setting,
            "before vLLM 0.20.1 sleep mode's allocator refuses expandable segments",
            "keep one of the two",
            given="" if version else "vLLM is older",
        )
    transfer = scene.option("--kv-transfer-config") or scene.option(
        "--kv-transfer-config.kv-connector"
    )
    serves = sleeps or "--enable-cumem-allocator" in scene.options
    if transfer and not serves and not (version and is_before(version, "0.21")):
        yield Hit(
            setting,
            "vLLM 0.21 and later exit on expandable segments beside a KV connector",
            "take expandable_segments out, or add --enable-cumem-allocator",
            severity=None if version else Severity.WARNING,
        )


def _blocking(scene: Scene) -> Iterator[Hit]:
    if scene.text("CUDA_LAUNCH_BLOCKING") == "1":
        yield Hit(
            "CUDA_LAUNCH_BLOCKING",
            (
                "CUDA_LAUNCH_BLOCKING waits for every kernel, which is for debugging and makes "
                "serving slow"
            ),
            "take it out",
        )


TUNINGS = (
    advisory_entry(
        "cuda-expandable-segments",
        "cuda",
        "Grow GPU memory segments instead of adding new ones.",
        EnvList(_CONF, "expandable_segments"),
        _TORCH,
        accepts=Choice(("True", "False"), _RAISES),
        stock="False",
        details=(
            "Less fragmentation. Sleep mode's allocator refuses it before vLLM 0.20.1, and "
            "switches it off for its pool since. A KV connector refuses it from 0.21 on, unless "
            "that allocator serves."
        ),
        platforms=_CUDA,
        rules=(
            Rule(
                id="cuda-expandable-rivals",
                severity=Severity.ERROR,
                problem=Problem.CONFLICT,
                summary="vLLM refuses expandable segments beside another option.",
                process=_expandable,
            ),
        ),
    ),
    advisory_entry(
        "cuda-max-split-size",
        "cuda",
        "Do not split GPU memory blocks above this size, in MB.",
        EnvList(_CONF, "max_split_size_mb"),
        _TORCH,
        accepts=Integer(20, None, _RAISES, unit="MB"),
        stock="no limit",
        platforms=_CUDA,
    ),
    advisory_entry(
        "cuda-garbage-collection",
        "cuda",
        "Free unused GPU memory blocks from this share of use on.",
        EnvList(_CONF, "garbage_collection_threshold"),
        _TORCH,
        accepts=Decimal(0.0, 1.0, _RAISES, open_ends=True),
        stock="off",
        platforms=_CUDA,
    ),
    _variable(
        "CUDA_VISIBLE_DEVICES",
        "Which GPUs a process sees, renumbered from 0.",
        _RUNTIME,
        Pattern(r"[\w,.-]*", "device numbers or UUIDs joined by commas", "CUDA sees no device"),
        stock="all",
        details="From the first number that does not exist on, the rest is dropped.",
    ),
    _variable(
        "CUDA_LAUNCH_BLOCKING",
        "Wait for every kernel: for debugging only.",
        _RUNTIME,
        Choice(("0", "1"), "it counts as 0", Acceptance.MISREAD),
        stock="0",
        default="0",
        rules=(
            Rule(
                id="cuda-blocking",
                severity=Severity.WARNING,
                problem=Problem.HAZARD,
                summary="Every kernel is waited for: serving is slow.",
                process=_blocking,
            ),
        ),
    ),
    _variable(
        "CUDA_DEVICE_MAX_CONNECTIONS",
        "How many queues feed the GPU.",
        _RUNTIME,
        Integer(1, 32, "the driver takes its default", Acceptance.MISREAD),
        stock="8",
        details="1 keeps the order of communication and computation, as some overlaps need.",
    ),
    _variable(
        "NCCL_P2P_DISABLE",
        "Do not copy between GPUs directly.",
        _NCCL,
        _nccl_switch(1),
        stock="0",
        default="0",
        details="1 sends everything through host memory: only for machines where P2P is broken.",
    ),
    _variable(
        "NCCL_IB_DISABLE",
        "Do not use InfiniBand or RoCE.",
        _NCCL,
        _nccl_switch(None),
        stock="0",
        default="0",
        details="1 falls back to TCP between servers.",
    ),
    _variable(
        "NCCL_SOCKET_IFNAME",
        "Which NIC NCCL uses; a prefix unless '=' stands before it.",
        _NCCL,
        stock="chosen by NCCL",
    ),
    _variable(
        "NCCL_DEBUG",
        "How much NCCL logs.",
        _NCCL,
        Choice(
            ("VERSION", "WARN", "INFO", "ABORT", "TRACE", "NONE"),
            "it counts as NONE",
            Acceptance.MISREAD,
            ignore_case=True,
        ),
        stock="off",
        details="INFO shows which links are used: for a check, not for serving.",
    ),
    _variable(
        "NCCL_CUMEM_ENABLE",
        "Let NCCL allocate by virtual memory.",
        _NCCL,
        _nccl_switch(None),
        stock="decided by NCCL",
    ),
)

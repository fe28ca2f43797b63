"""What can be wrong with vllm-ascend's --additional-config."""

from __future__ import annotations

import json
from collections.abc import Iterator

from trimtab.catalog.applicability import is_before
from trimtab.catalog.rules.scene import Rule, Scene
from trimtab.catalog.values import is_placeholder
from trimtab.model.finding import Hit, Problem, Severity

_OPTION = "--additional-config"
_COERCES = "0.30"
"""Since then pydantic reads "false" as false."""


def _values(scene: Scene) -> dict[str, object]:
    try:
        found = json.loads(scene.option(_OPTION) or "{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _quoted(scene: Scene) -> Iterator[Hit]:
    if is_before(scene.version("vllm-ascend"), _COERCES) is False:
        return
    for key, value in _values(scene).items():
        if isinstance(value, str) and value.lower() in ("true", "false"):
            yield Hit(
                _OPTION,
                f'{key} is the text "{value}", not a boolean: any text counts as true, "False" '
                "too",
                f"write {value.lower()} without quotes",
            )


def _no_object(scene: Scene) -> Iterator[Hit]:
    setting = scene.options.get(_OPTION)
    if setting is None or not setting.literal or not setting.value:
        return
    try:
        whole = json.loads(setting.value)
    except (ValueError, RecursionError) as error:
        yield Hit(_OPTION, f"{_OPTION} holds no JSON: {error}", "quote it in single quotes")
        return
    if not isinstance(whole, dict):
        yield Hit(_OPTION, f"{_OPTION} must be a JSON object", "write '{\"key\": value}'")


def _recompute(scene: Scene) -> Iterator[Hit]:
    if not _values(scene).get("recompute_scheduler_enable"):  # judged by its truth
        return
    transfer = scene.option("--kv-transfer-config") or ""
    if "kv_producer" in transfer:
        yield Hit(
            _OPTION,
            (
                "recompute_scheduler_enable is for decoding nodes: a prefill node warns and "
                "ignores it"
            ),
            "take it out on this node",
            severity=Severity.WARNING,
        )
    elif "kv_consumer" not in transfer and not is_placeholder(transfer):
        yield Hit(
            _OPTION,
            (
                "vllm-ascend takes recompute_scheduler_enable on decoding nodes of a "
                "disaggregated deployment only, and exits elsewhere"
            ),
            "take it out, or give kv_role kv_consumer",
        )


def _fused_rivals(scene: Scene) -> Iterator[Hit]:
    values = _values(scene)
    fused = scene.text("VLLM_ASCEND_ENABLE_FUSED_MC2") not in (None, "0") or values.get(
        "enable_fused_mc2"
    ) not in (None, 0)
    if not fused:
        return
    rivals = {
        "enable_mc2_hierarchy_comm": values.get("enable_mc2_hierarchy_comm") is True,
    }
    if values.get("multistream_overlap_shared_expert"):
        yield Hit(
            _OPTION,
            "fused MC2 excludes multistream_overlap_shared_expert: at level 1 vllm-ascend warns "
            "and switches it off",
            "keep one of the two",
            severity=Severity.WARNING,
        )
    for rival, on in rivals.items():
        if on:
            yield Hit(
                "VLLM_ASCEND_ENABLE_FUSED_MC2"
                if "VLLM_ASCEND_ENABLE_FUSED_MC2" in scene.env
                else _OPTION,
                f"fused MC2 excludes {rival}",
                "keep one of the two",
            )


def _flashcomm2(scene: Scene) -> Iterator[Hit]:
    name = "VLLM_ASCEND_FLASHCOMM2_PARALLEL_SIZE"
    size: object = _values(scene).get("enable_flashcomm2_parallel_size", scene.text(name))
    workers = scene.option("--tensor-parallel-size") or ""
    if isinstance(size, bool) or not str(size).isdigit() or not workers.isdigit():
        return
    if int(str(size)[:9]) >= int(workers[:9]) and str(size) != "0":
        yield Hit(
            name if name in scene.env else _OPTION,
            (
                f"a group of {size} is no part of the tensor parallel size {workers}, and the "
                "server exits"
            ),
            f"set it to a divisor of {workers}",
        )


def _unbound(scene: Scene) -> Iterator[Hit]:
    arch = scene.situation.arch
    if arch == "x86_64" and _values(scene).get("enable_cpu_binding") is True:
        yield Hit(
            _OPTION,
            (
                "vllm-ascend binds CPUs on ARM only: on x86_64 it logs that it skips "
                "enable_cpu_binding"
            ),
            "bind with numactl or a cpuset",
        )


GENERAL = (
    Rule(
        id="additional-config-quoted",
        severity=Severity.WARNING,
        problem=Problem.WRONG_VALUE,
        summary="A boolean is written as text, which counts as true.",
        process=_quoted,
    ),
    Rule(
        id="additional-config-json",
        severity=Severity.ERROR,
        problem=Problem.WRONG_VALUE,
        summary="The additional configuration is no JSON object.",
        process=_no_object,
    ),
)
BINDING = Rule(
    id="cpu-binding-x86",
    severity=Severity.WARNING,
    problem=Problem.NO_EFFECT,
    summary="vllm-ascend binds CPUs on ARM only.",
    process=_unbound,
)
FLASHCOMM2 = Rule(
    id="flashcomm2-above-tp",
    severity=Severity.ERROR,
    problem=Problem.WRONG_VALUE,
    summary="The group of flashcomm2 is not smaller than the tensor parallel group.",
    process=_flashcomm2,
)
RECOMPUTE = Rule(
    id="recompute-scheduler-role",
    severity=Severity.ERROR,
    problem=Problem.CONFLICT,
    summary="The recompute scheduler is for decoding nodes only.",
    process=_recompute,
)
FUSED = Rule(
    id="fused-mc2-rivals",
    severity=Severity.ERROR,
    problem=Problem.CONFLICT,
    summary="Fused MC2 excludes another setting that is on.",
    process=_fused_rivals,
)

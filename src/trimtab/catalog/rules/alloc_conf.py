"""What can be wrong with PYTORCH_NPU_ALLOC_CONF as a whole."""

from __future__ import annotations

import re
from collections.abc import Iterator

from trimtab.catalog.applicability import is_before
from trimtab.catalog.rules.scene import Rule, Scene
from trimtab.catalog.values import Acceptance, Reading
from trimtab.knobs import EnvList
from trimtab.model.document import Setting
from trimtab.model.finding import Action, Hit, Problem, Remedy, Severity

NAME = "PYTORCH_NPU_ALLOC_CONF"
ALIAS = "PYTORCH_ALLOC_CONF"
RAISES = "torch_npu raises an exception at the first use of the device"

_OLD_KEYS = frozenset(
    {
        *("max_split_size_mb", "garbage_collection_threshold", "expandable_segments"),
        *("base_addr_aligned_kb", "page_size", "segment_size_mb", "roundup_power2_divisions"),
        *("multi_stream_lazy_reclaim", "pinned_use_background_threads"),
        *("pin_memory_expandable_segments", "pinned_mem_register", "large_segment_size_mb"),
        *("per_process_memory_fraction",),
    }
)
_NEW_KEYS = frozenset(
    {
        *("throw_on_npumalloc_oom", "release_lock_on_npumalloc", "max_non_split_rounding_mb"),
        *("pinned_max_round_threshold_mb", "pinned_max_cached_size_mb"),
        *("pinned_reserve_segment_size_mb",),
    }
)
"""Keys of TorchNPU 26.2 and later: an older one takes them for unknown."""


def _pairs(setting: Setting) -> list[tuple[str, str, str]]:
    """Return (key, colon, value) of each element; commas in brackets belong to a value."""
    parts = re.split(r",(?![^\[\]]*\])", setting.value)
    return [part.strip().partition(":") for part in parts]


def _literal(scene: Scene) -> Setting | None:
    setting = scene.env.get(NAME)
    return setting if setting is not None and setting.literal else None


def _syntax(scene: Scene) -> Iterator[Hit]:
    setting = _literal(scene)
    if setting is None:
        return
    if not setting.value.strip():
        yield Hit(
            NAME,
            (
                f"{NAME} is empty: vllm-ascend appends ',expandable_segments:True', and torch_npu "
                "refuses the leading comma"
            ),
            "unset it",
            remedy=Remedy(Action.REMOVE),
        )
        return
    pairs = _pairs(setting)
    if pairs[-1] == ("", "", ""):
        pairs.pop()  # one comma at the end is taken
    for key, colon, _ in pairs:
        if not key or not colon:
            shown = key or "an empty element"
            yield Hit(
                NAME,
                f"{NAME} must be key:value pairs joined by commas, but holds {shown!r}: {RAISES}",
                "write key:value,key:value",
            )


def read_list(text: str) -> Reading:
    """Read a list as torch_npu does, as far as its form and its keys."""
    for part in text.removesuffix(",").split(",") if text else ():
        key, colon, _ = part.strip().partition(":")
        if not colon or key.strip() not in _OLD_KEYS | _NEW_KEYS:
            return Reading(Acceptance.REFUSED, f"{part!r} is no key with a value: {RAISES}")
    return Reading.fine()


def _unknown_keys(scene: Scene) -> Iterator[Hit]:
    setting = _literal(scene)
    for key, colon, _ in _pairs(setting) if setting is not None and setting.value.strip() else ():
        if not (key and colon) or key in _OLD_KEYS:
            continue
        if key in _NEW_KEYS:
            if scene.version("torch-npu"):
                continue  # judged by that: torch-npu-version
            yield Hit(
                NAME,
                f"torch_npu before TorchNPU 26.2 does not know {key}, and refuses it",
                "check the version of torch_npu",
                given="torch_npu is older than 26.2",
            )
        else:
            yield Hit(
                NAME,
                f"the NPU allocator has no key {key}: {RAISES}",
                "take the key out",
            )


def _ascend(scene: Scene) -> bool:
    """Whether the text speaks of Ascend anywhere, where the platform is not known."""
    names = ("ASCEND_", "HCCL_", "VLLM_ASCEND_", "TASK_QUEUE_")
    return scene.situation.platform == "ascend" or any(True for _ in scene.variables(*names))


def _both_names(scene: Scene) -> Iterator[Hit]:
    if ALIAS not in scene.env:
        return
    if NAME in scene.env:
        yield Hit(ALIAS, f"torch_npu refuses {ALIAS} beside {NAME}", f"keep {NAME} alone")
    elif _sleeps(scene) is not True and not _before_default(scene):
        yield Hit(
            ALIAS,
            f"vllm-ascend writes {NAME} itself when sleep mode is off, and torch_npu does not "
            "take both names at once",
            f"use {NAME}",
            severity=Severity.WARNING if _ascend(scene) else None,
            given="" if scene.situation.platform == "ascend" else "vllm-ascend serves",
            remedy=Remedy(Action.RENAME, NAME) if _ascend(scene) else None,
        )


def _before_default(scene: Scene) -> bool:
    """Whether vllm-ascend is too old to switch expandable segments on by itself."""
    return is_before(scene.version("vllm-ascend"), "0.14.0") is True


def _sleeps(scene: Scene) -> bool | None:
    if scene.option("--enable-sleep-mode") is not None:
        return True
    return scene.situation.sleep_mode


def _expandable(scene: Scene) -> str | None:
    found = EnvList(NAME, "expandable_segments").parse(scene.settings)
    return None if found is None else str(found)


def sleep_conflict(scene: Scene) -> Iterator[Hit]:
    """Yield a hit where sleep mode and expandable segments are both on."""
    if _expandable(scene) == "True" and _sleeps(scene) is True:
        yield Hit(
            NAME,
            "sleep mode uses an allocator that refuses expandable_segments",
            "take out expandable_segments or --enable-sleep-mode",
        )


def redundant_default(scene: Scene) -> Iterator[Hit]:
    """Yield a hit where the setting only says what vllm-ascend does anyway."""
    if _before_default(scene):
        return
    keys = [key for key, _, _ in _pairs(scene.env[NAME])] if NAME in scene.env else []
    if keys == ["expandable_segments"] and _expandable(scene) == "True" and not _sleeps(scene):
        yield Hit(
            NAME,
            "vllm-ascend sets expandable_segments:True itself when sleep mode is off",
            "leave it out",
        )


def default_opt_out(scene: Scene) -> Iterator[Hit]:
    """Yield a hit where a split size switches vllm-ascend's default off."""
    split = EnvList(NAME, "max_split_size_mb").parse(scene.settings)
    if split is not None and _expandable(scene) is None and not _before_default(scene):
        yield Hit(
            NAME,
            (
                f"max_split_size_mb:{split} opts out of expandable_segments, which vllm-ascend "
                "switches on"
            ),
            "leave it out unless you measured that it helps",
        )


def _comment(scene: Scene) -> Iterator[Hit]:
    setting = scene.env.get(NAME)
    said = setting.comment.lower() if setting is not None else ""
    about = "stream" in said and ("reuse" in said or "reused" in said)
    if about and "expandable_segments" in (setting.value if setting else ""):
        yield Hit(
            NAME,
            (
                "the comment describes MULTI_STREAM_MEMORY_REUSE; expandable_segments lets "
                "segments of memory grow"
            ),
            "describe the setting that is set here",
        )


def _number(scene: Scene, key: str) -> int | None:
    text = str(EnvList(NAME, key).parse(scene.settings))
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None


def _split_below(scene: Scene) -> Iterator[Hit]:
    split, segment = _number(scene, "max_split_size_mb"), _number(scene, "large_segment_size_mb")
    if split is not None and segment is not None and split < segment:
        yield Hit(
            NAME,
            f"max_split_size_mb:{split} is below large_segment_size_mb:{segment}: {RAISES}",
            f"set max_split_size_mb to {segment} at least",
        )


def _pinned_and_graphs(scene: Scene) -> Iterator[Hit]:
    pinned = EnvList(NAME, "pin_memory_expandable_segments").parse(scene.settings)
    if pinned != "True" or scene.graphs is False:
        return
    sure = scene.graphs is True
    yield Hit(
        NAME,
        (
            "torch_npu refuses pin_memory_expandable_segments:True while it captures a graph, and "
            "the server exits"
        ),
        "take it out, or serve with --enforce-eager",
        given="" if sure else "graphs are on, vllm-ascend's default",
        severity=Severity.ERROR if sure else Severity.WARNING,
    )


SPLIT_BELOW_SEGMENT = Rule(
    id="alloc-conf-split-segment",
    severity=Severity.ERROR,
    problem=Problem.CONFLICT,
    summary="Blocks may be split below the size of a large segment, which is refused.",
    process=_split_below,
)
PINNED_AND_GRAPHS = Rule(
    id="alloc-conf-pinned-graphs",
    severity=Severity.ERROR,
    problem=Problem.CONFLICT,
    summary="Growing segments of pinned memory are refused while graphs are captured.",
    process=_pinned_and_graphs,
)

RULES = (
    Rule(
        id="alloc-conf-syntax",
        severity=Severity.ERROR,
        problem=Problem.WRONG_VALUE,
        summary="The allocator's list is not key:value pairs: the worker crashes.",
        process=_syntax,
    ),
    Rule(
        id="alloc-conf-key",
        severity=Severity.ERROR,
        problem=Problem.WRONG_VALUE,
        summary="The allocator's list holds a key that torch_npu does not know.",
        process=_unknown_keys,
    ),
    Rule(
        id="alloc-conf-both-names",
        severity=Severity.ERROR,
        problem=Problem.CONFLICT,
        summary="Both names of the allocator's variable are set, by hand or by vllm-ascend.",
        process=_both_names,
    ),
    Rule(
        id="alloc-conf-comment",
        severity=Severity.INFO,
        problem=Problem.ADVICE,
        summary="The comment above the allocator's setting describes another setting.",
        process=_comment,
        traps=("T7",),
    ),
)

"""The device allocator's configuration, as torch_npu itself prints it. Pure.

With ``TORCH_NPU_LOGS=memory`` torch_npu 2.13 prints every key with the value in force when it
parses the variable (NPUAllocatorConfig.cpp). Sizes are printed in bytes, whatever the key says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

NAMES = ("PYTORCH_NPU_ALLOC_CONF", "PYTORCH_ALLOC_CONF")

_LINE = re.compile(r"\[(?:npu|common) alloc config\] (.*)\.$", re.MULTILINE)
_UNLIMITED = 2**64 - 1


def _switch(text: str) -> str:
    return {"0": "False", "1": "True"}.get(text, text)


def _bytes(unit: int) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not text.isdigit():
            return text
        size = int(text)
        return "no limit" if size == _UNLIMITED else f"{size / unit:g}"

    return read


def _number(text: str) -> str:
    try:
        return f"{float(text):g}"
    except ValueError:
        return text


_KIB, _MIB = 1 << 10, 1 << 20

_PRINTED: Mapping[str, tuple[str, Callable[[str], str]]] = {
    "max_split_size_mb": ("max_split_size_mb", _bytes(_MIB)),
    "garbage_collection_threshold": ("garbage_collection_threshold", _number),
    "expandable_segments": ("expandable_segments", _switch),
    "base_addr_aligned_kb": ("base_addr_aligned_kb", _bytes(_KIB)),
    "page_size": ("page_size_1g", lambda text: {"1": "1g", "0": "2m"}.get(text, text)),
    "segment_size_mb": ("segment_size_mb", _bytes(_MIB)),
    "large_segment_size_mb": ("large_segment_size", _bytes(_MIB)),
    "multi_stream_lazy_reclaim": ("multi_stream_lazy_reclaim", _switch),
    "pinned_use_background_threads": ("pinned_use_background_threads", _switch),
    "pin_memory_expandable_segments": ("pin_memory_expandable_segments", _switch),
    "pinned_mem_register": ("pinned_mem_register", _switch),
    "per_process_memory_fraction": ("per_process_memory_fraction", _number),
    "throw_on_npumalloc_oom": ("throw_on_npumalloc_oom", _switch),
    "release_lock_on_npumalloc": ("m_release_lock_on_npumalloc", _switch),
    "max_non_split_rounding_mb": ("max_non_split_rounding_size", _bytes(_MIB)),
    "pinned_max_round_threshold_mb": ("pinned_max_round_threshold_mb", _bytes(_MIB)),
    "pinned_max_cached_size_mb": ("pinned_max_cached_size_mb", _bytes(_MIB)),
    "pinned_reserve_segment_size_mb": ("pinned_reserve_segment_size_mb", _number),
}
"""Key → the name it is printed under, and how that is read in the key's own unit.

``roundup_power2_divisions`` is left out: what is printed for it is the length of a table.
"""


def in_force(output: str) -> dict[str, str]:
    """Return key → value in force, from what torch_npu printed; empty if it printed nothing."""
    printed: dict[str, str] = {}
    for line in _LINE.findall(output):
        for pair in line.split(", "):
            name, colon, value = pair.partition(": ")
            if colon:
                printed[name.strip()] = value.strip()
    return {key: read(printed[name]) for key, (name, read) in _PRINTED.items() if name in printed}


def pairs(text: str) -> Iterator[tuple[str, str]]:
    """Yield (key, value) of the variable's text, as far as it is a list of such."""
    for part in re.split(r",(?![^\[]*\])", text):
        key, colon, value = part.partition(":")
        if colon:
            yield key.strip(), value.strip()

"""Which value is in force: read back from what a check showed. Pure.

Each reader belongs to one setting, and knows by what that setting shows itself.

The device allocator's configuration, as torch_npu itself prints it. Pure.

With ``TORCH_NPU_LOGS=memory`` torch_npu 2.13 prints every key with the value in force when it
parses the variable (NPUAllocatorConfig.cpp). Sizes are printed in bytes, whatever the key says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from trimtab.oracle.model import ADDITIONAL, CheckRun, OracleSetting

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


def values_in_force(output: str) -> dict[str, str]:
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


@dataclass(frozen=True, slots=True)
class EffectiveValue:
    """The value in force, and whether it is the one that was written."""

    text: str
    as_written: bool
    unread: tuple[str, ...] = ()  # parts that nothing asked for


Reader: TypeAlias = Callable[[OracleSetting, CheckRun, CheckRun], EffectiveValue | None]


def effective_value(given: OracleSetting, run: CheckRun, base: CheckRun) -> EffectiveValue | None:
    """Return what is in force for a setting; ``None`` where nothing shows it.

    ``base`` is the same check without the setting.
    """
    if given.name == ADDITIONAL:
        return _additional(given, run, base)
    table = run.seen.get("variables")
    if isinstance(table, dict) and given.name in table:
        return _compared(given.text, table[given.name])
    reader = _READERS.get(given.name)
    value = reader(given, run, base) if reader is not None else None
    return _reset(given, run.output) if value is None else value


_RESET = r"(?<!\w){name}(?!\w)[^\n]*, so reset it to the default value(?: +(-?\d+))?"
"""How torch_npu says that it takes another value; what it takes is not in all of its sentences."""


def _reset(given: OracleSetting, output: str) -> EffectiveValue | None:
    """Return the value in force where torch_npu says that it takes its default instead."""
    said = re.search(_RESET.format(name=re.escape(given.name)), output)
    if said is None:
        return None
    return EffectiveValue(
        said[1] or "the default", said[1] is not None and are_equivalent(given.text, said[1])
    )


def are_equivalent(written: str, found: str) -> bool:
    """Whether two texts mean the same: as numbers, as truth in any case, else to the letter."""
    one, other = written.strip(), found.strip()
    if one == other or {one.lower(), other.lower()} in ({"true"}, {"false"}):
        return True
    try:
        return float(one) == float(other)
    except ValueError:
        return False


def _compared(written: str, found: Any) -> EffectiveValue:
    """Return a value that Python code made of a text."""
    if isinstance(found, bool):
        meant = {"1": True, "true": True, "0": False, "false": False}.get(written.strip().lower())
        return EffectiveValue(str(found), meant is found)
    return EffectiveValue(str(found), are_equivalent(written, str(found)))


def _threads(run: CheckRun, name: str) -> list[str] | None:
    """Return the CPUs of the threads of a name; ``None`` if threads were not looked at."""
    found = run.seen.get("threads")
    return list(found.get(name, ())) if isinstance(found, dict) else None


def _queue(given: OracleSetting, run: CheckRun, base: CheckRun) -> EffectiveValue | None:
    threads = _threads(run, "acl_thread")
    if threads is None or "memory" not in run.seen:
        return None
    if not threads:
        level = "0"
    elif run.failure is not None and given.name in run.failure.message:
        level = "2"  # the capture of a graph refuses it by name
    elif "graph" in run.stages:
        level = "1"
    else:
        return EffectiveValue("1 or 2", given.text.strip() in ("1", "2"))
    return EffectiveValue(level, are_equivalent(given.text, level))


def _blocking(given: OracleSetting, run: CheckRun, base: CheckRun) -> EffectiveValue | None:
    threads, usual = _threads(run, "acl_thread"), _threads(base, "acl_thread")
    if threads is None or not usual or "memory" not in run.seen:
        return None
    on = "0" if threads else "1"
    return EffectiveValue(on, are_equivalent(given.text, on))


def _per_stream(given: OracleSetting, run: CheckRun, base: CheckRun) -> EffectiveValue | None:
    threads, usual = _threads(run, "acl_thread"), _threads(base, "acl_thread")
    if threads is None or not usual or "memory" not in run.seen or "streams" not in run.stages:
        return None
    on = "1" if len(threads) > len(usual) else "0"
    return EffectiveValue(on, are_equivalent(given.text, on))


def _streams(given: OracleSetting, run: CheckRun, base: CheckRun) -> EffectiveValue | None:
    found = run.seen.get("streams")
    return EffectiveValue(str(found), are_equivalent(given.text, str(found))) if found else None


def _caching(given: OracleSetting, run: CheckRun, base: CheckRun) -> EffectiveValue | None:
    memory = run.seen.get("memory")
    if not isinstance(memory, dict):
        return None
    off = not memory.get("segments")
    text = "the cache is off" if off else "the cache is on"
    return EffectiveValue(text, are_equivalent(given.text, "1" if off else "0"))


def _affinity(given: OracleSetting, run: CheckRun, base: CheckRun) -> EffectiveValue | None:
    found, usual = run.seen.get("threads"), base.seen.get("threads")
    if not isinstance(found, dict) or not isinstance(usual, dict):
        return None
    bound = {
        name: ",".join(dict.fromkeys(cpus))
        for name, cpus in found.items()
        if name in usual and set(cpus) - set(usual[name])
    }
    said = ", ".join(f"{name} on {cpus}" for name, cpus in sorted(bound.items()))
    # which CPUs are meant depends on the machine, so a binding is shown and not compared
    return EffectiveValue(said or "no thread is bound", True)


def _allocator(given: OracleSetting, run: CheckRun, base: CheckRun) -> EffectiveValue | None:
    rewritten = run.seen.get("rewritten")
    now = rewritten.get(given.name) if isinstance(rewritten, dict) else None
    force = values_in_force(run.output)
    if not force:
        return None
    told, as_written = [], True
    for key, value in pairs(given.text):
        if key not in force:
            continue
        told.append(f"{key}:{force[key]}")
        as_written = as_written and are_equivalent(value, force[key])
    if now is not None and now != given.text:
        told.append(f"vllm-ascend makes it {now}")
    return EffectiveValue(", ".join(told), as_written) if told else None


def _additional(given: OracleSetting, run: CheckRun, base: CheckRun) -> EffectiveValue | None:
    values, found, asked = _object(given.text), run.seen.get("as_read"), run.seen.get("keys")
    if values is None or not isinstance(found, dict) or not isinstance(asked, list):
        return None
    usual = base.seen.get("as_read") or {}
    end = run.seen.get("configuration") or {}
    told, as_written = [], True
    leaves = dict(_leaves(values))
    for key, value in leaves.items():
        if key not in asked or key not in found:
            continue
        now = _judged(found[key], usual.get(key))
        told.append(f"{key}={_shown(now)}")
        as_written = as_written and now == value  # True == 1: both mean on
        if end.get(key) != found[key]:
            told[-1] += f", which vllm-ascend then sets to {_shown(end.get(key))}"
    unread = tuple(key for key in leaves if key not in asked)
    return EffectiveValue(", ".join(told), as_written, unread) if told or unread else None


def _judged(value: Any, usual: Any) -> Any:
    """Return what a value counts as, where the usual one is a boolean: its truth."""
    return bool(value) if isinstance(usual, bool) else value


def _shown(value: Any) -> str:
    return json.dumps(value)


def _leaves(values: Mapping[str, Any], above: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            found += _leaves(value, f"{above}{key}.")
        else:
            found.append((f"{above}{key}", value))
    return found


def _object(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


_READERS: Mapping[str, Reader] = {
    "TASK_QUEUE_ENABLE": _queue,
    "ASCEND_LAUNCH_BLOCKING": _blocking,
    "PER_STREAM_QUEUE": _per_stream,
    "STREAMS_PER_DEVICE": _streams,
    "PYTORCH_NO_NPU_MEMORY_CACHING": _caching,
    "CPU_AFFINITY_CONF": _affinity,
    **dict.fromkeys(NAMES, _allocator),
}

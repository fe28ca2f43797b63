"""Texts to try on a setting's reader, from what its entry says it accepts. Pure.

Inside, at the border, outside, junk, empty: where a reader and its entry can disagree.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from trimtab.catalog import CATALOG, Tuning
from trimtab.catalog.values import (
    Choice,
    Decimal,
    Integer,
    Option,
    Reading,
    Share,
    Size,
    ValueReader,
)
from trimtab.knobs import Env, EnvList, JsonKey
from trimtab.oracle.model import OracleSetting

LAYERS = ("torch_npu", "vllm_ascend")
"""Layers of the catalogue whose readers are in the wheels."""

JUNK = ("", "abc", "1abc", "-1")

EXTRA: Mapping[str, tuple[str, ...]] = {
    "task-queue": ("0", "1", "2", "3", "01", " 1", "1.5", "2 "),
    "cpu-affinity-conf": ("0", "1", "2", "1,npu0:0-0", "1,npu0:0", "force:1", "1,force:1"),
    "npu-roundup-power2-divisions": ("1", "4", "3", "[256:1,512:2,>:4]", "[256:1", "0"),
    "no-npu-memory-caching": ("1", "0"),
    "npu-alloc-conf-alias": ("max_split_size_mb:250", "nonsense:1"),
    "multi-stream-memory-reuse": ("4",),
}
"""Texts for entries whose form does not tell them."""


@dataclass(frozen=True, slots=True)
class TextProbe:
    """A text to try, and what the catalogue says becomes of it."""

    tuning: str
    text: str
    given: OracleSetting
    expected: Reading


def entries() -> list[Tuning]:
    """Return the entries whose readers can be asked, in the catalogue's order."""
    return [
        tuning
        for tuning in CATALOG.values()
        if tuning.layer in LAYERS and isinstance(tuning.knob, Env | EnvList | JsonKey)
    ]


def probes(tuning: Tuning) -> Iterator[TextProbe]:
    """Yield the texts to try on one entry."""
    for text in texts(tuning.name, tuning.accepts):
        given = oracle_setting(tuning, text)
        if given is not None:
            yield TextProbe(tuning.name, text, given, tuning.accepts.read(_as_read(tuning, text)))


ONLY: Mapping[str, tuple[str, ...]] = {"torch-npu-logs": ("env", "+env,memory", "")}
"""Texts for entries of which junk cannot be foreseen: any module's name is right for this one."""


def texts(name: str, accepts: ValueReader) -> tuple[str, ...]:
    """Return texts for a way of reading, each once."""
    if name in ONLY:
        return ONLY[name]
    return tuple(dict.fromkeys([*_samples(accepts), *EXTRA.get(name, ()), *JUNK]))


def _samples(accepts: ValueReader) -> Iterable[str]:
    match accepts:
        case Choice(choices=choices):
            yield from choices
            yield from (choice.swapcase() for choice in choices)
            yield f"{choices[0]} "
        case Integer(low=low, high=high, multiple=step):
            first = low if low is not None else 0
            last = high if high is not None else first + 64 * step
            yield from map(str, (first, first + step, last, first - 1))
            if high is not None:
                yield str(high + step)
            yield f"{first + step}.5"
        case Option(choices=numbers):
            yield from map(str, (*numbers, max(numbers) + 1))
            yield from (f"{numbers[0]}abc", f"{numbers[-1]}.5", f" {numbers[0]} ")
        case Size(low=low):
            yield from map(str, (low, low + 1, low - 1))
            yield from (f"{low + 1}.5", f"{low + 1}abc")
        case Share():
            yield from ("0", "0.5", "1", "1.5", "-0.5", "0.5abc")
        case Decimal(low=low, high=high):
            yield from (f"{one:g}" for one in (low, (low + high) / 2, high))
            yield from (f"{low - 0.5:g}", f"{high + 0.5:g}")
        case _:
            yield from ("0", "1", "2")


def oracle_setting(tuning: Tuning, text: str) -> OracleSetting | None:
    """Return the setting that gives an entry a text; ``None`` where its knob cannot hold it."""
    match tuning.knob:
        case Env(name=name):
            return OracleSetting(name, text)
        case EnvList(name=name, key=key, assign=assign):
            return OracleSetting(name, f"{key}{assign}{text}")
        case JsonKey(option=option, key=key):
            return OracleSetting(option, json.dumps(_nested(key.split("."), _json_value(text))))
        case _:
            return None


def _nested(path: list[str], value: object) -> object:
    return {path[0]: _nested(path[1:], value)} if path else value


def _json_value(text: str) -> object:
    """Return the JSON value that people mean by a text: a boolean, a number, or the text."""
    if text in ("True", "False"):
        return text == "True"
    try:
        return json.loads(text)
    except ValueError:
        return text


def _as_read(tuning: Tuning, text: str) -> str:
    """Return the text as rules hand it to the entry's reader: JSON booleans as 0 and 1."""
    if not isinstance(tuning.knob, JsonKey):
        return text
    value = _json_value(text)
    return str(int(value)) if isinstance(value, bool) else str(value)

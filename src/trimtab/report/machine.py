"""The machine before each start, as the gate read it: median and range over a study."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Final

from trimtab import formatting
from trimtab.model import Start

_READINGS: Final = {
    "busy": ("others' share of the CPUs", "%", 100.0),
    "steal": ("stolen by the hypervisor", "%", 100.0),
    "gflops": ("matrix product", "GFLOP/s", 1.0),
    "copy_gbps": ("memory copy", "GB/s", 1.0),
    "mhz": ("CPU clock", "MHz", 1.0),
    "celsius": ("hottest sensor", "°C", 1.0),
    "available_gb": ("free memory", "GB", 1.0),
    "waited": ("waited for quiet", "s", 1.0),
}
"""The gate's key → what people call it, its unit, and the factor to it."""


def readings(starts: Sequence[Start]) -> Iterator[tuple[str, str]]:
    """Yield a name and a text for each reading that the starts hold; what none has is left out."""
    for key, (name, unit, factor) in _READINGS.items():
        values = [factor * start.gate[key] for start in starts if key in start.gate]
        if values:
            middle, low, high = map(formatting.number, (median(values), min(values), max(values)))
            many = formatting.count(len(values), "start")
            yield name, f"{middle} {unit}, {low} to {high} before {many}"

"""What is measured over request records: a table of metrics with their formulas.

The definitions are those of vLLM's own benchmark (vLLM 0.32 benchmarks/serve.py,
benchmarks/lib/endpoint_request_func.py) with two differences, both on purpose: latencies count
from the intended send time and not from the actual one, and throughput counts inside a window
of continuous load, so that neither ramp-up nor tail dilutes it. A metric without data is absent,
never 0.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from itertools import pairwise
from types import MappingProxyType

from trimtab.metrics.slo import Latency, Slo, parse_slo
from trimtab.model import RequestRecord

__all__ = [
    "FURTHER_OBJECTIVES",
    "METRICS",
    "OBJECTIVES",
    "Metric",
    "MetricScope",
    "Sample",
    "Slo",
    "StartSample",
    "geometric_mean",
    "measure",
    "measure_start",
    "objective_words",
    "parse_slo",
    "percentile",
]


def geometric_mean(values: Sequence[float]) -> float:
    """Return the geometric mean; the arithmetic one where a value (0) has no logarithm.

    Raises:
        ValueError: ``values`` is empty.
    """
    if min(values) > 0:
        return math.exp(math.fsum(map(math.log, values)) / len(values))
    return mean(values)


def trimmed_mean(values: Sequence[float]) -> float:
    """Return the geometric mean without the lowest and the highest fifth.

    A neighbour on the machine, or a kernel compiled late, spoils a window or two of a start: with
    16 windows of which two are at half speed the plain mean is 8 % low, this one 1 % (and its
    variance without spoilt windows is 12 % larger). From five values on; the plain mean of fewer,
    and where a value (0) has no logarithm.

    Raises:
        ValueError: ``values`` is empty.
    """
    out = len(values) // 5
    if out == 0 or min(values) <= 0:
        return geometric_mean(values)
    return geometric_mean(sorted(values)[out:-out])


def percentile(values: Sequence[float], percent: float) -> float:
    """Return a percentile by linear interpolation between ranks, as ``numpy.percentile`` does.

    Raises:
        ValueError: ``values`` is empty.
    """
    if not values:
        raise ValueError("a percentile needs at least one value, but got none")
    ordered = sorted(values)
    rank = (len(ordered) - 1) * percent / 100.0
    low = math.floor(rank)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (rank - low)


def mean(values: Sequence[float]) -> float:
    """Return the arithmetic mean."""
    return math.fsum(values) / len(values)


@dataclass(frozen=True, slots=True)
class Sample:
    """The records of a load and the window ``(begin, end]`` (seconds) to measure in it."""

    records: tuple[RequestRecord, ...]
    begin: float
    end: float
    slo: Slo | None = None

    @property
    def seconds(self) -> float:
        """Length of the window."""
        return self.end - self.begin

    @property
    def ended(self) -> tuple[RequestRecord, ...]:
        """The requests that ended inside the window, with or without an error."""
        return tuple(record for record in self.records if self.holds(record.done))

    @property
    def completed(self) -> tuple[RequestRecord, ...]:
        """The requests that ended inside the window without an error."""
        return tuple(record for record in self.ended if not record.error)

    def holds(self, instant: float) -> bool:
        """Whether ``instant`` lies inside the window."""
        return self.begin < instant <= self.end


@dataclass(frozen=True, slots=True)
class StartSample:
    """What one start shows of its server as a whole, beside the load."""

    startup: float
    """Seconds from the launch until the server was ready."""
    cold: bool | None
    """Whether it compiled what later starts load; ``None`` if its log does not tell."""
    peak_memory: int | None = None
    """Bytes: sum of the peak resident memory of its processes; ``None`` if it was not readable."""


class MetricScope(StrEnum):
    """What one value of a metric is about."""

    REQUEST = "request"
    """A statistic over the requests of a window."""
    WINDOW = "window"
    """A count over the seconds of a window."""
    START = "start"
    """One value for a whole start."""


def _no_value(sample: Sample | StartSample) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of the table.

    ``compute`` returns the value of a window, ``compute_start`` that of a start; ``None`` where
    the sample has no such value. A row of scope "start" has the latter alone.
    """

    name: str
    unit: str
    higher_is_better: bool
    formula: str
    compute: Callable[[Sample], float | None] = _no_value
    scope: MetricScope = MetricScope.WINDOW
    objective: bool = True
    """Whether a study can improve it."""
    further: bool = True
    """Whether a study can improve it together with an objective that decides first."""
    compute_start: Callable[[StartSample], float | None] = _no_value


def _arrived_tokens(record: RequestRecord, sample: Sample) -> float:
    """Output tokens of ``record`` that arrived in the window, spread evenly over its chunks."""
    if not record.chunks:
        return 0.0
    inside = bisect_right(record.chunks, sample.end) - bisect_right(record.chunks, sample.begin)
    return record.output_tokens * inside / len(record.chunks)


def _output_throughput(sample: Sample) -> float | None:
    tokens = math.fsum(_arrived_tokens(record, sample) for record in sample.records)
    return tokens / sample.seconds if tokens else None


BINS = 4
"""Parts of a window whose throughput is kept: three windows have a dozen, so a change shows."""


def throughputs(records: Sequence[RequestRecord], begin: float, end: float) -> tuple[float, ...]:
    """Return the output tokens/s of equal parts of ``(begin, end]``, to four digits."""
    edges = [begin + (end - begin) * i / BINS for i in range(BINS + 1)]
    samples = (Sample(tuple(records), *pair) for pair in pairwise(edges))
    if end <= begin:
        return ()
    return tuple(float(f"{_output_throughput(sample) or 0.0:.4g}") for sample in samples)


def _total_throughput(sample: Sample) -> float | None:
    prompts = sum(
        record.prompt_tokens
        for record in sample.records
        if record.chunks and sample.holds(record.chunks[0])
    )
    output = math.fsum(_arrived_tokens(record, sample) for record in sample.records)
    return (prompts + output) / sample.seconds if prompts + output else None


def _request_throughput(sample: Sample) -> float | None:
    completed = len(sample.completed)
    return completed / sample.seconds if completed else None


def _goodput(sample: Sample) -> float | None:
    slo = sample.slo
    if slo is None or not sample.completed:
        return None
    return sum(_meets(record, slo) for record in sample.completed) / sample.seconds


def _meets(record: RequestRecord, slo: Slo) -> bool:
    """Whether every limit holds for the request's own values.

    A latency that the request does not have holds (vLLM counts the TPOT of a one-token answer
    as 0 for goodput), except that an answer without any token meets nothing.
    """
    return bool(record.chunks) and all(
        term.met(value) for term in slo.terms for value in LATENCIES[term.latency](record)
    )


def _error_rate(sample: Sample) -> float | None:
    ended = sample.ended
    return sum(bool(record.error) for record in ended) / len(ended) if ended else None


def _ttft(record: RequestRecord) -> tuple[float, ...]:
    return (record.chunks[0] - record.intended,) if record.chunks else ()


def _e2e(record: RequestRecord) -> tuple[float, ...]:
    return (record.chunks[-1] - record.intended,) if record.chunks else ()


def _tpot(record: RequestRecord) -> tuple[float, ...]:
    if not record.chunks or record.output_tokens < 2:
        return ()
    return ((record.chunks[-1] - record.chunks[0]) / (record.output_tokens - 1),)


def _itl(record: RequestRecord) -> tuple[float, ...]:
    return tuple(after - before for before, after in pairwise(record.chunks))


LATENCIES: Mapping[Latency, Callable[[RequestRecord], tuple[float, ...]]] = MappingProxyType(
    {Latency.TTFT: _ttft, Latency.TPOT: _tpot, Latency.ITL: _itl, Latency.E2E: _e2e}
)
"""The values (seconds) that one request contributes to each latency; none where it has none."""

_FORMULAS: Mapping[Latency, str] = {
    Latency.TTFT: "first chunk - intended send",
    Latency.TPOT: "(E2E - TTFT) / (output tokens - 1) of a request; none for one-token answers",
    Latency.ITL: "gaps between the chunks of a request, all requests pooled",
    Latency.E2E: "last chunk - intended send",
}

_STATISTICS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "mean": mean,
    **{f"p{percent}": partial(percentile, percent=percent) for percent in (50, 90, 95, 99)},
}


def _latency_metric(
    latency: Latency, statistic: str, summarise: Callable[[Sequence[float]], float]
) -> Metric:
    def compute(sample: Sample) -> float | None:
        values = [value for record in sample.completed for value in LATENCIES[latency](record)]
        return summarise(values) * 1000.0 if values else None

    over = "the valid windows'" if statistic.startswith("p") else "the window's"
    formula = f"{statistic} over {over} completed requests of: {_FORMULAS[latency]}"
    return Metric(f"{latency}_{statistic}", "ms", False, formula, compute, MetricScope.REQUEST)


_RATES = (
    Metric(
        "output_throughput",
        "tok/s",
        True,
        "output tokens that arrived in the window (a request's tokens spread evenly over its "
        "chunks) / window seconds",
        _output_throughput,
    ),
    Metric(
        "total_throughput",
        "tok/s",
        True,
        "(output tokens that arrived in the window + prompt tokens of requests whose first "
        "chunk did) / window seconds",
        _total_throughput,
        objective=False,
    ),
    Metric(
        "request_throughput",
        "req/s",
        True,
        "requests completed in the window / window seconds",
        _request_throughput,
    ),
    Metric(
        "goodput",
        "req/s",
        True,
        "requests completed in the window whose own latencies meet every limit of the SLO / "
        "window seconds",
        _goodput,
    ),
    Metric(
        "error_rate",
        "1",
        False,
        "failed requests / requests that ended in the window",
        _error_rate,
        objective=False,
        further=False,
    ),
)


def _startup(sample: StartSample) -> float | None:
    """Compile caches are compared warm: the first start compiles what every later one loads.

    Where the log does not tell, the start counts, and adds to the noise.
    """
    return None if sample.cold else sample.startup


def _peak_memory(sample: StartSample) -> float | None:
    return None if sample.peak_memory is None else sample.peak_memory / 2**30


_OF_STARTS = (
    Metric(
        "capacity",
        "req/s",
        True,
        "the highest rate of Poisson arrivals that meets the SLO (`trimtab capacity`)",
        scope=MetricScope.START,
        objective=False,
        further=False,
    ),
    Metric(
        "startup",
        "s",
        False,
        "launch until the server is ready; absent for a start that filled a compile cache",
        scope=MetricScope.START,
        objective=False,
        compute_start=_startup,
    ),
    Metric(
        "peak_memory",
        "GiB",
        False,
        "sum over the server's processes of their peak resident host memory at the end of the "
        "load; shared pages count once for each process",
        scope=MetricScope.START,
        objective=False,
        compute_start=_peak_memory,
    ),
)

METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        metric.name: metric
        for metric in (
            *_RATES,
            *_OF_STARTS,
            *(
                _latency_metric(latency, statistic, summarise)
                for latency in LATENCIES
                for statistic, summarise in _STATISTICS.items()
            ),
        )
    }
)
"""Every metric by name: unit, direction, formula and how it is computed."""

OBJECTIVES = tuple(name for name, metric in METRICS.items() if metric.objective)
"""The metrics a study can improve."""

FURTHER_OBJECTIVES = tuple(name for name, metric in METRICS.items() if metric.further)
"""The metrics that can make a Pareto set together with one of them."""


def objective_words(names: Sequence[str]) -> str:
    """Return objectives for a sentence: latencies by one example, all others by name."""
    others = [name for name in names if METRICS[name].scope is not MetricScope.REQUEST]
    latencies = [name for name in names if METRICS[name].scope is MetricScope.REQUEST]
    example = "tpot_p50" if "tpot_p50" in latencies else latencies[0]
    return f"{', '.join(others)}, a latency such as {example}"


HOST_OVERHEAD = "host-overhead"
"""Another name of the objective :data:`HOST_OVERHEAD_METRIC`, where the device takes no time."""

HOST_OVERHEAD_METRIC = "e2e_mean"
"""On a device that takes no time a request's time is the host's, prefill and decode steps alike.

Not its time per output token: where the API server lags behind the engine, it hands several
tokens over in one chunk, and the gaps between chunks shrink to nothing (0.06 ms was seen) while
requests take as long as before.
"""


def measure(
    records: Sequence[RequestRecord], begin: float, end: float, slo: Slo | None = None
) -> dict[str, float]:
    """Return every metric that exists for the window ``(begin, end]``, by name.

    ``begin`` and ``end`` are seconds of the records' clock. A metric without data is absent:
    goodput without an SLO, latencies without completed requests, everything for a window
    without length.
    """
    if end <= begin:
        return {}
    sample = Sample(tuple(records), begin, end, slo)
    values = {name: metric.compute(sample) for name, metric in METRICS.items()}
    return {name: value for name, value in values.items() if value is not None}


def measure_start(sample: StartSample) -> dict[str, float]:
    """Return every metric of scope "start" that a start has, by name."""
    values = {name: metric.compute_start(sample) for name, metric in METRICS.items()}
    return {name: value for name, value in values.items() if value is not None}

"""The requests of a workload, from a seed: the same seed gives the same load to every arm."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator, SeedSequence, default_rng

from trimtab.errors import WorkloadError
from trimtab.load.workload import Lengths, Workload
from trimtab.model import Request

_DISTINCT = 8  # leading tokens that no two prompts share, no more than a small cache block
_ATTEMPTS = 1000


def build_requests(workload: Workload, seed: int, vocab: int) -> tuple[Request, ...]:
    """Return every request of the load: warm-up, windows and tail, in sending order.

    Prompts are token ids, so their lengths are exact without a tokenizer. Behind the shared
    prefix the first tokens of no two prompts are equal, so a prefix cache carries over nothing
    but that prefix. Ids are drawn from ``workload.vocabulary_floor`` up to nine tenths of
    ``vocab`` (the size of the model's vocabulary): the top is where Qwen and Llama 3 keep their
    special and placeholder ids.

    Raises:
        WorkloadError: the vocabulary is too small for distinct prompts.
    """
    lengths, tokens, arrivals = (default_rng(one) for one in SeedSequence(seed).spawn(3))
    count = workload.requests
    inputs = _draw(workload.input_tokens, count, lengths)
    outputs = _draw(workload.output_tokens, count, lengths)
    instants = _arrival_times(workload, count, arrivals)
    prompts = _prompts(workload, inputs, vocab, tokens)
    return tuple(
        Request(index, prompt, output, at)
        for index, (prompt, output, at) in enumerate(zip(prompts, outputs, instants, strict=True))
    )


def _draw(lengths: Lengths, count: int, rng: Generator) -> list[int]:
    """Draw lengths; of a list, each value once in every group as long as the list.

    Drawing without replacement gives every window nearly the same work, so that windows differ
    by the server and not by luck.
    """
    if lengths.values:
        groups = -(-count // len(lengths.values))
        drawn = np.concatenate([rng.permutation(lengths.values) for _ in range(groups)])
        return [int(one) for one in drawn[:count]]
    assert lengths.min is not None
    assert lengths.max is not None
    return [int(one) for one in rng.integers(lengths.min, lengths.max, count, endpoint=True)]


def _arrival_times(workload: Workload, count: int, rng: Generator) -> list[float | None]:
    if workload.arrival.rate is None:
        return [None] * count
    gaps = rng.exponential(1.0 / workload.arrival.rate, count)
    return [float(instant) for instant in np.cumsum(gaps)]


def _prompts(
    workload: Workload, lengths: list[int], vocab: int, rng: Generator
) -> list[tuple[int, ...]]:
    low, high = workload.vocabulary_floor, vocab * 9 // 10
    if high <= low:
        raise WorkloadError(
            f"workload {workload.name}: vocabulary_floor must leave ids to draw from below nine "
            f"tenths of the model's vocabulary of {vocab}, but it is {low}"
        )
    prefix = tuple(rng.integers(low, high, workload.shared_prefix).tolist())
    seen: set[tuple[int, ...]] = set()
    prompts = []
    for length in lengths:
        own = _distinct(workload, length, low, high, rng, seen)
        prompts.append((*prefix, *own))
    return prompts


def _distinct(
    workload: Workload,
    length: int,
    low: int,
    high: int,
    rng: Generator,
    seen: set[tuple[int, ...]],
) -> tuple[int, ...]:
    for _ in range(_ATTEMPTS):
        own = tuple(rng.integers(low, high, length).tolist())
        if own[:_DISTINCT] not in seen:
            seen.add(own[:_DISTINCT])
            return own
    raise WorkloadError(
        f"workload {workload.name}: {workload.requests} distinct prompts of {length} tokens "
        f"cannot be drawn from {high - low} ids; lengthen input_tokens or lower vocabulary_floor"
    )

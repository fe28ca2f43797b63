"""The requests of a workload, from a seed: the same seed gives the same load to every arm."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice

from numpy.random import Generator, SeedSequence, default_rng

from trimtab.errors import WorkloadError
from trimtab.load.lengths import draw
from trimtab.load.prompts import Tokenize, pick
from trimtab.load.trace import BLOCK, TraceRequest
from trimtab.load.workload import Workload, file_prompts, instants, trace_requests
from trimtab.model import Request

_DISTINCT = 8  # leading tokens that no two prompts share, no more than a small cache block
_ATTEMPTS = 1000


def build_requests(
    workload: Workload,
    seed: int,
    vocab: int,
    tokenize: Tokenize | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[Request, ...]:
    """Return every request of the load: warm-up, windows and tail, in sending order.

    Behind them come the spare ones, which prolong a warm-up that is not steady; the others are
    the same without them. ``say`` gets the sentence how many written prompts were left out.

    Prompts are token ids, so their lengths are exact without a tokenizer. Behind the shared
    prefix the first tokens of no two prompts are equal, so a prefix cache carries over nothing
    but that prefix. Ids are drawn from ``workload.vocabulary_floor`` up to nine tenths of
    ``vocab`` (the size of the model's vocabulary): the top is where Qwen and Llama 3 keep their
    special and placeholder ids. ``tokenize`` is needed for prompts that people wrote.

    Raises:
        WorkloadError: the vocabulary is too small for distinct prompts, or a file that the
            workload names cannot give the requests.
    """
    lengths, tokens, arrivals, spare = (
        default_rng(sequence) for sequence in SeedSequence(seed).spawn(4)
    )
    count = workload.requests
    if workload.prompts is not None:
        assert tokenize is not None
        texts = file_prompts(workload)
        drawn = pick(texts, count, lengths, tokenize, where=workload.prompts, say=say)
        at = instants(workload.arrival, count, arrivals)
        return tuple(
            Request(index, prompt, wanted, moment)
            for index, ((prompt, wanted), moment) in enumerate(zip(drawn, at, strict=True))
        )
    entries = _entries(workload, count, lengths)
    if workload.arrival.trace is None:
        at = instants(workload.arrival, count, arrivals)
    else:
        at = [entry.at for entry in entries]
    if workload.spare:
        entries = (*entries, *_entries(workload, workload.spare, spare))
        at += [None] * workload.spare
    prompts = _prompts(workload, entries, vocab, tokens)
    if workload.turns is not None:
        prompts = _conversations(workload, entries, prompts, vocab, tokens)
    return tuple(
        Request(index, prompt, entry.output_tokens, moment)
        for index, (prompt, entry, moment) in enumerate(zip(prompts, entries, at, strict=True))
    )


def _entries(workload: Workload, count: int, rng: Generator) -> tuple[TraceRequest, ...]:
    """Return what each request is like: recorded, or drawn (its time then means nothing)."""
    if workload.arrival.trace is not None:
        return trace_requests(workload)
    assert workload.input_tokens is not None
    assert workload.output_tokens is not None
    group = workload.window_requests
    inputs = draw(workload.input_tokens, count, group, rng)
    outputs = draw(workload.output_tokens, count, group, rng)
    return tuple(TraceRequest(0.0, *pair) for pair in zip(inputs, outputs, strict=True))


def _prompts(
    workload: Workload, entries: Sequence[TraceRequest], vocab: int, rng: Generator
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
    blocks: dict[int, tuple[int, ...]] = {}
    for entry in entries:
        if entry.blocks:
            for name in entry.blocks:
                if name not in blocks:
                    blocks[name] = tuple(rng.integers(low, high, BLOCK).tolist())
            whole = (token for name in entry.blocks for token in blocks[name])
            start = tuple(islice(whole, entry.input_tokens))
            # a recorder that names only whole blocks leaves the rest of the prompt to itself
            rest = entry.input_tokens - len(start)
            prompts.append((*start, *rng.integers(low, high, rest).tolist()))
        else:
            own = _distinct(workload, entry.input_tokens, low, high, rng, seen)
            prompts.append((*prefix, *own))
    return prompts


def _conversations(
    workload: Workload,
    entries: Sequence[TraceRequest],
    prompts: Sequence[tuple[int, ...]],
    vocab: int,
    rng: Generator,
) -> list[tuple[int, ...]]:
    """Return the prompts with what was said before on their stream in front of what is new.

    Stream s holds the requests s, s + streams, and so on. The server's answers are not known
    beforehand; stand-ins of the asked length take their place, so that a conversation is as long
    as a real one, and a prefix cache finds the earlier prompt but not the answer to it.
    """
    assert workload.turns is not None
    assert workload.streams is not None
    low, high = workload.vocabulary_floor, vocab * 9 // 10
    lengths = iter(draw(workload.turns, len(entries), workload.window_requests, rng))
    said: dict[int, tuple[int, ...]] = {}
    left: dict[int, int] = {}
    found = []
    for index, (entry, prompt) in enumerate(zip(entries, prompts, strict=True)):
        stream = index % workload.streams
        if not left.get(stream):
            said[stream], left[stream] = (), next(lengths)
        new = prompt[workload.shared_prefix :] if said[stream] else prompt
        whole = (*said[stream], *new)
        found.append(whole)
        said[stream] = (*whole, *rng.integers(low, high, entry.output_tokens).tolist())
        left[stream] -= 1
    return found


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

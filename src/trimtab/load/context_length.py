"""Do a workload's requests fit into a model's context? Known before a server is started."""

from __future__ import annotations

from collections.abc import Sequence

from numpy.random import default_rng

from trimtab.errors import UsageError
from trimtab.knobs.server_arg import human_int, option_value
from trimtab.load.lengths import draw
from trimtab.load.workload import Workload, trace_requests

_OPTION = "--max-model-len"


def longest_request(workload: Workload, seed: int = 0) -> int | None:
    """Return the most tokens that a request of a load has, prompt and answer together.

    Lengths that are distributions are drawn, for their upper bounds may never come: a load of
    another seed has nearly the same longest request, because draws are stratified. ``None`` where
    only the server's tokenizer could tell.
    """
    if workload.prompts is not None:
        return None
    if workload.arrival.trace is not None:
        entries = trace_requests(workload)
        return max((one.input_tokens + one.output_tokens for one in entries), default=None)
    assert workload.input_tokens is not None
    assert workload.output_tokens is not None
    rng, group = default_rng(seed), workload.window_requests
    count = workload.measured + (workload.streams or 0)  # those that are sent in any case
    inputs = draw(workload.input_tokens, count, group, rng)
    outputs = draw(workload.output_tokens, count, group, rng)
    each = [one + other for one, other in zip(inputs, outputs, strict=True)]
    if workload.turns is not None and workload.streams is not None:
        turns = draw(workload.turns, count, group, rng)
        each = _conversations(each, turns, workload.streams)
    return workload.shared_prefix + max(each)


def _conversations(each: Sequence[int], turns: Sequence[int], streams: int) -> list[int]:
    """Return the tokens so far in the conversations of some streams, turn by turn."""
    lengths = iter(turns)
    said, left = [0] * streams, [0] * streams
    found = []
    for index, tokens in enumerate(each):
        stream = index % streams
        if not left[stream]:
            said[stream], left[stream] = 0, next(lengths)
        said[stream] += tokens
        left[stream] -= 1
        found.append(said[stream])
    return found


def requested_context(argv: Sequence[str]) -> int | None:
    """Return the length that ``--max-model-len`` of a command line names, ``None`` without one.

    vLLM's units are understood: 32k is 32,000 and 32K is 32,768; "auto" and -1 name none.
    """
    tokens = human_int(option_value(argv, _OPTION) or "")
    return tokens if tokens is not None and tokens > 0 else None


def require_context(workload: Workload, limit: int | None, source: str) -> None:
    """Refuse a workload whose longest request does not fit into ``limit`` tokens.

    ``source`` says where the limit comes from, for the message. ``None`` is no limit.

    Raises:
        UsageError: it does not fit.
    """
    tokens = None if limit is None else longest_request(workload)
    if limit is not None and tokens is not None and tokens > limit:
        raise UsageError(
            f"workload {workload.name} has requests of up to {tokens:,} tokens (prompt and "
            f"answer), but {source} allows {limit:,}: lower input_tokens or output_tokens, or "
            "raise the limit"
        )

"""Before a load: do its requests fit into the context, does the server take token ids?"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from numpy.random import default_rng

from trimtab.errors import EndpointMissingError, UsageError
from trimtab.families import read_command
from trimtab.http_client import loopback
from trimtab.knobs.server_arg import human_int
from trimtab.load.connection import PATH, body_of
from trimtab.load.lengths import draw
from trimtab.load.sse import decode, describe_error
from trimtab.load.workload import Workload, trace_requests
from trimtab.model import Request

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
        return max((entry.input_tokens + entry.output_tokens for entry in entries), default=None)
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
    tokens = human_int(read_command(argv).value(_OPTION) or "")
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


_TOKENS: Final = 2
_PROMPT: Final = 4
_SECONDS: Final = 30.0
"""What this request may take at most; a server that is slower is left for the load to judge."""

_MISSING: Final = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED)
_REFUSED: Final = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY)
_LOCKED: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


def require_completions(url: str, model: str, key: str | None, workload: Workload) -> None:
    """Send one short request, and refuse a server that could not serve a load of them.

    Passing troubles, such as HTTP 500, are left for the load to tell.

    Raises:
        EndpointMissingError: there is no such page, or it takes no token ids, or tells no usage.
    """
    first = workload.vocabulary_floor
    asked = Request(0, tuple(range(first, first + _PROMPT)), _TOKENS)
    seconds = min(_SECONDS, workload.request_deadline)
    content = body_of(asked, model)
    try:
        reply = loopback.exchange("POST", url, PATH, content, timeout=seconds, key=key)
    except loopback.ExchangeError:
        return  # the load meets it too, and tells it with its own words
    if why := _why(reply, model):
        raise EndpointMissingError(f"{url}: POST {PATH} {why}")


def _why(reply: loopback.HttpReply, model: str) -> str:
    """Return why a load cannot be sent, "" if it can."""
    said = describe_error(reply.body)
    answer = f"answers {reply.status}" + (f" ({said})" if said else "")
    if reply.location:
        return loopback.refusal(PATH, reply).removeprefix(f"{PATH} ")
    if reply.status in _LOCKED:
        return f"{answer}: set VLLM_API_KEY to the key that it demands"
    if reply.status in _MISSING and model in said:
        return f"{answer}: name a model that it serves with --model"
    if reply.status in _MISSING:
        return (
            f"{answer}: trimtab measures completions with token ids; "
            "start a model that generates text, under a server that has this page"
        )
    if reply.status in _REFUSED:
        return (
            f"{answer}: trimtab sends prompts as token ids, streamed, with their usage; "
            "name a server that takes them"
        )
    if reply.status != HTTPStatus.OK:
        return ""
    return _unusable(reply.body)


def _unusable(body: bytes) -> str:
    """Return why a 200 answer cannot be measured, "" if it can."""
    stream = decode([(0.0, body)])
    if stream.error:
        return ""  # an engine in trouble, which the load tells
    if not (stream.chunks or stream.finished or stream.output_tokens is not None):
        return "answers 200, but no event stream: trimtab measures streamed answers"
    if stream.output_tokens is None or stream.prompt_tokens is None:
        return (
            "streams no usage report: trimtab counts tokens by it, and asks with "
            "stream_options.include_usage"
        )
    return ""

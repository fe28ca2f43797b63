"""Does a server complete prompts of token ids? One request asks, before a load is sent."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from trimtab.errors import EndpointMissingError
from trimtab.http_client import loopback
from trimtab.load.connection import PATH, body_of
from trimtab.load.sse import decode, describe_error
from trimtab.load.workload import Workload
from trimtab.model import Request

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
    found = decode([(0.0, body)])
    if found.error:
        return ""  # an engine in trouble, which the load tells
    if not (found.chunks or found.finished or found.output_tokens is not None):
        return "answers 200, but no event stream: trimtab measures streamed answers"
    if found.output_tokens is None or found.prompt_tokens is None:
        return (
            "streams no usage report: trimtab counts tokens by it, and asks with "
            "stream_options.include_usage"
        )
    return ""

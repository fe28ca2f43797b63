"""Records of requests from what the client saw: decoded after the load, or as it goes on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus

from trimtab.load.connection import Exchange
from trimtab.load.driver import LoadRun
from trimtab.load.sse import CompletionStream, decode
from trimtab.model import RequestRecord


def records_of(exchanges: Sequence[Exchange], begun: float) -> list[RequestRecord]:
    """Decode the exchanges of a load into records, in their order.

    Where chunks hold several tokens, one without text before all others is a token only if the
    server does not open all of its answers so.
    """
    answers = [_answer(exchange) for exchange in exchanges]
    greets = not any(answer.opens_with_token for answer in answers)
    return [
        _record(
            exchange,
            answer if greets else replace(answer, chunks=(*answer.greeting, *answer.chunks)),
            begun,
        )
        for exchange, answer in zip(exchanges, answers, strict=True)
    ]


def record_of(exchange: Exchange, begun: float) -> RequestRecord:
    """Decode one exchange into a record with instants in seconds after ``begun``."""
    return _record(exchange, _answer(exchange), begun)


def _answer(exchange: Exchange) -> CompletionStream:
    return decode(exchange.pieces if exchange.status == HTTPStatus.OK else ())


def _record(exchange: Exchange, answer: CompletionStream, begun: float) -> RequestRecord:
    never = begun if exchange.done is None else exchange.done  # no connection was to be had
    intended = never if exchange.intended is None else exchange.intended
    sent = intended if exchange.sent is None else exchange.sent
    return RequestRecord(
        index=exchange.request.index,
        intended=intended - begun,
        sent=sent - begun,
        chunks=tuple(instant - begun for instant in answer.chunks),
        done=math.inf if exchange.done is None else exchange.done - begun,
        prompt_tokens=answer.prompt_tokens or 0,
        output_tokens=answer.output_tokens or 0,
        error=exchange.error or answer.error or _incomplete(exchange, answer),
    )


def _incomplete(exchange: Exchange, answer: CompletionStream) -> str:
    """Return why an answer that ended without an error is not whole, "" if it is."""
    if exchange.done is None:
        return ""
    if exchange.until_close and not answer.finished:
        return "connection lost: closed by the server before the answer's [DONE]"
    if answer.output_tokens is None or answer.prompt_tokens is None:
        return "the answer ended without its usage report"
    if answer.output_tokens and not answer.chunks:
        return f"the usage counts {answer.output_tokens} tokens, but no event holds any"
    return ""


def partial_records(run: LoadRun, records: Sequence[RequestRecord]) -> list[RequestRecord]:
    """Return the requests cut off at the load's end, so that their tokens so far count.

    Without them the last window would lack the tokens of every stream that was open at its
    end. The server reports usage only at the end of an answer, so their tokens are estimated
    from the tokens a chunk of the whole answers held (one, unless the server bundles them).
    """
    chunks = sum(len(record.chunks) for record in records if not record.error)
    tokens = sum(record.output_tokens for record in records if not record.error)
    if not chunks:
        return []
    partial = []
    for exchange in run.unfinished:
        record = record_of(exchange, run.begun)
        estimate = round(len(record.chunks) * tokens / chunks)
        prompt = len(exchange.request.prompt)
        partial.append(replace(record, output_tokens=estimate, prompt_tokens=prompt))
    return partial

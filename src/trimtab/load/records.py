"""Records of requests from what the client saw: decoded after the load, or as it goes on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from trimtab.load.connection import Exchange
from trimtab.load.driver import Run
from trimtab.load.sse import decode
from trimtab.model import RequestRecord


def record_of(exchange: Exchange, begun: float) -> RequestRecord:
    """Decode an exchange into a record with instants in seconds after ``begun``."""
    answer = decode(exchange.pieces) if exchange.status == 200 else decode(())
    never = begun if exchange.done is None else exchange.done  # no connection was to be had
    intended = never if exchange.intended is None else exchange.intended
    sent = intended if exchange.sent is None else exchange.sent
    record = RequestRecord(
        index=exchange.request.index,
        intended=intended - begun,
        sent=sent - begun,
        chunks=tuple(instant - begun for instant in answer.chunks),
        done=math.inf if exchange.done is None else exchange.done - begun,
        prompt_tokens=answer.prompt_tokens or 0,
        output_tokens=answer.output_tokens or 0,
        error=exchange.error or answer.error,
    )
    if exchange.done is None or record.error:
        return record
    if answer.output_tokens is None or answer.prompt_tokens is None:
        return replace(record, error="the answer ended without its usage report")
    return record


def partial_records(run: Run, records: Sequence[RequestRecord]) -> list[RequestRecord]:
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

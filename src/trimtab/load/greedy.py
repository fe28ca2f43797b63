"""Greedy answers to fixed prompts: compared, they show whether a setting changes what is said.

The prompts are the same for every start of every study, one after the other and alone on the
server, so that no batch can tip a token.
"""

from __future__ import annotations

from typing import Final

from numpy.random import default_rng

from trimtab.http_client import loopback

PROMPTS: Final = (8, 32, 96, 128)
"""Lengths of the prompts in tokens."""

TOKENS: Final = 24
"""Tokens of each answer."""

_SECONDS: Final = 120.0


def greedy(
    url: str, model: str, vocab: int, floor: int, key: str | None = None
) -> tuple[tuple[int, ...], ...]:
    """Return the token ids with which the server answers each prompt at temperature 0.

    Prompts are drawn from the ids ``floor`` up to nine tenths of ``vocab``. Empty if any answer
    is missing or has no ids (vLLM returns them since 0.10.2, when asked to): a comparison that
    holds only for some prompts would be none.
    """
    rng = default_rng(20)
    found = []
    for length in PROMPTS:
        asked = {
            "model": model,
            "prompt": rng.integers(floor, vocab * 9 // 10, length).tolist(),
            "max_tokens": TOKENS,
            "temperature": 0,
            "ignore_eos": True,
            "return_token_ids": True,
        }
        ids = _ids(loopback.post_json(url, "/v1/completions", asked, _SECONDS, key))
        if not ids:
            return ()
        found.append(ids)
    return tuple(found)


def _ids(answer: object) -> tuple[int, ...]:
    match answer:
        case {"choices": [{"token_ids": [*ids]}]}:
            return tuple(one for one in ids if isinstance(one, int))
    return ()

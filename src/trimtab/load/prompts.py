"""Prompts that people wrote: ShareGPT-format files, and JSON lines of one's own.

* ShareGPT: a JSON list of ``{"conversations": [{"from": "human", "value": text}, …]}``; as in
  vLLM's benchmark the first two turns are a request, and the answer's length is asked for
* our own JSON lines: ``{"prompt": text, "output_tokens": n}``

ShareGPT's prompts are held to the lengths that vLLM's benchmark takes; one's own are taken as
they are. Texts become token ids by the served model's own tokenizer, which vLLM offers at
``/tokenize``; so prompts have exact lengths, and no tokenizer has to be found here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from numpy.random import Generator

from trimtab.errors import WorkloadError
from trimtab.http_client import loopback

Tokenize = Callable[[str], tuple[int, ...]]

LARGEST: Final = 1_000_000_000
"""Bytes of a file of prompts: it is read as a whole (ShareGPT's has 650 MB)."""

SHORTEST: Final = 4
LONGEST_PROMPT: Final = 1024
LONGEST: Final = 2048
"""Tokens of a prompt, and of prompt and answer, that vLLM's benchmark takes (datasets.py)."""

_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class PromptText:
    """A prompt, and its answer as text or as a number of tokens."""

    prompt: str
    answer: str = ""
    output_tokens: int = 0


def read_texts(path: Path) -> list[PromptText]:
    """Return the requests of a file.

    Raises:
        WorkloadError: it cannot be read, is neither format, or holds none; the message names
            the place.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise WorkloadError(f"prompts {path}: must be at most {LARGEST:,} bytes")
        content = path.read_text(encoding="utf-8")
    except OSError as error:
        raise WorkloadError(f"prompts {path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise WorkloadError(f"prompts {path}: must be UTF-8 text") from error
    rows = _list(path, content) if content.lstrip().startswith("[") else _lines(path, content)
    texts = [text for where, row in rows if (text := _text(path, where, row)) is not None]
    if not texts:
        raise WorkloadError(f"prompts {path}: holds no prompt")
    return texts


def _list(path: Path, content: str) -> Iterator[tuple[str, object]]:
    try:
        rows = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise WorkloadError(f"prompts {path}: must be JSON, but {error}") from error
    for number, row in enumerate(rows, start=1):
        yield f"entry {number}", row


def _lines(path: Path, content: str) -> Iterator[tuple[str, object]]:
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            yield f"line {number}", json.loads(line)
        except (ValueError, RecursionError) as error:
            raise WorkloadError(f"prompts {path}, line {number}: must be JSON: {error}") from error


def _text(path: Path, where: str, row: object) -> PromptText | None:
    """Return a request, ``None`` for a conversation without a question and an answer."""
    match row:
        case {"prompt": str(prompt), "output_tokens": int(tokens)} if tokens > 0:
            return PromptText(prompt, output_tokens=tokens)
        case {"conversations": [*turns]} | {"conversation": [*turns]}:
            said = [_value(turn) for turn in turns[:2]]
            return PromptText(said[0], said[1]) if len(said) == 2 and all(said) else None
    raise WorkloadError(
        f"prompts {path}, {where}: must hold prompt and output_tokens, or conversations"
    )


def _value(turn: object) -> str:
    if isinstance(turn, Mapping):
        value = turn.get("value", turn.get("content"))
        return value if isinstance(value, str) else ""
    return ""


def pick(
    texts: Sequence[PromptText],
    count: int,
    rng: Generator,
    tokenize: Tokenize,
    *,
    where: str,
    say: Callable[[str], None] = lambda _: None,
) -> list[tuple[tuple[int, ...], int]]:
    """Draw ``count`` different requests as prompt ids and output tokens, the same for a seed.

    Conversations that are too short or too long by vLLM's limits are passed over, as are prompts
    that come twice or are empty; ``say`` gets the sentence how many, if any.

    Raises:
        WorkloadError: there are fewer.
    """
    found: list[tuple[tuple[int, ...], int]] = []
    seen: set[tuple[int, ...]] = set()
    looked = 0
    for index in rng.permutation(len(texts)):
        if len(found) == count:
            break
        looked += 1
        text = texts[int(index)]
        prompt = tokenize(text.prompt)
        wanted = text.output_tokens or len(tokenize(text.answer))
        if prompt and prompt not in seen and (text.output_tokens or _fits(len(prompt), wanted)):
            seen.add(prompt)
            found.append((prompt, wanted))
    if looked > len(found):
        limits = f"{SHORTEST} to {LONGEST_PROMPT} tokens in ShareGPT's, with the answer {LONGEST}"
        say(
            f"{looked - len(found)} of {looked} prompts of {where} were left out: they come "
            f"twice, are empty, or have another length than {limits}"
        )
    if len(found) == count:
        return found
    raise WorkloadError(
        f"prompts {where}: the load needs {count} different ones, but of {looked} there are "
        f"{len(found)} that can be used: lower windows, window_requests or warmup"
    )


def _fits(prompt: int, answer: int) -> bool:
    """Whether a conversation is one that vLLM's benchmark takes."""
    return (
        SHORTEST <= prompt <= LONGEST_PROMPT and answer >= SHORTEST and prompt + answer <= LONGEST
    )


def tokenizer(url: str, model: str, key: str | None) -> Tokenize:
    """Return the tokenizer of the server at ``url``.

    Raises:
        WorkloadError: (when it is called) the server does not tokenize.
    """

    def tokenize(text: str) -> tuple[int, ...]:
        asked = {"model": model, "prompt": text}
        match loopback.post_json(url, "/tokenize", asked, _SECONDS, key):
            case {"tokens": [*ids]}:
                return tuple(one for one in ids if isinstance(one, int))
        raise WorkloadError(f"{url}/tokenize must turn prompts into tokens, but does not answer")

    return tokenize

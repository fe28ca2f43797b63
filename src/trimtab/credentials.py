"""What a credential looks like: by its name, by its shape, and inside JSON. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

_ALWAYS = ("PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "CREDENTIAL")
"""Parts that make a name a secret wherever they stand."""

_LAST = frozenset({"PASS", "PWD", "PAT", "CREDS", "JWT", "AUTHORIZATION"})
"""Words that make a name a secret where they end it, behind another word: ``DB_PASS``."""

_HARMLESS = frozenset(
    {"THRESHOLD", "LIMIT", "COUNT", "SIZE", "MAX", "MIN", "NUM", "LEN", "LENGTH"}
    | {"DISABLE", "ENABLE", "USE", "FILE", "PATH", "DIR", "CACHE", "TYPE", "MODE"}
    | {"IDS", "PAD", "EOS", "BOS", "FUSION", "COMPILE", "INDUCTOR", "FORWARD"}
)
"""Words beside which TOKEN, KEY and PASS mean a language model's token, a cache's key, a file or
a compiler's pass.

Such as ``VLLM_MULTI_STREAM_GEMM_TOKEN_THRESHOLD`` and ``HF_HUB_DISABLE_IMPLICIT_TOKEN`` (vLLM
0.32 envs.py; huggingface_hub constants.py).
"""

_HOLDERS = frozenset(["API", "AUTH", "ACCESS", "BEARER", "REFRESH", "HF", "GITHUB"])
"""Words beside which even the plural TOKENS means credentials."""

_USERINFO = r"(?<=://)(?!git@)[^\s/\"'<>$\\]+(?=@)"
_SHAPES = re.compile(
    _USERINFO + r"|(?<![A-Za-z0-9_-])(?:"
    r"hf_[A-Za-z0-9]{20,}"
    r"|sk-(?=[\w-]*\d)[\w-]{8,}"
    r"|gh[pousr]_[A-Za-z0-9]{8,}|github_pat_\w{10,}|glpat-[\w-]{8,}|nvapi-[\w-]{16,}"
    r"|xox[abeprs]-[\w-]{8,}|(?:AKIA|ASIA)[0-9A-Z]{12,}|AIza[\w-]{30,}"
    r"|eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]+)?"
    r"|(?i:(?<=bearer )[\w.~+/-]{6,}=*)"
    r")"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----(?:[^-]|-(?!----END))*(?:-----END [A-Z ]*-----)?"
)

_SHORTEST = 8
"""Characters that a JSON text under a TOKEN or KEY has at least: ``"image_token": "<image>"``."""


def looks_secret(name: str) -> bool:
    """Return whether a variable or option of this name is expected to hold a secret.

    ``HF_TOKEN``, ``OPENAI_APIKEY``, ``DB_PASS``, ``dbPassword``, ``--api-key`` and the dotted
    ``--kv-transfer-config.kv_connector_extra_config.password`` do; ``TOKENIZERS_PARALLELISM``,
    ``MAX_NUM_BATCHED_TOKENS`` and ``--long-prefill-token-threshold`` do not.
    """
    words = _words(name)
    if any(part in word for word in words for part in _ALWAYS):
        return True
    if "." in name:
        return looks_secret(name.rpartition(".")[2])
    if _HARMLESS.intersection(words):
        return False
    if len(words) > 1 and words[-1] in _LAST:
        return True
    if any(word.endswith(("TOKEN", "KEY")) or word == "KEYS" for word in words):
        return True
    return "TOKENS" in words and bool(_HOLDERS.intersection(words))


def shapes(text: str) -> Iterator[tuple[int, int]]:
    """Yield where in a text a credential of a known shape, or a URL's user part, stands."""
    for match in _SHAPES.finditer(text):
        yield match.span()


def holds_secret(value: str) -> bool:
    """Return whether a value holds a credential, whatever its name: by shape or inside JSON."""
    return any(True for _ in secrets_in(value))


def secrets_in(value: str) -> Iterator[str]:
    """Yield the credentials that a value holds by their shape, or under their names in JSON."""
    for begin, end in shapes(value):
        yield value[begin:end]
    if not value.lstrip().startswith(("{", "[")):
        return
    try:
        content = json.loads(value)
    except (ValueError, RecursionError):
        return
    yield from _leaves(content)


def _leaves(content: object) -> Iterator[str]:
    pending: list[tuple[str, object]] = [("", content)]
    while pending:
        name, one = pending.pop()
        if isinstance(one, dict):
            pending += [(str(key), value) for key, value in one.items()]
        elif isinstance(one, list):
            pending += [(name, value) for value in one]
        elif isinstance(one, str) and name and looks_secret(name) and _substantial(name, one):
            yield one


def _substantial(name: str, text: str) -> bool:
    """Whether a text may be a credential: a model's special token is short or in brackets."""
    words = _words(name)
    if any(part in word for word in words for part in _ALWAYS) or words[-1] in _LAST:
        return bool(text)
    return len(text) >= _SHORTEST and not text.startswith(("<", "[", "/"))


def _words(name: str) -> list[str]:
    parted = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    return [word for word in re.split(r"[^A-Z0-9]+", parted.upper()) if word]

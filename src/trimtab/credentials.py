"""What a credential looks like: by its name, by its shape, and inside JSON. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

_ALWAYS = ("PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "CREDENTIAL", "AUTHORIZATION")
"""Parts that make a name a secret wherever they stand."""

_LAST = frozenset({"PASS", "PWD", "PAT", "CREDS", "JWT"})
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

WORDS = (
    r"(?:'trimtab [a-z -]+'"
    r"|(?!(?:basic|bearer|digest|negotiate|token)\b)[a-z]+ (?:--|[\"'])?[a-z]+(?!\w))"
)
"""How a sentence goes on behind a name that was quoted in it, and its colon.

With a command of trimtab, or with two small words, the first no scheme of a header.
"""

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
    r"|(?<!\s--)(?i:authorization)(?![\"']: " + WORDS + ")"
    r"[\"']{0,2}\s*[:=]\s*[\"']?(?:\w+[ \t]+)?(?P<header>[^\s\"',;]+)"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----(?:[^-]|-(?!----END))*(?:-----END [A-Z ]*-----)?"
)

_CURL_USER = re.compile(r"\bcurl\b[^\n;|&]*?\s(?:-u\s*|--user[ =]\s*)[\"']?([^\s\"':]+:[^\s\"']+)")
_NAMED = re.compile(
    r"""\bname["']?\s*:\s*["']?([\w.-]+)["']?\s*,\s*["']?value["']?\s*:\s*["']?([^\s"'},]+)"""
)
_PAIR = re.compile(r"(?<![\w.-])([A-Za-z_][\w.-]*)=([^\s;&,\"'}\]$]+)")
_FLAG = re.compile(r"(?<![\w-])--([A-Za-z][\w.-]*)(?:=|\s+)[\"']?([^\s\"'$-][^\s\"']*)")
_LOOSE = re.compile(r"""[\"']?([A-Za-z_][\w.-]*)[\"']?\s*:\s*[\"']?([^\s\"',{}\[\]]+)""")

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
    found = [match.span(match.lastgroup or 0) for match in _SHAPES.finditer(text)]
    found += [match.span(1) for match in _CURL_USER.finditer(text)]
    found += [one.span(2) for one in _NAMED.finditer(text) if looks_secret(one[1])]
    last = 0
    for begin, end in sorted(found):
        if begin >= last:
            yield begin, end
            last = end


def holds_secret(value: str) -> bool:
    """Return whether a value holds a credential, whatever its name: by shape or inside JSON."""
    return any(True for _ in secrets_in(value))


def secrets_in(value: str) -> Iterator[str]:
    """Yield the credentials that a value holds: by their shape, or under their names.

    Names are those of JSON, also torn JSON, of options in a list of arguments, and of
    ``NAME=VALUE`` as in a connection string, a URL's query or a list of headers.
    """
    for begin, end in shapes(value):
        yield value[begin:end]
    for match in (*_PAIR.finditer(value), *_FLAG.finditer(value)):
        if looks_secret(match[1]) and _substantial(match[1], match[2]):
            yield match[2]
    if value.lstrip().startswith(("{", "[")):
        yield from _in_json(value)


def _in_json(text: str) -> Iterator[str]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        yield from (
            match[2]
            for match in _LOOSE.finditer(text)
            if looks_secret(match[1]) and _substantial(match[1], match[2])
        )
        return
    yield from _leaves(content)


def _leaves(content: object) -> Iterator[str]:
    pending: list[tuple[str, object]] = [("", content)]
    while pending:
        name, one = pending.pop()
        if isinstance(one, dict):
            pending += [(str(key), value) for key, value in one.items()]
            if isinstance(one.get("name"), str):  # {"name": "HF_TOKEN", "value": "..."}
                pending.append((one["name"], one.get("value")))
        elif isinstance(one, list):
            pending += [(name, value) for value in one]
        elif not isinstance(one, str):
            continue
        elif name and looks_secret(name) and _substantial(name, one):
            yield one
        elif one.lstrip().startswith(("{", "[")):
            yield from _in_json(one)


def _substantial(name: str, text: str) -> bool:
    """Whether a text may be a credential: a model's special token is short or in brackets."""
    words = _words(name)
    if any(part in word for word in words for part in _ALWAYS) or words[-1] in _LAST:
        return bool(text)
    return len(text) >= _SHORTEST and not text.startswith(("<", "[", "/"))


def _words(name: str) -> list[str]:
    parted = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    return [word for word in re.split(r"[^A-Z0-9]+", parted.upper()) if word]

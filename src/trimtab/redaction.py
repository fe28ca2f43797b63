"""Redaction: values that look like secrets never reach a ledger, profile, report or export.

A secret is recognised by the *name* it is given under (a variable, or an option such as
``--api-key``), by its shape, and by its name inside JSON (`trimtab.redaction`). The place of the
whole value is taken by a marker, ``${NAME}``: a named reference that an exported script takes
from the caller's environment.

What a credential looks like: by its name, by its shape, and inside JSON. Pure.

Text may be shown or stored only without the secrets in it: lines, messages, engine logs.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from trimtab.errors import UsageError
from trimtab.model import Check, CheckKind, Evidence, Plan, Settings

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
    found += [match.span(2) for match in _NAMED.finditer(text) if looks_secret(match[1])]
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


MASK = "***"
_LONGEST = 1 << 16
"""Characters of a line that are looked at at once."""

_NAME = re.compile(r"(?<![\w.-])(?P<dashes>-{0,2})(?P<name>[A-Za-z_][\w.-]*)")
_VALUE = r"""(?P<value>\[[^\]\n]*\]|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[^\s$"'\[]\S*)"""
_GIVEN = re.compile(r"""(?:\\?["'])?\s*[=:]\s*(?:\\?(?=["']))?""" + _VALUE)
_QUOTED = re.compile(rf"""(?:\\?["']\s*:(?! {WORDS})\s*(?:\\?(?=["']))?|=)""" + _VALUE)
"""In prose ``'api_key': 'K'`` is a pair; ``no tuning is called 'password': see 'x'`` is none."""
_FOLLOWING = re.compile(r"""(?P<value>(?:[ \t]+(?:"[^"\n]*"|'[^'\n]*'|[^\s$"';&|\\-]\S*))+)""")
_LISTED = re.compile(r"""["']\s*(?P<value>(?:,\s*(?:"[^"\n-][^"\n]*"|'[^'\n-][^'\n]*'))+)""")
"""What follows an option in a list of words: ``"--api-key", "K1", "K2"``."""

_EMPTY = frozenset({"''", '""', "[]", "None", "null", "true", "false", "True", "False", "["})


def mask_text(text: str, known: Iterable[str] = ()) -> str:
    """Return a text with each secret replaced by ``***``.

    A secret is what stands under a secret's name, what has a credential's shape, and each of the
    ``known`` values.
    """
    return _by_name(_by_shape(_without(text, known)), prose=False)


def mask_prose(text: str, known: Iterable[str] = ()) -> str:
    """Return a message or a log without secrets: `masked`, but a colon ends a clause there."""
    return _by_name(_by_shape(_without(text, known)), prose=True)


def mask_file(path: Path, known: Iterable[str]) -> None:
    """Replace a log, if there is one, by itself without secrets, line by line.

    Raises:
        OSError: it cannot be read, or not be written anew.
    """
    if not path.exists():
        return
    known = tuple(known)
    draft = path.with_name(f".{path.name}.masked")
    draft.unlink(missing_ok=True)
    with path.open(errors="surrogateescape", newline="") as source:
        mode = path.stat().st_mode
        with draft.open("x", errors="surrogateescape", newline="") as target:
            while piece := source.readline(_LONGEST):
                target.write(mask_prose(piece, known))
    draft.chmod(mode & 0o777)
    draft.replace(path)


def _without(text: str, known: Iterable[str]) -> str:
    for secret in sorted(known, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


def _by_name(text: str, *, prose: bool) -> str:
    shown, at = "", 0
    for match in _NAME.finditer(text):
        if match.start() < at or not looks_secret(match["name"].replace("-", "_").upper()):
            continue
        given = (_QUOTED if prose else _GIVEN).match(text, match.end())
        if given is None and match["dashes"]:
            given = _LISTED.match(text, match.end())
        if given is None and match["dashes"] and not prose:
            given = _FOLLOWING.match(text, match.end())
        if given is None or _empty(given["value"]):
            continue
        begin, value = given.start("value"), given["value"]
        blank = len(value) - len(value.lstrip(" \t,"))
        shown += text[at : begin + blank] + MASK
        at = given.end("value")
    return shown + text[at:]


def _empty(value: str) -> bool:
    """Whether a value says nothing: none, or a model's special token such as ``"<image>"``."""
    return (
        value in _EMPTY
        or value.strip("\"'[] \t") == MASK
        or re.fullmatch(r"""["']?<\|?\w+\|?>["']?[,}]*""", value) is not None
    )


def _by_shape(text: str) -> str:
    shown, at = "", 0
    for begin, end in shapes(text):
        shown += text[at:begin] + MASK
        at = end
    return shown + text[at:]


_MANY_VALUES = frozenset({"--api-key"})
"""Options that take several values (vLLM 0.32 entrypoints/openai/cli_args.py)."""


_OPTION = re.compile(r"--|-[A-Za-z]")
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_SHORTEST_MASKED = 6
_POSITIONAL = "argument"
_MARKER = re.compile(r"\$\{\w+\}")


def marker(name: str) -> str:
    """Return the named reference that stands for the secret ``name``."""
    return f"${{{name}}}"


def is_marker(value: object) -> bool:
    """Return whether ``value`` is such a reference: what it stands for is not known here."""
    return isinstance(value, str) and _MARKER.fullmatch(value) is not None


def redact(env: Mapping[str, str]) -> dict[str, str]:
    """Return ``env`` with the value of every variable that looks secret replaced by its marker."""
    return {name: marker(name) if is_secret(name, value) else value for name, value in env.items()}


def is_secret(name: str, value: str | None) -> bool:
    """Return whether a variable holds a secret, by its name or by its value.

    Its marker is one too: what it stands for is never written.
    """
    return looks_secret(name) or (
        value is not None and (value == marker(name) or holds_secret(value))
    )


def secret_values(settings: Settings, environment: Mapping[str, str]) -> frozenset[str]:
    """Return the secrets that a server of ``settings`` can print: each as it is given to it.

    Values of under six characters are left out, because they would hide other text.
    """
    argv = settings.argv
    found = [argv[index].removeprefix(prefix) for index, prefix, _ in argv_secrets(argv)]
    given = {**environment, **dict(settings.env)}
    found += [value for name, value in given.items() if is_secret(name, value)]
    parts = [part for value in found for part in secrets_in(value)]
    passwords = [part.partition(":")[2] for part in parts]
    plain = {one for one in (*found, *parts, *passwords) if len(one) >= _SHORTEST_MASKED}
    plain = {one for one in plain if not is_marker(one)}
    return frozenset(plain | {_encoded(one) for one in plain})


def _encoded(secret: str) -> str:
    """Return a secret as HTTP's basic authorization sends it, without the padding."""
    return base64.b64encode(secret.encode(errors="surrogateescape")).decode().rstrip("=")


def argv_secrets(argv: Sequence[str]) -> Iterator[tuple[int, str, str]]:
    """Yield ``(index, prefix, name)`` of each argument that holds a secret.

    ``prefix`` is what precedes the secret inside the argument (``--hf-token=``, or ""); ``name``
    is the variable that stands for it (``HF_TOKEN``; ``API_KEY``, ``API_KEY_2`` for several).
    """
    option, seen = "", 0
    for index, word in enumerate(argv):
        if _OPTION.match(word):
            head, equals, value = word.partition("=")
            option, seen = head, 0
            if equals and _hides(head, value):
                yield index, f"{head}=", variable(head, 1)
            option = "" if equals else head
        elif not looks_secret(option) and (match := _ASSIGNMENT.fullmatch(word)):
            option = ""
            if is_secret(match[1], match[2]):
                yield index, f"{match[1]}=", match[1]
        elif _hides(option, word):
            seen += 1
            yield index, "", variable(option or _POSITIONAL, seen)
            option = option if option.replace("_", "-") in _MANY_VALUES else ""
        elif option.replace("_", "-") not in _MANY_VALUES:
            option = ""


def _hides(option: str, value: str) -> bool:
    """Whether a value is secret: by its option's name, by itself, or because it is the marker."""
    named = bool(option) and looks_secret(option)
    own = re.escape(variable(option or _POSITIONAL, 1))
    return named or bool(re.fullmatch(rf"\$\{{{own}(_\d+)?\}}", value)) or holds_secret(value)


def redact_words(words: Sequence[str]) -> tuple[str, ...]:
    """Return the words of a command, assignments before it included, without secrets."""
    shown = list(words)
    for index, prefix, name in argv_secrets(words):
        shown[index] = prefix + marker(name)
    return tuple(shown)


def restore_words(words: Sequence[str], environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return ``words`` with each marker replaced by what it stands for in ``environment``.

    Raises:
        UsageError: a secret is not in ``environment``; the message names it.
    """
    return tuple(_restore(word, environment) for word in words)


def _restore(word: str, environment: Mapping[str, str]) -> str:
    head, found, name = word.rpartition("${")
    if not found or not is_marker(found + name):
        return word
    if (name := name.removesuffix("}")) not in environment:
        raise UsageError(
            f"the command holds a secret that no file keeps: set {name} in the environment"
        )
    return head + environment[name]


def redact_settings(settings: Settings) -> Settings:
    """Return ``settings`` without secrets, in the environment and on the command line."""
    argv = list(settings.argv)
    for index, prefix, name in argv_secrets(settings.argv):
        argv[index] = prefix + marker(name)
    env = tuple(
        (name, marker(name) if is_secret(name, value) else value) for name, value in settings.env
    )
    return replace(settings, argv=tuple(argv), env=env)


def redact_plan(plan: Plan) -> Plan:
    """Return ``plan`` without secrets. A plan that has none is returned as it is."""
    return replace(
        plan,
        settings=redact_settings(plan.settings),
        checks=tuple(_redact_check(check) for check in plan.checks),
    )


def redact_evidence(evidence: Sequence[Evidence], known: Iterable[str]) -> tuple[Evidence, ...]:
    """Return evidence without secrets in what was expected and observed."""
    return tuple(
        replace(
            one,
            check=_redact_check(one.check),
            observed=marker(one.check.subject)
            if _hides_check(one.check)
            else mask_prose(one.observed, known),
        )
        for one in evidence
    )


def _hides_check(check: Check) -> bool:
    expected = check.expected if isinstance(check.expected, str) else None
    return check.kind is CheckKind.ENVIRON and is_secret(check.subject, expected)


def _redact_check(check: Check) -> Check:
    if _hides_check(check) and check.expected is not None:
        return replace(check, expected=marker(check.subject))
    return check


def variable(option: str, number: int = 1) -> str:
    """Return the variable that stands for the ``number``-th secret value of an option."""
    name = re.sub(r"[^A-Z0-9]+", "_", option.upper()).strip("_")
    name = f"ARG_{name}" if not name or name[0].isdigit() else name
    return name if number == 1 else f"{name}_{number}"

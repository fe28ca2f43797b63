"""Placeholders: texts that stand for a value which the reader is to fill in."""

from __future__ import annotations

import re
from typing import Final

from trimtab.model.document import Setting

_WHOLE: Final = re.compile(
    r"(?i)(x{2,}|x(?:\.x){1,3}(?::\w+)?|\*{3,}|\?{2,}|_{3,}|n/a|tbd|todo|fixme|placeholder"
    r"|\d+(?:\.\d+)*(?:\.x+)+(?::\w+)?|(?:[\w-]+[_\- ])?ip(?:[_\- ][\w-]+)?"
    r"|(?:local|node|host|server|master|head|nic|my|target)[-_](?:ip|name|addr|address|host|ifname|nic))"
)
_PARTS: Final = re.compile(
    r"""(?ix)
    <[a-z_][^<>]*> | \{\{.*\}\} | \{\{\s*(?:[\w.]|$) | \{[a-z_][\w\ .-]*\} | \$\{?[a-z_]
    | \$\$\w+\$\$ | %[a-z_]\w*%
    | @[a-z_]\w*@ | __[a-z]\w*__ | \[(?:your|insert|the)\b
    | (?:^|[^a-z])your[-_ ]\w+ | \byour\w*(?:ip|token|key|host|model|path|name)\b
    | (?:^|[^a-z])x{2,}(?:[^a-z]|$) | \.\.\. | … | \bpath/to\b
    | (?:change|replace|fill|insert|edit)[-_ ]?(?:me|this|it|here|with|in)(?:[^a-z]|$)
    | \b(?:todo|tbd|fixme|placeholder)\b
    """
)

_ALTERNATIVES: Final = re.compile(
    r"\[[\w.-]{1,30}(?:\|[\w.-]{1,30})+\]|\{[\w.-]{1,30}(?:\s*[,|]\s*[\w.-]{1,30})+\}"
    r"|[A-Za-z][\w.-]{0,30}(?:\|[A-Za-z][\w.-]{0,30})+"
)
"""Values of which the reader is to choose one: ``[1|2|4]``, ``{1,2,4}``, ``auto|fp8``."""

_WORDS: Final = frozenset(
    {"TRUE", "FALSE", "YES", "NO", "ON", "OFF", "NONE", "NULL", "NAN", "INF", "AUTO", "ALL", "MAX"}
)
"""Words in capitals that are values, though no reader of numbers takes them."""


def is_placeholder(text: str) -> bool:
    """Return whether a text stands for a value to be filled in.

    ``xxx``, ``192.xx.xx.1``, ``{local_ip}``, ``<NIC_NAME>``, ``your_ip_here``, ``$$IP$$``,
    ``${IP:?}``, ``__IP__``, ``{{ ip }}``, ``CHANGEME`` and ``TODO`` do, and alternatives, too.
    """
    whole = text.strip()
    found = _WHOLE.fullmatch(whole) or _ALTERNATIVES.fullmatch(whole) or _PARTS.search(text)
    return bool(found)


def is_name_of_number(text: str) -> bool:
    """Return whether a text stands for a number: N, TP_SIZE and NUM_GPUS do, TRUE does not."""
    return re.fullmatch(r"[A-Z]+(?:_[A-Z]+)*", text) is not None and text not in _WORDS


def unfilled(made: Setting) -> bool:
    """Return whether a setting waits for its value; ``NAME=<value>`` is a redirection, too."""
    at = made.value_place
    before = at.text[: at.column - 1].rstrip("\"'") if at is not None else ""
    numbers = re.fullmatch(r"\d{1,9}(\|\d{1,9})+", made.value) is not None  # lists of CPUs aside
    chosen = numbers and made.name != "VLLM_CPU_OMP_THREADS_BIND"
    return chosen or is_placeholder(made.value) or before.endswith(("=<", " <"))

"""Placeholders: texts that stand for a value which the reader is to fill in."""

from __future__ import annotations

import re
from typing import Final

_WHOLE: Final = re.compile(
    r"(?i)(x{2,}|x(?:\.x){1,3}(?::\w+)?|\*{3,}|\?{2,}|_{3,}|n/a|tbd|todo|fixme|placeholder"
    r"|(?:local|node|host|server|master|head|nic|my|target)[-_](?:ip|name|addr|address|host|ifname|nic))"
)
_PARTS: Final = re.compile(
    r"""(?ix)
    <[a-z_][^<>]*> | \{\{.*\}\} | \{[a-z_][\w\ .-]*\} | \$\{?[a-z_] | \$\$\w+\$\$ | %[a-z_]\w*%
    | @[a-z_]\w*@ | __[a-z]\w*__ | \[(?:your|insert|the)[ _-][^\]]*\]
    | (?:^|[^a-z])your[-_ ]\w+ | \byour\w*(?:ip|token|key|host|model|path|name)\b
    | (?:^|[^a-z])x{2,}(?:[^a-z]|$) | \.\.\. | … | \bpath/to\b
    | (?:change|replace|fill|insert|edit)[-_ ]?(?:me|this|it|here|with|in)(?:[^a-z]|$)
    | \b(?:todo|tbd|fixme|placeholder)\b
    """
)


def is_placeholder(text: str) -> bool:
    """Return whether a text stands for a value to be filled in.

    ``xxx``, ``192.xx.xx.1``, ``{local_ip}``, ``<NIC_NAME>``, ``your_ip_here``, ``$$IP$$``,
    ``${IP:?}``, ``__IP__``, ``{{ ip }}``, ``CHANGEME`` and ``TODO`` do.
    """
    return bool(_WHOLE.fullmatch(text.strip()) or _PARTS.search(text))

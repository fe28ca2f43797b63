"""What the vllm-ascend of an environment is built for, from its files: nothing is imported."""

from __future__ import annotations

import json
from urllib.parse import unquote, urlsplit

from trimtab.errors import HostError
from trimtab.facts import packages
from trimtab.host import Host
from trimtab.prepare import chips


def read(host: Host, python: str) -> str:
    """Return the kind of chip that the vllm-ascend beside ``python`` names; "" for unknown.

    The first folder that has the package wins, as for an import. An editable installation, as in
    vllm-ascend's own images, is followed to its source.
    """
    prefix = python.rpartition("/bin/")[0]
    for pattern in packages.folders(prefix):
        for path in host.glob(f"{pattern}/vllm_ascend/{chips.BUILD_INFO}"):
            return chips.parse_kind(_text(host, path))
        for path in host.glob(f"{pattern}/vllm_ascend-*.dist-info/direct_url.json"):
            if source := _source(_text(host, path)):
                return chips.parse_kind(_text(host, f"{source}/vllm_ascend/{chips.BUILD_INFO}"))
    return ""


def _text(host: Host, path: str) -> str:
    try:
        return host.read(path)
    except HostError:
        return ""


def _source(text: str) -> str:
    """Return the folder of an editable installation, from its direct_url.json (PEP 610)."""
    try:
        data = json.loads(text)
        url = urlsplit(data["url"])
        return unquote(url.path) if url.scheme == "file" and data["dir_info"]["editable"] else ""
    except (ValueError, TypeError, KeyError):
        return ""

"""What the vllm-ascend of an environment is built for, from its files: nothing is imported.

Which chip a build of vllm-ascend is for, and how the one for a chip is come by.

A build serves one kind of chip: it carries the kind in ``_build_info.py``, and asserts at start
that the device is of that kind (``utils.check_ascend_device_type``). The wheels of the package
index are A2's; A3's and 310P's are built from source, by ``SOC_VERSION``.

Sources, vllm-ascend's tags of the releases: ``setup.py`` (``soc_to_device``), ``Dockerfile*`` and
the workflow that releases wheels (built by ``Dockerfile.buildwheel.a2`` alone). Read from the
archives on the package index: 0.23.0's holds the submodule (catlass) that the kernels need, those
of 0.22.1rc1, 0.20.2rc1, 0.18.0 and 0.13.0 do not, and cannot fetch it outside of a git clone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final
from urllib.parse import unquote, urlsplit

from trimtab.errors import HostError
from trimtab.facts import packages
from trimtab.host import Host

REPOSITORY: Final = "https://github.com/vllm-project/vllm-ascend"
BUILD_INFO: Final = "_build_info.py"
KEY: Final = "vllm-ascend's chip"
"""Under this name `matrix.refusals` is given what an installed build says it is for."""

_WITHOUT_KIND: Final = frozenset({"0.11.0", "0.9.1", "0.7.3"})
_WHOLE_ARCHIVES: Final = frozenset({"0.23.0"})


@dataclass(frozen=True, slots=True)
class Build:
    """``soc`` is the build's SOC_VERSION, ``kinds`` what its _build_info says (now, and once)."""

    soc: str
    kinds: tuple[str, ...]


BUILDS: Final[Mapping[str, Build]] = MappingProxyType(
    {
        "A2": Build("ascend910b1", ("A2", "_910B")),
        "A3": Build("ascend910_9391", ("A3", "_910_93")),
        "310P": Build("ascend310p1", ("_310P",)),
    }
)
"""By chip. The second names are those of 0.12.0rc1."""


def builds_from_source(chip: str | None) -> bool:
    """Whether the plugin is built here for a chip: there is a wheel for A2 alone."""
    return chip in BUILDS and chip != "A2"


def says_kind(release: str) -> bool:
    """Whether a release's builds say which kind of chip they are for."""
    return release.partition(".post")[0] not in _WITHOUT_KIND


def preparation_refusal(chip: str | None, release: str) -> str:
    """Return why a release is not prepared for a chip, or ""."""
    if not builds_from_source(chip) or says_kind(release):
        return ""
    return (
        f"vllm-ascend {release} is prepared for A2 alone, since its builds do not say which chip "
        f"they are for: take 0.12.0rc1 or later for {chip}"
    )


def source(release: str) -> tuple[str, ...]:
    """Return what pip is asked for, so that it builds a release from its source."""
    if release in _WHOLE_ARCHIVES:
        return ("--no-binary", "vllm-ascend", f"vllm-ascend=={release}")
    return (f"vllm-ascend @ git+{REPOSITORY}@v{release}",)


def parse_kind(text: str) -> str:
    """Return the kind that a ``_build_info.py`` names; "" where it names none."""
    match = re.search(r"^__device_type__\s*=\s*['\"](\w+)['\"]", text, re.MULTILINE)
    return match[1] if match else ""


def refusal(chip: str | None, kind: str) -> str:
    """Return why a build of this kind cannot serve on a chip, or "" where it can."""
    if not kind or chip is None or kind in BUILDS[chip].kinds:
        return ""
    made_for = next((name for name, build in BUILDS.items() if kind in build.kinds), kind)
    how = (
        f"build it from source with SOC_VERSION={BUILDS[chip].soc}"
        if builds_from_source(chip)
        else "install the wheel of the package index"
    )
    return f"vllm-ascend is built for {made_for} here, and refuses to start on {chip}: {how}"


def read(host: Host, python: str) -> str:
    """Return the kind of chip that the vllm-ascend beside ``python`` names; "" for unknown.

    The first folder that has the package wins, as for an import. An editable installation, as in
    vllm-ascend's own images, is followed to its source.
    """
    prefix = python.rpartition("/bin/")[0]
    for pattern in packages.folders(prefix):
        for path in host.glob(f"{pattern}/vllm_ascend/{BUILD_INFO}"):
            return parse_kind(_text(host, path))
        for path in host.glob(f"{pattern}/vllm_ascend-*.dist-info/direct_url.json"):
            if source := _source(_text(host, path)):
                return parse_kind(_text(host, f"{source}/vllm_ascend/{BUILD_INFO}"))
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

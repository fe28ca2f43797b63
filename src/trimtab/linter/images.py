"""What an image's name tells: whose it is, for which chip, distribution and versions.

The names of the Ascend images are documented by their projects (vllm-ascend's installation guide,
Ascend/cann-container-image): ``vllm-ascend:<version>[-a3|-310p|-a5][-openeuler]`` and
``cann:<version>-<chip>-<distribution><release>-py<version>``.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from trimtab.model.situation import Situation

_CHIPS: Final = {
    "910b": "A2", "a2": "A2", "a3": "A3", "310p": "310P", "950": "950", "a5": "950", "910": "910",
}  # fmt: skip
_CANN = re.compile(
    r"(?P<cann>\d[\w.]*)-(?P<chip>\w+)-(?P<distribution>[a-z]+)(?P<release>[\d.]+)"
    r"(-py(?P<python>[\d.]+))?"
)
_PLUGIN = re.compile(r"v?(?P<version>\d[\w.]*)?(?P<rest>.*)")
_BASE = re.compile(r"(?P<name>ubuntu|debian|openeuler)")


def split(image: str) -> tuple[str, str, str]:
    """Return (organisation, name, tag) of an image; registries and mirrors are left out."""
    path, _, _ = image.partition("@")
    *above, last = path.split("/")
    name, _, tag = last.partition(":")
    return (above[-1] if above else ""), name, tag


def image_situation(image: str) -> Situation:
    """Return what the name tells; nothing for a name that is not known."""
    organisation, name, tag = split(image)
    if "$" in name:
        return Situation()
    if name == "vllm-ascend":
        return _plugin(tag)
    if name == "cann" and organisation == "ascend":
        return _cann(tag)
    platform = _platform(organisation, name, tag)
    if platform is not None:
        return _vllm(organisation, name, tag, platform)
    base = _BASE.fullmatch(name)
    if base is None:
        return Situation()
    release = re.match(r"\d[\d.]*", tag)
    return Situation(distribution=base["name"], release=release[0] if release else None)


def _plugin(tag: str) -> Situation:
    match = _PLUGIN.fullmatch(tag)
    known = Situation(platform="ascend", root=True)
    if match is None or "$" in tag:
        return known
    parts = match["rest"].split("-")
    chip = next((_CHIPS[part] for part in parts if part in _CHIPS), "A2")
    return replace(
        known,
        chip=chip,
        distribution="openeuler" if "openeuler" in parts else "ubuntu",
        versions={"vllm-ascend": match["version"]} if match["version"] else {},
    )


def _cann(tag: str) -> Situation:
    match = _CANN.match(tag)
    if match is None or "$" in tag:
        return Situation(platform="ascend", root=True)
    versions = {"cann": match["cann"]}
    if match["python"]:
        versions["python"] = match["python"]
    return Situation(
        platform="ascend",
        chip=_CHIPS.get(match["chip"]),
        distribution=match["distribution"],
        release=match["release"],
        root=True,
        versions=versions,
    )


def _platform(organisation: str, name: str, tag: str) -> str | None:
    """Return the platform of an image that serves with vLLM; ``None`` where it tells none."""
    if "vllm" not in name:
        return None
    words = set(re.split(r"[-_.]", f"{organisation}-{name}-{tag}".lower()))
    for platform in ("rocm", "xpu", "tpu", "cpu"):
        if platform in words or any(re.fullmatch(rf"{platform}\d+", word) for word in words):
            return platform
    if organisation == "intel":
        return "xpu"
    if {"gaudi", "hpu", "neuron", "omni"} & words:
        return None
    known = organisation in {"vllm", "nvidia", "lmcache"} or name.startswith("vllm-openai")
    return "cuda" if known or any(re.fullmatch(r"(cu|cuda)\d+", word) for word in words) else None


def _vllm(organisation: str, name: str, tag: str, platform: str) -> Situation:
    """Return what an image of vLLM tells; only vLLM's own tags begin with its version."""
    own = organisation == "vllm" or (name.startswith("vllm-") and "lmcache" not in organisation)
    inside = re.search(r"vllm[-_]v?(\d+\.\d+[\w.]*?)(?=[-_]|$)", tag)
    begins = re.match(r"v?(\d+\.\d+[\w.]*)", tag) if own or organisation == "intel" else None
    match = inside or begins
    return Situation(
        platform=platform,
        distribution="ubuntu",
        versions={"vllm": match[1]} if match else {},
    )

"""What the name of an image of vLLM or vllm-ascend tells.

The names of the Ascend images are documented by their project (vllm-ascend's installation guide):
``vllm-ascend:<version>[-a3|-310p|-a5][-openeuler]``.
"""

from __future__ import annotations

import re
from dataclasses import replace

from trimtab.families.family import CHIP_WORDS
from trimtab.model.situation import Situation

NO_SERVER = re.compile(r"router|gateway|proxy|exporter|operator|controller|epp|sim$|bench")
"""Images of the projects around vLLM whose programs take other options."""

_PLUGIN = re.compile(r"v?(?P<version>\d[\w.]*)?(?P<rest>.*)")


def image_situation(organisation: str, name: str, tag: str) -> Situation | None:
    """Return what an image's name tells; ``None`` where it is none of vLLM's."""
    if name == "vllm-ascend":
        return _plugin(tag)
    platform = _platform(organisation, name, tag)
    return None if platform is None else _vllm(organisation, name, tag, platform)


def starts_server(name: str) -> bool:
    """Whether an image's entry point is ``vllm serve``, as that of vLLM's own images is."""
    return name.startswith("vllm-openai") and not NO_SERVER.search(name)


def _plugin(tag: str) -> Situation:
    match = _PLUGIN.fullmatch(tag)
    known = Situation(platform="ascend", root=True)
    if match is None or "$" in tag:
        return known
    parts = match["rest"].split("-")
    chip = next((CHIP_WORDS[part] for part in parts if part in CHIP_WORDS), "A2")
    return replace(
        known,
        chip=chip,
        distribution="openeuler" if "openeuler" in parts else "ubuntu",
        versions={"vllm-ascend": match["version"]} if match["version"] else {},
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

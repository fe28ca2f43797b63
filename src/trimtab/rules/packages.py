"""What an image may hold beside vLLM's newest release, as far as a scene tells of it."""

from __future__ import annotations

import re

from trimtab.catalog import Scene

_PLUGINS = re.compile(
    r"omni|gaudi|habana|hpu|ascend|neuron|spyre|mlu|musa|metax|maca|rbln|tpu|npu"
)
_OWN = re.compile(r"(^|/)vllm/vllm-openai(-rocm|-cpu|-xpu)?([:@]|$)|vllm-cpu-release-repo|^$")


def added_by(scene: Scene) -> str:
    """Return the condition under which an option that vLLM lacks is refused; "" for always."""
    image = scene.container.image.lower() if scene.container is not None else ""
    words = " ".join(scene.argv).lower()
    if "--omni" in scene.argv or "vllm_omni" in words or "omni" in image:
        return "vllm-omni does not add it"
    if found := _PLUGINS.search(image):
        return f"the plugin for {found[0]} does not add it"
    if scene.situation.platform not in (None, "cuda", "rocm", "cpu"):
        return f"the plugin for {scene.situation.platform} does not add it"
    if re.search(r"nightly|-dev\b|:main\b|dev[-_]", image):
        return "the image is no newer than that"
    return "" if _OWN.search(image) else "the image adds nothing to vLLM"


_NEWEST = re.compile(r"(^|/)(vllm/vllm-\w+|vllm-ascend)(:(latest|nightly|main|\$)[^@]*)?$")


def unknown_release(scene: Scene, since: str) -> str:
    """Return the condition under which a server is ``since`` or later, as its newest release is.

    "" where no image is named, or it is vLLM's or vllm-ascend's own and no release is pinned.
    """
    image = scene.container.image.lower() if scene.container is not None else ""
    image = re.sub(r"\$\{\w+:?-([^${}]*)\}", r"\1", image)
    if not image or image.startswith("$") or _NEWEST.search(image):
        return ""
    return f"the image holds {since} or later"

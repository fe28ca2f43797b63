"""What an image may hold beside vLLM's newest release, as far as a scene tells of it."""

from __future__ import annotations

import re

from trimtab.catalog import Scene

_PLUGINS = re.compile(
    r"omni|gaudi|habana|hpu|ascend|neuron|spyre|mlu|musa|metax|maca|rbln|tpu|npu"
)
_OWN = re.compile(r"(^|/)vllm/vllm-openai(-rocm|-cpu|-xpu)?([:@]|$)|vllm-cpu-release-repo|^$")

_BASE = re.compile(
    r"(^|/)(python|ubuntu|debian|fedora|centos|rockylinux|almalinux|amazonlinux|miniconda3?"
    r"|micromamba|nvidia/cuda|pytorch/pytorch|rocm/(pytorch|dev-\S+)|uv)([:@]|$)"
)
"""Images without a vLLM of their own: the text installs it."""


_DEVICES = frozenset(
    ("auto", "cpu", "cuda", "hpu", "neuron", "npu", "openvino", "rocm", "tpu", "xpu", "meta")
)


_NAMED = re.compile(
    r"(?<![a-z])(gaudi|habana|hpu|gcu|enflame|mlu|cambricon|metax|maca|neuron|spyre|rbln)(?![a-z])"
)
"""Devices of plugins, as a text names them; NPUs and TPUs are named in many that serve on GPUs."""


def _other_device(scene: Scene) -> str:
    """Return the device that a launch asks for, where no release of vLLM has it."""
    made = scene.options.get("--device")
    if made is None or not made.literal or made.value.partition(":")[0] in _DEVICES:
        return ""
    return made.value if re.fullmatch(r"[a-z][a-z0-9]{1,11}", made.value) else ""


def added_by(scene: Scene) -> str:
    """Return the condition under which an option that vLLM lacks is refused; "" for always."""
    image = scene.container.image.lower() if scene.container is not None else ""
    words = " ".join(scene.argv).lower()
    if "--omni" in scene.argv or "vllm_omni" in words or "omni" in image:
        return "vllm-omni does not add it"
    if found := _PLUGINS.search(image):
        return f"the plugin for {found[0]} does not add it"
    if device := _other_device(scene):
        return f"the plugin for {device} does not add it"
    text = scene.document.text.lower() if scene.document is not None else ""
    if not image and (named := _NAMED.search(text)):
        return f"the plugin for {named[0]} does not add it"
    if scene.situation.platform not in (None, "cuda", "rocm", "cpu"):
        return f"the plugin for {scene.situation.platform} does not add it"
    if re.search(r"nightly|-dev\b|:main\b|dev[-_]", image):
        return "the image is no newer than that"
    ours = _OWN.search(image) or _BASE.search(image)
    return "" if ours else "the image adds nothing to vLLM"


def may_be_fork(scene: Scene) -> bool:
    """Whether neither an image nor an installation names the vLLM that serves."""
    if scene.container is not None and scene.container.image:
        return False
    commands = scene.document.commands if scene.document is not None else ()
    words = (word for one in commands if "install" in one.words for word in one.words)
    return not any(re.match(r"vllm($|[\[=<>~!])", word) for word in words)


_NEWEST = re.compile(r"(^|/)(vllm/vllm-\w+|vllm-ascend)(:(latest|nightly|main|\$)[^@]*)?$")


def unknown_release(scene: Scene, since: str) -> str:
    """Return the condition under which a server is ``since`` or later, as its newest release is.

    "" where no image is named, or it is vLLM's or vllm-ascend's own and no release is pinned.
    """
    image = scene.container.image.lower() if scene.container is not None else ""
    image = re.sub(r"\$\{\w+:?-([^${}]*)\}", r"\1", image)
    if device := _other_device(scene):
        return f"the vLLM for {device} is {since} or later"
    newest = _NEWEST.search(image) or _BASE.search(image)
    if not image or image.startswith("$") or newest:
        return ""
    return f"the image holds {since} or later"

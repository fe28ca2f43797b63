"""What an image may hold beside vLLM's newest release, as far as a scene tells of it."""

from __future__ import annotations

import re

from trimtab.catalog import Scene
from trimtab.catalog.releases import vllm
from trimtab.knobs.server_arg import option_name

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


_TREE = re.compile(r"(^|/)vllm(-[\w-]+)?/?$")
_FORKS = re.compile(r"(?i)(?<![\w/-])(1cat-vllm|vllm-fork|vllm-hust)(?![\w-])")
"""Sources of a vLLM, and forks that a text names."""

_NAMED = re.compile(
    r"(?<![a-z])(gaudi|habana|hpu|gcu|enflame|mlu|cambricon|metax|maca|neuron|spyre|rbln|qaic)(?![a-z])"
)
"""Devices of plugins, as a text names them; NPUs and TPUs are named in many that serve on GPUs."""


def _other_device(scene: Scene) -> str:
    """Return the device that a launch asks for, where no release of vLLM has it."""
    made = scene.options.get("--device")
    if made is None or not made.literal or made.value.partition(":")[0] in _DEVICES:
        return ""
    return made.value if re.fullmatch(r"[a-z][a-z0-9]{1,11}", made.value) else ""


_SIGNS: dict[str, tuple[str, str]] = {
    "Gaudi": (r"PT_HPU_\w+|HABANA_\w+", r"habana|habana\.ai/gaudi.*"),
    "Neuron": (r"NEURON_\w+", r"aws\.amazon\.com/neuron.*"),
    "TPU": (r"TPU_\w+", r"google\.com/tpu.*"),
    "Enflame": (r"TOPS_VISIBLE_DEVICES", r"enflame\.com/.*"),
    "Rebellions": (r"RBLN_\w+", r"rebellions\.ai/.*"),
    "Cambricon": (r"MLU_VISIBLE_DEVICES", r"cambricon\.com/.*"),
}
"""Makers of other devices: their variables, and runtimes and resources that a container gets."""


def maker(scene: Scene) -> str:
    """Return whose devices serve, where the text names a maker whose vLLM is a fork or plugin."""
    made = scene.container.options if scene.container is not None else ()
    given = [setting.value for setting in made if setting.name in {"--runtime", "--resource"}]
    for name, (variable, option) in _SIGNS.items():
        named = any(re.fullmatch(variable, one) for one in scene.env)
        if named or any(re.fullmatch(option, one) for one in given):
            return name
    return _other_device(scene)


def _is_fork(scene: Scene) -> bool:
    """Whether the vLLM for other devices is no plugin: it has options that no release had."""
    known = vllm().names("options")
    wholes = {
        option_name(option).partition(".")[0].replace("--no-", "--") for option in scene.options
    }
    return any(not any(one.startswith(whole) for one in known) for whole in wholes)


def _around(scene: Scene) -> str:
    """Return the package whose own vLLM the text starts (``-m PACKAGE.vllm...``), "" for none."""
    commands = scene.document.commands if scene.document is not None else ()
    modules = (word for command in commands for word in command.words if ".vllm." in word)
    found = (
        re.fullmatch(r"([a-z]\w*)(\.\w+)*\.vllm\.[\w.]*api_server", module) for module in modules
    )
    return next((match[1] for match in found if match), "")


def _other_tree(scene: Scene) -> str:
    """Return where the text takes another vLLM from: sources in PYTHONPATH, a fork; "" if not."""
    made = scene.env.get("PYTHONPATH")
    if made is not None and any(_TREE.search(one) for one in made.value.split(":")):
        return "PYTHONPATH"
    text = scene.document.text if scene.document is not None else ""
    match = _FORKS.search(text)
    return match[0] if match else ""


def refusal_condition(scene: Scene) -> str:
    """Return the condition under which an option that vLLM lacks is refused; "" for always."""
    image = scene.container.image.lower() if scene.container is not None else ""
    words = " ".join(scene.argv).lower()
    if "--omni" in scene.argv or "vllm_omni" in words or "omni" in image:
        return "vllm-omni does not add it"
    if match := _PLUGINS.search(image):
        return f"the plugin for {match[0]} does not add it"
    if other := maker(scene):
        return f"the vLLM for {other} does not add it"
    if around := _around(scene):
        return f"the vLLM in {around} does not add it"
    if not image and (tree := _other_tree(scene)):
        return f"the vLLM of {tree} does not add it"
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
    words = (word for command in commands if "install" in command.words for word in command.words)
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
    if (other := maker(scene)) and _is_fork(scene):
        return f"the vLLM for {other} is {since} or later"
    if around := _around(scene):
        return f"the vLLM in {around} is {since} or later"
    if not image and (tree := _other_tree(scene)):
        return f"the vLLM of {tree} is {since} or later"
    newest = _NEWEST.search(image) or _BASE.search(image)
    if not image or image.startswith("$") or newest:
        return ""
    return f"the image holds {since} or later"

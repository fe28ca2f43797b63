"""How many devices a launch gets, as far as its text says."""

from __future__ import annotations

import re
from dataclasses import dataclass

from trimtab.catalog import Scene
from trimtab.catalog.placeholders import is_placeholder
from trimtab.model.document import Setting

_VISIBLE = (
    *("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"),
    *("ASCEND_RT_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "ZE_AFFINITY_MASK"),
)


@dataclass(frozen=True, slots=True)
class DeviceCount:
    """A number of devices, and the words that say who gives them."""

    count: int
    words: str


def devices(scene: Scene) -> DeviceCount | None:
    """Return the fewest devices that a setting gives; ``None`` where none gives a number."""
    if scene.situation.platform in ("cpu", "tpu"):
        return None
    found = [one for one in (*_from_variables(scene), *_from_container(scene)) if one is not None]
    return min(found, key=lambda one: one.count, default=None)


def _from_variables(scene: Scene) -> list[DeviceCount | None]:
    given = (scene.env.get(name) for name in _VISIBLE)
    return [
        _listed(one, f"{one.name} names")
        for one in given
        if one is not None and not _in_another_block(one, scene)
    ]


def _in_another_block(one: Setting, scene: Scene) -> bool:
    """Whether a guide sets a variable in another block than its command: another alternative."""
    document = scene.document
    at = next((made.place for made in scene.options.values() if made.place is not None), None)
    if document is None or document.kind != "markdown" or one.place is None or at is None:
        return False
    between = document.text.split("\n")[one.place.line : at.line - 1]
    return any(re.match(r"\s*(```|~~~)", line) for line in between)


def _listed(one: Setting, words: str) -> DeviceCount | None:
    """Return the devices of a list such as 0,1 or GPU-xxx; words such as "all" are none."""
    text = one.value.strip()
    parts = [part for part in text.split(",") if part.strip()]
    known = one.literal and parts and not is_placeholder(text)
    if not known or not all(
        re.fullmatch(r"\s*(\d+|(GPU|MIG)-[\w/-]+)\s*", part) for part in parts
    ):
        return None
    return DeviceCount(len(set(parts)), f"{words} {len(set(parts))}")


def _from_container(scene: Scene) -> list[DeviceCount | None]:
    options = scene.container.options if scene.container is not None else ()
    found = [_gpus(one) for one in options if one.name == "--gpus"]
    found += [_resource(one) for one in options if one.name == "--resource"]
    npus = {o.value for o in options if re.fullmatch(r"/dev/davinci\d+(:.*)?", o.value)}
    if npus:
        found.append(DeviceCount(len(npus), f"the container gets {len(npus)}"))
    return found


_RESOURCE = re.compile(
    r"(?P<name>(nvidia|amd)\.com/gpu|gpu\.intel\.com/\w+|huawei\.com/(npu|Ascend\w+|ascend-\d+))"
    r"=(?P<count>\d{1,4})"
)


def _resource(one: Setting) -> DeviceCount | None:
    match = _RESOURCE.fullmatch(one.value)
    if match is None or re.search(r"-(memory|core)=", one.value):
        return None
    return DeviceCount(int(match["count"]), f"the pod gets {match['count']} of {match['name']}")


def _gpus(one: Setting) -> DeviceCount | None:
    text = one.value.strip().strip("'\"")
    match = re.fullmatch(r"(?:count=)?(\d{1,4})", text)
    if match is not None and one.literal:
        return DeviceCount(int(match[1]), f"the container gets {match[1]}")
    listed = re.fullmatch(r"device=([\w,-]+)", text)
    if listed is None:
        return None
    return _listed(Setting(one.name, listed[1], literal=one.literal), "the container gets")

"""From a document to the scenes of its processes, with what the text tells of the situation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, replace

from trimtab.catalog import Scene
from trimtab.facts.parsing import parse_cpu_list
from trimtab.linter import quotas
from trimtab.linter.images import image_situation
from trimtab.linter.requirements import fill_defaults, required_versions
from trimtab.model.document import Document, Launch
from trimtab.model.situation import Situation


def scenes(document: Document, situation: Situation) -> Iterator[Scene]:
    """Yield one scene for each process that the text starts."""
    host = {one.name: one for one in document.host}
    required = required_versions(document)
    for launch in document.launches:
        yield Scene(
            situation=merge_situations(launch_situation(launch, situation, document), required),
            argv=launch.argv,
            env={one.name: one for one in launch.env},
            options={one.name: one for one in launch.options},
            host=host,
            affinity=launch.affinity,
            container=launch.container,
            implied=launch.implied,
            document=document,
        )


def launch_situation(launch: Launch, situation: Situation, document: Document) -> Situation:
    """Return the situation with what a launch tells of it; what was given outranks that."""
    image = launch.container.image if launch.container is not None else ""
    told = image_situation(fill_defaults(image, document))
    if launch.container is not None or launch.inside is True:
        told = replace(told, container=True)
    told = merge_situations(told, _devices(launch), _cpus(launch))
    devices = next((o.value for o in launch.env if o.name == "ASCEND_RT_VISIBLE_DEVICES"), "")
    if re.fullmatch(r"\d+(,\d+)*", devices):
        told = replace(told, platform="ascend", npus=devices.count(",") + 1)
    return merge_situations(situation, told)


def _cpus(launch: Launch) -> Situation:
    """Return the CPUs that a launch may run on, and how many CPUs' time it gets."""
    try:
        allowed = len(parse_cpu_list(quotas.cpuset(launch.container)[:200]))
    except ValueError:
        allowed = 0
    return Situation(cpus=allowed or None, cpu_quota=quotas.quota(launch))


def _devices(launch: Launch) -> Situation:
    """Return the platform of the devices that a container gets."""
    options = launch.container.options if launch.container is not None else ()
    for one in options:
        cuda = one.name == "--gpus" or one.value.startswith("nvidia.com/gpu")
        if cuda or (one.name == "--runtime" and one.value == "nvidia"):
            return Situation(platform="cuda")
        if one.value.startswith(("/dev/kfd", "amd.com/gpu")):
            return Situation(platform="rocm")
    return Situation()


def document_situation(document: Document, situation: Situation) -> Situation:
    """Return the situation with what all containers of a text tell alike."""
    images = (image_situation(fill_defaults(one.image, document)) for one in document.containers)
    told = {repr(one): one for one in images}
    required = required_versions(document)
    return merge_situations(situation, *(told.values() if len(told) == 1 else ()), required)


def merge_situations(first: Situation, *others: Situation) -> Situation:
    """Return a situation in which each part is that of the first one that knows it."""
    known: dict[str, object] = {}
    for field in fields(Situation):
        values = (getattr(one, field.name) for one in (first, *others))
        known[field.name] = next((value for value in values if value is not None), None)
    versions: dict[str, str] = {}
    for one in reversed((first, *others)):
        versions.update(one.versions)
    return Situation(**{**known, "versions": versions})  # type: ignore[arg-type]

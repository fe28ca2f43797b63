"""What an image's name tells: whose it is, for which chip, distribution and versions.

The names of CANN's images are documented by their project (Ascend/cann-container-image):
``cann:<version>-<chip>-<distribution><release>-py<version>``. A family knows those of its own.
"""

from __future__ import annotations

import re

from trimtab.families import Family, families
from trimtab.families.family import CHIP_WORDS
from trimtab.model.situation import Situation

_CANN = re.compile(
    r"(?P<cann>\d[\w.]*)-(?P<chip>\w+)-(?P<distribution>[a-z]+)(?P<release>[\d.]+)"
    r"(-py(?P<python>[\d.]+))?"
)
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
    if name == "cann" and organisation == "ascend":
        return _cann(tag)
    for family in families():
        serving = family.image_situation(organisation, name, tag)
        if serving is not None:
            return serving
    base = _BASE.fullmatch(name)
    if base is None:
        return Situation()
    release = re.match(r"\d[\d.]*", tag)
    return Situation(distribution=base["name"], release=release[0] if release else None)


def _cann(tag: str) -> Situation:
    match = _CANN.match(tag)
    if match is None or "$" in tag:
        return Situation(platform="ascend", root=True)
    versions = {"cann": match["cann"]}
    if match["python"]:
        versions["python"] = match["python"]
    return Situation(
        platform="ascend",
        chip=CHIP_WORDS.get(match["chip"]),
        distribution=match["distribution"],
        release=match["release"],
        root=True,
        versions=versions,
    )


def family_of_image(image: str) -> Family | None:
    """Return the family whose server an image's entry point is; ``None`` where it is none."""
    _, name, _ = split(image)
    return next((family for family in families() if family.is_entry_point(name)), None)

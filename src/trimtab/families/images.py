"""Images that serve: one for each chip that a family has an image for. Data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

CHIP_WORDS: Mapping[str, str] = {
    "910b": "A2", "a2": "A2", "a3": "A3", "310p": "310P", "950": "950", "a5": "950", "910": "910",
}  # fmt: skip
"""Words that name an Ascend chip in the tags of images."""


@dataclass(frozen=True, slots=True)
class ChipImage:
    """``resource`` is "" for a CPU. ``distribution`` is whose version the image's tag carries.

    ``own_entry``: whether the image's entry point must be replaced. That of vLLM's images is
    ``vllm serve``; that of Ascend's sets the variables of CANN, and runs what it is given.
    """

    name: str
    platform: str
    resource: str
    repository: str
    suffix: str
    distribution: str
    own_entry: bool

    def of_version(self, version: str) -> str:
        """Return the image's full name of a version."""
        return f"{self.repository}:v{version}{self.suffix}"

    def carries(self, image: str) -> bool:
        """Whether an image's full name is one of these, whatever mirror it comes from."""
        name, _, tag = image.partition("@")[0].rpartition("/")[2].partition(":")
        known = self.repository.rpartition("/")[2] == name
        return known and tag.removesuffix("-openeuler").endswith(self.suffix)

"""What a family of engines is: names by which its parts are known. Data, without imports of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from trimtab.invocations.grammar import CommandGrammar
from trimtab.model.situation import Situation

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


ImageReader: TypeAlias = Callable[[str, str, str], Situation | None]


@dataclass(frozen=True, slots=True)
class VariablePrefix:
    """How the names of some environment variables begin, and what is known of them.

    ``reaches_engine``: they change how an engine serves, so they are part of what a launch is
    given. ``serving``: only a serving process reads them, never the script around it.
    ``names``: whether trimtab knows "all" names that begin so, "some" of them, or "none".
    """

    text: str
    reaches_engine: bool = True
    serving: bool = True
    names: Literal["all", "some", "none"] = "all"


@dataclass(frozen=True, slots=True)
class MetricSeries:
    """Names of the series on a server's ``/metrics`` page, "" for one that it does not have.

    ``running`` and ``waiting`` are gauges of requests. ``prompt_tokens`` and ``output_tokens``
    are histograms over finished requests. ``cache_queries`` and ``cache_hits`` are counters of
    prompt tokens, without the ending ``_total``. ``hidden_by`` is the option that hides them.
    """

    running: str = ""
    waiting: str = ""
    prompt_tokens: str = ""
    output_tokens: str = ""
    cache_queries: str = ""
    cache_hits: str = ""
    hidden_by: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """A family of engines: all that serve by the same program. Each equals only itself."""

    name: str
    """The word that catalogue entries use for it."""
    title: str
    """Its name for a reader."""
    engines: tuple[str, ...]
    """The names under which the engines of this folder are chosen, the usual one first."""
    grammar: CommandGrammar
    """That of the commands that start its servers."""
    distributions: tuple[str, ...] = ()
    """Python distributions of which each shows that an environment holds the family; the first
    one carries its version."""
    options: tuple[str, ...] = ()
    """Long names of all options of its command; empty where the catalogue has them by release."""
    variables: tuple[str, ...] = ()
    """Names of all variables that it reads; empty where the catalogue has them by release."""
    series: MetricSeries = MetricSeries()
    """What its servers count."""
    prefixes: tuple[VariablePrefix, ...] = ()
    """How the names of its own environment variables begin."""
    images: tuple[ChipImage, ...] = ()
    """Its official images, one a chip."""
    causes: tuple[tuple[str, str], ...] = ()
    """Patterns of the log of a failed start, the specific ones first, each with its sentence, in
    which ``{name}`` stands for the pattern's group of that name."""
    platform_of: Callable[[Mapping[str, str]], str] | None = None
    """Returns what an environment of these distributions computes on, where its build tells."""
    read_image: ImageReader | None = None
    """Returns what organisation, name and tag of an image tell; ``images`` tell it without."""
    entry_point: Callable[[str], bool] | None = None
    """Whether an image of that name starts a server by itself; those of ``images`` do without."""

    def explain(self, log: str) -> str:
        """Return the likely cause of a failed start in one sentence; "" if no pattern is there."""
        for pattern, sentence in self.causes:
            if match := re.search(pattern, log):
                groups = {name: text.strip() for name, text in match.groupdict().items()}
                return sentence.format_map(groups)
        return ""

    def image(self, chip: str) -> ChipImage | None:
        """Return the official image for a chip; ``None`` if it has none."""
        return next((image for image in self.images if image.name == chip), None)

    def image_situation(self, organisation: str, name: str, tag: str) -> Situation | None:
        """Return what the name of one of its images tells; ``None`` for another image."""
        if self.read_image is not None:
            return self.read_image(organisation, name, tag)
        ours = (image for image in self.images if image.carries(f"{name}:{tag}"))
        image = next(ours, None)
        if image is None:
            return None
        release = re.match(r"v?(\d+\.\d+[\w.]*)", tag)
        versions = {image.distribution: release[1]} if release else {}
        return Situation(platform=image.platform, versions=versions)

    def is_entry_point(self, name: str) -> bool:
        """Whether an image of this name, without organisation and tag, starts a server."""
        if self.entry_point is not None:
            return self.entry_point(name)
        return any(name == image.repository.rpartition("/")[2] for image in self.images)

    def version(self, packages: Mapping[str, str]) -> str:
        """Return its version in an environment of these distributions, "" if it is not there.

        It is that of the first one that identifies the family.
        """
        return packages.get(self.distributions[0], "") if self.distributions else ""

"""Which distribution a package is of, looked up when it is asked.

transformers has the whole table made when it is imported, for which all that is installed is read,
and asks it one question: of which distribution ``torch`` is, to tell the version.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from importlib import metadata


class Distributions(dict[str, list[str]]):
    """The table of ``importlib.metadata.packages_distributions``, made when it is needed.

    A package that has a distribution of its own name is of that one, whichever others hold files
    of it.
    """

    def __init__(self, whole: Callable[[], Mapping[str, list[str]]]) -> None:
        super().__init__()
        self._whole = whole

    def __missing__(self, package: str) -> list[str]:
        try:
            return [metadata.distribution(package).name]
        except metadata.PackageNotFoundError:
            return self._whole()[package]


def look_up_when_asked() -> None:
    """From now on let nobody have the whole table made who does not need it."""
    whole = functools.cache(metadata.packages_distributions)
    metadata.packages_distributions = lambda: Distributions(whole)

"""trimtab: find, prove and keep the system-level tunings that make a vLLM server faster.

    >>> import trimtab
    >>> sorted(trimtab.__all__)[:3]
    ['BenchResult', 'CapacityResult', 'CompareResult']

The commands are functions here (docs/api.md). Everything that ``__all__`` does not name is
internal, and may change between releases.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = [
    "BenchResult",
    "CapacityResult",
    "CompareResult",
    "Diagnosis",
    "LintReport",
    "Profile",
    "Reporter",
    "StudyResult",
    "TrimtabError",
    "__version__",
    "bench",
    "capacity",
    "catalog",
    "compare",
    "doctor",
    "lint",
    "load_profile",
    "load_study",
    "tune",
]

if TYPE_CHECKING:
    from trimtab import catalog
    from trimtab.api import (
        BenchResult,
        CapacityResult,
        CompareResult,
        Diagnosis,
        LintReport,
        Profile,
        Reporter,
        StudyResult,
        TrimtabError,
        bench,
        capacity,
        compare,
        doctor,
        lint,
        load_profile,
        load_study,
        tune,
    )


def __getattr__(name: str) -> Any:
    """Import the API when it is asked for: ``trimtab --version`` needs none of it."""
    if name == "catalog":
        return import_module("trimtab.catalog")
    if name in __all__:
        return getattr(import_module("trimtab.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

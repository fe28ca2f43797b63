"""A profile as an order: what an exporter renders, checked against what it is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from trimtab.engines import default_model
from trimtab.errors import UsageError
from trimtab.export.order import Order
from trimtab.export.target import ExportOptions, require_same_platform
from trimtab.profiles.profile import platform_of, read_trusted_profile

DEPLOYMENTS: Final = ("docker", "compose", "kubernetes", "dockerfile", "systemd")
"""Formats that put a server into service."""


def profile_order(
    path: Path, options: ExportOptions, formats: Iterable[str], model: str | None
) -> Order:
    """Return the order of a profile's file.

    Raises:
        UsageError: chip or image are of another platform than the one that it was measured on, or
            a deployment would serve the built-in model, which ``model`` does not name.
        StudyError: the file is no profile, or another user could have written it.
    """
    profile = read_trusted_profile(path)
    if model not in (None, profile.model):
        raise UsageError(f"{path} was measured with {profile.model}: leave --model {model} out")
    toy = Path(profile.model).name == default_model.NAME and model is None
    if toy and (deployed := next((one for one in formats if one in DEPLOYMENTS), "")):
        raise UsageError(
            f"{path} was measured with trimtab's built-in model, whose weights are random, so "
            f"{deployed} would deploy a toy: tune your own model, or name it with --model"
        )
    measured = platform_of(profile)
    require_same_platform(options.chip, options.image, measured, f"the profile {profile.name}")
    return Order(profile, path, chip=options.chip)

"""What is prepared for, and what the user wants of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from trimtab.errors import UsageError
from trimtab.facts import Facts

MODELS: Final = ("huggingface", "modelscope")
ENVIRONMENT: Final = "/opt/vllm"
"""Where the emitted artefacts put the engine's virtual environment."""

_ADDRESS = re.compile(r"(?:https?|file)://[A-Za-z0-9._~:/@%+,=\[\]-]+")


@dataclass(frozen=True, slots=True)
class PrepareTarget:
    """A kind of machine. ``platform`` and ``chip`` are as in a situation.

    ``image`` is the chip's part of the tag of CANN's images.
    """

    name: str
    platform: str
    chip: str | None = None
    image: str = ""


TARGETS: Final[Mapping[str, PrepareTarget]] = MappingProxyType(
    {
        target.name: target
        for target in (
            PrepareTarget("ascend-a2", "ascend", "A2", "910b"),
            PrepareTarget("ascend-a3", "ascend", "A3", "a3"),
            PrepareTarget("ascend-310p", "ascend", "310P", "310p"),
            PrepareTarget("cuda", "cuda"),
            PrepareTarget("cpu", "cpu"),
        )
    }
)
"""Targets by name. The tags are those of Ascend/cann-container-image and vllm-ascend's files."""


@dataclass(frozen=True, slots=True)
class PrepareOptions:
    """What is asked for: the target, and where packages and models come from.

    ``mirror`` is a site that mirrors distributions, ``index`` a Python package index; "" leaves
    each as the machine has it. ``release`` is one of vllm-ascend, "" for the newest that fits.
    ``environment`` is the folder of the engine's environment.
    """

    target: PrepareTarget
    mirror: str = ""
    index: str = ""
    models: str = "huggingface"
    release: str = ""
    environment: str = ENVIRONMENT


def parse_target(name: str) -> PrepareTarget:
    """Return the target of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in TARGETS:
        raise UsageError(f"--target must be one of {', '.join(TARGETS)}, but is {name!r}")
    return TARGETS[name]


def target_of(facts: Facts, platform: str) -> PrepareTarget:
    """Return the target that the machine's devices show.

    Raises:
        UsageError: NPUs show, and not of which kind, or of a kind that there is no target for.
    """
    if platform != "ascend":
        return TARGETS[platform]
    chip = facts.ascend.chip.value
    target = next((target for target in TARGETS.values() if chip and target.chip == chip), None)
    if target is None:
        said = chip or f"unknown ({facts.ascend.chip.reason})"
        raise UsageError(
            "--target must be given where npu-smi does not tell A2, A3 or 310P: "
            f"here the chip is {said}"
        )
    return target


def parse_address(option: str, text: str) -> str:
    """Return an address without its last slash; "" stays "".

    Raises:
        UsageError: it is no http, https or file address, or holds a password, which would be
            written into what is emitted.
    """
    if not text:
        return ""
    if not _ADDRESS.fullmatch(text):
        raise UsageError(
            f"{option} must be an address such as https://mirror.example, but is {text!r}"
        )
    if "@" in text.partition("://")[2].partition("/")[0]:
        raise UsageError(
            f"{option} must hold no name or password, but holds one before '@': keep it in "
            "~/.netrc (pip) or /etc/apt/auth.conf.d (apt)"
        )
    return text.rstrip("/")

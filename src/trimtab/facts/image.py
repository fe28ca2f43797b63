"""What an image bakes in, from ``docker image inspect`` (podman and nerdctl print the same)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trimtab.facts.parsing import run_fact
from trimtab.host import Host
from trimtab.model import Fact


@dataclass(frozen=True, slots=True)
class Image:
    """Environment, entry point and command of an image, and its architecture ("arm64")."""

    env: Mapping[str, str]
    command: tuple[str, ...]
    architecture: str
    user: str


def parse_inspect(text: str) -> Image:
    """Parse the JSON of one image.

    Raises:
        ValueError: it is no such JSON.
    """
    data = json.loads(text)
    one: Any = data[0] if isinstance(data, list) and data else data
    config = one.get("Config") if isinstance(one, dict) else None
    if not isinstance(config, dict):
        raise ValueError("no Config in it")
    pairs = (str(entry).partition("=") for entry in config.get("Env") or ())
    return Image(
        env={name: value for name, equals, value in pairs if equals},
        command=(*_words(config.get("Entrypoint")), *_words(config.get("Cmd"))),
        architecture=str(one.get("Architecture", "")),
        user=str(config.get("User", "")),
    )


def _words(value: object) -> tuple[str, ...]:
    return tuple(str(word) for word in value) if isinstance(value, Sequence) else ()


def read_image(host: Host, name: str, engine: str = "docker") -> Fact[Image]:
    """Ask the container engine about an image that is here already; nothing is pulled."""
    return run_fact(host, (engine, "image", "inspect", name), parse_inspect)

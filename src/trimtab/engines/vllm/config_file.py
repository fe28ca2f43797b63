"""The YAML of ``vllm serve --config``: read as vLLM reads it, joined into a command line."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from trimtab.catalog.releases import vllm
from trimtab.errors import UsageError
from trimtab.storage import atomic_files

MAX_BYTES = 1_000_000


def join_config_file(args: Sequence[str], where: str) -> list[str]:
    """Return the arguments behind ``serve`` with those of their ``--config`` file in its place.

    As in vLLM 0.32, the file's stand before the others, so that the command line wins; what the
    command line says too is left out. A model of the command line wins as well.

    Raises:
        UsageError: there are two such files, or one is no YAML of options.
    """
    if any(word.startswith("--config=") for word in args):
        raise UsageError(
            f"{where} has --config=FILE, which vLLM does not read: write --config FILE"
        )
    if "--config" not in args:
        return list(args)
    at = list(args).index("--config")
    rest = [*args[:at], *args[at + 2 :]]
    if at + 1 == len(args) or "--config" in rest:
        raise UsageError(f"{where} must name one file after --config")
    content = _content(Path(args[at + 1]))
    model = rest[:1] if rest and not rest[0].startswith("-") else []
    said = {option(word) for word in rest if word.startswith("-")}
    if model or "--model" in said:
        content.pop("model", None)
    named = [str(content.pop("model"))] if content.get("model") is not None else model
    return [*named, *_words(content, said), *rest[len(model) :]]


def option(word: str) -> str:
    """Return the long name, with dashes, of an option as it was written; "" for a value."""
    name = word.partition("=")[0]
    if not name.startswith("--"):
        return vllm().aliases.get(name, name)
    head, dot, tail = name.partition(".")
    return head.replace("_", "-") + dot + tail


def _content(path: Path) -> dict[str, Any]:
    """Return what a file holds."""
    if path.suffix not in {".yaml", ".yml"}:
        raise UsageError(f"--config must name a .yaml or .yml file, but is {path}")
    try:
        content = yaml.safe_load(atomic_files.read(path, MAX_BYTES))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        raise UsageError(f"{path}{line} of --config is no YAML: correct it") from error
    except OSError as error:
        raise UsageError(f"{path} of --config cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} of --config is no YAML: {error}") from error
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise UsageError(f"{path} of --config must map names of options to values")
    return content


def _words(content: Mapping[str, Any], said: set[str]) -> list[str]:
    found: list[str] = []
    for key, value in content.items():
        name = f"--{key}"
        if option(name) in said or option(_negated(name)) in said:
            continue
        if value is True:
            found.append(name)
        elif value is False:
            found += [_negated(name)] if _can_be_negated(name) else []
        elif isinstance(value, list):
            found += [name, *(str(one) for one in value)] if value else []
        elif isinstance(value, dict):
            found += [name, json.dumps(value, default=str)]
        else:
            found += [name, str(value)]
    return found


def _negated(name: str) -> str:
    bare = name.removeprefix("--")
    return f"--{bare.removeprefix('no-')}" if bare.startswith("no-") else f"--no-{bare}"


def _can_be_negated(name: str) -> bool:
    lives = vllm().parts["options"].get(option(name), ())
    return any(kind == "switch" for _, _, kind in lives)

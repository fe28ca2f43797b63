"""A model's configuration as far as trimtab needs it, read from its config.json."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from trimtab.errors import UsageError
from trimtab.storage import atomic_files

_MAX_BYTES = 16 * 1024 * 1024

SAFE_VOCAB = 1000
"""Token ids that every vocabulary in use has, for a model whose configuration is not here."""


def vocab(model: str) -> int:
    """Return the size of the vocabulary, else :data:`SAFE_VOCAB`."""
    size = _text_config(model).get("vocab_size")
    return size if isinstance(size, int) and size > 0 else SAFE_VOCAB


def dtype(model: str) -> str | None:
    """Return the weights' type: ``dtype`` since transformers 5, ``torch_dtype`` before."""
    config = {**_config(model), **_text_config(model)}
    named = config.get("dtype", config.get("torch_dtype"))
    return named.removeprefix("torch.") if isinstance(named, str) else None


def context(model: str) -> int | None:
    """Return how many tokens the model's positions reach, ``None`` if its configuration is silent.

    A configuration that scales its positions says nothing here, for engines scale in several ways.
    """
    config = _text_config(model)
    scaled = config.get("rope_scaling") or config.get("rope_parameters")
    if isinstance(scaled, Mapping) and scaled.get("factor") is not None:
        return None
    length = config.get("max_position_embeddings")
    return length if isinstance(length, int) and length > 0 else None


def check(model: str) -> None:
    """Refuse what cannot be a model: a folder without config.json, a path that is not there.

    Raises:
        UsageError: with the reason.
    """
    path = Path(model).expanduser()
    if path.is_dir() and not (path / "config.json").is_file():
        raise UsageError(f"--model must hold a config.json, but {model} does not")
    if not path.exists() and (path.is_absolute() or model.startswith(("./", "../", "~"))):
        raise UsageError(f"--model must be a folder or a model id, but {model} does not exist")
    if not path.exists() and "://" not in model and model.count("/") > 1:
        raise UsageError(
            f"--model must be a folder, or an id such as owner/name, but {model} is no folder here"
        )


def _text_config(model: str) -> Mapping[str, object]:
    config = _config(model)
    nested = config.get("text_config")
    return nested if isinstance(nested, Mapping) else config


def _config(model: str) -> Mapping[str, object]:
    """Return a model's config.json, from its folder or the Hugging Face cache; else empty."""
    for path in (Path(model).expanduser() / "config.json", *_cached(model)):
        try:
            config = json.loads(atomic_files.read(path, _MAX_BYTES))
        except (OSError, ValueError):
            continue
        if isinstance(config, dict):
            return config
    return {}


def _cached(model: str) -> list[Path]:
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    hub = Path(os.environ.get("HF_HUB_CACHE") or home / "hub")
    return sorted(hub.glob(f"models--{model.replace('/', '--')}/snapshots/*/config.json"))

"""The model that the oracle's configurations are made for: the built-in one, with more heads.

vLLM refuses a number of workers that does not divide a model's attention heads. A configuration
loads no weights, so the oracle's model can have as many as the largest servers need.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from pathlib import Path

from trimtab.emulator import build
from trimtab.engines import default_model

HEADS = 192
"""1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96 and 192 workers divide it."""

_CONFIG = "config.json"


def ensure() -> Path:
    """Return the model's folder, made if it is missing. It appears complete or not at all.

    Raises:
        EngineError: the cache folder cannot be made.
    """
    source = default_model.ensure()
    text = json.dumps({**default_model.CONFIG, "num_attention_heads": HEADS}, indent=1)
    name = f"{default_model.NAME}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    target = build.cache("oracle") / name
    if target.is_dir():
        return target
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        draft = Path(folder) / name
        # the stamp is about the built-in model's own files
        shutil.copytree(source, draft, ignore=shutil.ignore_patterns("trimtab-*.json"))
        (draft / _CONFIG).write_text(text, encoding="utf-8")
        try:
            draft.replace(target)
        except OSError:
            if not target.is_dir():  # else another process was first
                raise
    return target

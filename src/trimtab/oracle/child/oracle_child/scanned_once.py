"""Run after transformers' helper for imports: a folder is read once for what it exports.

transformers reads all its models' files when it is imported, and again for the package of the
models: 2,700 files each time.
"""

from __future__ import annotations

import functools
import importlib
from typing import Any

_imports: Any = importlib.import_module("transformers.utils.import_utils")
_imports.create_import_structure_from_path = functools.cache(
    _imports.create_import_structure_from_path
)

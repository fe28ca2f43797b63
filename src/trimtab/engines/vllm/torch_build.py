"""What an environment's PyTorch was built for, read from its version.py without importing it.

The wheels of the default index leave the local part out of their metadata ("2.9.0"), and
``torch/version.py`` has it ("2.9.0+cu128"), with the versions of CUDA, HIP and XPU beside it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

_LARGEST = 16 * 1024
_VALUE = r"^{name}\b[^=\n]*=\s*['\"]([^'\"\n]+)['\"]"
_BUILDS = {"cuda": "cu", "hip": "rocm", "xpu": "xpu"}


def torch_version(paths: Sequence[str]) -> str | None:
    """Return the full version of the PyTorch that an import on ``paths`` finds.

    A build for CUDA, HIP or XPU that has no local part gets the one that its kind has. ``None`` if
    no file tells.
    """
    for path in paths:
        try:
            with (Path(path) / "torch" / "version.py").open("rb") as file:
                text = file.read(_LARGEST).decode(errors="replace")
        except OSError:
            continue
        full = _value("__version__", text)
        if full is None or "+" in full:
            return full
        built = next((local for name, local in _BUILDS.items() if _value(name, text)), None)
        return full if built is None else f"{full}+{built}"
    return None


def _value(name: str, text: str) -> str | None:
    found = re.search(_VALUE.format(name=name), text, re.MULTILINE)
    return None if found is None else found[1]

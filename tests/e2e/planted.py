"""How the scripted server behaves where noise is planted in it."""

from pathlib import Path
from typing import Any


def noisy(folder: Path, *effects: dict[str, Any], sd: float, seed: int = 1) -> dict[str, Any]:
    """Return a server slow enough that the planted noise outweighs a busy machine's."""
    noise = {"sd": sd, "seed": seed, "counter": str(folder / "starts.count")}
    return {
        "effects": list(effects),
        "noise": noise,
        "token_seconds": 0.010,
        "ttft_seconds": 0.020,
    }

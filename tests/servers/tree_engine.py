"""The engine that runs tree.py."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trimtab.engines.scripted.engine import Scripted
from trimtab.model import Process

TREE = Path(__file__).with_name("tree.py")


@dataclass(frozen=True, slots=True)
class TreeEngine(Scripted):
    """``deaf``: says that it is ready whatever the server does."""

    deaf: bool = False

    def command(self, model: str, args: Sequence[str]) -> tuple[str, ...]:
        return (sys.executable, "-I", "-S", str(TREE), "serve", model, *args)

    def ready(self, url: str, *, key: str | None = None) -> bool:
        return self.deaf or Scripted.ready(self, url, key=key)

    def roles(self, tree: Sequence[Process]) -> Mapping[int, str]:
        """The first is the API server, all others are workers."""
        return {one.pid: "worker" if index else "api" for index, one in enumerate(tree)}

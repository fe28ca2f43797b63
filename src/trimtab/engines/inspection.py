"""The facts of a host, as one of its engines sees it."""

from __future__ import annotations

from trimtab import engines, facts
from trimtab.engines import Engine
from trimtab.facts import Facts
from trimtab.host import Host


def inspect(engine: Engine, host: Host) -> Facts:
    """Return the facts of a host with an engine: its packages, libraries and environments."""
    return facts.inspect(
        host,
        engine.packages,
        engine.platform,
        library_folders=engine.library_folders,
        environments=engines.environments(engine),
    )

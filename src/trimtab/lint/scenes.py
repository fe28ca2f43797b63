"""From a document to the scenes of its processes, with what the text tells of the situation."""

from __future__ import annotations

from collections.abc import Iterator

from trimtab.catalog import Scene
from trimtab.model.script import Document, Launch
from trimtab.model.situation import Situation


def scenes(document: Document, situation: Situation) -> Iterator[Scene]:
    """Yield one scene for each process that the text starts."""
    host = {one.name: one for one in document.host}
    for launch in document.launches:
        yield Scene(
            situation=told_by(launch, situation),
            argv=launch.argv,
            env={one.name: one for one in launch.env},
            options={one.name: one for one in launch.options},
            host=host,
            affinity=launch.affinity,
            container=launch.container,
            implied=launch.implied,
            document=document,
        )


def told_by(launch: Launch, situation: Situation) -> Situation:
    """Return the situation with what a launch itself tells of it."""
    return situation

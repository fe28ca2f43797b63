"""What makes the starts of a study: a live server under load, or a simulated machine."""

from __future__ import annotations

from typing import Protocol

from trimtab.model import Start, StartRequest


class Executor(Protocol):
    """Makes the starts of a study, one at a time."""

    def run(self, request: StartRequest, number: int) -> Start:
        """Make the start that is requested, and return its record.

        The record holds each failure of the candidate. ``number`` counts the study's starts from
        1.

        Raises:
            KeyboardInterrupt: a stop was requested; nothing of the start is left.
            TrimtabError: a failure that the candidate did not cause.
        """

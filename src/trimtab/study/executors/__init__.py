"""What makes the starts of a study: a live server under load, or a simulated machine."""

from __future__ import annotations

from typing import Protocol

from trimtab.model import Start, StartRequest


class Executor(Protocol):
    """Makes starts, one at a time."""

    def run(self, request: StartRequest, number: int) -> Start:
        """Make the start that is asked for, and return its record.

        What the candidate does wrong is in the record. ``number`` counts the study's starts
        from 1.

        Raises:
            KeyboardInterrupt: somebody asked trimtab to stop; nothing of the start is left.
            TrimtabError: trouble that is not the candidate's.
        """

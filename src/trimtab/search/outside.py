"""Gains that no profile holds: a verdict must not send its reader where the profiles do not go."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from trimtab.model import Answer, Candidate, Space, Start, Verdict
from trimtab.search.limits import beyond, broken

GAINS = (Verdict.ADOPT, Verdict.LIKELY)


def outside(
    space: Space, starts: Sequence[Start], answers: Iterable[Answer], written: Iterable[Candidate]
) -> Iterator[Answer]:
    """Yield the verdicts, a gain that no written profile holds with what keeps it out.

    One that is expected to break the SLO by itself is to be avoided, whatever it gives besides.
    """
    held = {tuning for values in written for tuning, _ in values}
    for one in answers:
        if one.verdict not in GAINS or one.tuning in held:
            yield one
            continue
        alone = ((one.tuning, one.value),)
        why = "; ".join(broken(space, starts, alone))
        if why and beyond(space, starts, alone):
            yield replace(
                one,
                verdict=Verdict.AVOID,
                reason=f"it breaks the SLO ({why}); on {one.metric} it is {one.reason}",
            )
        else:
            yield replace(
                one, reason=f"{one.reason}; no profile holds it: {why or 'see the notes'}"
            )

"""Starts that only take answers: profiles that no start of the confirmation answered for.

What the budget has left at the end pays for them, one start for each profile, and one of the
baseline where it answered only once. Nothing is kept for them, so no design loses a row, and they
enter no estimate. Where the baseline gave no answers there is nothing to compare with.
"""

from __future__ import annotations

from collections.abc import Sequence

from trimtab.model import BASELINE, Candidate, Phase, Space, Start, StartRequest
from trimtab.search.arms import BASELINE_ARM, MAX_ARM, PROVEN_ARM, requests
from trimtab.search.conclusion import conclude
from trimtab.search.cost import left, price
from trimtab.search.fidelity import answered, known


def answering(space: Space, starts: Sequence[Start]) -> tuple[StartRequest, ...]:
    """Return the starts to make at the end of a study for their answers, within the budget."""
    stock = sum(answered(start, BASELINE) for start in starts)
    if not stock:
        return ()
    found = conclude(space, starts)
    tried = {start.request.stem for start in starts if start.request.phase is Phase.ANSWERS}
    wanted = [(PROVEN_ARM, found.proven), (MAX_ARM, found.best), (BASELINE_ARM, BASELINE)]
    asked: dict[Candidate, str] = {}
    for arm, chosen in wanted:
        enough = stock > 1 if chosen == BASELINE else known(starts, chosen)
        if not enough and arm not in tried and (arm == BASELINE_ARM or chosen):
            asked.setdefault(chosen, arm)
    money = left(space, starts)
    arms: list[tuple[str, Candidate]] = []
    for chosen, arm in asked.items():
        money -= price(space, starts, Phase.ANSWERS, chosen)
        if money >= 0 and (arm != BASELINE_ARM or arms or tried):
            arms.append((arm, chosen))
    return requests(space, Phase.ANSWERS, 0, arms)

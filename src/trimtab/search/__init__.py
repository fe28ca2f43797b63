"""Which starts to make next, and what the starts made so far say.

All of it is a pure function of the question and the ledger, so an interrupted study goes on by
replay, and a finished one answers the same again.
"""

from trimtab.search.conclusion import conclude, leading
from trimtab.search.design import design, measured
from trimtab.search.failures import blocked
from trimtab.search.host_effects import ROUND, alternation, rounds
from trimtab.search.noise import spread, told
from trimtab.search.strategy import Phased, Strategy

__all__ = [
    "ROUND",
    "Phased",
    "Strategy",
    "alternation",
    "blocked",
    "conclude",
    "design",
    "leading",
    "measured",
    "rounds",
    "spread",
    "told",
]

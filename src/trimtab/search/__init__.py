"""Which starts to make next, and what the starts made so far say.

All of it is a pure function of the question and the ledger, so an interrupted study goes on by
replay, and a finished one answers the same again.
"""

from trimtab.search.conclusion import conclude, incumbent, remarks
from trimtab.search.design import design, detectability_note
from trimtab.search.history import History
from trimtab.search.host_effects import ROUND, alternation, rounds
from trimtab.search.noise import noise_sentence, variance_components
from trimtab.search.strategy import PhasedStrategy, Strategy

__all__ = [
    "ROUND",
    "History",
    "PhasedStrategy",
    "Strategy",
    "alternation",
    "conclude",
    "design",
    "detectability_note",
    "incumbent",
    "noise_sentence",
    "remarks",
    "rounds",
    "variance_components",
]

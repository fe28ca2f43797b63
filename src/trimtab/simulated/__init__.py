"""A simulated engine: a landscape of true effects and noise, played without server or sleep.

It is what the search is judged by: the truth is known, and a thousand studies take minutes.
"""

from trimtab.simulated.landscape import NAMES, Landscape, load_landscape
from trimtab.simulated.machine import SimulatedMachine, play, space_of

__all__ = ["NAMES", "Landscape", "SimulatedMachine", "load_landscape", "play", "space_of"]

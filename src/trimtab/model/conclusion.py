"""What a study found: verdicts, profiles, how they compare, and how noisy it was."""

from __future__ import annotations

from dataclasses import dataclass

from trimtab.model.answer import Answer, Comparison
from trimtab.model.knowledge import Candidate
from trimtab.model.pareto import Standing


@dataclass(frozen=True, slots=True)
class Fidelity:
    """How far a profile's greedy answers are the baseline's.

    ``agreement`` is the share (0 to 1) of tokens before the first that differs, over all prompts
    and all pairs of starts; ``floor`` the same between the baseline's own starts, ``None`` from
    fewer than two. ``diverges_at`` is the earliest token (from 1) that differs.
    """

    arm: str
    agreement: float
    floor: float | None
    diverges_at: int | None
    prompts: int
    pairs: int

    @property
    def kept(self) -> bool:
        """Whether the answers differ no more than the baseline's own do."""
        return self.agreement >= (1.0 if self.floor is None else self.floor)


@dataclass(frozen=True, slots=True)
class Spread:
    """Variance components of the objective: sds on the log scale (0.02 = 2 %), method of moments.

    ``between`` is that of starts (s_r), ``within`` that of the windows of one start (s_w), each
    with its degrees of freedom. ``windows`` is how many a start had. ``best`` is how many give
    the most precision for the time, at the measured cost of a start without its windows and of
    a window, in seconds.
    """

    between: float
    within: float
    start_df: int
    window_df: int
    windows: float
    start_seconds: float
    window_seconds: float
    best: int


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What a study found: verdicts, profiles and how they compare, from the ledger alone.

    ``proven`` and ``best`` are the candidates of the two profiles (``best`` is written as
    ``max``). ``confirmed`` holds the confirmation's comparisons of exactly these two with the
    baseline (arms "proven" and "max", the latter only where it is another candidate), one for
    each metric; what was tested and rejected is a note. ``guide`` is the guide's comparison,
    from the first phase. ``pareto`` holds the confirmation's arms where a study has several
    objectives. ``within_slo`` names the profiles that are shown to keep the SLO, if one was given.
    """

    answers: tuple[Answer, ...]
    proven: Candidate
    best: Candidate
    confirmed: tuple[Comparison, ...]
    guide: Comparison | None
    sd: float | None
    detectable: float | None
    notes: tuple[str, ...] = ()
    fidelity: tuple[Fidelity, ...] = ()
    pareto: tuple[Standing, ...] = ()
    spread: Spread | None = None
    within_slo: tuple[str, ...] = ()

"""A pure stand-in for the machine: true log effects, noise and failures; no server, no sleep."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from trimtab.model import (
    BASELINE,
    Conclusion,
    Factor,
    Outcome,
    Phase,
    Space,
    Start,
    StartRequest,
    Value,
    Verdict,
)
from trimtab.search import History, PhasedStrategy, conclude

Crash = Callable[[Mapping[str, Value], np.random.Generator], Outcome]


def always_works(values: Mapping[str, Value], rng: np.random.Generator) -> Outcome:
    return Outcome.MEASURED


@dataclass(frozen=True)
class Machine:
    """True effects by tuning (log, on the objective), noise between starts and between blocks."""

    effects: Mapping[str, float] = field(default_factory=dict)
    sd: float = 0.02
    block_sd: float = 0.05
    startup: Mapping[str, float] = field(default_factory=dict)
    outcome: Crash = always_works
    seconds: float = 30.0
    seed: int = 0

    def truth(self, values: Mapping[str, Value]) -> float:
        return sum(self.effects.get(name, 0.0) for name in values)

    def start(self, request: StartRequest, number: int) -> Start:
        """Make one start; what happens depends on the request and its number alone."""
        values = dict(request.candidate)
        block = np.random.default_rng((self.seed, 1, request.seed))
        own = np.random.default_rng((self.seed, 2, number))
        outcome = self.outcome(values, own)
        rate = self.truth(values) + self.block_sd * block.normal() + self.sd * own.normal()
        boot = sum(self.startup.get(name, 0.0) for name in values) + self.sd * own.normal()
        metrics = {"output_throughput": 100 * math.exp(rate), "startup": 20 * math.exp(boot)}
        return Start(
            number=number,
            request=request,
            plan="0" * 16,
            outcome=outcome,
            metrics=metrics if outcome is Outcome.MEASURED else {},
            seconds=self.seconds * (1.0 + 0.2 * float(own.random())),
            detail="" if outcome is Outcome.MEASURED else outcome.value,
        )


def play(space: Space, machine: Machine, history: Sequence[Start] = ()) -> list[Start]:
    """Run a study to its end, asking before each start as the real loop does."""
    starts = list(history)
    while requests := PhasedStrategy().ask(History.of(space, starts)):
        assert len(starts) < 500, "the study does not end"
        starts.append(machine.start(requests[0], len(starts) + 1))
    return starts


def play_blocks(space: Space, machine: Machine, until: Phase | None = None) -> list[Start]:
    """Run a study block by block: the same starts with fewer questions.

    ``until`` stops before the first block of that phase.
    """
    starts: list[Start] = []
    while requests := PhasedStrategy().ask(History.of(space, starts)):
        if requests[0].phase is until:
            break
        for request in requests:
            starts.append(machine.start(request, len(starts) + 1))
    return starts


def study(space: Space, machine: Machine) -> Conclusion:
    return conclude(History.of(space, play_blocks(space, machine)))


def factors(count: int, *, leads: Sequence[str] = (), dummy: bool = True) -> tuple[Factor, ...]:
    """Make leads, then factors t0, t1, ... with falling priors, then the dummy."""
    made = [Factor(name, "on", lead="the hardware decides it", prior=1.0) for name in leads]
    made += [Factor(f"t{i}", "on", prior=0.05 - i / 1000) for i in range(count)]
    return (*made, *([Factor("dummy", "1", dummy=True)] if dummy else []))


def verdicts(found: Conclusion) -> dict[str, Verdict]:
    return {answer.tuning: answer.verdict for answer in found.answers}


__all__ = [
    "BASELINE",
    "Machine",
    "Phase",
    "factors",
    "play",
    "play_blocks",
    "study",
    "verdicts",
]

"""One interpreter's speed against another's: fresh processes in alternating order, and pairs.

Each pair holds one process of both, in the order AB, BA, AB ..., so that a drift of the machine
does not favour one. Of a pair the ratio of CPU times counts; the interval is over pairs (t, on the
log scale).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from trimtab.environments import distributions
from trimtab.environments.managed_environment import Say
from trimtab.errors import HostError, InterpreterError, UsageError
from trimtab.host import LocalHost
from trimtab.interpreters import attestation, store
from trimtab.interpreters.attestation import Subject

PROGRAM = Path(__file__).with_name("loops.py")
SECONDS = 1.0
"""CPU time of each process, over all loops."""

_PATIENCE = 120.0
Once = Callable[[Path], dict[str, float]]


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times as fast: above 1 the first is faster. No interval from one pair."""

    name: str
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Speed:
    """All loops together (geometric mean), and each."""

    against: str
    pairs: int
    all: Ratio
    loops: tuple[Ratio, ...]

    def lines(self) -> list[str]:
        """Return it in words."""
        told = [f"{'speed':<13} {_words(self.all)} against {self.against}, {self.pairs} pairs"]
        return [*told, *(f"{'':<13} {loop.name}: {_words(loop)}" for loop in self.loops)]


def _words(ratio: Ratio) -> str:
    if ratio.low is None or ratio.high is None:
        return f"x {ratio.value:.3f}"
    return f"x {ratio.value:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]"


def opponent(subject: Subject, against: str | None) -> Subject | None:
    """Return what to compare with: as asked, or a plain build of the same version; else none.

    Raises:
        UsageError: it is the same interpreter, or of another version.
    """
    if against is None:
        record = subject.record
        plain = [
            one.name
            for one in store.list_records()
            if record is not None
            and one.version == record.version
            and one.name != record.name
            and not any(one.options.get(word) for word in ("pgo", "lto", "bolt"))
        ]
        return attestation.resolve(plain[0]) if plain else None
    other = attestation.resolve(against)
    if other.program == subject.program:
        raise UsageError(f"--against {against} is the same interpreter: name another")
    own, its = (distributions.version(one.program) for one in (subject, other))
    if own != its:
        raise UsageError(
            f"--against must be of the same version of Python, {own[0]}.{own[1]}, but {against} "
            f"is {its[0]}.{its[1]}"
        )
    return other


def measure(
    subject: Subject, other: Subject, pairs: int, say: Say, *, once: Once | None = None
) -> Speed:
    """Run the loops in ``pairs`` pairs of processes; return the ratios.

    Raises:
        InterpreterError: a process failed.
    """
    run = once or _once
    logs: list[dict[str, float]] = []
    for number in range(pairs):
        order = (subject, other) if number % 2 == 0 else (other, subject)
        made = {subject.told: run(subject.program) for subject in order}
        mine, its = made[subject.told], made[other.told]
        logs.append({name: math.log(its[name] / mine[name]) for name in mine})
        if number % 5 == 4:
            say(f"  … {number + 1} of {pairs} pairs")
    loops = tuple(_ratio(name, [log[name] for log in logs]) for name in logs[0])
    return Speed(other.told, pairs, _ratio("all", [fmean(log.values()) for log in logs]), loops)


def _ratio(name: str, logs: Sequence[float]) -> Ratio:
    from trimtab.stats.sequential import mean_interval

    value, low, high = mean_interval(logs)
    if low is None or high is None:
        return Ratio(name, math.exp(value), None, None)
    return Ratio(name, math.exp(value), math.exp(low), math.exp(high))


def _once(program: Path) -> dict[str, float]:
    words = [str(program), "-I", "-S", str(PROGRAM), str(SECONDS)]
    try:
        found = json.loads(LocalHost().run(words, _PATIENCE))
    except (HostError, ValueError) as error:
        raise InterpreterError(f"the micro-benchmark failed: {error}") from error
    return {str(name): float(seconds) for name, seconds in found.items()}

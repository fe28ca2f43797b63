"""Measuring without searching: one target with an interval, or two against each other.

Both keep their starts in a ledger like a study's, so an interrupted measurement goes on where it
stopped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import stdev
from typing import Any, Final

import numpy as np
from scipy import special

from trimtab import formatting, search
from trimtab.errors import StudyError
from trimtab.metrics.table import METRICS
from trimtab.model import BASELINE, Outcome, Phase, Plan, Start, StartRequest, VarianceComponents
from trimtab.stats.effects import LEAST_DF, fit
from trimtab.stats.sequential import (
    LOOKS,
    Look,
    detectable_difference,
    look,
    mean_interval,
    no_interval_reason,
)
from trimtab.study.executors.live import run_plan
from trimtab.study.gate import with_best_windows, with_gate_history
from trimtab.study.ledger import Ledger
from trimtab.study.options import AUTO
from trimtab.study.progress import Display
from trimtab.study.session import Session
from trimtab.study.signals import Stop

PlanTrial = Callable[[Session, Plan, StartRequest, int, Path, Display, Stop], Start]

_FAILED = frozenset({Outcome.START_FAILED, Outcome.LOAD_FAILED, Outcome.INEFFECTIVE})
_FIRST: Final = 4
"""Blocks from whose noise AUTO takes the number of windows; all later ones then have as many."""

FRESH: Final = 7
"""The stream of seeds for starts that must share no request with those of a search before them."""

_REQUESTS: Final = 6
"""The stream of seeds for the requests of blocks."""

_TRIES = 3
"""Starts of one arm in one pair after which the measurement is given up."""


@dataclass(frozen=True, slots=True)
class MeasurementTarget:
    """A plan to measure, with the name that the user gave it."""

    name: str
    plan: Plan


@dataclass(frozen=True, slots=True)
class MetricSummary:
    """One metric over the starts of a target."""

    metric: str
    """Name of the metric."""
    unit: str
    """Unit of the values."""
    value: float
    """Geometric mean over the starts."""
    low: float | None
    """Lower end of the 95 % interval; ``None`` with fewer than four starts."""
    high: float | None
    """Upper end of the 95 % interval; ``None`` with fewer than four starts."""
    starts: int
    """Number of starts."""
    reason: str = ""
    """Why there is no interval; "" if there is one."""


class Measurement:
    """Makes starts of targets, block by block, until a condition holds."""

    def __init__(
        self,
        session: Session,
        targets: Sequence[MeasurementTarget],
        ledger: Ledger,
        folder: Path,
        display: Display,
        stop: Stop,
        trial: PlanTrial = run_plan,
        stream: int = _REQUESTS,
    ) -> None:
        self._session, self._targets = session, tuple(targets)
        self._ledger, self._folder = ledger, folder
        self._display, self._stop, self._trial = display, stop, trial
        self._stream = stream

    def until(
        self,
        enough: Callable[[Sequence[Start]], bool],
        expected: int = 0,
        *,
        at_most: bool = False,
    ) -> list[Start]:
        """Make blocks, each with every target once, until ``enough`` of all starts.

        ``expected`` is the expected number of measured starts, ``at_most`` marks it as a limit.

        Two targets alternate in pairs of opposite order (ABBA), which cancels a steady drift. All
        starts of a block have the same requests; each block has new ones.

        Raises:
            StudyError: a target cannot be measured.
            KeyboardInterrupt: a stop was asked for; every finished start is kept.
        """
        if expected:
            done = sum(start.valid for start in self._ledger.starts())
            self._display.expect(expected, done, at_most=at_most)
        block = 0
        while not enough(self._ledger.starts()):
            for index in self._order(block):
                self._measure(block, index)
            block += 1
        return self._ledger.starts()

    def _order(self, block: int) -> list[int]:
        seed = self._session.options.seed
        order = list(np.random.default_rng((seed, 5, block // 2)).permutation(len(self._targets)))
        return [int(i) for i in (reversed(order) if block % 2 else order)]

    def _measure(self, block: int, index: int) -> None:
        """Make starts of one target in one block until one is measured."""
        target = self._targets[index]
        arm = f"{index + 1}:{target.name}"
        made = [
            s for s in self._ledger.starts() if (s.request.block, s.request.stem) == (block, arm)
        ]
        while not any(start.valid for start in made):
            if len(made) >= _TRIES or sum(start.outcome in _FAILED for start in made) > 1:
                raise StudyError(
                    f"{target.name} cannot be measured: {_why(made[-1])}{self._kept()}"
                )
            self._stop.check()
            request = StartRequest(
                Phase.CONFIRM, block, arm, BASELINE, _seed(self._session, self._stream, block)
            )
            made.append(self._run(target, request if not made else request.again()))

    def _kept(self) -> str:
        """Say how many starts were measured before one that cannot be."""
        done = sum(start.valid for start in self._ledger.starts())
        if not done:
            return ""
        return f" ({formatting.count(done, 'start')} measured before: go on with --resume)"

    def _run(self, target: MeasurementTarget, request: StartRequest) -> Start:
        number = len(self._ledger.starts()) + 1
        self._display.begin_start(number, request)
        folder = self._folder / "starts" / f"{number:03d}"
        start = self._trial(
            with_gate_history(self._paced(request.block), self._ledger.starts()),
            target.plan,
            request,
            number,
            folder,
            self._display,
            self._stop,
        )
        self._ledger.append(start)
        self._display.end_start(start)
        return start

    def _paced(self, block: int) -> Session:
        """Return the session of a block: with AUTO, as many windows as the noise asks for.

        Whole blocks change, so that pairs stay pairs; it follows from the noise of the first
        ones and never from a difference, so that stopping keeps its error.
        """
        if self._session.options.windows != AUTO or block < _FIRST:
            return self._session
        first = [start for start in self._ledger.starts() if start.request.block < _FIRST]
        return with_best_windows(
            self._session, variance_components(first, self._session.options.objective)
        )


def _why(start: Start) -> str:
    return " ".join(start.detail.split()) or start.outcome.value


def _seed(session: Session, stream: int, block: int) -> int:
    return int(
        np.random.SeedSequence((session.options.seed, stream, block)).generate_state(1)[0] % 2**31
    )


def starts_of_target(starts: Sequence[Start], index: int) -> dict[int, Start]:
    """Return block → the measured start of a target (0 is the first)."""
    return {
        start.request.block: start
        for start in starts
        if start.valid and start.request.arm.startswith(f"{index + 1}:")
    }


def summary(starts: Sequence[Start], index: int = 0) -> tuple[MetricSummary, ...]:
    """Return every metric of a target with its interval over starts, the table's order."""
    own = list(starts_of_target(starts, index).values())
    found = []
    for name in dict.fromkeys(key for start in own for key in start.metrics):
        values = [start.metrics[name] for start in own if start.metrics.get(name, 0.0) > 0]
        if len(values) < len(own):
            continue
        value, low, high = mean_interval([math.log(value) for value in values])
        known = METRICS.get(name)
        found.append(
            MetricSummary(
                name,
                known.unit if known is not None else "s",
                math.exp(value),
                None if low is None else math.exp(low),
                None if high is None else math.exp(high),
                len(values),
                "" if low is not None else no_interval_reason(len(values)),
            )
        )
    return tuple(found)


def repeat_notes(starts: Sequence[Start]) -> list[str]:
    """Return a sentence for each start that was not measured, and so was made again."""
    return [
        f"start {start.number} ({start.request.stem.partition(':')[2]}) was not measured and was "
        "made "
        f"again: {start.outcome.value}{f', {_why(start)}' if start.detail else ''}"
        for start in starts
        if not start.valid
    ]


def differences(starts: Sequence[Start], metric: str) -> list[float]:
    """Return the log ratio of the second target to the first in each pair, better is greater."""
    first, second = starts_of_target(starts, 0), starts_of_target(starts, 1)
    sign = 1.0 if METRICS[metric].higher_is_better else -1.0
    return [
        sign * math.log(second[block].metrics[metric] / first[block].metrics[metric])
        for block in sorted(first.keys() & second.keys())
        if first[block].metrics.get(metric, 0) > 0 and second[block].metrics.get(metric, 0) > 0
    ]


def variance_components(starts: Sequence[Start], metric: str) -> VarianceComponents | None:
    """Return the noise of a measurement's starts: of one target's, or of two within pairs.

    One target has new requests for each start, and they are part of its noise.
    """
    own = [start for start in starts if start.valid and start.metrics.get(metric, 0.0) > 0]
    arms = sorted({start.request.stem for start in own})
    blocks = [start.request.block if len(arms) > 1 else 0 for start in own]
    columns = {
        arm: np.array([float(start.request.stem == arm) for start in own], dtype=np.float64)
        for arm in arms[1:]
    }
    noise = fit([math.log(start.metrics[metric]) for start in own], blocks, columns).noise
    return search.variance_components(own, metric, noise)


def interim_look(
    starts: Sequence[Start], metric: str, margin: float, most: int = LOOKS[-1]
) -> Look:
    """Return what the pairs made so far say of the second target against the first."""
    return look(differences(starts, metric), math.log1p(margin), most)


def is_decided(starts: Sequence[Start], metric: str, margin: float, most: int) -> bool:
    """Whether a comparison is over: its pairs are clear, or as many as asked for.

    A pair counts against ``most`` whether or not both of its starts have the metric, so that
    one which comes and goes does not keep it going.

    Raises:
        StudyError: no start has the metric, or none has it beside the other of its pair.
    """
    made = [starts_of_target(starts, index) for index in range(2)]
    pairs = len(made[0].keys() & made[1].keys())
    if not pairs:
        return False
    have = [sum(metric in start.metrics for start in own.values()) for own in made]
    if not any(have):
        raise StudyError(
            f"{metric} must decide, but no start has it: this workload does not give it; name "
            "another --objective, or another --workload"
        )
    if pairs >= most and not differences(starts, metric):
        raise StudyError(
            f"{metric} must decide, but is above 0 on both sides of no pair (measured in "
            f"{have[0]} starts of A and {have[1]} of B): name another --objective"
        )
    return pairs >= most or interim_look(starts, metric, margin, most).final


def question(
    session: Session, targets: Sequence[MeasurementTarget], **asked: object
) -> Mapping[str, object]:
    """Return what identifies a measurement, for its ledger."""
    return {
        "measures": [{"name": target.name, "plan": target.plan.digest} for target in targets],
        **asked,
        **{k: v for k, v in session.question().items() if k not in ("budget", "factors")},
    }


def detectable_effect(differences: Sequence[float], pairs: int) -> float | None:
    """Return the smallest relative difference that ``pairs`` find at the noise of these."""
    return _finest(stdev(differences), pairs) if len(differences) > LEAST_DF else None


def comparison_forecast(assumed: float, pairs: int) -> str:
    """Say what a comparison can find, before its first start."""
    found = _finest(math.sqrt(2) * assumed, pairs)  # a difference has the noise of two starts
    return f"{_found(found, pairs)}, {_assuming(assumed)}"


def interval_forecast(assumed: float, starts: int, windows: int | None) -> str:
    """Say which interval so many starts will give, before the first one.

    ``windows`` of each start, at most; ``None`` where their number follows from the noise.
    """
    each = "windows as the noise asks" if windows is None else formatting.count(windows, "window")
    planned = f"{formatting.count(starts, 'start')} of {'' if windows is None else 'up to '}{each}"
    half = _half(assumed, starts, 0.975)
    if half is None:
        return f"{planned}: no interval, which takes --starts 4 or more"
    low, high = (formatting.percent(math.expm1(one)) for one in (-half, half))
    return f"{planned}: expect an interval of {low} to +{high}, {_assuming(assumed)}"


def bound_forecast(assumed: float, starts: int, requests: int) -> str:
    """Say how far below a capacity its bound will lie, before the first start."""
    planned = f"{formatting.count(starts, 'start')} with probes of {requests} requests"
    half = _half(assumed, starts, 0.95)
    if half is None:
        return f"{planned}: no bound, which takes --starts 4 or more"
    below = formatting.percent(-math.expm1(-half))
    return f"{planned}: expect a bound {below} below the estimate, {_assuming(assumed)}"


def _half(sd: float, starts: int, quantile: float) -> float | None:
    """Return what Student's t allows on one side of the mean of some starts, log scale."""
    if starts <= LEAST_DF:
        return None
    return float(special.stdtrit(starts - 1, quantile)) * sd / math.sqrt(starts)


def _assuming(assumed: float) -> str:
    return f"assuming {formatting.percent(assumed)} between starts (--noise says otherwise)"


def noise_sentences(found: Mapping[str, Any], *, verbose: bool = True) -> Iterator[str]:
    """Yield what a finished measurement says of its noise, in sentences.

    ``verbose``: the components of the noise too, and not only what could have been found.
    """
    if verbose and found.get("noise") is not None:
        yield search.noise_sentence(VarianceComponents(**found["noise"]))
    if found.get("detectable_effect") is not None:
        can = _found(found["detectable_effect"], found["most_pairs"])
        yield f"{can}, with the noise as measured"


def _finest(sd: float, pairs: int) -> float | None:
    found = detectable_difference(sd, pairs)
    return None if found is None else math.expm1(found)


def _found(detectable: float | None, pairs: int) -> str:
    many = formatting.count(pairs, "pair")
    size = formatting.percent(detectable)
    return f"{many} find a difference of {size} (80 % power, at the level of the last look)"

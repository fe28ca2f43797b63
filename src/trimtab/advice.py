"""What a reader can do with an answer: commands that work when pasted, and what they cost."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from trimtab import formatting, search
from trimtab.model import Advice, Budget, Start
from trimtab.redaction import redact_settings
from trimtab.session import Session
from trimtab.stats.sequential import LOOKS

_MARKER = re.compile(r"\$\{(\w+)\}")
"""What stands in place of a secret (`trimtab.redaction`)."""

_FACTORS: Final = (1.5, 2.0, 3.0, 4.0)
"""By how much a larger budget may be larger: the first that leaves room for what is open."""


def advise(
    session: Session, starts: Sequence[Start], folder: Path, profiles: Mapping[str, Path]
) -> Advice:
    """Return the commands for the reader of a study.

    ``profiles`` are the files of the profiles by name, that of the baseline among them where a
    server can be started by hand.
    """
    show = _words("trimtab", "show", str(folder))
    larger = _larger(session)
    each = _seconds(session, starts)
    secrets = _secrets(session)
    return Advice(
        show=show,
        use=_use(session, profiles),
        confirm=tuple(_confirmations(session, profiles)),
        confirm_cost=_cost(2 * LOOKS[0], 2 * LOOKS[-1], each) + secrets,
        larger=_words("trimtab", "tune", "--like", str(folder), "--budget", _text(larger)),
        larger_cost=_larger_cost(larger, each) + secrets,
    )


def _secrets(session: Session) -> str:
    """Say which secrets of the baseline a later command takes from the environment."""
    if not session.serves:
        return ""
    settings = redact_settings(session.base)
    words = [*settings.argv, *(value for _, value in settings.env)]
    names = dict.fromkeys(name for word in words for name in _MARKER.findall(word))
    return f"; {' and '.join(names)} in the environment" if names else ""


def _use(session: Session, profiles: Mapping[str, Path]) -> str:
    if not session.serves or "proven" not in profiles:
        return ""
    return _words("trimtab", "run", "--profile", str(profiles["proven"]))


def _confirmations(session: Session, profiles: Mapping[str, Path]) -> Iterator[tuple[str, str]]:
    """Yield each profile with the command that compares it with the baseline."""
    baseline = profiles.get("baseline")
    if not session.serves or baseline is None or session.options.aa:
        return
    for name, path in profiles.items():
        if name != "baseline":
            words = ("trimtab", "compare", str(baseline), str(path), *_options(session))
            yield name, _words(*words)


def _options(session: Session) -> Iterator[str]:
    """Yield the options that make a comparison ask what the study asked."""
    given = session.options
    named = {
        "--engine-python": given.engine_python,
        "--objective": None
        if session.space.objective == "output_throughput"
        else session.space.objective,
        "--workload": given.workload,
        "--slo": given.slo,
        "--windows": given.windows,
        "--noise": given.noise,
        "--device-time": given.device_time,
    }
    for option, value in named.items():
        if value is not None:
            yield from (option, value)
    if given.allow_host:
        yield "--allow-host"
    if given.shared_host:
        yield "--shared-host"


def _larger(session: Session) -> Budget:
    """Return the smallest larger budget that tests everything and confirms, else twice as much."""
    tried = [_times(session.space.budget, factor) for factor in _FACTORS]
    return next((one for one in tried if _whole(session, one)), tried[1])


def _whole(session: Session, budget: Budget) -> bool:
    """Whether a study of this budget screens every tuning and has room for a confirmation."""
    design = search.design(replace(session.space, budget=budget), session.noise)
    return bool(design.confirm_starts) and not design.not_screened


def _times(budget: Budget, factor: float) -> Budget:
    if budget.seconds is not None:
        return Budget(seconds=60.0 * math.ceil(budget.seconds * factor / 60.0))
    return Budget(starts=math.ceil((budget.starts or 0) * factor))


def _text(budget: Budget) -> str:
    return str(budget.starts) if budget.seconds is None else f"{budget.seconds / 60:.0f}m"


def _larger_cost(budget: Budget, each: float) -> str:
    if budget.seconds is not None:
        return f"about {formatting.duration(budget.seconds)}"
    return _cost(budget.starts or 0, budget.starts or 0, each)


def _cost(least: int, most: int, each: float) -> str:
    """Return starts and time in words."""
    if least == most:
        return f"{formatting.count(most, 'start')}, about {formatting.duration(most * each)}"
    ends = formatting.duration(least * each), formatting.duration(most * each)
    return f"{least} to {most} starts, {ends[0]} to {ends[1]}"


def _seconds(session: Session, starts: Sequence[Start]) -> float:
    """Return what a start of this study cost, or what one is expected to."""
    made = [start.seconds for start in starts if start.valid]
    return sum(made) / len(made) if made else session.space.seconds[0]


def _words(*words: str) -> str:
    return shlex.join(words)

"""Service-level objectives: ``ttft_p99<=500ms,tpot_p99<=50ms`` as a value."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from trimtab.errors import SloError


class Latency(StrEnum):
    """The latencies of a streamed answer, as vLLM's benchmark names them."""

    TTFT = "ttft"  # time to first token
    TPOT = "tpot"  # time per output token after the first
    ITL = "itl"  # inter-token latency: every gap between chunks
    E2E = "e2e"  # end to end


STATISTICS: Final = ("mean", "p50", "p90", "p95", "p99")
_PER_SECOND: Final = {"us": 1e6, "ms": 1e3, "s": 1.0}  # divided by: 50 / 1e6 is exactly 5e-05
_TERM = re.compile(r"\s*([^<>=]*?)\s*(<=|<|>=|>|==|=)\s*(.*?)\s*")
_LIMIT = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-zµ]*)")
_EXAMPLE: Final = "write it like ttft_p99<=500ms"


@dataclass(frozen=True, slots=True)
class SloTerm:
    """One limit in seconds. ``strict`` means ``<``, otherwise ``<=``."""

    latency: Latency
    statistic: str
    limit: float
    strict: bool = False

    def met(self, seconds: float) -> bool:
        """Whether one value of the latency (seconds) keeps the limit."""
        return seconds < self.limit if self.strict else seconds <= self.limit


@dataclass(frozen=True, slots=True)
class Slo:
    """A service-level objective: every one of its terms must hold.

    Goodput applies each term's limit to a request's own value of the latency (to every gap of
    it for ``itl``), as vLLM's ``--goodput`` does; the statistic says at which level the
    operator reads the limit over all requests. ``str()`` gives back what :func:`parse_slo`
    reads.
    """

    terms: tuple[SloTerm, ...]

    def __str__(self) -> str:
        return ",".join(
            f"{term.latency}_{term.statistic}{'<' if term.strict else '<='}{_exact(term.limit)}s"
            for term in self.terms
        )


def _exact(limit: float) -> str:
    """Return a plain decimal (no exponent) that reads back as the same float."""
    return format(Decimal(repr(limit)), "f")


def parse_slo(text: str) -> Slo:
    """Parse comma-separated limits such as ``ttft_p99<=500ms,tpot_p99<50ms``.

    A term is ``<latency>_<statistic>``, ``<=`` or ``<``, a positive number and a unit (``us``,
    ``ms``, ``s``). Latencies: ttft, tpot, itl, e2e. Statistics: mean, p50, p90, p95, p99.

    Raises:
        SloError: a token is not understood; the message names it.
    """
    terms = tuple(_parse_term(token) for token in text.split(","))
    names = [f"{term.latency}_{term.statistic}" for term in terms]
    for name in names:
        if names.count(name) > 1:
            raise SloError(f"SLO: each latency may be limited once, but {name!r} is given twice")
    return Slo(terms)


def _parse_term(token: str) -> SloTerm:
    parts = _TERM.fullmatch(token)
    if parts is None:
        raise SloError(f"SLO: {token.strip()!r} is not a limit; {_EXAMPLE}")
    name, operator, limit = parts.groups()
    if operator not in ("<=", "<"):
        raise SloError(
            f"SLO: a limit is written with <= or <, but {token.strip()!r} has {operator!r}"
        )
    latency, statistic = _parse_name(name)
    return SloTerm(latency, statistic, _parse_limit(limit, token.strip()), operator == "<")


def _parse_name(name: str) -> tuple[Latency, str]:
    latency, _, statistic = name.partition("_")
    if latency not in set(Latency):
        known = ", ".join(Latency)
        raise SloError(f"SLO: {name!r} names no latency; it must begin with one of {known}")
    if statistic not in STATISTICS:
        known = ", ".join(f"{latency}_{one}" for one in STATISTICS)
        raise SloError(f"SLO: {name!r} names no statistic; it must be one of {known}")
    return Latency(latency), statistic


def _parse_limit(limit: str, token: str) -> float:
    parts = _LIMIT.fullmatch(limit)
    if parts is None:
        raise SloError(f"SLO: {limit!r} in {token!r} is not a time; {_EXAMPLE}")
    number, unit = parts.groups()
    if unit not in _PER_SECOND:
        got = repr(unit) if unit else "none"
        raise SloError(f"SLO: {limit!r} in {token!r} needs a unit us, ms or s, but has {got}")
    seconds = float(number) / _PER_SECOND[unit]
    if not 0 < seconds < math.inf:
        raise SloError(f"SLO: the limit in {token!r} must be above zero and finite")
    return seconds

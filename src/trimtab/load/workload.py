"""What is asked of the server, and when: a workload from a preset or a YAML file."""

from __future__ import annotations

import hashlib
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Self

import numpy as np
from numpy.random import Generator
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from trimtab.errors import WorkloadError
from trimtab.load.lengths import LengthsField
from trimtab.load.presets import PRESETS
from trimtab.load.prompts import PromptText, read_texts
from trimtab.load.trace import TraceRequest, read_trace
from trimtab.storage import atomic_files, strict_yaml

_Rate = Annotated[float, Field(gt=0, le=10_000, allow_inf_nan=False)]


class Arrival(BaseModel):
    """When requests are sent. Exactly one of ``concurrency``, ``rate`` and ``trace`` is set.

    ``concurrency``: closed loop, that many streams, each sends its next request when its last
    one ended. ``rate``: open loop with that mean number of requests a second; the gaps are
    gamma-distributed with shape ``burstiness`` (1 is Poisson, below it bursts, above it is
    smoother; as vLLM's benchmark defines it), or all equal with ``constant``. ``ramp_to``: the
    rate changes linearly over the load, from ``rate`` to this. ``trace``: the path of a recorded
    trace, which gives arrival times and lengths, replayed ``speed`` times as fast; ``sha256`` is
    that of its content, so that a study names what was replayed.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    concurrency: Annotated[int, Field(ge=1, le=4096)] | None = None
    rate: _Rate | None = None
    burstiness: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False, strict=False)] = 1.0
    constant: bool = False
    ramp_to: _Rate | None = None
    trace: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    speed: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False, strict=False)] = 1.0
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = [one for one in (self.concurrency, self.rate, self.trace) if one is not None]
        if len(given) != 1:
            raise ValueError("exactly one of concurrency, rate and trace must be given")
        shaped = self.burstiness != 1.0 or self.constant or self.ramp_to is not None
        if shaped and self.rate is None:
            raise ValueError("burstiness, constant and ramp_to go with a rate only")
        if self.constant and self.burstiness != 1.0:
            raise ValueError("constant arrivals have no burstiness: leave one of the two out")
        if (self.speed != 1.0 or self.sha256 is not None) and self.trace is None:
            raise ValueError("speed and sha256 go with a trace only")
        return self


def instants(arrival: Arrival, count: int, rng: Generator) -> list[float | None]:
    """Return when each of ``count`` requests is sent, in seconds after the load's start.

    All ``None`` in closed loop. A trace brings its own times: see `trimtab.load.trace`.
    """
    if arrival.rate is None:
        return [None] * count
    if arrival.constant:
        unit = np.ones(count)
    else:
        unit = rng.gamma(arrival.burstiness, 1.0 / arrival.burstiness, count)
    elapsed = np.cumsum(unit)  # in mean gaps, at rate 1
    if arrival.ramp_to is None:
        return [float(one) for one in elapsed / arrival.rate]
    return [float(one) for one in _ramped(elapsed, arrival.rate, arrival.ramp_to, count)]


def _ramped(
    elapsed: np.ndarray[tuple[int, ...], np.dtype[np.float64]], first: float, last: float, n: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Turn time at rate 1 into time at a rate that goes linearly from ``first`` to ``last``.

    The ramp takes as long as ``n`` requests need on average; what comes later goes on at
    ``last``. With rate(t) = first + slope t, the expected count first t + slope t^2 / 2 is
    solved for t.
    """
    length = 2.0 * n / (first + last)
    slope = (last - first) / length
    if slope == 0:
        return elapsed / first
    inside = np.minimum(elapsed, float(n))
    at = (np.sqrt(first**2 + 2.0 * slope * inside) - first) / slope
    return at + (elapsed - inside) / last


PROMPT_LIMIT: Final = 20_000_000  # prompt tokens of a whole load: all are held in memory

SHORTEST_WARMUP: Final = 10  # requests: of fewer nothing can be said

_MESSAGES: Final = {"extra_forbidden": "is not a key of a workload", "missing": "must be given"}

_Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Workload(_Strict):
    """A workload: what the requests look like, when they come, and how they are measured.

    ``input_tokens`` come after the ``shared_prefix`` tokens that all prompts have in common, as
    in vLLM's random data set. The first ``warmup`` requests are not measured, nor more of them, up
    to ``warmup_max`` in all (three times ``warmup`` unless given), while a closed loop is not
    steady (`trimtab.load.steady_state`); then follow up to ``windows`` windows of
    ``window_requests`` each, one continuous load. Once at least one window is complete, no further
    one is begun that would not end within ``max_seconds`` (counted from the end of the warm-up).
    ``request_deadline`` is the longest one request may take. Token ids below ``vocabulary_floor``
    are not used: special ids sit there.

    ``turns``: each stream of a closed loop holds conversations of so many requests; a prompt is
    then all that was said before (with stand-ins of the asked length for the answers) and
    ``input_tokens`` more. In open loop ``conversations`` are held at once, and arrivals go round
    them: each thinks for ``conversations / rate`` seconds between two of its turns.
    ``prompts`` is the path of a file with prompts that people wrote (`trimtab.load.prompts`),
    which brings both lengths; ``prompts_sha256`` that of its content.
    """

    name: Annotated[str, Field(min_length=1, max_length=100)]
    input_tokens: LengthsField | None = None
    output_tokens: LengthsField | None = None
    arrival: Arrival
    turns: LengthsField | None = None
    conversations: Annotated[int, Field(ge=1, le=4096)] | None = None
    prompts: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    prompts_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    shared_prefix: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    warmup: Annotated[int, Field(ge=0, le=100_000)] = 8
    warmup_max: Annotated[int, Field(ge=0, le=300_000)] | None = None
    windows: Annotated[int, Field(ge=1, le=1000)] = 3
    window_requests: Annotated[int, Field(ge=1, le=100_000)] = 16
    max_seconds: _Seconds = 60.0
    request_deadline: _Seconds = 120.0
    vocabulary_floor: Annotated[int, Field(ge=0, le=1_000_000)] = 300

    @model_validator(mode="after")
    def _fits_in_memory(self) -> Self:
        if self.prompts_sha256 is not None and self.prompts is None:
            raise ValueError("prompts_sha256 goes with prompts only")
        if self.conversations is not None and (self.turns is None or self.arrival.rate is None):
            raise ValueError("conversations go with turns and an arrival.rate only")
        if self.arrival.trace is not None or self.prompts is not None:
            self._bring_their_own()
            return self
        if self.input_tokens is None or self.output_tokens is None:
            raise ValueError(
                "input_tokens and output_tokens must be given, or arrival.trace, or prompts"
            )
        longest = self.input_tokens.longest
        if self.turns is not None:
            if self.streams is None:
                raise ValueError(
                    "turns follow each other: they go with an arrival.concurrency, or with "
                    "conversations beside an arrival.rate"
                )
            longest = self.turns.longest * (longest + self.output_tokens.longest)
        tokens = (self.requests + self.spare) * (self.shared_prefix + longest)
        if tokens > PROMPT_LIMIT:
            raise ValueError(
                f"the load may hold at most {PROMPT_LIMIT:,} prompt tokens, but needs "
                f"{tokens:,}; lower windows, window_requests, warmup or input_tokens"
            )
        return self

    def _bring_their_own(self) -> None:
        """Refuse keys that a trace or written prompts leave no room for."""
        if self.arrival.trace is not None and self.prompts is not None:
            raise ValueError("prompts and arrival.trace exclude each other")
        given = (self.input_tokens, self.output_tokens, self.turns)
        if given != (None, None, None) or self.shared_prefix:
            what = "a trace brings" if self.prompts is None else "prompts bring"
            raise ValueError(
                f"{what} input_tokens, output_tokens, turns and prefixes: leave them out"
            )

    @property
    def concurrency(self) -> int | None:
        """Streams of the closed loop; ``None`` in open loop."""
        return self.arrival.concurrency

    @property
    def streams(self) -> int | None:
        """Streams on which requests follow each other, in either loop; ``None`` for none."""
        return self.concurrency or self.conversations

    @property
    def measured(self) -> int:
        """Requests that warm-up and all windows need."""
        return self.warmup + self.windows * self.window_requests

    @property
    def spare(self) -> int:
        """Requests by which the warm-up may be prolonged; none where their order is the plan."""
        if self.concurrency is None or self.turns is not None or self.prompts is not None:
            return 0
        most = 3 * self.warmup if self.warmup_max is None else self.warmup_max
        return max(0, most - self.warmup) if self.warmup >= SHORTEST_WARMUP else 0

    @property
    def requests(self) -> int:
        """Requests of the whole load: warm-up, all windows, and the tail.

        The tail keeps the load up until the last measured request ends: a closed loop sends at
        most one more for each stream; an open loop gets another window's worth. Conversations
        of a closed loop stay on their stream, so that a fast one needs more than its share.
        """
        if self.turns is not None and self.concurrency is not None:
            return 2 * self.measured + self.concurrency
        return self.measured + (self.concurrency or self.window_requests)


def load_workload(source: str, windows: int | None = None) -> Workload:
    """Return the preset named ``source``, or the workload in the YAML file at that path.

    A trace or prompts that it names are read too: what no load can be made of is refused here,
    and not after a server was started for it. ``windows`` replaces the number it names.

    Raises:
        WorkloadError: no such preset or file, no YAML mapping, or a key that must be
            different; the message names the key. A file it names holds no load.
    """
    preset = PRESETS.get(source)
    if preset is not None:
        return with_windows(validate_workload(source, {"name": source, **preset}), windows)
    path = Path(source)
    content = _read(path)
    workload = validate_workload(source, {"name": path.stem, **content})
    return with_windows(_with_files(workload, source), windows)


def with_windows(workload: Workload, windows: int | None) -> Workload:
    """Return the workload with another number of windows, if one is given.

    Raises:
        WorkloadError: as many do not fit into the load client's memory, or its trace or prompts
            hold no such load.
    """
    if windows is not None:
        given = workload.model_dump(exclude_none=True)
        workload = validate_workload(workload.name, {**given, "windows": windows})
    if workload.arrival.trace is not None:
        trace_requests(workload)
    elif workload.prompts is not None:
        file_prompts(workload)
    return workload


def trace_requests(workload: Workload) -> tuple[TraceRequest, ...]:
    """Return the requests that a workload's trace holds for its load.

    Raises:
        WorkloadError: it cannot be read, or holds too few, or too many tokens.
    """
    arrival = workload.arrival
    assert arrival.trace is not None
    entries = read_trace(Path(arrival.trace), workload.requests, arrival.speed)
    if sum(entry.input_tokens for entry in entries) > PROMPT_LIMIT:
        raise WorkloadError(
            f"trace {arrival.trace}: its first {workload.requests} requests hold more than "
            f"{PROMPT_LIMIT:,} prompt tokens; lower windows, window_requests or warmup"
        )
    return entries


def file_prompts(workload: Workload) -> list[PromptText]:
    """Return the prompts of a workload's file, of which its load takes some.

    Raises:
        WorkloadError: it cannot be read, or holds fewer than the load needs.
    """
    assert workload.prompts is not None
    texts = read_texts(Path(workload.prompts))
    if len(texts) < workload.requests:
        raise WorkloadError(
            f"prompts {workload.prompts}: the load needs {workload.requests} different ones, but "
            f"there are {len(texts)}: lower windows, window_requests or warmup"
        )
    return texts


def _with_files(workload: Workload, source: str) -> Workload:
    """Return the workload with the paths of its files made absolute, and their digests."""
    arrival = workload.arrival
    if arrival.trace is not None:
        path, digest = _digest(source, "arrival.trace", arrival.trace)
        _same(source, path, digest, "arrival.sha256", arrival.sha256)
        found = arrival.model_copy(update={"trace": path, "sha256": digest})
        return workload.model_copy(update={"arrival": found})
    if workload.prompts is not None:
        path, digest = _digest(source, "prompts", workload.prompts)
        _same(source, path, digest, "prompts_sha256", workload.prompts_sha256)
        return workload.model_copy(update={"prompts": path, "prompts_sha256": digest})
    return workload


def _digest(source: str, key: str, given: str) -> tuple[str, str]:
    """Return the absolute path of a workload's file, and the SHA-256 of its content."""
    path = Path(source).parent / given
    try:
        path = path.resolve()
        if path.exists() and not path.is_file():
            raise WorkloadError(f"workload {source}: {key} {path} must be a file, and is none")
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        reason = getattr(error, "strerror", None) or error
        raise WorkloadError(f"workload {source}: {key} {path} cannot be read: {reason}") from error
    return str(path), digest


def _same(source: str, path: str, digest: str, key: str, expected: str | None) -> None:
    if expected not in (None, digest):
        raise WorkloadError(f"workload {source}: the content of {path} is not what {key} names")


def _read(path: Path) -> Mapping[str, object]:
    try:
        text = atomic_files.read(path, strict_yaml.MAX_BYTES)
    except OSError as error:
        raise WorkloadError(
            f"workload: {str(path)!r} is no preset ({', '.join(PRESETS)}) and cannot be read "
            f"as a file: {error.strerror}"
        ) from error
    try:
        content = strict_yaml.load(text)
    except strict_yaml.NotDataError as error:
        raise WorkloadError(f"workload {path}: must be plain YAML, but {error}") from error
    if not isinstance(content, dict):
        raise WorkloadError(
            f"workload {path}: must be a mapping of keys to values, but holds "
            f"{reprlib.repr(content)}"
        )
    return content


def validate_workload(source: str, content: Mapping[str, object]) -> Workload:
    """Return a workload from the keys of a file; ``source`` names it in what is raised.

    Raises:
        WorkloadError: a key that must be different; the message names it.
    """
    try:
        return Workload.model_validate(dict(content))
    except ValidationError as error:
        # an unknown key first: a misspelt one is also why another is missing
        found = error.errors(include_url=False)
        first = min(found, key=lambda one: one["type"] != "extra_forbidden")
        key = ".".join(str(part) for part in first["loc"])
        must = _MESSAGES.get(first["type"], first["msg"]).removeprefix("Value error, ")
        got = "" if first["type"] == "missing" else f", but got {reprlib.repr(first['input'])}"
        subject = f"{key}: " if key else ""
        raise WorkloadError(f"workload {source}: {subject}{must}{got if key else ''}") from error

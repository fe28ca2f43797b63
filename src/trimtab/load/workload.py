"""What is asked of the server: a workload as a value, read from a preset or a YAML file."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from trimtab import strict_yaml
from trimtab.errors import WorkloadError
from trimtab.load.presets import PRESETS

_PROMPT_LIMIT: Final = 20_000_000  # prompt tokens of a whole load: all are held in memory

_MESSAGES: Final = {"extra_forbidden": "is not a key of a workload", "missing": "must be given"}

_Tokens = Annotated[int, Field(ge=1, le=1_000_000)]
_Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Lengths(_Strict):
    """Lengths in tokens: drawn from ``values``, or uniform over ``min`` to ``max`` inclusive.

    In a file: one number, a list to draw from, or ``{min: 16, max: 64}``.
    """

    values: Annotated[tuple[_Tokens, ...], Field(strict=False, max_length=1000)] = ()
    min: _Tokens | None = None
    max: _Tokens | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if self.values:
            return self
        if self.min is None or self.max is None or self.min > self.max:
            raise ValueError("min and max must both be given, with min <= max")
        return self

    @property
    def longest(self) -> int:
        """The greatest length that can be drawn."""
        return max(self.values) if self.values else self.max or 0


def _canonical_lengths(given: object) -> object:
    """Bring the forms of a file (number, list, mapping) into the one form of the record."""
    if isinstance(given, int) and not isinstance(given, bool):
        return {"values": (given,)}
    if isinstance(given, list | tuple) and given:
        return {"values": tuple(given)}
    if isinstance(given, Lengths | Mapping):
        return given
    raise ValueError("must be a number of tokens, a list of at least one, or {min: .., max: ..}")


_Lengths = Annotated[Lengths, BeforeValidator(_canonical_lengths)]


class Arrival(_Strict):
    """When requests are sent. Exactly one of the two is set.

    ``concurrency``: closed loop, that many streams, each sends its next request when its last
    one ended. ``rate``: open loop, Poisson arrivals with that mean number of requests a second.
    """

    concurrency: Annotated[int, Field(ge=1, le=4096)] | None = None
    rate: Annotated[float, Field(gt=0, le=10_000, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.concurrency is None) == (self.rate is None):
            raise ValueError("exactly one of concurrency and rate must be given")
        return self


class Workload(_Strict):
    """A workload: what the requests look like, when they come, and how they are measured.

    ``input_tokens`` come after the ``shared_prefix`` tokens that all prompts have in common, as
    in vLLM's random data set. The first ``warmup`` requests are not measured; then follow up to
    ``windows`` windows of ``window_requests`` each, one continuous load. Once at least one
    window is complete, no further one is begun that would not end within ``max_seconds``
    (counted from the end of the warm-up). ``request_deadline`` is the longest one request may
    take. Token ids below ``vocabulary_floor`` are not used: special ids sit there.
    """

    name: Annotated[str, Field(min_length=1, max_length=100)]
    input_tokens: _Lengths
    output_tokens: _Lengths
    arrival: Arrival
    shared_prefix: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    warmup: Annotated[int, Field(ge=0, le=100_000)] = 8
    windows: Annotated[int, Field(ge=1, le=1000)] = 3
    window_requests: Annotated[int, Field(ge=1, le=100_000)] = 16
    max_seconds: _Seconds = 60.0
    request_deadline: _Seconds = 120.0
    vocabulary_floor: Annotated[int, Field(ge=0, le=1_000_000)] = 300

    @model_validator(mode="after")
    def _fits_in_memory(self) -> Self:
        tokens = self.requests * (self.shared_prefix + self.input_tokens.longest)
        if tokens > _PROMPT_LIMIT:
            raise ValueError(
                f"the load may hold at most {_PROMPT_LIMIT:,} prompt tokens, but needs "
                f"{tokens:,}; lower windows, window_requests, warmup or input_tokens"
            )
        return self

    @property
    def concurrency(self) -> int | None:
        """Streams of the closed loop; ``None`` in open loop."""
        return self.arrival.concurrency

    @property
    def measured(self) -> int:
        """Requests that warm-up and all windows need."""
        return self.warmup + self.windows * self.window_requests

    @property
    def requests(self) -> int:
        """Requests of the whole load: warm-up, all windows, and the tail.

        The tail keeps the load up until the last measured request ends: a closed loop sends at
        most one more for each stream; an open loop gets another window's worth.
        """
        return self.measured + (self.concurrency or self.window_requests)


def load_workload(source: str) -> Workload:
    """Return the preset named ``source``, or the workload in the YAML file at that path.

    Raises:
        WorkloadError: no such preset or file, no YAML mapping, or a key that must be
            different; the message names the key.
    """
    preset = PRESETS.get(source)
    if preset is not None:
        return _validate(source, {"name": source, **preset})
    path = Path(source)
    content = _read(path)
    return _validate(source, {"name": path.stem, **content})


def _read(path: Path) -> Mapping[str, object]:
    try:
        with path.open("rb") as file:
            text = file.read(strict_yaml.MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise WorkloadError(
            f"workload: {str(path)!r} is no preset ({', '.join(PRESETS)}) and cannot be read "
            f"as a file: {reason}"
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


def _validate(source: str, content: Mapping[str, object]) -> Workload:
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

"""A landscape: what is true of a simulated server, as a value read from YAML.

All effects are natural logarithms of a ratio (0.05 is 5.1 % more), noise is a standard deviation
on that scale.

The names of the landscapes that trimtab ships: the files of one folder, read without any.
"""

from __future__ import annotations

import math
import reprlib
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from trimtab.errors import UsageError
from trimtab.model import RestartCost, Scope, Value
from trimtab.storage import atomic_files, strict_yaml

FOLDER: Final = files("trimtab").joinpath("simulated", "landscapes")

NAMES: Final = tuple(
    sorted(
        traversable.name.removesuffix(".yaml")
        for traversable in FOLDER.iterdir()
        if traversable.name.endswith(".yaml")
    )
)
"""Each file says what it is for."""


_Effect = Annotated[float, Field(ge=-5, le=5, allow_inf_nan=False, strict=False)]
_Sd = Annotated[float, Field(ge=0, le=2, allow_inf_nan=False, strict=False)]
_Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False, strict=False)]
_Positive = Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False, strict=False)]
_Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,60}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class NumericTuning(_Strict):
    """An integer tuning with an optimum inside its range, and possibly a cliff.

    The effect falls with the square of the distance to ``best`` in doublings, ``curvature`` for
    one doubling; above ``cliff`` another ``fall`` is lost. It counts from that of ``stock``.
    """

    stock: Annotated[int, Field(ge=1)]
    published: Annotated[int, Field(ge=1)]
    best: Annotated[float, Field(gt=0, strict=False)]
    curvature: _Effect
    cliff: Annotated[int, Field(ge=1)] | None = None
    fall: _Effect = 0.0

    @property
    def levels(self) -> tuple[int, ...]:
        """Powers of two from half the stock value to twice the published one."""
        low, high = sorted((self.stock, self.published))
        first, last = math.floor(math.log2(low)) - 1, math.ceil(math.log2(high)) + 1
        return tuple(2**power for power in range(max(0, first), last + 1))

    def effect(self, value: Value) -> float:
        """Return the effect of ``value`` against stock; ``None`` is stock."""
        number = self.stock if value is None else int(value)
        return self._height(number) - self._height(self.stock)

    def _height(self, number: int) -> float:
        lost = self.fall if self.cliff is not None and number > self.cliff else 0.0
        return -self.curvature * math.log2(number / self.best) ** 2 - lost


class SimulatedTuning(_Strict):
    """One tuning: its effect on the objective when on, or a numeric one; and on other metrics.

    ``host`` is a setting of the whole host, tested in whole plots; ``live`` one that can be
    switched between the windows of a start.
    """

    effect: _Effect = 0.0
    numeric: NumericTuning | None = None
    startup: _Effect = 0.0
    latency: _Effect = 0.0
    prior: _Effect = 0.0
    lead: bool = False
    dummy: bool = False
    host: bool = False
    live: bool = False

    @model_validator(mode="after")
    def _host_settings_are_plain(self) -> Self:
        if (self.host or self.live) and (self.lead or self.dummy or self.numeric):
            raise ValueError("a host or live tuning can be no lead, dummy or numeric one")
        return self

    @property
    def scope(self) -> Scope:
        """What it changes."""
        return Scope.HOST if self.host or self.live else Scope.PROCESS

    @property
    def restart(self) -> RestartCost:
        """What it takes to act."""
        return RestartCost.LIVE if self.live else RestartCost.PROCESS


class Interaction(_Strict):
    """What two tunings give together beyond the sum of both."""

    of: Annotated[tuple[_Name, _Name], Field(strict=False)]
    effect: _Effect


class Crash(_Strict):
    """Where starts fail: when all of ``when`` are on, with this probability."""

    when: Annotated[tuple[_Name, ...], Field(strict=False, min_length=1)]
    probability: _Probability = 1.0


class Cell(_Strict):
    """One cell of a measured factorial: what was on, and the windows of each of its starts."""

    on: Annotated[tuple[_Name, ...], Field(strict=False)]
    starts: Annotated[
        tuple[Annotated[tuple[_Positive, ...], Field(strict=False, min_length=1)], ...],
        Field(strict=False, min_length=2),
    ]


class NoiseModel(_Strict):
    """How measurements scatter.

    ``start`` between starts, ``window`` between windows of one start, ``block`` between blocks
    (requests differ), ``plot`` between runs of starts with equal host settings, ``walk`` the step
    from start to start of a random walk, ``trend`` a steady drift for each start. ``bad`` starts
    lose ``bad_effect``; with ``regimes`` above 0 a start falls into one of two regimes that far
    above and below the mean. ``cold`` is lost in the first window. With ``gate`` the gate reads
    the machine's drift before each start, that inexactly; without it there are no readings.
    """

    start: _Sd = 0.02
    window: _Sd = 0.01
    block: _Sd = 0.0
    plot: _Sd = 0.0
    walk: _Sd = 0.0
    trend: _Effect = 0.0
    bad: _Probability = 0.0
    bad_effect: _Effect = -0.06
    bad_sd: _Sd = 0.02
    regimes: _Sd = 0.0
    cold: _Effect = 0.0
    gate: _Sd | None = None


class Landscape(_Strict):
    """What is true. ``random_interactions`` draws one for each pair, anew for each seed.

    ``replay`` holds a measured full factorial (all subsets of some tunings): effects and noise
    are then its own, and whatever else the landscape states comes on top.
    """

    name: Annotated[str, Field(min_length=1, max_length=100)]
    summary: str
    tunings: dict[_Name, SimulatedTuning]
    interactions: Annotated[tuple[Interaction, ...], Field(strict=False)] = ()
    random_interactions: _Sd = 0.0
    crashes: Annotated[tuple[Crash, ...], Field(strict=False)] = ()
    conflicts: Annotated[
        tuple[Annotated[tuple[_Name, _Name], Field(strict=False)], ...], Field(strict=False)
    ] = ()
    replay: Annotated[tuple[Cell, ...], Field(strict=False)] = ()
    noise: NoiseModel = NoiseModel()
    windows: Annotated[int, Field(ge=1, le=20)] = 3
    start_seconds: Annotated[float, Field(gt=0, le=86_400, strict=False)] = 60.0
    base: Annotated[float, Field(gt=0, le=1e9, strict=False)] = 100.0

    @model_validator(mode="after")
    def _names_are_tunings(self) -> Self:
        named = [
            *(name for interaction in self.interactions for name in interaction.of),
            *(name for crash in self.crashes for name in crash.when),
            *(name for pair in self.conflicts for name in pair),
            *(name for cell in self.replay for name in cell.on),
        ]
        for name in named:
            if name not in self.tunings:
                raise ValueError(f"{name!r} is not one of tunings")
        return self

    @model_validator(mode="after")
    def _replay_is_whole(self) -> Self:
        cells = {frozenset(cell.on) for cell in self.replay}
        varied = frozenset().union(*cells)
        if self.replay and (len(cells) != len(self.replay) or len(cells) != 2 ** len(varied)):
            raise ValueError(
                f"replay must hold every subset of {', '.join(sorted(varied))} once, "
                f"but holds {len(self.replay)} cells"
            )
        return self


def load_landscape(source: str) -> Landscape:
    """Return the shipped landscape of that name, or the one in the YAML file at that path.

    Raises:
        UsageError: no such landscape or file, or a key that must be different.
    """
    if source in NAMES:
        text = FOLDER.joinpath(f"{source}.yaml").read_bytes()
    else:
        try:
            text = atomic_files.read(Path(source), strict_yaml.MAX_BYTES)
        except OSError as error:
            raise UsageError(
                f"--landscape {source!r} is none of {', '.join(NAMES)} and cannot be read as a "
                f"file: {error.strerror}"
            ) from error
    try:
        return Landscape.model_validate(strict_yaml.load(text))
    except strict_yaml.NotDataError as error:
        raise UsageError(f"landscape {source}: must be plain YAML, but {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise UsageError(f"landscape {source}: has no key {key!r}: take it out") from error
        raise UsageError(
            f"landscape {source}: {key or 'it'}: {first['msg']}, but got "
            f"{reprlib.repr(first['input'])}"
        ) from error

"""A study as Python sees it: headline, verdicts, profiles, and its starts as tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any, Final

from trimtab import formatting
from trimtab.api.profile import Profile, load_profile
from trimtab.catalog import CATALOG, Tuning
from trimtab.errors import UsageError
from trimtab.metrics.aggregate import merge_histograms
from trimtab.model import Headline, Start, TuningVerdict
from trimtab.report import Study
from trimtab.report.headline import headline
from trimtab.study import result_json

TABLES: Final = ("starts", "windows", "latencies", "verdicts", "comparisons")
"""The tables of a study: one row for each start, window, latency bin, tuning, or comparison."""


@dataclass(frozen=True, slots=True)
class StudyResult:
    """A study: what it asked, each start it made, and what follows from them.

    Example:
        >>> study = load_study(folder)  # doctest: +SKIP
        >>> study.headline.status.value  # doctest: +SKIP
        'recommended'
    """

    folder: Path
    """Where the study lies."""
    record: Study
    """Everything its report shows."""
    catalog: Mapping[str, Tuning] = field(default_factory=lambda: CATALOG, repr=False)
    """The tunings that it could test."""

    @property
    def headline(self) -> Headline:
        """What a reader may do with the study as a whole."""
        return headline(self.record)

    @property
    def verdicts(self) -> tuple[TuningVerdict, ...]:
        """The verdict for each tuning that was in the study."""
        return tuple(self.record.conclusion.answers)

    @property
    def starts(self) -> tuple[Start, ...]:
        """Every start, in the order in which it was made."""
        return tuple(self.record.starts)

    @property
    def profiles(self) -> dict[str, Profile]:
        """The profiles that the study wrote, by name."""
        paths = sorted(self.folder.glob("profile.*.yaml"))
        return {path.name.split(".")[1]: load_profile(path) for path in paths}

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.folder / "report.html"

    def as_data(self) -> dict[str, Any]:
        """Return the object that ``trimtab tune --json`` prints."""
        return result_json.as_json(self.record, self.folder, self.catalog)

    def rows(self, table: str = "starts") -> list[dict[str, Any]]:
        """Return one of `TABLES` as a list of rows.

        ``starts`` and ``windows`` have a column for each metric, in the metric's unit.
        ``latencies`` has ``count`` requests at ``milliseconds`` for each start, window and
        metric. Effects in ``verdicts`` are relative changes: 0.10 means 10 % better.

        Raises:
            UsageError: there is no such table.
        """
        if table not in TABLES:
            raise UsageError(f"table must be one of {', '.join(TABLES)}, but is {table!r}")
        if table == "starts":
            return [_start_row(start) for start in self.starts]
        if table == "windows":
            return list(_window_rows(self.starts))
        if table == "latencies":
            return list(_latency_rows(self.starts))
        found: list[dict[str, Any]] = self.as_data()[table]
        return found

    def to_pandas(self, table: str = "starts") -> Any:
        """Return one of `TABLES` as a ``pandas.DataFrame``.

        Raises:
            UsageError: there is no such table, or pandas is not installed.
        """
        return _library("pandas").DataFrame(self.rows(table))

    def to_polars(self, table: str = "starts") -> Any:
        """Return one of `TABLES` as a ``polars.DataFrame``.

        Raises:
            UsageError: there is no such table, or polars is not installed.
        """
        return _library("polars").DataFrame(self.rows(table), infer_schema_length=None)

    def _repr_html_(self) -> str:
        """Return the headline and the verdicts, for a notebook."""
        found = self.headline
        rows = "".join(
            f"<tr><td>{escape(formatting.setting(verdict.tuning, verdict.value))}</td>"
            f"<td>{escape(verdict.verdict.value)}</td><td>{escape(_change(verdict))}</td></tr>"
            for verdict in self.verdicts
        )
        head = "<tr><th>tuning</th><th>verdict</th><th>effect</th></tr>"
        return f"<p><b>{escape(found.text)}</b></p><table>{head}{rows}</table>"


def _change(verdict: TuningVerdict) -> str:
    effect = verdict.effect
    if effect.ratio is None or effect.low is None or effect.high is None:
        return ""
    mean, low, high = (
        formatting.percent(one - 1.0) for one in (effect.ratio, effect.low, effect.high)
    )
    return f"{mean} [{low}, {high}]"


def _library(name: str) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UsageError(f"{name} is not installed here: run 'pip install {name}'") from error


def _start_row(start: Start) -> dict[str, Any]:
    request = start.request
    return {
        "start": start.number,
        "phase": request.phase.value,
        "block": request.block,
        "arm": request.stem,
        "settings": formatting.settings(request.candidate),
        "outcome": start.outcome.value,
        "valid": start.valid,
        "seconds": start.seconds,
        "detail": start.detail,
        **start.metrics,
    }


def _window_rows(starts: tuple[Start, ...]) -> Iterator[dict[str, Any]]:
    for start in starts:
        for window in start.windows:
            yield {
                "start": start.number,
                "arm": start.request.stem,
                "window": window.index,
                "requests": window.requests,
                "void": "; ".join(window.void),
                "on": window.on,
                **window.metrics,
            }


def _latency_rows(starts: tuple[Start, ...]) -> Iterator[dict[str, Any]]:
    for start in starts:
        for window in start.windows:
            for metric, bins in window.spread.items():
                for milliseconds, count in merge_histograms([bins]):
                    yield {
                        "start": start.number,
                        "arm": start.request.stem,
                        "window": window.index,
                        "metric": metric,
                        "milliseconds": milliseconds,
                        "count": count,
                    }

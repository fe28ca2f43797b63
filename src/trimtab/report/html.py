"""``report.html``: the whole study as one self-contained page that needs no network."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from trimtab import __version__, formatting
from trimtab.errors import StudyError
from trimtab.model import Verdict
from trimtab.report import figures, pareto, rows
from trimtab.report import figures as timeline
from trimtab.report.headline import headline
from trimtab.report.study import Study
from trimtab.storage import atomic_files

_NEVER_RUN = (Verdict.NOT_TESTED, Verdict.NOT_APPLICABLE)

_HERE = files(__package__)


def render(study: Study) -> str:
    """Return the page. Everything from outside is escaped by the template engine."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["number"] = formatting.number
    environment.filters["ratio"] = formatting.ratio
    environment.filters["interval"] = formatting.interval
    environment.filters["duration"] = formatting.duration
    return environment.from_string(_part("page.html.j2")).render(_content(study))


def write(study: Study, path: Path) -> Path:
    """Write the page of ``study`` to ``path`` and return the path.

    Raises:
        StudyError: it cannot be written.
    """
    try:
        atomic_files.write(path, render(study))
    except OSError as error:
        raise StudyError(f"the report {path} cannot be written: {error.strerror}") from error
    return path


def _content(study: Study) -> dict[str, Any]:
    from plotly.offline import get_plotlyjs

    arm_names, metric_rows = rows.metrics(study)
    verdicts = rows.verdicts(study)
    drawn = {
        "arms": figures.arms(study),
        "intervals": figures.intervals(study),
        "timeline": timeline.draw(study),
        **pareto.figures(study),
    }
    return {
        "study": study,
        "version": __version__,
        "unit": rows.unit_of(study.objective),
        "headline": headline(study),
        "tested": [row for row in verdicts if row.verdict not in _NEVER_RUN],
        "untested": [row for row in verdicts if row.verdict in _NEVER_RUN],
        "arms": rows.arms(study),
        "arm_names": arm_names,
        "metrics": metric_rows,
        "pareto": pareto.rows(study),
        "pareto_note": pareto.NOTE,
        "starts": rows.starts(study),
        "phases": timeline.LEGEND,
        "totals": rows.totals(study),
        "commands": rows.commands(study),
        "question": {key: _text(value) for key, value in study.question.items()},
        "figures": {name: figure for name, figure in drawn.items() if figure is not None},
        "style": _part("page.css"),
        "script": _part("page.js"),
        "plotly": get_plotlyjs(),
    }


def _part(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)

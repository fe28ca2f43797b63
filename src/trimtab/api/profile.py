"""A profile as Python sees it: what was measured about it, and its exports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

from trimtab import formatting
from trimtab.errors import UsageError
from trimtab.export import ALL, FORMATS, render, write
from trimtab.export.preset import profile_order
from trimtab.export.target import ExportOptions
from trimtab.model import Candidate, Comparison, Plan, TuningVerdict
from trimtab.profiles.profile import ProfileRecord, read_trusted_profile


@dataclass(frozen=True, slots=True)
class Profile:
    """A plan with what was measured about it, and the file that holds it."""

    path: Path
    """The file."""
    record: ProfileRecord
    """Everything that the file says."""

    @property
    def name(self) -> str:
        """The profile's name: proven, max or baseline."""
        return self.record.name

    @property
    def settings(self) -> Candidate:
        """What it sets, tuning by tuning."""
        return self.record.candidate

    @property
    def plan(self) -> Plan:
        """What is launched, written and verified."""
        return self.record.plan

    @property
    def verdicts(self) -> tuple[TuningVerdict, ...]:
        """The verdict for each of its tunings."""
        return self.record.answers

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """How it compares with the baseline, metric by metric."""
        return self.record.comparisons

    def export(
        self,
        format: str = "shell",  # noqa: A002 - the command's own word
        *,
        folder: Path | str | None = None,
        image: str = "",
        chip: str = "",
        model: str | None = None,
        program: str = "",
        name: str = "",
        port: int = 8000,
        network: str = "bridge",
        mounts: Sequence[str] = (),
        devices: int | None = None,
        hosts: int = 1,
        cpus: int | None = None,
        memory: int | None = None,
        shm: int = 16,
    ) -> dict[str, str]:
        """Return the files of a deployment, name → text; write them into ``folder`` if given.

        ``format`` is one that ``trimtab export`` takes. ``memory`` and ``shm`` are in GiB. Files
        that the format leaves out for this profile are not in the result.

        Raises:
            UsageError: an option does not fit, or the format needs one that is missing.
            StudyError: the format cannot carry the plan, or a file cannot be written.
        """
        if format not in (*FORMATS, ALL):
            known = ", ".join((*FORMATS, ALL))
            raise UsageError(f"format must be one of {known}, but is {format!r}")
        chosen = FORMATS if format == ALL else (format,)
        order = replace(
            profile_order(self.path, ExportOptions("vllm", chip, image), chosen, model),
            image=image,
            program=program,
            name=name,
            port=port,
            network=network,
            mounts=tuple(mounts),
            devices=devices,
            hosts=hosts,
            cpus=cpus,
            memory=memory,
            shm=shm,
        )
        texts = [
            (artefact, render(artefact, order))
            for form in chosen
            for artefact in FORMATS[form]
            if not artefact.absent(order)
        ]
        if folder is not None:
            write(texts, Path(folder))
        return {artefact.file: text for artefact, text in texts}

    def _repr_html_(self) -> str:
        """Return the profile's settings and comparisons, for a notebook."""
        rows = "".join(_row(comparison) for comparison in self.comparisons)
        head = "<tr><th>metric</th><th>baseline</th><th>profile</th><th>change</th></tr>"
        chosen = formatting.settings(self.settings) or "the baseline"
        return f"<p><b>{escape(self.name)}</b>: {escape(chosen)}</p><table>{head}{rows}</table>"


def _row(comparison: Comparison) -> str:
    change = (
        ""
        if comparison.effect.ratio is None
        else formatting.percent(comparison.effect.ratio - 1.0)
    )
    cells: tuple[Any, ...] = (
        comparison.metric,
        formatting.number(comparison.baseline),
        formatting.number(comparison.value),
        change,
    )
    return f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in cells)}</tr>"


def load_profile(path: Path | str) -> Profile:
    """Read a profile's file.

    Raises:
        StudyError: it is no profile, was edited, or another user could have written it.
    """
    place = Path(path)
    return Profile(place, read_trusted_profile(place))

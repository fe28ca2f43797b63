"""A preset as the text that lint reads: its own lines at the line numbers of its source."""

from __future__ import annotations

from collections.abc import Iterator

from trimtab.presets.preset import Preset, Step

_FENCE = "```"
_SUFFIXES = {"markdown": ".md", "dockerfile": ".dockerfile", "shell": ".sh"}
_NEAR = 3
"""Fewer lines between two commands than a fence's end and the next one's start need."""


def text_of(preset: Preset) -> tuple[str, str]:
    """Return a file name for a preset, whose suffix is its format, and its text.

    Nothing of the source's wording is in it: only what its steps set. A step stands in the line
    that it has in the source, so that a finding's line number leads there.
    """
    lines: dict[int, str] = {}
    for step in sorted(preset.steps, key=lambda step: step.line):
        first = step.line or max(lines, default=0) + 1
        lines.update((first + offset, line) for offset, line in enumerate(step.written))
    if preset.form == "markdown":
        prose = {step.line for step in preset.steps if step.prose}
        lines = {1: f"# {preset.name}", **_fenced(lines, prose)}
    last = max(lines, default=0)
    text = "".join(f"{lines.get(number, '')}\n" for number in range(1, last + 1))
    return preset.name + _SUFFIXES[preset.form], text


def _fenced(lines: dict[int, str], prose: set[int]) -> dict[int, str]:
    """Return the lines with the code among them fenced; prose ends a fence."""
    found = dict(lines)
    for first, last in _runs(sorted(set(lines) - prose), prose):
        found[first - 1] = f"{_FENCE}bash"
        found[last + 1] = _FENCE
    return found


def _runs(code: list[int], prose: set[int]) -> Iterator[tuple[int, int]]:
    """Yield the first and the last line of each block of code."""
    first = last = 0
    for number in code:
        apart = number - last >= _NEAR or any(last < line < number for line in prose)
        if first and apart:
            yield first, last
        if not first or apart:
            first = number
        last = number
    if first:
        yield first, last


def where(preset: Preset, step: Step) -> str:
    """Return the source of a step, for people; "" for a preset without a source."""
    return preset.origin.at(step) if preset.origin is not None else ""

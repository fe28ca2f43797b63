"""The steps as a Dockerfile: one RUN, ENV or ARG an instruction, each step with its reason."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from trimtab import __version__
from trimtab.prepare.step import BuildArgument, EnvVariable, Instruction, Note, RootScript, Step
from trimtab.prepare.system import Base
from trimtab.prepare.target import PrepareOptions

_UNPINNED = (
    "# hadolint ignore=DL3008,DL3041",
    "# (a distribution keeps one version of a package; a pin would fail with its next update)",
)


def render(steps: tuple[Step, ...], wish: PrepareOptions, base: Base) -> str:
    """Return the Dockerfile."""
    lines = [
        f"# {wish.target.name} on {base.system}, written by trimtab {__version__}:",
        "# the steps of 'trimtab prepare', in their order.",
        f"ARG REGISTRY={base.registry}",
        f"FROM ${{REGISTRY}}/{base.image}",
    ]
    for number, step in enumerate(steps, 1):
        lines += ["", *heading(number, step)]
        for one in step.recipe(wish, base):
            lines += _instruction(one)
    return "\n".join(lines) + "\n"


def heading(number: int, step: Step) -> Iterator[str]:
    """Yield the comment of a step: its name, what it does and why here."""
    yield f"# {number}. {step.name}: {step.summary}"
    yield from comment(step.reason)


def comment(text: str) -> Iterator[str]:
    """Yield a text as lines of comment; its own line breaks stay."""
    for line in text.splitlines():
        yield from textwrap.wrap(
            line, 96, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False
        )


def _instruction(one: Instruction) -> Iterator[str]:
    match one:
        case Note():
            yield from comment(one.text)
        case BuildArgument():
            yield from comment(one.comment)
            yield f"ARG {one.name}" + (f"={one.default}" if one.default is not None else "")
        case EnvVariable():
            yield f'ENV {one.name}="{one.value}"'
        case RootScript():
            yield from _UNPINNED[::-1] if one.unpinned else ()
            yield from _run(one.lines)


def _run(lines: tuple[str, ...]) -> Iterator[str]:
    """Yield a RUN: the lines joined so that the first that fails ends the build."""
    yield "RUN set -eu; \\"
    for number, line in enumerate(lines):
        last = number == len(lines) - 1
        yield f"    {line}{'' if last else _joint(line)}"


def _joint(line: str) -> str:
    """Return what goes between a line of sh and the next."""
    open_ended = line.rstrip().endswith((" do", " then", " in", ";;", " https:*)"))
    return " \\" if open_ended else "; \\"

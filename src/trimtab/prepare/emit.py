"""The steps as a Dockerfile or a shell script, for machines that trimtab is not on."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator

from trimtab import __version__
from trimtab.errors import UsageError
from trimtab.prepare import version_matrix, wheels
from trimtab.prepare.step import BuildArgument, EnvVariable, Instruction, Note, RootScript, Step
from trimtab.prepare.system import BASES, Base, base_of
from trimtab.prepare.target import PrepareOptions

_UNPINNED = (
    "# hadolint ignore=DL3008,DL3041",
    "# (a distribution keeps one version of a package; a pin would fail with its next update)",
)


def dockerfile_text(steps: tuple[Step, ...], wish: PrepareOptions, base: Base) -> str:
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
            lines += _dockerfile_lines(one)
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


def _dockerfile_lines(one: Instruction) -> Iterator[str]:
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


def script_text(steps: tuple[Step, ...], wish: PrepareOptions, base: Base) -> str:
    """Return the script."""
    lines = [
        "#!/bin/sh",
        f"# {wish.target.name} on {base.system}, written by trimtab {__version__}:",
        "# the steps of 'trimtab prepare', in their order. Run it as root; it may be run again.",
        "set -eu",
        "",
        *_same_system(base),
    ]
    for number, step in enumerate(steps, 1):
        lines += ["", *heading(number, step)]
        lines.append(f"echo {shlex.quote(f'{number}/{len(steps)} {step.name}')}")
        for one in step.recipe(wish, base):
            lines += _script_lines(one)
    return "\n".join(lines) + "\n"


def _same_system(base: Base) -> Iterator[str]:
    """Yield a guard: names of packages are those of one distribution and release."""
    system = base.system
    yield "# shellcheck source=/dev/null"
    yield "id=$(. /etc/os-release && echo \"${ID} ${VERSION_ID}\" | tr '[:upper:]' '[:lower:]')"
    yield f'if [ "${{id}}" != {shlex.quote(f"{system.distribution} {system.release}")} ]; then'
    yield f'  echo "this script is for {system}, and this is ${{id}}: emit one for it" >&2'
    yield "  exit 1"
    yield "fi"


def _script_lines(one: Instruction) -> Iterator[str]:
    match one:
        case Note():
            yield from comment(one.text)
        case BuildArgument():
            yield from comment(one.comment)
            yield from _argument(one)
        case EnvVariable():
            yield f'export {one.name}="{one.value}"'
        case RootScript():
            yield from _script(one)


def _argument(argument: BuildArgument) -> Iterator[str]:
    if argument.default is not None:
        # An empty value is one that was given: no further index, say.
        yield f'{argument.name}="${{{argument.name}-{argument.default}}}"'
    if argument.name.startswith("PIP_"):
        yield f'if [ -n "${{{argument.name}:-}}" ]; then export {argument.name}; fi'


def _script(script: RootScript) -> Iterator[str]:
    if not script.once:
        yield from script.lines
        return
    yield f"if ! {script.once} 2>/dev/null; then"
    yield from (f"  {line}" for line in script.lines)
    yield "fi"


FORMATS = {"dockerfile": dockerfile_text, "shell": script_text}


def emit(kind: str, steps: tuple[Step, ...], wish: PrepareOptions, base: str) -> str:
    """Return the steps as text of the format ``kind``, for images on the distribution ``base``.

    Raises:
        UsageError: there is no such format or base, or no image of it for the target.
    """
    if kind not in FORMATS:
        raise UsageError(f"--emit must be {' or '.join(FORMATS)}, but is {kind!r}")
    if base not in BASES:
        raise UsageError(f"--base must be one of {', '.join(BASES)}, but is {base!r}")
    release = wish.release or version_matrix.NEWEST
    if unprepared := wheels.preparation_refusal(wish.target.chip, release):
        raise UsageError(f"--release: {unprepared}")
    _, (major, minor) = version_matrix.ASCEND[release].pythons
    found = base_of(
        wish.target, base, version_matrix.cann(wish.target, release), f"{major}.{minor - 1}"
    )
    if found is None:
        raise UsageError(
            f"--base must be ubuntu or openeuler for {wish.target.name}, of which CANN's images "
            f"are made, but is {base}"
        )
    return FORMATS[kind](steps, wish, found)

"""The steps as a script of POSIX sh, which may be run again: what is done is not done twice."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from trimtab import __version__
from trimtab.prepare.emit.dockerfile import comment, heading
from trimtab.prepare.step import BuildArgument, EnvVariable, Instruction, Note, RootScript, Step
from trimtab.prepare.system import Base
from trimtab.prepare.target import PrepareOptions


def render(steps: tuple[Step, ...], wish: PrepareOptions, base: Base) -> str:
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
            lines += _instruction(one)
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


def _instruction(one: Instruction) -> Iterator[str]:
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


def _argument(one: BuildArgument) -> Iterator[str]:
    if one.default is not None:
        # An empty value is one that was given: no further index, say.
        yield f'{one.name}="${{{one.name}-{one.default}}}"'
    if one.name.startswith("PIP_"):
        yield f'if [ -n "${{{one.name}:-}}" ]; then export {one.name}; fi'


def _script(one: RootScript) -> Iterator[str]:
    if not one.once:
        yield from one.lines
        return
    yield f"if ! {one.once} 2>/dev/null; then"
    yield from (f"  {line}" for line in one.lines)
    yield "fi"

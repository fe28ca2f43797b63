"""``vllm.yaml``: the server arguments as vLLM's own configuration file, and back.

``vllm serve --config vllm.yaml``: vLLM 0.32 turns ``key: value`` into ``--key value``, ``true``
into ``--key`` and a list into one option with several values (utils/argparse_utils.py). Values are
text here, so that they reach the parser byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from trimtab.errors import StudyError
from trimtab.export.heading import comment, heading
from trimtab.export.order import Artefact, Order, ParsedArtefact, exportable_settings
from trimtab.families import invocation_of
from trimtab.invocations import Invocation
from trimtab.model import Settings
from trimtab.redaction import argv_secrets, marker, variable
from trimtab.storage import strict_yaml

FILE = "vllm.yaml"

_REFERENCE = "# secret: --"
_OPTION = re.compile(r"--[A-Za-z][\w.-]*")
"""A key of the file is always a long name."""


def render(order: Order) -> str:
    """Return the configuration file.

    Raises:
        StudyError: the command is not one of ``vllm serve`` that such a file can carry.
    """
    settings = exportable_settings(order.profile.plan.settings)
    invocation = _invocation(settings.argv)
    start = " ".join((*invocation.wrappers, *invocation.program))
    content: dict[str, object] = {"model": invocation.model}
    lines = []
    for name, values in _options(invocation):
        key = name.removeprefix("--")
        if key in content:
            raise StudyError(
                f"{FILE} can say an option once, but the command has --{key} twice: export shell"
            )
        if any(True for _ in argv_secrets([name, *values])):
            lines.append(f"{_REFERENCE}{key} (give it on the command line, never in this file)\n")
            continue
        content[key] = _value(values)
    said = heading(
        order,
        "vLLM configuration file",
        "leave --config out: the file sets nothing until it is read",
        more=(
            f"Start it with: {start} --config {FILE}",
            *_left(settings),
        ),
    )
    return comment(said) + "\n" + strict_yaml.dump(content) + "".join(lines)


def _left(settings: Settings) -> list[str]:
    parts = {
        "variables (serve.env has them)": settings.env,
        "variables to unset": settings.unset,
        "preloaded libraries (serve.env has them)": settings.preload,
        "the CPUs it is bound to": settings.affinity or (),
    }
    left = [name for name, there in parts.items() if there]
    return [f"It cannot say {', '.join(left)}: serve.sh and the unit do."] if left else []


def _invocation(argv: Sequence[str]) -> Invocation:
    """Return the command, of which the model stands right behind the program.

    Raises:
        StudyError: it is another one.
    """
    invocation = invocation_of(argv)
    if invocation is None or not invocation.program_alone or not invocation.arguments:
        raise StudyError(f"{FILE} can carry a 'vllm serve MODEL' command only")
    first = invocation.arguments[0]
    if invocation.positionals[:1] != ((invocation.begin, first),):
        raise StudyError(f"{FILE} needs the model right after 'serve', but has {first!r} there")
    return invocation


def _options(invocation: Invocation) -> list[tuple[str, tuple[str, ...]]]:
    """Return the long name of each option with its values.

    Raises:
        StudyError: a word belongs to no option, or an option has no long name here.
    """
    if strays := invocation.positionals[1:]:
        raise StudyError(f"{FILE} cannot carry {strays[0][1]!r}: it belongs to no option")
    options = []
    for option in invocation.options:
        name = option.spelling if option.spelling.startswith("--") else option.name
        if not _OPTION.fullmatch(name):
            word = option.words[0]
            raise StudyError(f"{FILE} can say long options only, but the command has {word!r}")
        options.append((name, option.values))
    return options


def _value(values: Sequence[str]) -> object:
    if not values:
        return True
    return values[0] if len(values) == 1 else list(values)


def parse(text: str) -> ParsedArtefact:
    """Return the command of a file that :func:`render` wrote; its program is just ``vllm``.

    Raises:
        StudyError: it is none.
    """
    try:
        content = strict_yaml.load(text)
        argv = ["vllm", "serve", str(content.pop("model"))]
        for key, value in content.items():
            values = value if isinstance(value, list) else [value]
            argv += [f"--{key}", *(str(value) for value in values if value is not True)]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StudyError(f"{FILE} must be as trimtab wrote it, but: {error}") from error
    for line in text.split("\n"):
        if line.startswith(_REFERENCE):
            option = line.removeprefix("# secret: ").split(" ", 1)[0]
            argv += [option, marker(variable(option))]
    return ParsedArtefact(Settings(tuple(argv)))


FORMATS = {"vllm": (Artefact(FILE, render, parse, summary="vllm serve --config"),)}

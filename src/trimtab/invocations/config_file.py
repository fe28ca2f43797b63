"""The YAML file of ``--config``: read as vLLM reads it, joined into a command. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

import yaml

from trimtab.errors import UsageError
from trimtab.invocations.grammar import is_option
from trimtab.invocations.invocation import Invocation, parse, parse_options

CONFIG = "--config"


def with_config_file(
    invocation: Invocation, read: Callable[[str], str], where: str = "the command"
) -> Invocation:
    """Return a command with the options of its ``--config`` file in the place of that option.

    As in vLLM 0.32, the file's stand before the others, so that the command line wins; what the
    command line says too is left out. A model of the command line wins as well. ``read`` returns
    the text of a file; ``where`` names the command in a message.

    Raises:
        UsageError: there are two such files, or one is no YAML of options.
    """
    options = [option for option in invocation.options if option.name == CONFIG]
    if not options:
        return invocation
    if any(option.joint for option in options):
        raise UsageError(
            f"{where} has --config=FILE, which vLLM does not read: write --config FILE"
        )
    if len(options) > 1 or len(options[0].values) != 1:
        raise UsageError(f"{where} must name one file after --config")
    content = _content(options[0].value, read)
    at = options[0].index
    rest = [*invocation.words[invocation.begin : at], *invocation.words[at + 2 :]]
    words = (*invocation.wrappers, *invocation.program, *_joined(rest, content, invocation))
    if not invocation.program:
        return parse_options(words, invocation.grammar)
    return parse(words, invocation.grammar) or invocation


def _joined(rest: Sequence[str], content: dict[str, Any], invocation: Invocation) -> list[str]:
    """Return the arguments: the model, what the file holds, what the command line holds."""
    model = rest[:1] if rest and not is_option(rest[0]) and rest[0] != "--" else []
    named = content.pop(invocation.grammar.model_option.removeprefix("--"), None)
    options = _words(content, invocation)
    if invocation.model is None and named is not None:
        return [str(named), *options, *rest]
    return [*model, *options, *rest[len(model) :]]


def _content(name: str, read: Callable[[str], str]) -> dict[str, Any]:
    """Return what a file holds."""
    if PurePath(name).suffix not in {".yaml", ".yml"}:
        raise UsageError(f"--config must name a .yaml or .yml file, but is {name}")
    try:
        content = yaml.safe_load(read(name))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        raise UsageError(f"{name}{line} of --config is no YAML: correct it") from error
    except OSError as error:
        raise UsageError(f"{name} of --config cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{name} of --config is no YAML: {error}") from error
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise UsageError(f"{name} of --config must map names of options to values")
    return content


def _words(content: Mapping[str, Any], invocation: Invocation) -> Iterator[str]:
    """Yield the options of a file that the command line does not have."""
    grammar = invocation.grammar
    given = {option.name for option in invocation.options}
    for key, value in content.items():
        name = f"--{key}"
        if given & {grammar.option_name(name), grammar.option_name(_negated(name))}:
            continue
        if value is True:
            yield name
        elif value is False:
            if grammar.can_be_negated(grammar.option_name(name)):
                yield _negated(name)
        elif isinstance(value, list):
            yield from (name, *map(str, value)) if value else ()
        else:
            yield name
            yield json.dumps(value, default=str) if isinstance(value, dict) else str(value)


def _negated(name: str) -> str:
    bare = name.removeprefix("--")
    return f"--{bare.removeprefix('no-')}" if bare.startswith("no-") else f"--no-{bare}"

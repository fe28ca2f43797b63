"""Rules about the words of ``vllm serve``: those that no option takes, and options without any."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from trimtab.catalog import Rule, Scene
from trimtab.catalog.releases import vllm
from trimtab.catalog.values import is_placeholder
from trimtab.families import invocation_of
from trimtab.knobs.server_arg import option_name
from trimtab.model.document import Place
from trimtab.model.finding import Hit, Problem, Severity
from trimtab.rules.lifetimes import serves, version_in_force
from trimtab.rules.packages import refusal_condition

_UNKNOWN: Final = re.compile(r"[$`*?]|^[<\[({|…]|^\.\.\.")
"""Words of which a text does not tell what the process gets, and those of a synopsis."""

_BOOLEANS: Final = frozenset({"true", "false", "yes", "no", "on", "off", "1", "0", "none"})
_MANY: Final = 1_000_000
_JOINED: Final = re.compile(r"(?P<name>-(?:tp|pp|dp|ep|q|n|r|dcp|pcp|asc|sc|ac|cc))(?P<value>\d+)")


@dataclass(frozen=True, slots=True)
class _Given:
    """An option as written, the words behind it, and how many of them it takes (``None``: any)."""

    name: str
    words: tuple[str, ...]
    joined: bool
    most: int | None
    least: int

    @property
    def extra(self) -> tuple[str, ...]:
        """The words that it does not take."""
        return () if self.most is None else self.words[0 if self.joined else self.most :]


def _given(scene: Scene) -> tuple[tuple[str, ...], tuple[_Given, ...]]:
    """Return the words before the first option, and each option with those behind it."""
    invocation = invocation_of(scene.argv)
    argv = () if invocation is None else invocation.arguments
    starts = [index for index, word in enumerate(argv) if re.match(r"--?[A-Za-z]", word)]
    ends = [*starts[1:], len(argv)][: len(starts)]
    found = []
    for start, end in zip(starts, ends, strict=True):
        name, equals, _ = argv[start].partition("=")
        least, most = _takes(_long(name), version_in_force("vllm", scene))
        found.append(_Given(name, tuple(argv[start + 1 : end]), bool(equals), most, least))
    return tuple(argv[: starts[0] if starts else len(argv)]), tuple(found)


def _long(name: str) -> str:
    """Return the long name of an option; its beginning is enough for argparse."""
    known = vllm().names("options")
    name = vllm().aliases.get(name, option_name(name))
    positive = f"--{name.removeprefix('--no-')}"
    if name not in known and name.startswith("--no-") and positive in known:
        return positive
    begins = [one for one in known if one.startswith(name)] if name not in known else []
    return begins[0] if len(begins) == 1 else name


def _takes(name: str, version: str) -> tuple[int, int | None]:
    """Return how many words an option takes, at least and at most; any where that is not known."""
    stretches = vllm().parts["options"].get(name, ())
    known = [kind for kind in vllm().kinds("options", name, version) if kind is not None]
    kinds = known or [kind for _, _, kind in stretches]
    bases = [kind.partition(" ")[0] for kind in kinds]
    if "." in name:
        return 1, 1
    if not bases or name == "-O":
        return 0, None
    if any(base.rstrip("?").endswith("+") for base in bases):
        return int(all(base.rstrip("?").endswith("+") for base in bases)), _MANY
    counts = {"switch": (0, 0), "flag": (0, 0), "maybe": (0, 1), "bool": (0, 1)}
    each = [counts.get(base, (1, 1)) for base in bases]
    return min(one[0] for one in each), max(one[1] for one in each)


def _command(scene: Scene) -> bool:
    """Whether a text starts a server by a command with a subcommand, which takes the model."""
    invocation = invocation_of(scene.argv)
    own = invocation is not None and bool(invocation.program_alone) and not invocation.wrappers
    return own and serves(scene) and scene.pid is None


def _extra(scene: Scene) -> Iterator[Hit]:
    """Yield the first word that is neither the model nor taken by an option."""
    if not _command(scene):
        return
    first, given = _given(scene)
    if any(_UNKNOWN.search(word) or is_placeholder(word) for word in first):
        return
    models = len(first) + sum(option_name(setting.name) == "--model" for setting in given)
    if models > 1 and first:
        yield _hit(first[-1], None, scene)
        return
    for setting in given:
        if match := _JOINED.fullmatch(setting.name):
            yield _joined(setting.name, match, scene)
            return
        if setting.most is None or any(map(_unclear, setting.words)) or _judged(setting):
            return
        extra = setting.extra[0 if models else 1 :]
        models += len(setting.extra)
        if extra:
            yield _hit(extra[0], setting, scene)
            return


def _judged(setting: _Given) -> bool:
    """Whether the words are a value that another rule refuses: a boolean, or JSON in pieces."""
    extra = setting.extra
    return bool(setting.most == 0 and extra and extra[0].lower() in _BOOLEANS) or _broken_json(
        setting
    )


def _levels(scene: Scene) -> Iterator[Hit]:
    """Yield optimization levels that no release has."""
    for index, word in enumerate(scene.argv):
        match = re.fullmatch(r"-O=?(\d*)", word)
        after = scene.argv[index + 1] if index + 1 < len(scene.argv) else ""
        level = (match[1] or after) if match is not None else ""
        if level.isdecimal() and int(level) > 3:
            yield Hit(
                "-O",
                f"-O must be 0, 1, 2 or 3, but is {level}: vLLM exits",
                "write -O3",
                place=_place(word, scene),
            )


def _joined(name: str, match: re.Match[str], scene: Scene) -> Hit:
    """Return what is wrong with ``-tp2``: only ``-O3`` holds its value."""
    return Hit(
        name,
        f"vLLM exits with 'unrecognized arguments: {name}', because a short option and its value "
        "are two words",
        f"write {match['name']} {match['value']}",
        place=_place(name, scene),
    )


def _unclear(word: str) -> bool:
    if word.startswith(("{", "[")):
        return not _is_json(word)
    return _UNKNOWN.search(word) is not None or is_placeholder(word)


def _is_json(word: str) -> bool:
    try:
        json.loads(word)
    except (ValueError, RecursionError):
        return False
    return True


def _broken_json(setting: _Given) -> bool:
    """Whether blanks cut a JSON value to pieces: the rule about values says so."""
    return (
        not setting.joined
        and bool(setting.words)
        and setting.words[0].startswith(("{", "["))
        and not (_is_json(setting.words[0]))
    )


def _hit(word: str, before: _Given | None, scene: Scene) -> Hit:
    doubt = refusal_condition(scene)
    alone = before is not None and before.most == 0
    why = f": {before.name} takes no value" if before is not None and alone else ""
    return Hit(
        before.name if before is not None and alone else word,
        f"no option takes the word {word!r}, so vLLM exits with 'unrecognized arguments'{why}",
        "take the word out, or write the option that it belongs to",
        place=_place(word, scene),
        severity=Severity.WARNING if doubt else None,
    )


def _place(word: str, scene: Scene) -> Place | None:
    """Return where a word of the command stands."""
    commands = scene.document.commands if scene.document is not None else ()
    for command in commands:
        if command.words[-len(scene.argv) :] == scene.argv and len(command.places) == len(
            command.words
        ):
            return command.places[len(command.words) - 1 - command.words[::-1].index(word)]
    places = [option.place for option in scene.options.values() if option.place is not None]
    return places[0] if places else None


def _without(scene: Scene) -> Iterator[Hit]:
    """Yield options behind which the value is missing, or no value of theirs."""
    if not _command(scene):
        return
    yield from _levels(scene)
    first, given = _given(scene)
    for setting in given:
        if any(_UNKNOWN.search(word) for word in (*first, *setting.words)) or setting.joined:
            continue
        made = scene.options.get(_long(setting.name))
        if (
            setting.least
            and not setting.words
            and made is not None
            and made.literal
            and not _cut(made)
        ):
            what = "a value" if setting.most == 1 else "one value or more"
            yield Hit(
                made.name,
                f"{setting.name} stands without its value: vLLM wants {what}, and exits",
                "give the value, or take the option out",
            )
    for setting in given:
        if option_name(setting.name) == "--lora-modules":
            yield from _modules(setting)


def _cut(made: object) -> bool:
    """Whether a redirection (``--port <port>``) or a variable that is empty stands behind it."""
    place = getattr(made, "name_place", None)
    rest = place.text[place.end_column - 1 :] if place is not None and place.end_column else ""
    return rest.lstrip(" \t\"'").startswith(("<", "$"))


def _modules(setting: _Given) -> Iterator[Hit]:
    """Yield adapters that are neither NAME=PATH nor JSON with both."""
    for word in setting.words:
        if "=" in word or word.lower() == "none" or _unclear(word):
            continue
        try:
            held = json.loads(word)
        except ValueError:
            held = None
        if not isinstance(held, dict) or not {"name", "path"} <= held.keys():
            yield Hit(
                "--lora-modules",
                f"--lora-modules takes NAME=PATH, or JSON with name and path, but got {word!r}: "
                "vLLM exits",
                f"write NAME={word}",
            )


ARGUMENTS: tuple[Rule, ...] = (
    Rule(
        id="extra-word",
        severity=Severity.ERROR,
        problem=Problem.WRONG_VALUE,
        summary="A word of the command belongs to no option, and vLLM exits.",
        process=_extra,
    ),
    Rule(
        id="value-missing",
        severity=Severity.ERROR,
        problem=Problem.WRONG_VALUE,
        summary="An option stands without its value, and vLLM exits.",
        process=_without,
    ),
)

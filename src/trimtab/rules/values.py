"""The rule about values that ``vllm serve`` refuses, and how it reads each kind of value."""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from trimtab.catalog import Rule, Scene
from trimtab.catalog.applicability import is_before
from trimtab.catalog.releases import vllm
from trimtab.catalog.values import is_name_of_number, unfilled
from trimtab.knobs.server_arg import human_int, option_name
from trimtab.model.document import Place, Setting
from trimtab.model.finding import Action, Hit, Problem, Remedy, Severity
from trimtab.rules import spelling
from trimtab.rules.lifetimes import serves, version_in_force
from trimtab.rules.packages import maker, refusal_condition

_BOOLEANS: Final = frozenset({"true", "false", "yes", "no", "on", "off", "1", "0", "none"})
_SIGNS: Final[Mapping[str, tuple[Callable[[float, float], bool], str]]] = {
    ">=": (operator.ge, "at least"),
    "<=": (operator.le, "at most"),
    ">": (operator.gt, "above"),
    "<": (operator.lt, "below"),
}
_SUFFIXED: Final = re.compile(r"\b\d+(?:\.\d+)?[kKmMgGtT]\b")


def refusal(kind: str, text: str, *, joined: bool) -> str | None:
    """Return what the parser wants instead of a text, ``None`` where it takes it.

    ``joined``: the value stands behind "=" in the option's own word.
    """
    base, _, limits = kind.partition(" ")
    optional, base = base.endswith("?"), base.removesuffix("?")
    if base in {"switch", "flag"}:
        return _no_value(text, joined=joined)
    if base == "maybe" or (optional and text in {"", "None"}):
        return None
    several, base = base.endswith("+"), base.removesuffix("+")
    if base.startswith("folded:"):
        text, base = text.lower().replace("-", "_"), base.replace("folded:", "choice:", 1)
    if base.startswith(("choice:", "open:")):
        choices = list(dict.fromkeys(base.partition(":")[2].split("|")))
        path = base.startswith("open:") and re.search(r"[./]", text)  # of a class, or a plugin's
        words = text.split(",") if several else [text]
        return None if path or set(words) <= {*choices} else f"one of {', '.join(choices)}"
    reader = _READERS.get(base)
    return reader(text) or _within(base, text, limits) if reader is not None else None


def _no_value(text: str, *, joined: bool) -> str | None:
    given = joined or text.lower() in _BOOLEANS
    return "no value" if given else None


def _boolean(text: str) -> str | None:
    return None if text.lower() in {"true", "false", ""} else "true or false"


def _integer(text: str) -> str | None:
    try:
        int(text)
    except ValueError:
        return "an integer"
    return None


def _decimal(text: str) -> str | None:
    try:
        float(text)
    except ValueError:
        return "a number"
    return None


def _human(text: str) -> str | None:
    taken = human_int(text.strip()) is not None or _integer(text) is None
    return None if taken else "an integer such as 4096, 4k (4000) or 4K (4096)"


def _auto(text: str) -> str | None:
    return None if text.strip().lower() == "auto" else _human(text)


def _json(text: str) -> str | None:
    parts = re.split(r'("(?:[^"\\]|\\.)*")', text)
    parts[::2] = [_SUFFIXED.sub("0", part) for part in parts[::2]]
    try:
        json.loads("".join(parts))
    except (ValueError, RecursionError) as error:
        return f"JSON ({str(error).partition(':')[0]})"
    return None


_READERS: Final[Mapping[str, Callable[[str], str | None]]] = {
    "int": _integer,
    "float": _decimal,
    "human": _human,
    "human-auto": _auto,
    "bool": _boolean,
    "json": _json,
}


def _within(base: str, text: str, limits: str) -> str | None:
    """Return the range that a number misses."""
    if not limits or text.strip().lower() == "auto":
        return None
    number = human_int(text.strip()) if base.startswith("human") else None
    value = float(text) if number is None else float(number)
    spans = re.findall(r"([<>]=?)(-?[\d.]+)", limits)
    if all(_SIGNS[sign][0](value, float(limit)) for sign, limit in spans):
        return None
    what = "a number" if base == "float" else "an integer"
    return f"{what} " + " and ".join(f"{_SIGNS[sign][1]} {limit}" for sign, limit in spans)


_RECENT = "0.12.0"
"""What every release since then refuses is an error where the version is not known."""

_NAMED = {"--quantization": "quantization", "--attention-backend": "attention-backend"}
"""Options of text whose values vLLM looks up in a list of its own."""

_PLUGINS_OWN = frozenset({"ascend"})
_READ_AS = {"fp16": "float16", "bf16": "bfloat16", "fp32": "float32"}


@dataclass(frozen=True, slots=True)
class _Refusal:
    """What the parser wants, and the first release that wants it ("" where all known ones do)."""

    wants: str
    severity: Severity
    since: str = ""


def _values(scene: Scene) -> Iterator[Hit]:
    if not serves(scene) or scene.pid is not None:  # a live server has taken its values
        return
    for name, made in scene.options.items():
        option = _whole(name)
        if not made.literal or "." in name or _unfilled(option, made):
            continue
        if option == "--help" or _cut(made) or _missing(made, scene):
            continue
        if option in _NAMED:
            yield from _named(option, made, scene)
        elif option:
            joined = any("=" in word and option_name(word) == name for word in scene.argv)
            version = version_in_force("vllm", scene)
            found = _refused(option, made.value, version, joined=joined)
            found = found or _object(option, made.value, version)
            if found is not None and not _was_listed(option, made.value, scene):
                yield _on_condition(_hit(option, made, found, scene), found, scene)


def _on_condition(hit: Hit, found: _Refusal, scene: Scene) -> Hit:
    """Return the hit, on a condition where a fork may have the switch with a value, as of old."""
    other = maker(scene)
    if hit.given or not other or found.wants != "no value":
        return hit
    return replace(hit, given=f"the vLLM for {other} reads it so", severity=None)


def _unfilled(option: str, made: Setting) -> bool:
    """Whether a value is a placeholder; ``{word}`` where JSON belongs is broken JSON."""
    text = made.value
    kind = vllm().parts["options"].get(option, ((0, 0, ""),))[-1][2]
    if re.fullmatch(r"\{\w+\}", text) and kind.startswith("json"):
        return re.search(r"(?i)conf|json|arg|param|your|here", text) is not None
    if kind.startswith(("int", "float", "human")) and is_name_of_number(text):
        return True
    return unfilled(made)


def _cut(made: Setting) -> bool:
    """Whether the shell takes what follows an option for a redirection: ``--port <port>``."""
    place = made.name_place
    rest = place.text[place.end_column - 1 :] if place is not None and place.end_column else ""
    return not made.value and rest.lstrip().startswith("<")


def _missing(made: Setting, scene: Scene) -> bool:
    """Whether an option stands without its value, which is another rule's matter."""
    if made.value:
        return False
    for word, after in pairwise((*scene.argv, "--")):
        if option_name(word) == made.name or vllm().aliases.get(word) == made.name:
            return "=" not in word and re.match(r"--?[A-Za-z]|--$", after) is not None
    return False


def _whole(name: str) -> str:
    """Return the option that a word names: itself, its beginning, or the opposite of a switch."""
    known = vllm().names("options")
    if name in known:
        return name
    positive = f"--{name.removeprefix('--no-')}" if name.startswith("--no-") else ""
    if positive in known:
        return positive
    begins = [one for one in known if name.startswith("--") and one.startswith(name)]
    return begins[0] if len(begins) == 1 else ""


_PAIRS = "0.10"
"""Until then JSON options took ``key=1,other=2``, too."""

_OBJECTS = "0.14"
"""Since then what holds a configuration is read as an object; levels were numbers before."""


def _object(option: str, text: str, version: str) -> _Refusal | None:
    """Return what is wanted of JSON that is not an object, where vLLM wants one."""
    kind = vllm().parts["options"][option][-1][2]
    holds = option.endswith(("-config", "-kwargs", "-per-prompt", "-priority", "-overrides"))
    if (
        not kind.startswith("json")
        or not holds
        or (vllm().like(version) and is_before(version, _OBJECTS))
    ):
        return None
    if text in {"", "None"} and kind.endswith("?"):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None if option.endswith("-config") else _Refusal("JSON, without 4k", Severity.ERROR)
    if isinstance(found, dict):
        return None
    return _Refusal("a JSON object", Severity.ERROR if vllm().like(version) else Severity.WARNING)


_CHOICES = {"--data-parallel-backend": ("mp", "ray")}
"""Options of text of which the engine takes a few values alone, in every release."""


def _refused(option: str, text: str, version: str, *, joined: bool) -> _Refusal | None:
    table = vllm()
    if option in _CHOICES:
        taken = _CHOICES[option]
        return None if text in taken else _Refusal(f"one of {', '.join(taken)}", Severity.ERROR)
    if is_before(version, _PAIRS) and re.fullmatch(r"\w+=\d+(,\w+=\d+)*", text):
        return None
    if table.like(version):
        kinds = [kind and kind for kind in table.kinds("options", option, version)]
        found = [refusal(kind, text, joined=joined) for kind in kinds if kind is not None]
        return _Refusal(found[0], Severity.ERROR) if found and all(found) and found[0] else None
    recent = table.releases.index(_RECENT)
    said = [
        (first, last, refusal(kind, text, joined=joined))
        for first, last, kind in table.parts["options"][option]
    ]
    newest = said[-1][2]
    if newest is None:
        return None
    taking = [last for _, last, wants in said if wants is None]
    since = table.releases[max(taking) + 1] if taking else ""
    old = all(last < recent for last in taking) and said[-1][1] >= recent
    return _Refusal(newest, Severity.ERROR if old else Severity.WARNING, since)


def _open(option: str) -> bool:
    """Whether packages beside vLLM may add values to an option."""
    return vllm().parts["options"][option][-1][2].startswith("open:")


def _was_listed(option: str, text: str, scene: Scene) -> bool:
    """Whether some release lists a word of an option that packages add to."""
    kinds = vllm().kinds("options", option, version_in_force("vllm", scene))
    if kinds and not any(kind and kind.startswith("open:") for kind in kinds):
        return False
    lists = (kind.rstrip("?").partition(":")[2] for _, _, kind in vllm().parts["options"][option])
    return _open(option) and any(text in one.split("|") for one in lists)


def _hit(option: str, made: Setting, found: _Refusal, scene: Scene) -> Hit:
    version = version_in_force("vllm", scene)
    who = f"vLLM {version}" if vllm().like(version) else "vLLM"
    who = f"{who} {found.since} and later" if found.since else who
    takes, refuses, exits = (
        ("take", "refuse", "exit") if found.since else ("takes", "refuses", "exits")
    )
    if found.wants == "no value":
        message = f"{who} {takes} {option} without a value, and {exits}"
        return _switch(made, message, found.severity)
    shown = made.value if len(made.value) <= 40 else f"{made.value[:37]}..."
    meant = _READ_AS.get(made.value.lower(), "")
    message = f"{option} must be {found.wants}, but is {shown!r}: {who} {refuses} it, and {exits}"
    fix = f"write {meant}" if meant and meant in found.wants else f"give {found.wants}"
    if found.wants.startswith("JSON ("):
        fix = "correct the JSON, in single quotes where a shell reads it"
    added = _open(option) or option in {"--device", "--kv-cache-dtype"}
    doubt = refusal_condition(scene) if added else ""
    severity = None if doubt else found.severity
    return Hit(made.name, message, fix, given=doubt, severity=severity)


def _switch(made: Setting, message: str, severity: Severity) -> Hit:
    off = made.value.lower() in {"false", "0", "no", "off", "none"}
    positive = made.name.removeprefix("--no-") if made.name.startswith("--no-") else made.name[2:]
    negative = made.name.startswith("--no-") is not off
    name = f"--no-{positive}" if negative else f"--{positive}"
    if negative and not any(
        kind == "switch" for _, _, kind in vllm().parts["options"].get(f"--{positive}", ())
    ):
        return Hit(made.name, message, "take it out", severity=severity)
    span = _span(made)
    return Hit(
        made.name,
        message,
        f"write {name}",
        severity=severity,
        place=span,
        remedy=Remedy(Action.REPLACE, name) if span is not None else None,
    )


def _span(made: Setting) -> Place | None:
    """Return the place of option and value, where it holds these two words and nothing else."""
    begin, end = made.name_place, made.value_place
    if begin is None or end is None or begin.line != end.line or begin.column > end.column:
        return None
    held = begin.text[begin.column - 1 : end.end_column - 1].replace("=", " ").split()
    if len(held) != 2 or option_name(held[0]) != made.name or held[1] != made.value:
        return None
    return replace(begin, end_column=end.end_column)


def _named(option: str, made: Setting, scene: Scene) -> Iterator[Hit]:
    part, version = _NAMED[option], version_in_force("vllm", scene)
    text = made.value.upper() if option == "--attention-backend" else made.value
    if text in vllm().names_of(part, version) or text.upper() in {"", "NONE", "AUTO"}:
        return
    if text.lower() in _PLUGINS_OWN or "." in text:  # of a plugin, or the path of a class
        return
    if option == "--quantization" and re.fullmatch(r"[A-Z]+(_[A-Z]+)*", text):
        text = text.lower()
        if text not in vllm().names(part):
            return  # stands for a name
    known = text in vllm().names(part)
    meant = spelling.intended_name(text, vllm().names_of(part, version)) or _close(
        text, part, version
    )
    if meant and re.sub(r"\d", "", meant) == re.sub(r"\d", "", text):  # another number, no slip
        meant = None
    doubt = "" if known or (meant and len(meant) > 4) else refusal_condition(scene)
    who = f"vLLM {version}" if vllm().like(version) else "vLLM"
    yield Hit(
        made.name,
        f"{who} has no {part.replace('-', ' ')} {made.value}, and exits",
        f"write {meant}" if meant else "name one that this release has",
        given=doubt,
    )


def _close(text: str, part: str, version: str) -> str | None:
    near = [one for one in vllm().names_of(part, version) if spelling.distance(text, one) == 1]
    return near[0] if len(near) == 1 else None


VALUES: tuple[Rule, ...] = (
    Rule(
        id="option-value",
        severity=Severity.ERROR,
        problem=Problem.WRONG_VALUE,
        summary="vLLM's parser refuses the option's value, and the server exits.",
        process=_values,
    ),
)

"""Rules that follow from an entry: its values, rivals, default, life-cycle and versions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import TypeAlias

from trimtab.catalog import CATALOG, Rule, Scene, Tuning
from trimtab.catalog.releases import life, torch_npu, vllm_ascend
from trimtab.catalog.values import Acceptance, Choice, is_name_of_number, is_placeholder, unfilled
from trimtab.errors import UsageError
from trimtab.knobs import Argument, Env, EnvList, Switch
from trimtab.model import Value
from trimtab.model.finding import Action, Hit, Problem, Remedy, Severity
from trimtab.rules import lifetimes
from trimtab.rules.lifetimes import life_of

PerTuning: TypeAlias = Callable[[Tuning, Scene], Iterator[Hit]]


def scene_value(tuning: Tuning, scene: Scene) -> Value:
    """Return the value that a scene gives an entry, ``None`` if it is not set.

    An option at the end of a command without its value sets nothing: the engine refuses it. An
    option of a script that is not vLLM's is the script's own.
    """
    if isinstance(tuning.knob, Argument | Switch) and scene.own_script:
        return None
    try:
        return tuning.knob.parse(scene.settings, scene.writes)
    except UsageError:
        return None


def literal_text(tuning: Tuning, scene: Scene) -> str | None:
    """Return the value as text where it is set and known to the letter: no placeholder."""
    value, made = scene_value(tuning, scene), scene.at(tuning.knob.setting)
    if value is None or (made is not None and (not made.literal or unfilled(made))):
        return None
    text = str(int(value)) if isinstance(value, bool) else str(value)
    if not isinstance(tuning.accepts, Choice) and is_name_of_number(text):
        return None
    return None if is_placeholder(text) else text


def acts(tuning: Tuning, scene: Scene) -> bool:
    """Whether an entry is set to something other than what happens anyway."""
    value = scene_value(tuning, scene)
    return value is not None and not (tuning.default and str(value) == tuning.default)


def _read_as(taken: Acceptance) -> PerTuning:
    def check(tuning: Tuning, scene: Scene) -> Iterator[Hit]:
        text = literal_text(tuning, scene)
        if text is None or tuning.inert:  # nothing reads it
            return
        reading = tuning.accepts.read(text)
        if reading.taken is taken:
            yield Hit(
                tuning.knob.setting,
                _of_place(tuning.knob.place, reading.sentence),
                fix=f"set it to {tuning.accepts.words()}",
            )

    return check


def _of_place(place: str, sentence: str) -> str:
    """Return a sentence about a setting that begins with where it is set."""
    return f"{place} {sentence[3:]}" if sentence.startswith("it ") else f"{place}: {sentence}"


def _conflicts(tuning: Tuning, scene: Scene) -> Iterator[Hit]:
    if not acts(tuning, scene):
        return
    for relation in tuning.conflicts:
        other = CATALOG[relation.name]
        beside = not relation.values or str(scene_value(other, scene)) in relation.values
        if beside and acts(other, scene):
            yield Hit(
                tuning.knob.setting,
                f"{tuning.knob.place} and {other.knob.place} are both set: {relation.sentence}",
                fix="keep one of the two",
                severity=Severity.ERROR if relation.fatal else None,
            )


def _superseded(tuning: Tuning, scene: Scene) -> Iterator[Hit]:
    if not tuning.superseded_by or scene_value(tuning, scene) is None:
        return
    key = tuning.superseded_by.partition(" ")[0]
    life = life_of(vllm_ascend(), "additional-config", key, scene)
    own = life_of(vllm_ascend(), "variables", tuning.knob.setting, scene)
    if own is not None and own.here is False:
        return  # nothing reads it any more
    if life is not None and life.here is False:
        return  # this version does not have the key, and reads the variable
    since = (
        f" from vllm-ascend {life.since} on" if life and life.since and not life.version else ""
    )
    yield Hit(
        tuning.knob.setting,
        f"{tuning.knob.place} is superseded by {tuning.superseded_by}{since}",
        fix=f"use {tuning.superseded_by}",
    )


def _is_option(tuning: Tuning) -> bool:
    return isinstance(tuning.knob, Argument | Switch)


def _removed(tuning: Tuning, scene: Scene) -> Iterator[Hit]:
    if not _is_option(tuning) or scene_value(tuning, scene) is None:
        return
    told = lifetimes.entry_hits(tuning, scene, option=True)
    if told is not None:
        yield from told
    elif tuning.inert:
        yield Hit(
            tuning.knob.setting,
            f"{tuning.knob.place} is refused, and the server exits: {tuning.inert}",
            fix="take it out",
            remedy=Remedy(Action.REMOVE),
        )


def _inert(tuning: Tuning, scene: Scene) -> Iterator[Hit]:
    if _is_option(tuning) or scene_value(tuning, scene) is None:
        return
    told = lifetimes.entry_hits(tuning, scene, option=False)
    if told is not None:
        yield from told
    elif tuning.inert:
        yield Hit(
            tuning.knob.setting,
            f"{tuning.knob.place} has no effect: {tuning.inert}",
            fix="take it out",
            remedy=Remedy(Action.REMOVE),
        )


@cache
def _owned() -> frozenset[str]:
    knobs = (tuning.knob for tuning in CATALOG.values())
    return frozenset(
        knob.name for knob in knobs if isinstance(knob, Argument | Switch | Env | EnvList)
    )


def _removed_else(scene: Scene) -> Iterator[Hit]:
    yield from lifetimes.scene_hits(scene, _owned(), option=True)


def _inert_else(scene: Scene) -> Iterator[Hit]:
    yield from lifetimes.scene_hits(scene, _owned(), option=False)


def _redundant(tuning: Tuning, scene: Scene) -> Iterator[Hit]:
    text = literal_text(tuning, scene)
    if text is not None and tuning.default and text == tuning.default:
        yield Hit(
            tuning.knob.setting,
            f"{tuning.knob.place} is {text}, the default: the server does the same without it",
            fix="leave it out",
        )


PER_TUNING: tuple[tuple[Rule, PerTuning], ...] = (
    (
        Rule(
            id="value-refused",
            severity=Severity.ERROR,
            problem=Problem.WRONG_VALUE,
            summary="The setting's reader refuses the value: the server fails.",
        ),
        _read_as(Acceptance.REFUSED),
    ),
    (
        Rule(
            id="value-misread",
            severity=Severity.WARNING,
            problem=Problem.WRONG_VALUE,
            summary="The setting's reader silently takes the value for another one.",
        ),
        _read_as(Acceptance.MISREAD),
    ),
    (
        Rule(
            id="conflict",
            severity=Severity.WARNING,
            problem=Problem.CONFLICT,
            summary="Two settings are on that exclude each other.",
        ),
        _conflicts,
    ),
    (
        Rule(
            id="superseded",
            severity=Severity.WARNING,
            problem=Problem.SUPERSEDED,
            summary="The setting has been replaced by another one.",
        ),
        _superseded,
    ),
    (
        Rule(
            id="removed-option",
            severity=Severity.ERROR,
            problem=Problem.SUPERSEDED,
            summary="This version of vLLM no longer has the option, and exits at the start.",
            process=_removed_else,
        ),
        _removed,
    ),
    (
        Rule(
            id="inert",
            severity=Severity.WARNING,
            problem=Problem.NO_EFFECT,
            summary="The version in force does not read the setting.",
            process=_inert_else,
            traps=("T31",),
        ),
        _inert,
    ),
    (
        Rule(
            id="redundant",
            severity=Severity.INFO,
            problem=Problem.NO_EFFECT,
            summary="The setting has its default value.",
        ),
        _redundant,
    ),
)

RULES = tuple(rule for rule, _ in PER_TUNING)


RULE = Rule(
    id="torch-npu-version",
    severity=Severity.ERROR,
    problem=Problem.WRONG_VALUE,
    summary="The version of torch_npu in force does not take the setting, but another one does.",
)


def check(tuning: Tuning, scene: Scene) -> Iterator[Hit]:
    """Yield a hit where a version that was asked, or the nearest ones, do not take a setting."""
    version, text = scene.version("torch-npu"), literal_text(tuning, scene)
    if not version or text is None or not isinstance(tuning.knob, Env | EnvList):
        return
    told = torch_npu()
    place = _as_written(tuning.knob, text)
    refusing = told.refusing(tuning.name, place)
    like = told.like(version)
    against = [one for one in like if one in refusing]
    lives = life(
        [version for version in told.versions if version not in refusing], against, told.versions
    )
    if not lives:
        return  # taken here, or by none: a matter of the value, not of the version
    known = tuning.name not in told.known or against[0] in told.known[tuning.name]
    what = f"this value of {tuning.knob.place}" if known else tuning.knob.place
    sure = len(against) == len(like) and not told.beyond(version)
    yield Hit(
        tuning.knob.setting,
        f"torch_npu {against[0]} does not take {what}, which is taken {lives} (oracle matrix)",
        fix=f"take it out, or use a torch_npu that takes it: {lives}",
        given="" if sure else f"torch_npu {version} is as {against[0]}",
    )


def _as_written(knob: Env | EnvList, text: str) -> str:
    """Return a setting as the matrix names it."""
    if isinstance(knob, EnvList):
        return f"{knob.name}={knob.key}{knob.assign}{text}"
    return f"{knob.name}={text}"

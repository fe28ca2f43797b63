"""What two launches are given, compared tuning by tuning. Pure.

A side is a preset (whatever the machine), the plan of a profile, or what a launch file gives its
server. Its text is compared; a value that follows from a machine is compared as it is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from trimtab.catalog import CATALOG
from trimtab.errors import UsageError
from trimtab.families import read_command
from trimtab.knobs import ManualSetting
from trimtab.knobs.protocol import PRELOAD
from trimtab.model import HostWrite, Settings
from trimtab.model.document import Launch
from trimtab.presets import Preset
from trimtab.presets.preset import step_source
from trimtab.redaction import redact_settings

_MODEL = "model"
_FORMER = re.compile(r":?\$(LD_PRELOAD\b|\{LD_PRELOAD[^}]*\})")


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two: ``tunings`` and ``settings`` map a name to the text that is set.

    ``settings`` are the variables, options and kernel files themselves, whether or not a tuning
    is about them. ``lost`` are values that are named and reach no server, with the reason;
    ``sources`` say where a preset's steps stand.
    """

    name: str
    tunings: Mapping[str, str]
    settings: Mapping[str, str]
    lost: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DiffRow:
    """One tuning or setting: its text on both sides, ``None`` where it is not set."""

    name: str
    place: str
    first: str | None
    second: str | None

    @property
    def same(self) -> bool:
        """Whether both sides have it alike."""
        return self.first == self.second


def preset_side(preset: Preset) -> Side:
    """Return what a preset sets for whoever follows its source."""
    arriving = [step for step in preset.steps if not step.lost]
    lost = [step for step in preset.steps if step.lost and step.tuning]
    return Side(
        preset.name,
        _joined((step.tuning, str(step.value)) for step in arriving if step.tuning),
        {step.setting: str(step.value) for step in arriving if not step.tuning},
        _joined(
            (step.tuning, step.lost if step.value is None else f"{step.value}: {step.lost}")
            for step in lost
        ),
        _joined((step.name, step_source(preset, step)) for step in preset.steps),
    )


def settings_side(name: str, settings: Settings, writes: Sequence[HostWrite] = ()) -> Side:
    """Return what a server is given by settings and host writes."""
    shown = redact_settings(settings)
    tunings: dict[str, str] = {}
    for tuning in CATALOG.values():
        try:
            value = tuning.knob.parse(shown, writes)
        except UsageError:  # an option without its value sets nothing
            continue
        if value is not None:
            tunings[tuning.name] = str(value)
    raw = {key: text for key, text in shown.env if key != PRELOAD}
    if preload := ":".join((*shown.preload, *filter(None, [dict(shown.env).get(PRELOAD)]))):
        raw[PRELOAD] = preload
    raw |= _options(shown.argv)
    raw |= {write.path: write.text for write in writes}
    return Side(name, tunings, raw)


def launch_side(name: str, launch: Launch, writes: Sequence[HostWrite] = ()) -> Side:
    """Return what one process of a launch file is given, its container's options included."""
    # What an unset LD_PRELOAD adds is no library, and would hide the name of the one before it.
    env = tuple(
        (
            setting.name,
            _FORMER.sub("", setting.value) if setting.name == PRELOAD else setting.value,
        )
        for setting in launch.env
    )
    side = settings_side(name, Settings(launch.argv, env, affinity=launch.affinity), writes)
    if launch.container is None:
        return side
    own = _container()
    options = ((option.name, option.value) for option in launch.container.options if option.value)
    made = _joined((("image", launch.container.image), *options))
    tunings = {own[key]: text for key, text in made.items() if key in own}
    others = {f"container {key}": text for key, text in made.items() if key not in own}
    return Side(name, {**side.tunings, **tunings}, {**side.settings, **others})


def compare(first: Side, second: Side) -> tuple[DiffRow, ...]:
    """Return one row for each tuning that a side sets, in the catalogue's order."""
    return tuple(
        DiffRow(name, CATALOG[name].knob.place, first.tunings.get(name), second.tunings.get(name))
        for name in CATALOG
        if name in first.tunings or name in second.tunings
    )


def setting_differences(first: Side, second: Side, rows: Iterable[DiffRow]) -> tuple[DiffRow, ...]:
    """Return the settings that differ and that no tuning of ``rows`` tells already.

    Of a setting that a tuning is about (a list with several keys, a path) the whole text counts
    only where both sides have one: a preset has values, and no text of the machine's.
    """
    told, owned = set(), set()
    for row in rows:
        setting = CATALOG[row.name].knob.setting
        owned.add(setting)
        if not row.same:
            told.add(setting)
    found = []
    for name in sorted({*first.settings, *second.settings} - told):
        one, other = first.settings.get(name), second.settings.get(name)
        if one != other and not (name in owned and None in (one, other)):
            found.append(DiffRow(name, name, one, other))
    return tuple(found)


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return name → its texts, in their order, joined by semicolons."""
    found: dict[str, list[str]] = {}
    for name, text in pairs:
        found.setdefault(name, []).append(text)
    return {name: "; ".join(texts) for name, texts in found.items()}


def _container() -> dict[str, str]:
    """Return a container's option → the tuning about it."""
    return {
        tuning.knob.setting: tuning.name
        for tuning in CATALOG.values()
        if tuning.layer == "container" and isinstance(tuning.knob, ManualSetting)
    }


def _options(argv: Sequence[str]) -> dict[str, str]:
    """Return the options of a server's command with their texts, and the model it names."""
    invocation = read_command(argv)
    found = {option.name: " ".join(option.values) for option in invocation.options}
    if invocation.program and invocation.model is not None:
        found = {_MODEL: invocation.model, **found}
    return found

"""What a name means in the version at hand: there, gone, or not there yet.

Where the version is not known, a finding says from which release on it holds, and is a warning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trimtab.catalog import Scene, Tuning
from trimtab.catalog.releases import OPTIONS, VARIABLES, Releases, Successor, vllm, vllm_ascend
from trimtab.families import Family, families
from trimtab.knobs import Argument, Env, EnvList, Switch
from trimtab.knobs.server_arg import option_name
from trimtab.model.finding import Action, Hit, Remedy, Severity
from trimtab.rules.packages import unknown_release

_EXITS = "exits with 'unrecognized arguments'"


@dataclass(frozen=True, slots=True)
class Life:
    """A name in the releases of one product, seen from the version in force ("" if unknown).

    ``here``: whether that version has it, ``None`` where it cannot be told. ``last`` and ``gone``
    are the last release with it and the next one, "" where the newest release has it.
    """

    product: str
    version: str
    here: bool | None
    since: str
    last: str
    gone: str

    @property
    def early(self) -> bool:
        """Whether the version is older than the name."""
        return self.here is False and bool(self.since) and _older(self.version, self.since)


def _older(version: str, other: str) -> bool:
    from trimtab.catalog.applicability import is_before

    return bool(is_before(version, other))


def life_of(table: Releases, part: str, name: str, scene: Scene) -> Life | None:
    """Return the life of a name; ``None`` for one that no known release has."""
    if name not in table.parts.get(part, {}):
        return None
    version = version_in_force(table.component, scene)
    last, gone = table.until(part, name)
    return Life(
        table.product,
        version if table.like(version) else "",
        table.has(part, name, version) if version else None,
        table.since(part, name),
        last,
        gone,
    )


def version_in_force(component: str, scene: Scene) -> str:
    """Return the version of a component; vllm-ascend X.Y.Z serves with vLLM X.Y.Z."""
    own = scene.version(component)
    if own or component != "vllm":
        return own
    return scene.version("vllm-ascend")


def serves(scene: Scene) -> bool:
    """Whether a scene's command takes options that the catalogue has by release."""
    released = (family for family in families() if not family.options)
    return any(_starts(family, scene.argv) for family in released)


def _starts(family: Family, argv: Sequence[str]) -> bool:
    """Whether words start a family's server by its command, or by its own API server's module."""
    match = family.grammar.match(argv, 0)
    if match is None:
        return False
    program = argv[match.end - 1]
    if match.form == "command" or program == family.grammar.subcommand:
        return True
    servers = (script.removesuffix(".py") for script in family.grammar.scripts)
    named = family.name in program and any(server in program for server in servers)
    return named or program in family.grammar.scripts


def gone_option(name: str, scene: Scene) -> Iterator[Hit]:
    """Yield what is wrong with an option that other releases have, and this one does not."""
    life = life_of(vllm(), "options", name, scene)
    if life is None or life.here or life.early:
        return
    if life.here is False:
        then = f"; it was there until {life.last}" if life.last else ""
        message = f"vLLM {life.version} has no option {name}, and {_EXITS}{then}"
        yield _removal(name, message, OPTIONS.get(name), Severity.ERROR)
    elif life.gone and not life.version:
        message = (
            f"vLLM {life.gone} and later {_EXITS.replace('exits', 'exit')} at {name}, "
            f"which was there until {life.last}"
        )
        given = unknown_release(scene, f"vLLM {life.gone}")
        severity = None if given else Severity.WARNING
        yield _removal(name, message, OPTIONS.get(name), severity, given)


def gone_variable(name: str, scene: Scene) -> Iterator[Hit]:
    """Yield what is wrong with a variable that other releases read, and this one does not."""
    lives = [life_of(table, "variables", name, scene) for table in (vllm(), vllm_ascend())]
    known = [live for live in lives if live is not None]
    if not known or any(life.here or (life.here is None and not life.gone) for life in known):
        return
    life = known[-1]
    what = VARIABLES.get(name)
    if life.early:
        if _used(name, scene):
            return
        yield Hit(
            name,
            f"{life.product} {life.version} does not read {name}, so it has no effect: "
            f"{life.product} {life.since} is the first to read it",
            f"use {life.product} {life.since} or later, or take it out",
        )
    elif life.here is False:
        then = f": {life.product} read it until {life.last}" if life.last else ""
        message = f"{name} has no effect in {life.product} {life.version}{then}"
        yield _removal(name, message, what, None)
    else:
        message = f"{name} has no effect from {life.product} {life.gone} on"
        given = unknown_release(scene, f"{life.product} {life.gone}")
        yield _removal(name, message, what, None, given)


def _used(name: str, scene: Scene) -> bool:
    """Whether the text itself uses a variable: then it is a name of its own."""
    text = scene.document.text if scene.document is not None else ""
    return re.search(rf"\$\{{?{re.escape(name)}\b", text) is not None


def _removal(
    name: str,
    message: str,
    what: Successor | None,
    severity: Severity | None,
    given: str = "",
) -> Hit:
    droppable = what is None or what.droppable
    return Hit(
        name,
        message,
        fix=what.fix if what is not None else "take it out",
        severity=severity,
        given=given,
        remedy=Remedy(Action.REMOVE) if droppable else None,
    )


def entry_hits(tuning: Tuning, scene: Scene, *, option: bool) -> Iterator[Hit] | None:
    """Return what the releases say of an entry's name; ``None`` where they do not know it."""
    knob = tuning.knob
    if option and isinstance(knob, Argument | Switch):
        return gone_option(knob.name, scene) if _lived(knob.name, "options") else None
    if not option and isinstance(knob, Env | EnvList):
        return gone_variable(knob.name, scene) if _lived(knob.name, "variables") else None
    return None


def _lived(name: str, part: str) -> bool:
    return name in vllm().names(part) or name in vllm_ascend().names(part)


def scene_hits(scene: Scene, owned: frozenset[str], *, option: bool) -> Iterator[Hit]:
    """Yield what is gone of the names that no entry of the catalogue owns."""
    if not option:
        for name in scene.env:
            if name not in owned:
                yield from gone_variable(name, scene)
    elif serves(scene):
        for name in scene.options:
            whole = option_name(name).partition(".")[0]
            if whole not in owned:
                yield from gone_option(whole, scene)

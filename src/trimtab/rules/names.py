"""Rules about names: variables and options that nothing knows, or that look misspelt.

The known names are the catalogue's, those of each release (``catalog/versions``) and those found
in the vendors' packages (``catalog/names``).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache, lru_cache
from importlib import resources

from trimtab.catalog import CATALOG, Rule, Scene, entry_variables
from trimtab.catalog.releases import vllm, vllm_ascend
from trimtab.families import Family, families, family_of_command
from trimtab.families.variables import complete_prefixes, known_prefixes
from trimtab.knobs import Argument, Switch
from trimtab.knobs.server_arg import option_name
from trimtab.model.document import Origin
from trimtab.model.finding import Action, Hit, Problem, Remedy, Severity
from trimtab.rules import spelling
from trimtab.rules.lifetimes import life_of, serves, version_in_force
from trimtab.rules.packages import may_be_fork, refusal_condition

_OTHERS = frozenset(("CCL", "MCCL", "RCCL", "UCCL", "XCCL"))
"""Families of other communication libraries that look like NCCL or HCCL with a slip in it."""

_REST_ALIKE = 0.85
"""Similarity (difflib's ratio) of what follows a family's name that is itself misspelt."""


def table(name: str) -> frozenset[str]:
    """Return a table of names that was taken from a vendor's package; comments left out."""
    text = (resources.files("trimtab.catalog") / "names" / f"{name}.txt").read_text()
    return frozenset(line for line in text.splitlines() if line and not line.startswith("#"))


@cache
def variables() -> frozenset[str]:
    """Return every variable that some release or library reads, former ones included."""
    tables = (table(name) for name in ("vllm", "vllm-ascend", "torch-npu", "around"))
    released = (releases.names("variables") for releases in (vllm(), vllm_ascend()))
    families_own = (family.variables for family in families())
    return entry_variables().union(*tables, *released, *families_own)


@cache
def options() -> frozenset[str]:
    """Return every option of ``vllm serve`` that some release has."""
    knobs = (tuning.knob for tuning in CATALOG.values())
    ours = {knob.name for knob in knobs if isinstance(knob, Argument | Switch)}
    whole = frozenset(ours) | table("vllm-options") | vllm().names("options")
    switches = {
        f"--no-{name.removeprefix('--')}"
        for name, lives in vllm().parts["options"].items()
        if any(kind == "switch" for _, _, kind in lives)
    }
    return whole | switches


def _offered(scene: Scene, part: str, every: frozenset[str]) -> frozenset[str]:
    """Return the names to suggest: not those that the version at hand does not have."""
    version = version_in_force("vllm", scene) or vllm().releases[-1]
    gone = vllm().names(part) - vllm().names_of(part, version)
    return every - gone


def _own(name: str, scene: Scene) -> bool:
    """Whether the text itself uses the variable: then it is a name of its own."""
    return scene.document is not None and name in _used(scene.document.text)


@lru_cache(maxsize=4)
def _used(text: str) -> frozenset[str]:
    """Return the names of variables that a text uses."""
    return frozenset(re.findall(r"(?:\$\{?|(?:getenv|environ)\W{1,9})([A-Za-z_]\w*)", text))


def _unknown_variable(scene: Scene) -> Iterator[Hit]:
    for name, made in scene.env.items():
        if name in variables() or not re.fullmatch(r"[A-Za-z_]\w*", name) or _own(name, scene):
            continue
        if not name.startswith(known_prefixes()):
            yield from _strange_family(name, scene)
            continue
        meant = spelling.intended_name(name, _offered(scene, "variables", variables()))
        if meant is not None:
            yield _misspelt(name, meant, scene)
        elif (longer := _beginning(name)) is not None:
            yield Hit(
                name,
                f"no known release reads {name}: {longer} begins like it",
                f"write {longer} if that is meant",
            )
        elif name.startswith(complete_prefixes()) and made.origin not in (
            Origin.PROCESS,
            Origin.ENV_FILE,
        ):
            yield Hit(
                name,
                f"no known release of {_readers(name)} reads {name}",
                "take it out, unless a plugin or a script reads it",
                given="no plugin or script reads it",
            )


def _readers(name: str) -> str:
    """Return whose releases were looked through for the names of a family of variables."""
    own = (family for family in families() if family.variables)
    titles = [
        family.title for family in own if name.startswith(tuple(p.text for p in family.prefixes))
    ]
    return titles[0] if titles else "vLLM, vllm-ascend or torch_npu"


def _misspelt(name: str, meant: str, scene: Scene) -> Hit:
    free = meant not in scene.env
    return Hit(
        name,
        f"nothing reads {name}: it looks like {meant} misspelt",
        f"write {meant}" if free else f"take it out: {meant} is set too",
        remedy=Remedy(Action.RENAME, meant) if free else None,
    )


def _beginning(name: str) -> str | None:
    """Return the only name of NCCL that goes on where this one, of three words or more, ends."""
    if not name.startswith("NCCL_") or name.count("_") < 2:
        return None
    longer = [variable for variable in variables() if variable.startswith(f"{name}_")]
    return longer[0] if len(longer) == 1 else None


def _strange_family(name: str, scene: Scene) -> Iterator[Hit]:
    """Yield a hit for a name whose first word is a family's with a slip in it."""
    head, _, rest = name.partition("_")
    if not rest or "_" not in rest or not head.isupper() or len(head) < 3 or head in _OTHERS:
        return
    families_own = (row.text.rstrip("_") for family in families() for row in family.prefixes)
    for family in (*families_own, "NCCL", "HCCL", "CUDA", "ASCEND", "PYTORCH", "TORCH"):
        if head == family or spelling.distance(head, family) > (2 if len(rest) > 12 else 1):
            continue
        known = [variable for variable in variables() if variable.startswith(f"{family}_")]
        exact = f"{family}_{rest}"
        near = [exact] if exact in known else difflib.get_close_matches(exact, known, 1, 0.8)
        alike = near and difflib.SequenceMatcher(None, rest, near[0][len(family) + 1 :]).ratio()
        if not alike or alike < _REST_ALIKE:
            continue
        offered = exact in _offered(scene, "variables", frozenset(known))
        yield Hit(
            name,
            f"nothing reads {name}: its first word looks like {family} misspelt",
            f"write {exact}" if offered else f"write {family}_..., and check the rest of the name",
            remedy=Remedy(Action.RENAME, exact) if offered and exact not in scene.env else None,
        )
        return


_FEW = 3
"""So many options that resemble none are those of a fork, where no release is named."""


def _unknown_option(scene: Scene) -> Iterator[Hit]:
    if scene.pid is not None:  # a live server has taken its options
        return
    family = family_of_command(scene.argv)
    if family is not None and family.options:
        yield from _option_of_no_release(family, scene)
        return
    if not serves(scene):
        return
    strange = []
    doubt = refusal_condition(scene)
    for name in scene.options:
        whole, _, _ = option_name(name).partition(".")
        if not whole.startswith("--") or re.search(r"[$`<{\[]", whole):
            continue
        if re.search(r"\s", name):
            yield _two_in_one(name)
        elif whole in options() or _abbreviates(whole):
            yield from _not_yet(whole, name, scene, doubt)
        else:
            strange.append(_never_there(whole, name, scene, doubt))
    fork = sum(hit.remedy is None for hit in strange) >= _FEW and may_be_fork(scene)
    for hit in strange:
        doubtful = fork and not hit.given
        yield replace(hit, given="no fork of vLLM adds it") if doubtful else hit


def _option_of_no_release(family: Family, scene: Scene) -> Iterator[Hit]:
    """Yield the options that a family has not, of which all options are known by name alone."""
    for name in scene.options:
        whole = option_name(name).partition(".")[0]
        if not whole.startswith("--") or whole in family.options or re.search(r"[$`<{\[\s]", name):
            continue
        meant = spelling.intended_name(whole, frozenset(family.options))
        yield Hit(
            name,
            f"{family.title} has no option {whole}",
            f"write {meant}" if meant else "take it out",
            remedy=Remedy(Action.RENAME, meant) if meant and meant not in scene.options else None,
        )


def _abbreviates(whole: str) -> bool:
    """Whether argparse takes it for the beginning of one option."""
    return len([option for option in options() if option.startswith(whole)]) == 1


def _two_in_one(name: str) -> Hit:
    option, _, value = name.partition(" ")
    return Hit(
        name,
        f"{name!r} is one word, so vLLM takes all of it for the option's name, and exits with "
        "'unrecognized arguments'",
        f"write two items, {option} and {value.strip()}, or {option}={value.strip()}",
    )


def _not_yet(whole: str, name: str, scene: Scene, doubt: str) -> Iterator[Hit]:
    """Yield a hit where the version in force is older than the option."""
    life = life_of(vllm(), "options", whole, scene)
    positive = f"--{whole.removeprefix('--no-')}"
    kinds = vllm().kinds("options", positive, version_in_force("vllm", scene))
    if life is None and whole.startswith("--no-") and kinds and set(kinds) <= {"flag", "bool"}:
        yield Hit(
            name,
            f"vLLM {version_in_force('vllm', scene)} has {positive} and not its opposite, and "
            "exits with 'unrecognized arguments'",
            f"leave {positive} out",
        )
    if life is not None and life.early and not doubt:
        yield Hit(
            name,
            f"vLLM {life.version} has no option {whole}, and exits with 'unrecognized "
            f"arguments': vLLM {life.since} is the first that has it",
            f"use vLLM {life.since} or later, or take it out",
        )


def _never_there(whole: str, name: str, scene: Scene, doubt: str) -> Hit:
    meant = spelling.intended_name(whole, _offered(scene, "options", options()))
    version = version_in_force("vllm", scene)
    if version and not vllm().like(version):
        doubt = f"vLLM {version} does not have it"
    if meant is None and doubt:
        return Hit(
            name,
            f"no release of vLLM until {vllm().releases[-1]} has an option {whole}",
            "check the name",
            given=doubt,
        )
    return Hit(
        name,
        f"vLLM has no option {whole}, and exits with 'unrecognized arguments'",
        f"write {meant}" if meant else "take it out",
        severity=Severity.WARNING if doubt else None,
        remedy=Remedy(Action.RENAME, meant) if meant and meant not in scene.options else None,
    )


NAMES: tuple[Rule, ...] = (
    Rule(
        id="unknown-variable",
        severity=Severity.WARNING,
        problem=Problem.NO_EFFECT,
        summary="Nothing reads a variable of that name; it may be misspelt.",
        process=_unknown_variable,
        traps=("T30",),
    ),
    Rule(
        id="unknown-option",
        severity=Severity.ERROR,
        problem=Problem.WRONG_VALUE,
        summary="The version of the server in force has no option of that name, and exits.",
        process=_unknown_option,
        traps=("T30",),
    ),
)

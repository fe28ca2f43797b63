"""The machine that a preset is compiled for: this one, a captured one, or a chip's image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from trimtab import engines
from trimtab import facts as all_facts
from trimtab.diagnosis import machine
from trimtab.engines import Engine
from trimtab.engines.inspection import inspect
from trimtab.errors import EngineMissingError, UsageError
from trimtab.export import reference
from trimtab.export.chips import CHIPS, Chip, is_openeuler, named_by
from trimtab.facts import Facts, situation
from trimtab.host import Host, captured

_LIB64 = frozenset({"openeuler", "kylin", "centos", "rhel", "fedora", "rocky", "almalinux"})


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user says of the target.

    ``engine`` and ``engine_python`` are of this machine; ``default`` is the engine where nobody
    names one. ``snapshot`` is a captured machine's folder.
    """

    default: str
    chip: str = ""
    image: str = ""
    snapshot: Path | None = None
    engine: str | None = None
    engine_python: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """Facts to compile with. ``engine`` is what serves, ``None`` if it is not on this machine.

    ``host`` is who can be asked about its kernel settings, ``None`` where no machine was looked
    at. ``chip`` is "" where it is the engine's to say. ``told`` are the sentences for the reader.
    """

    facts: Facts
    platform: str
    packages: Mapping[str, str]
    engine: Engine | None
    host: Host | None
    chip: str
    told: tuple[str, ...]


def target_of(wish: Wish, *, contained: bool, builds: bool) -> Target:
    """Return the target of an export, of which ``contained`` says that it runs an image.

    ``builds``: packages may be installed before the server starts.

    Raises:
        UsageError: the options contradict each other.
        HostError: the snapshot cannot be read.
    """
    wanted = _wanted(wish)
    found = _captured(wish, wanted) if wish.snapshot is not None else _here(wish, wanted)
    if found is None:
        assert wanted is not None
        return _composed(wanted, wish.image, builds=builds)
    return _in_image(found, wish, builds=builds) if contained else found


def require_same_platform(chip: str, image: str, platform: str, what: str) -> None:
    """Refuse to export ``what``, which is of ``platform``, for another one.

    Raises:
        UsageError: chip or image are of another platform.
    """
    wanted = _wanted(Wish("", chip, image))
    if wanted is not None and wanted.platform != platform:
        option = f"--chip {chip}" if chip else f"--image {image}"
        raise UsageError(
            f"{what} is of the platform {platform}, and {option} of {wanted.platform}: nothing "
            "carries over, so tune there, or export a preset"
        )


def _wanted(wish: Wish) -> Chip | None:
    """Return the chip that the user names, by itself or by its image."""
    if wish.chip and wish.chip not in CHIPS:
        raise UsageError(f"--chip must be one of {', '.join(CHIPS)}, but is {wish.chip!r}")
    named = named_by(wish.image)
    if not wish.chip:
        return named
    chip = CHIPS[wish.chip]
    if named is not None and named.platform != chip.platform:
        raise UsageError(f"--image {wish.image} is for {named.name}, and --chip is {chip.name}")
    return chip


def _captured(wish: Wish, wanted: Chip | None) -> Target:
    if wish.engine or wish.engine_python:
        raise UsageError("--snapshot is another machine: leave --engine and --engine-python out")
    assert wish.snapshot is not None
    host = captured(wish.snapshot)
    packages = machine.find_environment(host, None, local=False).packages
    found = all_facts.inspect(host, packages, "cpu")
    platform = situation.platform(found, packages)
    chip = wanted or _chip_of(found, platform)
    if chip is None:
        raise UsageError("the snapshot does not say its chip: add --chip A2, A3, 310P or 950")
    if not _suits(found, platform, chip):
        shown = found.ascend.chip.value or platform
        raise UsageError(f"--snapshot is a machine of {shown}, and the export is for {chip.name}")
    if "vllm" not in packages:  # it serves from an image, as a rule
        packages = reference.packages_of(chip, wish.image)
    found = replace(found, packages=packages, platform=platform)
    name = host.folder.resolve().name
    told = (f"Compiled with the facts of the captured machine {name} ({_shown(found)}).",)
    return Target(found, platform, packages, None, host, chip.name, told)


def _here(wish: Wish, wanted: Chip | None) -> Target | None:
    """Return this machine with an engine, ``None`` if what is wanted is another machine."""
    name = wish.engine or ("python" if wish.engine_python is not None else wish.default)
    found = _of_engine(engines.find(name, python=wish.engine_python), wish)
    if wanted is None or _suits(found.facts, found.platform, wanted):
        return found
    if wish.engine or wish.engine_python:
        raise UsageError(
            f"{name} is this machine's engine and computes on {found.platform}, and the export is "
            f"for {wanted.name}: leave --engine out, or capture that machine and add --snapshot"
        )
    try:
        other = _of_engine(engines.find("vllm"), wish)
    except EngineMissingError:
        return None
    return other if _suits(other.facts, other.platform, wanted) else None


def _of_engine(engine: Engine, wish: Wish) -> Target:
    host = engine.host()
    found = inspect(engine, host)
    told = (f"Compiled with the facts of one machine, where it was exported ({_shown(found)}).",)
    return Target(found, engine.platform, engine.packages, engine, host, wish.chip, told)


def _composed(chip: Chip, image: str, *, builds: bool) -> Target:
    found = reference.facts_of(chip, image, builds=builds)
    told = (
        f"Compiled for {chip.name} as its image is ({_shown(found)}): NO MACHINE WAS LOOKED AT.",
        "For one that differs: trimtab doctor --capture FOLDER there, and --snapshot FOLDER here.",
    )
    return Target(found, chip.platform, found.packages, None, None, chip.name, told)


def _in_image(target: Target, wish: Wish, *, builds: bool) -> Target:
    """Return the target with the image's libraries where the host's are not the image's.

    A container that was captured or is this machine keeps its own: it is the image.
    """
    named = CHIPS.get(target.chip) or named_by(wish.image)
    chip = named or _chip_of(target.facts, target.platform)
    arch, system = target.facts.cpu.arch.value, (target.facts.kernel.os_id.value or "").lower()
    bare = target.facts.container.kind.value in ("none", None)
    if not bare or chip is None or arch is None or (system in _LIB64) == is_openeuler(wish.image):
        return target
    libraries = reference.libraries_of(chip, wish.image, arch, builds=builds)
    told = (*target.told, "Libraries are where the image has them: the host is of another kind.")
    return replace(target, facts=replace(target.facts, libraries=libraries), told=told)


def _chip_of(found: Facts, platform: str) -> Chip | None:
    return CHIPS.get(found.ascend.chip.value or "" if platform == "ascend" else platform)


def _suits(found: Facts, platform: str, chip: Chip) -> bool:
    """Whether a machine is of the chip, as far as it shows which it has."""
    own = _chip_of(found, platform)
    return platform == chip.platform and own in (None, chip)


def _shown(found: Facts) -> str:
    system = " ".join(
        str(part.value) for part in (found.kernel.os_id, found.kernel.os_version) if part.value
    )
    parts = (system, found.cpu.arch.value, found.ascend.chip.value)
    return ", ".join(part for part in parts if part) or "unknown"

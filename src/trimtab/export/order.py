"""What is exported, and for where: the plan with what it does not say about its deployment."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trimtab import formatting
from trimtab.errors import StudyError, UsageError
from trimtab.export.chips import chip_images, chip_of_image
from trimtab.families import ChipImage, Family, families, family_of_engine, read_command
from trimtab.model import HostWrite, Settings
from trimtab.profiles.profile import ProfileRecord, platform_of
from trimtab.redaction import redact_settings

NETWORKS = ("bridge", "host")
_NAME = re.compile(r"[a-z]([a-z0-9-]{0,40}[a-z0-9])?")
_WORLD = (
    "--tensor-parallel-size",
    "--pipeline-parallel-size",
    "--data-parallel-size",
    "--prefill-context-parallel-size",
)
"""Options whose product is the number of devices (vLLM 0.32)."""


@dataclass(frozen=True, slots=True)
class Order:
    """One export.

    ``file`` is the profile's own file. ``preset`` names the preset if that is what is exported:
    then nothing was measured, ``skipped`` holds what it leaves out, with reasons, and ``told``
    are the sentences about whose facts it was compiled with. ``objections`` are what the rules
    say against it on that machine.
    ``program`` is the server's command inside an image, and ``name`` what the deployment is
    called: those of the engine's family where they are not given. ``mounts`` are host paths that a
    container sees read-only at the same place, besides the model. ``memory`` and ``shm`` are in
    GiB; of ``memory`` and ``cpus``, ``None`` means that nobody said. ``hosts`` is the number of
    hosts that serve one model together.
    """

    profile: ProfileRecord
    file: Path
    preset: str = ""
    skipped: tuple[tuple[str, str], ...] = ()
    told: tuple[str, ...] = ()
    objections: tuple[str, ...] = ()
    image: str = ""
    chip: str = ""
    program: str = ""
    name: str = ""
    port: int = 8000
    network: str = "bridge"
    mounts: tuple[str, ...] = ()
    devices: int | None = None
    hosts: int = 1
    cpus: int | None = None
    memory: int | None = None
    shm: int = 16

    def __post_init__(self) -> None:
        """Refuse what no artefact could use.

        Raises:
            UsageError: an option is not what it must be.
        """
        object.__setattr__(self, "program", self.program or self.family.grammar.programs[0])
        object.__setattr__(self, "name", self.name or self.family.name)
        if not _NAME.fullmatch(self.name):
            raise UsageError(
                "--name must be lower-case letters, digits and dashes (Kubernetes), but is "
                f"{self.name!r}"
            )
        if self.network not in NETWORKS:
            raise UsageError(f"--network must be bridge or host, but is {self.network!r}")
        if self.chip and self.chip not in (known := chip_images()):
            raise UsageError(f"--chip must be one of {', '.join(known)}, but is {self.chip!r}")
        if self.memory is not None and self.shm >= self.memory:
            raise UsageError(
                "--shm must be less than --memory, of which shared memory is a part (a container "
                f"that fills it is killed), but is {self.shm} of {self.memory} GiB"
            )
        for path in self.mounts:
            if not path.startswith("/") or ":" in path or not path.isprintable():
                raise UsageError(f"--mount must be an absolute path without colon, not {path!r}")

    @property
    def family(self) -> Family:
        """The family of the profile's engine; the first one where none has it."""
        return family_of_engine(self.profile.engine.name) or families()[0]


def _is_there(order: Order) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class ParsedArtefact:
    """What an artefact says of a plan, read back; what its format cannot carry is empty."""

    settings: Settings
    writes: tuple[HostWrite, ...] = ()


@dataclass(frozen=True, slots=True)
class Artefact:
    """One file of an export format: how it is rendered, and read back.

    ``file`` is its name, ``mode`` its permissions, ``summary`` what it is, in a few words for the
    help. ``absent`` returns why an order has no such file, "" if it has one.
    """

    file: str
    render: Callable[[Order], str]
    parse: Callable[[str], ParsedArtefact]
    absent: Callable[[Order], str] = _is_there
    mode: int = 0o644
    summary: str = ""


def read_settings(parse: Callable[[str], Settings]) -> Callable[[str], ParsedArtefact]:
    """Return the reader of a file that carries settings and no host writes."""
    return lambda text: ParsedArtefact(parse(text))


def chip(order: Order) -> ChipImage:
    """Return the chip that the plan was made for.

    Raises:
        UsageError: it is an Ascend plan, and neither facts nor options say of which chip.
    """
    images = chip_images(order.family)
    if order.chip:
        return images[order.chip]
    kind = platform_of(order.profile)
    if kind != "ascend":
        return images[kind]
    found = _measured_chip(order.profile)
    if found not in images and (named := chip_of_image(order.image)) is not None:
        return named
    if found not in images:
        raise UsageError("the profile does not say its chip: add --chip A2, A3, 310P or 950")
    return images[found]


def _measured_chip(profile: ProfileRecord) -> str:
    """Return the chip among the facts, whose sections are kept as printed literals."""
    try:
        section = ast.literal_eval(profile.facts["ascend"])
        return str(section["chip"]["value"])
    except (KeyError, ValueError, SyntaxError, TypeError):
        return ""


def devices(order: Order) -> int:
    """Return how many devices one host's server takes; 0 where it computes on the CPU.

    Raises:
        UsageError: they cannot be shared equally among the hosts, or are not what the plan takes.
    """
    if not chip(order).resource:
        return 0
    world = world_size(order.profile.plan.settings.argv)
    if order.devices is not None:
        given = order.devices * order.hosts
        if given < world or (order.hosts > 1 and given != world):
            exactly = "as many" if order.hosts > 1 else "as many or more"
            raise UsageError(
                f"--devices must make {exactly} as the plan's parallel sizes, {world}, but "
                f"{order.devices} on {formatting.count(order.hosts, 'host')} make {given}"
            )
        return order.devices
    if world % order.hosts:
        raise UsageError(
            f"--hosts must divide the {world} devices of the plan, but is {order.hosts}"
        )
    return world // order.hosts


def idle_devices(order: Order) -> int:
    """Return how many devices are reserved that the plan does not use."""
    world = world_size(order.profile.plan.settings.argv)
    return max(devices(order) * order.hosts - world, 0) if chip(order).resource else 0


def world_size(argv: Sequence[str]) -> int:
    """Return the number of devices that a server's command asks for."""
    size, invocation = 1, read_command(argv)
    for name in _WORLD:
        text = invocation.value(name)
        size *= int(text) if text is not None and text.isdecimal() and int(text) else 1
    return size


def image(order: Order) -> str:
    """Return the image: the one asked for, or the engine's official one of the same version.

    Raises:
        UsageError: there is no official one that the measured versions name.
    """
    if order.image:
        if not re.fullmatch(r"[\w./:@-]+", order.image, re.ASCII):
            raise UsageError(f"--image must be the name of an image, but is {order.image!r}")
        return order.image
    one = chip(order)
    if one not in order.family.images:
        title = order.family.title
        raise UsageError(f"{title} has no official image for {one.name}: name the --image")
    found = order.profile.engine.packages.get(one.distribution, "").partition("+")[0]
    if not found and one.distribution == order.family.distributions[0]:
        found = order.profile.engine.version.partition("+")[0]
    if not re.fullmatch(r"\d[\w.]*", found):
        raise UsageError(f"the profile does not say its {one.distribution}: name the --image")
    return one.of_version(found)


_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SHELL_OWN = frozenset(
    {
        "TRIMTAB_HOST",
        "TRIMTAB_PORT",
        "_",
        "BASHOPTS",
        "EUID",
        "GROUPS",
        "LINENO",
        "OPTIND",
        "PPID",
        "PWD",
        "SHELLOPTS",
        "UID",
    }
)
"""Variables that the artefacts use, or that a shell keeps for itself (setting them fails)."""


def exportable_settings(settings: Settings) -> Settings:
    """Return ``settings`` less secrets, after making sure that artefacts can carry the rest.

    The affinity comes sorted: it is a set of CPUs.

    Raises:
        StudyError: something in them has no form in a script; the message names it.
    """
    if not settings.argv or not settings.argv[0].startswith("/"):
        raise StudyError(
            "an exported command must begin with the absolute path of the server's program, but "
            f"begins with {settings.argv[:1]}"
        )
    names = [name for name, _ in settings.env]
    _check_names([*names, *settings.unset])
    _check_once(names, settings.unset)
    _check_text([*settings.argv, *settings.preload, *(value for _, value in settings.env)])
    for path in settings.preload:
        if not path.startswith("/") or re.search(r"[:\s]", path):
            raise StudyError(
                "a preloaded library must have an absolute path without colon or space (ld.so "
                f"separates by them), but has {path!r}"
            )
    if settings.affinity is not None and not settings.affinity:
        raise StudyError("an affinity must name at least one CPU, but names none")
    return redact_settings(_sorted_affinity(settings))


def _sorted_affinity(settings: Settings) -> Settings:
    """Return the same set of CPUs in the order in which every artefact writes it."""
    if settings.affinity is None:
        return settings
    return replace(settings, affinity=tuple(sorted(set(settings.affinity))))


def _check_names(names: Iterable[str]) -> None:
    for name in names:
        if not _VARIABLE_NAME.fullmatch(name) or name in _SHELL_OWN:
            raise StudyError(f"a variable must have a name a shell can export, but has {name!r}")


def _check_once(names: list[str], unset: tuple[str, ...]) -> None:
    if "LD_PRELOAD" in names:
        raise StudyError("LD_PRELOAD must be exported as the plan's preload, not as a variable")
    for name in [*names, *unset]:
        if names.count(name) + unset.count(name) > 1:
            raise StudyError(f"the variable {name} must be set or unset once, but is so twice")


def _check_text(words: Iterable[str]) -> None:
    for word in words:
        if "\0" in word:
            raise StudyError(f"an argument must not hold a NUL character, but {word!r} does")
        try:
            word.encode("utf-8")
        except UnicodeEncodeError as error:
            raise StudyError(f"an argument must be valid Unicode, but {word!r} is not") from error

"""The machine that a preset is compiled for: this one, a captured one, or a chip's image.

Facts of a chip's official image, composed where no machine can be looked at.

They say what the vendors' documents say of it: architecture, distribution, and where the image
keeps the libraries that it holds. Everything else is unknown, as of a machine that was not read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from trimtab import engines
from trimtab import facts as all_facts
from trimtab.diagnosis import machine
from trimtab.engines import Engine, inspect
from trimtab.engines.vllm import install as vllm_install
from trimtab.errors import EngineMissingError, HostError, UsageError
from trimtab.export.chips import (
    APT_LIBRARIES,
    IMAGE_LIBRARIES,
    MACHINES,
    chip_images,
    chip_of_image,
    is_openeuler,
)
from trimtab.facts import Facts, situation
from trimtab.facts.libraries import LibraryFacts
from trimtab.families import ChipImage, family_of_packages
from trimtab.host import Host, open_snapshot
from trimtab.model import Fact
from trimtab.prepare import version_matrix

_OS = {
    False: 'ID=ubuntu\nVERSION_ID="22.04"\nPRETTY_NAME="Ubuntu"\n',
    True: 'ID=openEuler\nVERSION_ID="24.03"\nPRETTY_NAME="openEuler"\n',
}
_TAG = re.compile(r"v?(?P<version>\d+\.\d+[\w.]*)")


def facts_of(chip: ChipImage, image: str, *, builds: bool) -> Facts:
    """Return the facts of a machine that runs the chip's image.

    ``image`` is its name, "" for the official one. ``builds``: a package of the distribution may
    be installed on top, as the exported Dockerfile does.
    """
    machine = MACHINES[chip.platform]
    host = _Composed({"/etc/os-release": _OS[is_openeuler(image)]}, {("uname", "-m"): machine})
    found = all_facts.inspect(host, packages_of(chip, image), chip.platform)
    unset = {path: Fact("not set yet", "assumed") for path in found.kernel.settings}
    return replace(
        found,
        libraries=libraries_of(chip, image, machine, builds=builds),
        kernel=replace(found.kernel, settings=unset),
    )


def libraries_of(chip: ChipImage, image: str, machine: str, *, builds: bool) -> LibraryFacts:
    """Return where the chip's image keeps libraries to preload, those that it holds.

    ``builds``: those that the distribution's packages bring count too.
    """
    openeuler = is_openeuler(image)
    folder = "/usr/lib64" if openeuler else f"/usr/lib/{machine}-linux-gnu"
    held = dict(IMAGE_LIBRARIES[chip.platform])
    if builds and not openeuler:
        held |= dict.fromkeys(APT_LIBRARIES, "")
    return LibraryFacts(
        {name: Fact(f"{own or folder}/{name}", "the image") for name, own in held.items()}
    )


def packages_of(chip: ChipImage, image: str) -> Mapping[str, str]:
    """Return the versions that the image's tag names, else those of the newest release we know."""
    match = _TAG.match(image.rpartition("/")[2].partition(":")[2])
    version = match["version"] if match is not None else ""
    if chip.platform != "ascend":
        vllm = version or version_matrix.WITHOUT_NPU["cuda"]["vllm"]
        cpu = vllm_install.REPAIRED_VERSION.partition("+")[2]
        return {"vllm": f"{vllm}+{cpu}" if chip.platform == "cpu" else vllm}
    release = version or version_matrix.NEWEST
    row = version_matrix.ASCEND.get(release)
    if row is None:  # the plugin's releases carry vLLM's numbers
        return {"vllm-ascend": release, "vllm": re.sub(r"(rc|\.post)\d+$", "", release)}
    return {
        "vllm-ascend": release,
        "vllm": row.vllm,
        "torch": row.torch,
        "torch-npu": row.torch_npu,
    }


@dataclass(frozen=True, slots=True)
class _Composed(Host):
    """A host of a few files and commands; whatever else is asked is not known."""

    files: Mapping[str, str] = field(default_factory=dict)
    commands: Mapping[tuple[str, ...], str] = field(default_factory=dict)

    def read(self, path: str, limit: int = 0) -> str:
        if path not in self.files:
            raise _unknown(path)
        return self.files[path]

    def head(self, path: str, size: int) -> bytes:
        return self.read(path).encode()[:size]

    def exists(self, path: str) -> bool:
        return path in self.files

    def glob(self, pattern: str) -> tuple[str, ...]:
        return ()

    def listdir(self, path: str) -> tuple[str, ...]:
        raise _unknown(path)

    def readlink(self, path: str) -> str:
        raise _unknown(path)

    def resolve(self, path: str) -> str:
        return path

    def write(self, path: str, text: str) -> None:
        raise _unknown(path)

    def install(self, path: str, data: bytes) -> None:
        raise _unknown(path)

    def link(self, path: str, target: str) -> None:
        raise _unknown(path)

    def mkdir(self, path: str) -> None:
        raise _unknown(path)

    def remove(self, path: str) -> None:
        raise _unknown(path)

    def run(self, argv: Sequence[str], timeout: float = 10.0) -> str:
        if tuple(argv) not in self.commands:
            raise _unknown(argv[0])
        return self.commands[tuple(argv)]

    def affinity(self) -> tuple[int, ...]:
        return ()

    def euid(self) -> int:
        return 0


def _unknown(what: str) -> HostError:
    return HostError(f"{what} is not known: no machine was looked at")


_LIB64 = frozenset({"openeuler", "kylin", "centos", "rhel", "fedora", "rocky", "almalinux"})


@dataclass(frozen=True, slots=True)
class ExportOptions:
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
class ExportTarget:
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


def target_of(wish: ExportOptions, *, contained: bool, builds: bool) -> ExportTarget:
    """Return the target of an export, of which ``contained`` says that it runs an image.

    ``builds``: packages may be installed before the server starts.

    Raises:
        UsageError: the options contradict each other.
        HostError: the snapshot cannot be read.
    """
    wanted = _wanted(wish)
    target = _captured(wish, wanted) if wish.snapshot is not None else _here(wish, wanted)
    if target is None:
        assert wanted is not None
        return _composed(wanted, wish.image, builds=builds)
    return _in_image(target, wish, builds=builds) if contained else target


def require_same_platform(chip: str, image: str, platform: str, what: str) -> None:
    """Refuse to export ``what``, which is of ``platform``, for another one.

    Raises:
        UsageError: chip or image are of another platform.
    """
    wanted = _wanted(ExportOptions("", chip, image))
    if wanted is not None and wanted.platform != platform:
        option = f"--chip {chip}" if chip else f"--image {image}"
        raise UsageError(
            f"{what} is of the platform {platform}, and {option} of {wanted.platform}: nothing "
            "carries over, so tune there, or export a preset"
        )


def _wanted(wish: ExportOptions) -> ChipImage | None:
    """Return the chip that the user names, by itself or by its image."""
    images = chip_images()
    if wish.chip and wish.chip not in images:
        raise UsageError(f"--chip must be one of {', '.join(images)}, but is {wish.chip!r}")
    named = chip_of_image(wish.image)
    if not wish.chip:
        return named
    chip = images[wish.chip]
    if named is not None and named.platform != chip.platform:
        raise UsageError(f"--image {wish.image} is for {named.name}, and --chip is {chip.name}")
    return chip


def _captured(wish: ExportOptions, wanted: ChipImage | None) -> ExportTarget:
    if wish.engine or wish.engine_python:
        raise UsageError("--snapshot is another machine: leave --engine and --engine-python out")
    assert wish.snapshot is not None
    host = open_snapshot(wish.snapshot)
    packages = machine.find_environment(host, None, local=False).packages
    found = all_facts.inspect(host, packages, "cpu")
    platform = situation.platform(found, packages)
    chip = wanted or _chip_of(found, platform)
    if chip is None:
        raise UsageError("the snapshot does not say its chip: add --chip A2, A3, 310P or 950")
    if not _suits(found, platform, chip):
        shown = found.ascend.chip.value or platform
        raise UsageError(f"--snapshot is a machine of {shown}, and the export is for {chip.name}")
    if family_of_packages(packages) is None:  # it serves from an image, as a rule
        packages = packages_of(chip, wish.image)
    found = replace(found, packages=packages, platform=platform)
    name = host.folder.resolve().name
    told = (f"Compiled with the facts of the captured machine {name} ({_shown(found)}).",)
    return ExportTarget(found, platform, packages, None, host, chip.name, told)


def _here(wish: ExportOptions, wanted: ChipImage | None) -> ExportTarget | None:
    """Return this machine with an engine, ``None`` if what is wanted is another machine."""
    name = wish.engine or ("python" if wish.engine_python is not None else wish.default)
    target = _of_engine(engines.find(name, python=wish.engine_python), wish)
    if wanted is None or _suits(target.facts, target.platform, wanted):
        return target
    if wish.engine or wish.engine_python:
        raise UsageError(
            f"{name} is this machine's engine and computes on {target.platform}, and the export "
            "is "
            f"for {wanted.name}: leave --engine out, or capture that machine and add --snapshot"
        )
    try:
        other = _of_engine(engines.find("vllm"), wish)
    except EngineMissingError:
        return None
    return other if _suits(other.facts, other.platform, wanted) else None


def _of_engine(engine: Engine, wish: ExportOptions) -> ExportTarget:
    host = engine.host()
    found = inspect(engine, host)
    told = (f"Compiled with the facts of one machine, where it was exported ({_shown(found)}).",)
    return ExportTarget(found, engine.platform, engine.packages, engine, host, wish.chip, told)


def _composed(chip: ChipImage, image: str, *, builds: bool) -> ExportTarget:
    found = facts_of(chip, image, builds=builds)
    told = (
        f"Compiled for {chip.name} as its image is ({_shown(found)}): NO MACHINE WAS LOOKED AT.",
        "For one that differs: trimtab doctor --capture FOLDER there, and --snapshot FOLDER here.",
    )
    return ExportTarget(found, chip.platform, found.packages, None, None, chip.name, told)


def _in_image(target: ExportTarget, wish: ExportOptions, *, builds: bool) -> ExportTarget:
    """Return the target with the image's libraries where the host's are not the image's.

    A container that was captured or is this machine keeps its own: it is the image.
    """
    named = chip_images().get(target.chip) or chip_of_image(wish.image)
    chip = named or _chip_of(target.facts, target.platform)
    arch, system = target.facts.cpu.arch.value, (target.facts.kernel.os_id.value or "").lower()
    bare = target.facts.container.kind.value in ("none", None)
    if not bare or chip is None or arch is None or (system in _LIB64) == is_openeuler(wish.image):
        return target
    libraries = libraries_of(chip, wish.image, arch, builds=builds)
    told = (*target.told, "Libraries are where the image has them: the host is of another kind.")
    return replace(target, facts=replace(target.facts, libraries=libraries), told=told)


def _chip_of(found: Facts, platform: str) -> ChipImage | None:
    return chip_images().get(found.ascend.chip.value or "" if platform == "ascend" else platform)


def _suits(found: Facts, platform: str, chip: ChipImage) -> bool:
    """Whether a machine is of the chip, as far as it shows which it has."""
    own = _chip_of(found, platform)
    return platform == chip.platform and own in (None, chip)


def _shown(found: Facts) -> str:
    system = " ".join(
        str(part.value) for part in (found.kernel.os_id, found.kernel.os_version) if part.value
    )
    parts = (system, found.cpu.arch.value, found.ascend.chip.value)
    return ", ".join(part for part in parts if part) or "unknown"

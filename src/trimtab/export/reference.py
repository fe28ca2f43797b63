"""Facts of a chip's official image, composed where no machine can be looked at.

They say what the vendors' documents say of it: architecture, distribution, and where the image
keeps the libraries that it holds. Everything else is unknown, as of a machine that was not read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from trimtab import facts as all_facts
from trimtab.engines.vllm import install as vllm_install
from trimtab.errors import HostError
from trimtab.export.chips import APT_LIBRARIES, IMAGE_LIBRARIES, MACHINES, Chip, is_openeuler
from trimtab.facts import Facts
from trimtab.facts.libraries import LibraryFacts
from trimtab.host import Host
from trimtab.model import Fact
from trimtab.prepare import matrix

_OS = {
    False: 'ID=ubuntu\nVERSION_ID="22.04"\nPRETTY_NAME="Ubuntu"\n',
    True: 'ID=openEuler\nVERSION_ID="24.03"\nPRETTY_NAME="openEuler"\n',
}
_TAG = re.compile(r"v?(?P<version>\d+\.\d+[\w.]*)")


def facts_of(chip: Chip, image: str, *, builds: bool) -> Facts:
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


def libraries_of(chip: Chip, image: str, machine: str, *, builds: bool) -> LibraryFacts:
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


def packages_of(chip: Chip, image: str) -> Mapping[str, str]:
    """Return the versions that the image's tag names, else those of the newest release we know."""
    match = _TAG.match(image.rpartition("/")[2].partition(":")[2])
    version = match["version"] if match is not None else ""
    if chip.platform != "ascend":
        vllm = version or matrix.WITHOUT_NPU["cuda"]["vllm"]
        cpu = vllm_install.REPAIRED_VERSION.partition("+")[2]
        return {"vllm": f"{vllm}+{cpu}" if chip.platform == "cpu" else vllm}
    release = version or matrix.NEWEST
    row = matrix.ASCEND.get(release)
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

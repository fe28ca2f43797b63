"""Ascend: NPUs, driver, firmware and CANN, from npu-smi, version files and device nodes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from trimtab.facts import npu_smi
from trimtab.facts.npu_smi import Npu, Topology
from trimtab.facts.parsing import read_fact, run_fact
from trimtab.host import Host
from trimtab.model import Fact

_INSTALLED = "/etc/ascend_install.info"
_ROOT = "/usr/local/Ascend"
_CANN = (
    f"{_ROOT}/ascend-toolkit/latest/opp/version.info",
    f"{_ROOT}/ascend-toolkit/latest/version.cfg",
    f"{_ROOT}/cann/opp/version.info",
)
MANAGERS = ("/dev/davinci_manager", "/dev/devmm_svm", "/dev/hisi_hdc")
_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class AscendFacts:
    """What is known of the NPUs here.

    ``devices`` are the numbers of /dev/davinciN, ``managers`` the driver's nodes that are there.
    ``npus``, ``mapping`` ((card, chip) → logical id) and ``topology`` are npu-smi's. ``chip`` is
    the product ("A2"). ``install`` holds the keys of /etc/ascend_install.info.
    """

    devices: Fact[tuple[int, ...]]
    managers: Fact[tuple[str, ...]]
    npus: Fact[tuple[Npu, ...]]
    mapping: Fact[Mapping[tuple[int, int], int]]
    topology: Fact[Topology]
    chip: Fact[str]
    driver: Fact[str]
    firmware: Fact[str]
    cann: Fact[str]
    install: Fact[Mapping[str, str]]

    @property
    def present(self) -> bool:
        """Whether this machine shows any sign of an NPU."""
        return bool(self.devices.value or self.managers.value or self.npus.value)


def parse_pairs(text: str) -> dict[str, str]:
    """Return the ``Key=Value`` lines of a version or install file."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals and not key.lstrip().startswith("#"):
            found[key.strip()] = value.strip().strip('"')
    return found


def parse_package_version(text: str) -> str | None:
    """Return the version of driver or firmware: ``package_version``, else ``Version``."""
    pairs = parse_pairs(text)
    return pairs.get("package_version") or pairs.get("Version") or None


def parse_cann(text: str) -> str | None:
    """Return CANN's release: ``version_dir`` ("8.5.0"), else what ``Version`` begins with.

    ``version.cfg`` writes it into a list: ``runtime_running_version=[8.5.0.2.220:8.5.0]``.
    """
    pairs = parse_pairs(text)
    if pairs.get("version_dir"):
        return pairs["version_dir"]
    listed = re.search(
        r"\[[^:\]]*:(?P<release>[^\]]+)\]", pairs.get("runtime_running_version", "")
    )
    return (listed["release"] if listed else None) or pairs.get("Version") or None


def _nodes(host: Host) -> tuple[Fact[tuple[int, ...]], Fact[tuple[str, ...]]]:
    numbers = (re.fullmatch(r"/dev/davinci(\d+)", path) for path in host.glob("/dev/davinci*"))
    devices = tuple(sorted(int(match[1]) for match in numbers if match))
    managers = tuple(path for path in MANAGERS if host.exists(path))
    return Fact(devices, "/dev/davinci*"), Fact(managers, "/dev")


def _first(host: Host, paths: tuple[str, ...], parse: Callable[[str], str | None]) -> Fact[str]:
    found = [read_fact(host, path, parse) for path in paths]
    return next((fact for fact in found if fact.value is not None), found[0])


def read(host: Host) -> AscendFacts:
    """Read the facts of NPUs. npu-smi is asked only where a driver's node or npu-smi shows."""
    devices, managers = _nodes(host)
    install: Fact[Mapping[str, str]] = read_fact(
        host, _INSTALLED, lambda text: parse_pairs(text) or None
    )
    root = (install.value or {}).get("Driver_Install_Path_Param", _ROOT)

    def ask(*words: str) -> Fact[str]:
        return run_fact(host, ("npu-smi", *words), lambda text: text or None, _SECONDS)

    def parsed(said: Fact[str], parse: Callable[[str], object]) -> Fact[object]:
        if said.value is None:
            return Fact.unknown(said.source, said.reason)
        value = parse(said.value)
        return Fact(value, said.source) if value else Fact.unknown(said.source, "does not say")

    listing = ask("info")
    more = listing.value is not None
    silent: Fact[str] = Fact.unknown(listing.source, listing.reason or "not asked")
    npus: Fact[tuple[Npu, ...]] = parsed(listing, npu_smi.parse_list)  # type: ignore[assignment]
    topology = ask("info", "-t", "topo") if more else silent
    chip = npu_smi.chip_of(npus.value) if npus.value else None
    return AscendFacts(
        devices=devices,
        managers=managers,
        npus=npus,
        mapping=parsed(ask("info", "-m") if more else silent, npu_smi.parse_mapping),  # type: ignore[arg-type]
        topology=Fact(npu_smi.parse_topology(topology.value), topology.source)
        if topology.value is not None
        else Fact.unknown(topology.source, topology.reason),
        chip=Fact(chip, npus.source)
        if chip
        else Fact.unknown(npus.source, npus.reason or "no name tells it"),
        driver=read_fact(host, f"{root}/driver/version.info", parse_package_version),
        firmware=read_fact(host, f"{root}/firmware/version.info", parse_package_version),
        cann=_first(host, _CANN, parse_cann),
        install=install,
    )

"""Ascend: NPUs, driver, firmware and CANN, from npu-smi's tables, version files and /dev."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from trimtab.facts.parsing import parse_cpu_list, read_fact, run_fact
from trimtab.host import Host
from trimtab.model import Fact

_BUS = re.compile(r"[0-9A-Fa-f]{4}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.[0-9A-Fa-f]")
_USE = re.compile(r"(\d+)\s*/\s*(\d+)")
_CPUS = re.compile(r"\d+(-\d+)?(,\d+(-\d+)?)*")


@dataclass(frozen=True, slots=True)
class Npu:
    """One chip. ``card`` and ``chip`` are npu-smi's ids; ``memory`` is MB of (used, total) HBM.

    ``memory`` is DDR on cards without HBM, and ``None`` when no column says it.
    """

    card: int
    chip: int
    name: str
    health: str
    bus: str
    memory: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Topology:
    """How NPUs are linked to each other and to CPUs.

    ``links`` maps a pair of NPU names to its link ("HCCS", "PXB", "SYS"), ``near`` an NPU's name
    to the CPUs near it, where the table says them.
    """

    links: Mapping[tuple[str, str], str]
    near: Mapping[str, tuple[int, ...]]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def parse_version(text: str) -> str | None:
    """Return npu-smi's own version."""
    match = re.search(r"npu-smi\s+(\S+)", text)
    return match[1] if match else None


def parse_list(text: str) -> tuple[Npu, ...]:
    """Return the chips of ``npu-smi info``; the table of processes below them is left out."""
    npus: list[Npu] = []
    upper: list[str] | None = None
    for line in text.splitlines():
        if "Process id" in line or "Process ID" in line:
            break
        cells = _cells(line)
        if not line.lstrip().startswith("|") or len(cells) < 3:
            continue
        words = cells[0].split()
        if not words or not words[0].isdigit():
            continue
        if _BUS.fullmatch(cells[1]) and upper is not None:
            uses = [(int(used), int(total)) for used, total in _USE.findall(cells[2])]
            card, _, name = upper[0].partition(" ")
            npus.append(
                Npu(
                    card=int(card),
                    chip=int(words[0]),
                    name=name.strip(),
                    health=upper[1],
                    bus=cells[1].upper(),
                    memory=uses[-1] if uses else None,
                )
            )
        elif len(words) > 1:
            upper = cells
    return tuple(npus)


def parse_mapping(text: str) -> Mapping[tuple[int, int], int]:
    """Return (card, chip) → logical id of ``npu-smi info -m``; management chips have none.

    The header names the columns ("Chip Logic ID", or "Chip Phy-ID" where there is no other), set
    apart by two blanks at least.
    """
    found: dict[tuple[int, int], int] = {}
    columns: list[str] = []
    for line in text.splitlines():
        if "NPU ID" in line:
            columns = re.split(r"\s{2,}", line.strip())
            continue
        words = line.split(maxsplit=max(0, len(columns) - 1))
        if not columns or len(words) < len(columns) or not words[0].isdigit():
            continue
        row = dict(zip(columns, words, strict=False))
        logic = row.get("Chip Logic ID", row.get("Chip Phy-ID", "-"))
        if logic.isdigit() and row.get("Chip ID", "").isdigit():
            found[int(words[0]), int(row["Chip ID"])] = int(logic)
    return found


def parse_topology(text: str) -> Topology:
    """Return the matrix of ``npu-smi info -t topo``; rows of NICs and the legend are left out."""
    links: dict[tuple[str, str], str] = {}
    near: dict[str, tuple[int, ...]] = {}
    columns: list[str] = []
    for words in _rows(text):
        if not columns:
            columns = [word for word in words if re.fullmatch(r"NPU\d+", word)]
            continue
        if not re.fullmatch(r"NPU\d+", words[0]) or len(words) <= len(columns):
            continue
        for other, link in zip(columns, words[1:], strict=False):
            if other != words[0]:
                links[words[0], other] = link
        if _CPUS.fullmatch(words[-1]) and len(words) > len(columns) + 1:
            near[words[0]] = parse_cpu_list(words[-1])
    return Topology(links, near)


def _rows(text: str) -> Iterator[list[str]]:
    for line in text.splitlines():
        words = line.split()
        if words and re.fullmatch(r"NPU\d+", words[0]):
            yield words


def chip_of(npus: tuple[Npu, ...]) -> str | None:
    """Return the product: "A2", "A3", "310P", "950" or "910"; ``None`` when no name tells.

    A3's two chips of a card are called by the family ("Ascend910"), A2's by their model.
    """
    for npu in npus:
        name = npu.name.upper().removeprefix("ASCEND").strip()
        if name.startswith("310P"):
            return "310P"
        if name.startswith("950"):
            return "950"
        if name.startswith("910B"):
            return "A2"
        if name.startswith("910_93") or (name == "910" and _two_chips(npus)):
            return "A3"
        if name.startswith("910"):
            return "910"
    return None


def _two_chips(npus: tuple[Npu, ...]) -> bool:
    cards = [npu.card for npu in npus]
    return len(set(cards)) < len(cards)


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
    npus: Fact[tuple[Npu, ...]] = parsed(listing, parse_list)  # type: ignore[assignment]
    topology = ask("info", "-t", "topo") if more else silent
    chip = chip_of(npus.value) if npus.value else None
    return AscendFacts(
        devices=devices,
        managers=managers,
        npus=npus,
        mapping=parsed(ask("info", "-m") if more else silent, parse_mapping),  # type: ignore[arg-type]
        topology=Fact(parse_topology(topology.value), topology.source)
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

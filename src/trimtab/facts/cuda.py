"""CUDA: GPUs and driver as NVML reports them, through nvidia-smi's machine-readable output."""

from __future__ import annotations

import csv
from dataclasses import dataclass

from trimtab.facts.parsing import run_fact
from trimtab.host import Host
from trimtab.model import Fact

_FIELDS = ("index", "name", "memory.total", "driver_version", "compute_cap", "persistence_mode")
QUERY = ("nvidia-smi", f"--query-gpu={','.join(_FIELDS)}", "--format=csv,noheader,nounits")
_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU; ``memory`` is in MiB, ``capability`` like "9.0"."""

    index: int
    name: str
    memory: int | None
    capability: str
    persistent: bool | None


@dataclass(frozen=True, slots=True)
class CudaFacts:
    """What is known of the GPUs here."""

    gpus: Fact[tuple[Gpu, ...]]
    driver: Fact[str]

    @property
    def present(self) -> bool:
        """Whether a GPU answers."""
        return bool(self.gpus.value)


def parse_gpus(text: str) -> tuple[Gpu, ...] | None:
    """Return the GPUs of `QUERY`'s output; a field that a GPU lacks reads "[N/A]"."""
    gpus: list[Gpu] = []
    for row in csv.reader(text.splitlines(), skipinitialspace=True):
        if len(row) != len(_FIELDS) or not row[0].strip().isdigit():
            continue
        index, name, memory, _, capability, persistence = (cell.strip() for cell in row)
        gpus.append(
            Gpu(
                index=int(index),
                name=name,
                memory=int(memory) if memory.isdigit() else None,
                capability=capability,
                persistent={"Enabled": True, "Disabled": False}.get(persistence),
            )
        )
    return tuple(gpus) or None


def parse_driver(text: str) -> str | None:
    """Return the driver's version from the same output."""
    rows = [row for row in csv.reader(text.splitlines(), skipinitialspace=True) if len(row) > 3]
    return rows[0][3].strip() if rows else None


def read(host: Host) -> CudaFacts:
    """Read the facts of GPUs."""
    said = run_fact(host, QUERY, lambda text: text or None, _SECONDS)
    if said.value is None:
        return CudaFacts(
            Fact.unknown(said.source, said.reason), Fact.unknown(said.source, said.reason)
        )
    gpus, driver = parse_gpus(said.value), parse_driver(said.value)
    return CudaFacts(
        gpus=Fact(gpus, said.source) if gpus else Fact.unknown(said.source, "lists no GPU"),
        driver=Fact(driver, said.source) if driver else Fact.unknown(said.source, "does not say"),
    )

"""What settings are to run on, as far as it is told, beside what was asked about them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from trimtab.emulator import chips
from trimtab.emulator.machine import StandIn
from trimtab.model.situation import Situation
from trimtab.oracle.environment import CHIPS, plain
from trimtab.oracle.model import TORCH_NPU, VLLM_ASCEND, Reply


@dataclass(frozen=True, slots=True)
class Wanted:
    """A chip and versions; "" is what nobody tells.

    ``chip`` is one that the stand-in plays, or the name of another as it was told.
    """

    chip: str = ""
    torch_npu: str = ""
    vllm_ascend: str = ""

    @property
    def played(self) -> str:
        """The chip to play: the one that is told, or the stand-in's usual one in its place."""
        return self.chip if self.chip in chips.CHIPS else StandIn().chip

    def asked(self, reply: Reply, through: str = "") -> str:
        """Return what was asked: "torch_npu 2.13.0, chip 910B3", and what of it is not as wanted.

        ``through`` is the software that decided, "" for all that a reply is of.
        """
        names = (TORCH_NPU,) if through == TORCH_NPU else (VLLM_ASCEND, TORCH_NPU)
        found = {name: reply.versions[name] for name in names if name in reply.versions}
        said = [*(f"{name} {version}" for name, version in found.items()), f"chip {reply.chip}"]
        return "; ".join([", ".join(said), *self._not_there(found, reply.chip)])

    def _not_there(self, found: dict[str, str], chip: str) -> Iterator[str]:
        told = {TORCH_NPU: self.torch_npu, VLLM_ASCEND: self.vllm_ascend}
        for name, version in found.items():
            if told[name] and not is_of(version, told[name]):
                yield f"{name} {told[name]} is not installed beside"
        if self.chip and self.chip != chip:
            yield f"chip {self.chip} cannot be played"


def wanted_on(situation: Situation, models: Iterable[str] = ()) -> Wanted:
    """Return what a situation tells; ``models`` are the names of chips that npu-smi gives."""
    versions = situation.versions
    return Wanted(
        _chip(situation.chip or "", models),
        versions.get("torch-npu", ""),
        versions.get("vllm-ascend", ""),
    )


def is_of(version: str, told: str) -> bool:
    """Whether a version is the told one, of which the end may be left out: 2.9 for 2.9.0.post9."""
    return f"{plain(version)}.".startswith(f"{plain(told)}.")


def _chip(series: str, models: Iterable[str]) -> str:
    """Return the chip of a series; the machine's own one where it is of that series."""
    usual = CHIPS.get(series)
    if usual is None:
        return series
    build = chips.CHIPS[usual].build
    own = (one for one in models if one in chips.CHIPS and chips.CHIPS[one].build == build)
    return next(own, usual)

"""One file of each disk that must hold at least a number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trimtab.errors import UsageError
from trimtab.facts import Facts
from trimtab.knobs import host_file
from trimtab.knobs.draft import Draft
from trimtab.model import HostWrite, Settings, Value

_PATH = "/sys/block/{disk}/queue/read_ahead_kb"


@dataclass(frozen=True, slots=True)
class ReadAhead:
    """How far the kernel reads ahead, in KiB. A disk that reads further keeps what it has."""

    @property
    def place(self) -> str:
        """The files as people would write them."""
        return _PATH.replace("{disk}", "*")

    @property
    def setting(self) -> str:
        """See `Knob.setting`."""
        return self.place

    def contribute(self, draft: Draft, value: Value, facts: Facts) -> None:
        """Draft the write of every disk that has less."""
        if value is None:
            return
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise UsageError(f"{self.place} must be a number of KiB, but is {value!r}")
        for disk, now in (facts.disks.read_ahead.value or {}).items():
            if now < value:
                host_file.write_host_file(draft, _PATH.replace("{disk}", disk), value)

    def parse(self, settings: Settings, writes: Sequence[HostWrite] = ()) -> Value:
        """Return what the writes set, if they set all disks to the same."""
        before, _, after = _PATH.partition("{disk}")
        values = {
            host_file.host_file_value(writes, one.path, int)
            for one in writes
            if one.path.startswith(before) and one.path.endswith(after)
        }
        return values.pop() if len(values) == 1 else None

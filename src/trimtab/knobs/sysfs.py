"""A file under ``/sys``, or one file of each CPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trimtab.facts import Facts
from trimtab.knobs import host_file
from trimtab.knobs.draft import Draft
from trimtab.model import HostWrite, Settings, Value


@dataclass(frozen=True, slots=True)
class Sysfs:
    """A file, or with ``{cpu}`` in its path the same file of every online CPU."""

    path: str
    kind: type[str] | type[int] = str

    @property
    def place(self) -> str:
        """The path as people would write it."""
        return self.path.replace("{cpu}", "*")

    @property
    def setting(self) -> str:
        """See `Knob.setting`."""
        return self.place

    @property
    def probe(self) -> str:
        """A file that exists where the setting does: the first CPU's, if each has one."""
        return self.path.replace("{cpu}", "0")

    def contribute(self, draft: Draft, value: Value, facts: Facts) -> None:
        """Draft the write of every file."""
        for path in self._paths(facts):
            host_file.write_host_file(draft, path, value)

    def parse(self, settings: Settings, writes: Sequence[HostWrite] = ()) -> Value:
        """Return what the writes set, if they set all files to the same."""
        if "{cpu}" not in self.path:
            return host_file.host_file_value(writes, self.path, self.kind)
        before, _, after = self.path.partition("{cpu}")
        mine = [w.path for w in writes if w.path.startswith(before) and w.path.endswith(after)]
        values = {host_file.host_file_value(writes, path, self.kind) for path in mine}
        return values.pop() if len(values) == 1 else None

    def _paths(self, facts: Facts) -> tuple[str, ...]:
        if "{cpu}" not in self.path:
            return (self.path,)
        online = facts.cpu.online.value or ()
        return tuple(self.path.replace("{cpu}", str(cpu)) for cpu in online)

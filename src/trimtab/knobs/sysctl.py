"""A kernel setting under ``/proc/sys``, named as sysctl(8) names it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trimtab.facts import Facts
from trimtab.knobs import host_file
from trimtab.knobs.draft import Draft
from trimtab.model import HostWrite, Settings, Value


@dataclass(frozen=True, slots=True)
class Sysctl:
    """A setting such as ``vm.swappiness``."""

    name: str
    kind: type[str] | type[int] = int

    @property
    def place(self) -> str:
        """The setting's name."""
        return self.name

    @property
    def path(self) -> str:
        """The file behind it."""
        return f"/proc/sys/{self.name.replace('.', '/')}"

    @property
    def setting(self) -> str:
        """See `Knob.setting`."""
        return self.path

    @property
    def probe(self) -> str:
        """A file that exists where the setting does."""
        return self.path

    def contribute(self, draft: Draft, value: Value, facts: Facts) -> None:
        """Draft the write."""
        host_file.write_host_file(draft, self.path, value)

    def parse(self, settings: Settings, writes: Sequence[HostWrite] = ()) -> Value:
        """Return what the writes set; the live value is a fact, not a setting."""
        return host_file.host_file_value(writes, self.path, self.kind)

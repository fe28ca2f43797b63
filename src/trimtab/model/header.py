"""What is measured, in three lines: engine, model, and workload with machine."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from trimtab.model.platforms import UNKNOWN


@dataclass(frozen=True, slots=True)
class Header:
    """What is measured. ``path`` is the program that is started; "" where none is."""

    engine: str
    version: str
    platform: str
    path: str
    model: str
    workload: str
    machine: str

    def lines(self) -> tuple[str, str, str]:
        """Return the three lines that every command prints before it measures."""
        where = f", {self.path}" if self.path else ""
        platform = "an unknown platform" if self.platform == UNKNOWN else self.platform
        return (
            f"engine    {self.engine} {self.version} on {platform}{where}",
            f"model     {self.model}",
            f"workload  {self.workload}; on {self.machine}",
        )

    def rows(self) -> tuple[tuple[str, str], ...]:
        """Return the lines as pairs of a name and its text."""
        return tuple((line[:10].rstrip(), line[10:]) for line in self.lines())

    def as_data(self) -> dict[str, str]:
        """Return it for JSON."""
        return asdict(self)

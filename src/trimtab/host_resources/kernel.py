"""Files under ``/proc`` and ``/sys``: written in place, and read back in the kernel's own form."""

from __future__ import annotations

from trimtab.facts.parsing import format_cpu_list, parse_cpu_list, selected
from trimtab.host import Host

_CPU_LIST = "/smp_affinity_list"


class KernelFile:
    """A kernel setting. It is never absent: a file that is missing cannot be read."""

    def read(self, host: Host, name: str) -> str | None:
        """See `Kind.read`."""
        return host.read(name)

    def write(self, host: Host, name: str, text: str) -> None:
        """See `Kind.write`."""
        host.write(name, text)

    def restore(self, host: Host, name: str, before: str | None) -> None:
        """See `Kind.restore`. A file that offers a choice takes only the chosen word."""
        text = before or ""
        is_choice = selected(text) != text.strip()
        host.write(name, selected(text) if is_choice else text)

    def tidy(self, host: Host, name: str) -> None:
        """See `Kind.tidy`: a kernel setting has nothing beside it."""

    def canonical(self, name: str, text: str) -> str:
        """See `Kind.canonical`: the chosen word, single blanks, CPU lists in ranges."""
        plain = " ".join(selected(text).split())
        if name.endswith(_CPU_LIST):
            try:
                return format_cpu_list(parse_cpu_list(plain))
            except ValueError:
                return plain
        return plain

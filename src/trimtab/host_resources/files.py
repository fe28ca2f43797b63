"""Files of a host: configuration, links and folders, and kernel files under /proc and /sys."""

from __future__ import annotations

from typing import Protocol

from trimtab.errors import HostError
from trimtab.facts.memory import parse_swaps
from trimtab.facts.parsing import format_cpu_list, parse_cpu_list, selected_word
from trimtab.host import LIMIT, Host, draft_path

_THERE = "there"


class _Made:
    """What the three have in common: they can be absent."""

    def tidy(self, host: Host, name: str) -> None:
        """See `Kind.tidy`."""
        host.remove(draft_path(name))

    def canonical(self, name: str, text: str) -> str:
        """See `Kind.canonical`: every byte counts."""
        return text


class File(_Made):
    """A whole file. Bytes that are not UTF-8 are kept as lone surrogates."""

    def read(self, host: Host, name: str) -> str | None:
        """See `Kind.read`."""
        if not host.exists(name):
            return None
        data = host.head(name, LIMIT + 1)
        if len(data) > LIMIT:
            raise HostError(f"{name} must hold at most {LIMIT} bytes, but is longer")
        return data.decode(errors="surrogateescape")

    def write(self, host: Host, name: str, text: str) -> None:
        """See `Kind.write`."""
        host.install(name, text.encode(errors="surrogateescape"))

    def restore(self, host: Host, name: str, before: str | None) -> None:
        """See `Kind.restore`."""
        if before is None:
            host.remove(name)
        else:
            self.write(host, name, before)


class Link(_Made):
    """A symbolic link; the text is its target."""

    def read(self, host: Host, name: str) -> str | None:
        """See `Kind.read`. Something that is no link is not taken for one."""
        folder, _, last = name.rpartition("/")
        if not host.exists(folder) or last not in host.listdir(folder):
            return None
        return host.readlink(name)

    def write(self, host: Host, name: str, text: str) -> None:
        """See `Kind.write`."""
        host.link(name, text)

    def restore(self, host: Host, name: str, before: str | None) -> None:
        """See `Kind.restore`."""
        if before is None:
            host.remove(name)
        else:
            host.link(name, before)


class Folder(_Made):
    """A folder that must be there. One that holds something is not removed."""

    def read(self, host: Host, name: str) -> str | None:
        """See `Kind.read`."""
        return _THERE if host.exists(name) else None

    def write(self, host: Host, name: str, text: str) -> None:
        """See `Kind.write`."""
        host.mkdir(name)

    def restore(self, host: Host, name: str, before: str | None) -> None:
        """See `Kind.restore`."""
        if before is None:
            host.remove(name)


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
        is_choice = selected_word(text) != text.strip()
        host.write(name, selected_word(text) if is_choice else text)

    def tidy(self, host: Host, name: str) -> None:
        """See `Kind.tidy`: a kernel setting has nothing beside it."""

    def canonical(self, name: str, text: str) -> str:
        """See `Kind.canonical`: the chosen word, single blanks, CPU lists in ranges."""
        plain = " ".join(selected_word(text).split())
        if name.endswith(_CPU_LIST):
            try:
                return format_cpu_list(parse_cpu_list(plain))
            except ValueError:
                return plain
        return plain


OFF = "off"
_PATIENCE = 1800.0
"""Seconds for swapoff: it reads everything that is swapped out back into memory."""


class SwapResource:
    """One device or file. A negative priority is the kernel's own choice, and means "any"."""

    def read(self, host: Host, name: str) -> str | None:
        """See `Kind.read`."""
        for area in parse_swaps(host.read("/proc/swaps")):
            if area.name == name:
                return f"on {area.priority}"
        return OFF

    def write(self, host: Host, name: str, text: str) -> None:
        """See `Kind.write`."""
        if text == OFF:
            host.run(["swapoff", name], _PATIENCE)
            return
        priority = text.removeprefix("on").strip()
        chosen = ["--priority", priority] if priority and not priority.startswith("-") else []
        host.run(["swapon", *chosen, name], _PATIENCE)

    def restore(self, host: Host, name: str, before: str | None) -> None:
        """See `Kind.restore`."""
        self.write(host, name, before or OFF)

    def tidy(self, host: Host, name: str) -> None:
        """See `Kind.tidy`: a swap area has nothing beside it."""

    def canonical(self, name: str, text: str) -> str:
        """See `Kind.canonical`."""
        return "on" if text.startswith("on -") else text


class ResourceKind(Protocol):
    """One kind of place. Failures raise `HostError` with one line."""

    def read(self, host: Host, name: str) -> str | None:
        """Return what is there now, ``None`` if nothing is."""
        ...

    def write(self, host: Host, name: str, text: str) -> None:
        """Write a wanted text."""
        ...

    def restore(self, host: Host, name: str, before: str | None) -> None:
        """Put back what ``read`` returned."""
        ...

    def tidy(self, host: Host, name: str) -> None:
        """Remove what an interrupted write may have left beside the place."""
        ...

    def canonical(self, name: str, text: str) -> str:
        """Return the one form of all texts that mean the same there."""
        ...


ACTIVE, INACTIVE = "active", "inactive"
_RUNS = ("active", "activating", "reloading", "refreshing")
_READ_PATIENCE = 90.0
"""Seconds for a stop or start: systemd's own default."""


class Service:
    """Whether a unit runs. Whether it starts at boot is not touched."""

    def read(self, host: Host, name: str) -> str | None:
        """See `ResourceKind.read`."""
        state = host.run(["systemctl", "show", "--property=ActiveState", "--value", name])
        return ACTIVE if state.strip() in _RUNS else INACTIVE

    def write(self, host: Host, name: str, text: str) -> None:
        """See `ResourceKind.write`."""
        host.run(["systemctl", "start" if text == ACTIVE else "stop", name], _READ_PATIENCE)

    def restore(self, host: Host, name: str, before: str | None) -> None:
        """See `ResourceKind.restore`."""
        self.write(host, name, before or INACTIVE)

    def tidy(self, host: Host, name: str) -> None:
        """See `ResourceKind.tidy`: a service has nothing beside it."""

    def canonical(self, name: str, text: str) -> str:
        """See `ResourceKind.canonical`."""
        return text

"""Configuration files, links and folders: what keeps settings over a boot."""

from __future__ import annotations

from trimtab.errors import HostError
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

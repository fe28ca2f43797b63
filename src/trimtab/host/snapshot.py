"""A captured machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trimtab.errors import HostError, UsageError
from trimtab.host.port import LIMIT, command_slug, head, system_error


class SnapshotHost:
    """A captured machine, read-only: ``root/``, ``commands/``, ``meta.yaml`` under a folder.

    ``meta.yaml`` holds ``affinity`` (list of CPUs) and ``euid``. The output of a command lies in
    ``commands/<its words joined by _>.txt``; a command without a file fails, as on a machine
    that lacks it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self._meta = self._load_meta()

    def _load_meta(self) -> dict[str, Any]:
        import yaml

        path = self.folder / "meta.yaml"
        try:
            meta = yaml.safe_load(path.read_text())
        except OSError as error:
            raise system_error("read", str(path), error) from error
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise HostError(f"{path} must be YAML, but is not") from error
        if not isinstance(meta, dict):
            raise HostError(f"{path} must hold a mapping, but holds {type(meta).__name__}")
        try:
            return {
                "affinity": sorted(int(cpu) for cpu in meta["affinity"]),
                "euid": int(meta["euid"]),
            }
        except (KeyError, TypeError, ValueError) as error:
            raise HostError(f"{path} must have affinity, a list of CPUs, and euid") from error

    def _path(self, path: str) -> Path:
        return self.folder / "root" / path.lstrip("/")

    def read(self, path: str, limit: int = LIMIT) -> str:
        """See `Host.read`."""
        try:
            data = self._path(path).read_bytes()
        except OSError as error:
            raise system_error("read", path, error) from error
        if len(data) > limit:
            raise HostError(f"{path} must hold at most {limit} bytes to be read, but is longer")
        return data.decode(errors="replace")

    def head(self, path: str, size: int) -> bytes:
        """See `Host.head`."""
        return head(self._path(path), path, size)

    def exists(self, path: str) -> bool:
        """See `Host.exists`."""
        return self._path(path).exists()

    def glob(self, pattern: str) -> tuple[str, ...]:
        """See `Host.glob`."""
        root = self.folder / "root"
        return tuple(sorted(f"/{p.relative_to(root)}" for p in root.glob(pattern.lstrip("/"))))

    def listdir(self, path: str) -> tuple[str, ...]:
        """See `Host.listdir`."""
        try:
            return tuple(sorted(entry.name for entry in self._path(path).iterdir()))
        except OSError as error:
            raise system_error("list", path, error) from error

    def readlink(self, path: str) -> str:
        """See `Host.readlink`."""
        try:
            return str(self._path(path).readlink())
        except OSError as error:
            raise system_error("read the link", path, error) from error

    def resolve(self, path: str) -> str:
        """See `Host.resolve`. Links inside the captured tree must be relative."""
        root = (self.folder / "root").resolve()
        try:
            return f"/{self._path(path).resolve().relative_to(root)}"
        except ValueError as error:
            raise HostError(f"{path} leads out of the snapshot {self.folder.name}") from error

    def write(self, path: str, text: str) -> None:
        """Refuse: a snapshot is read-only."""
        raise HostError(f"cannot write {path}: the snapshot {self.folder.name} is read-only")

    def install(self, path: str, data: bytes) -> None:
        """Refuse: a snapshot is read-only."""
        self.write(path, "")

    def link(self, path: str, target: str) -> None:
        """Refuse: a snapshot is read-only."""
        self.write(path, "")

    def mkdir(self, path: str) -> None:
        """Refuse: a snapshot is read-only."""
        self.write(path, "")

    def remove(self, path: str) -> None:
        """Refuse: a snapshot is read-only."""
        self.write(path, "")

    def run(self, argv: Sequence[str], timeout: float = 10.0) -> str:
        """See `Host.run`."""
        path = self.folder / "commands" / f"{command_slug(argv)}.txt"
        try:
            return path.read_text()
        except OSError as error:
            raise HostError(f"cannot run '{' '.join(argv)}': not in the snapshot") from error

    def affinity(self) -> tuple[int, ...]:
        """See `Host.affinity`."""
        return tuple(self._meta["affinity"])

    def euid(self) -> int:
        """See `Host.euid`."""
        return int(self._meta["euid"])


def open_snapshot(folder: Path) -> SnapshotHost:
    """Return the captured machine in a folder that the user names.

    Raises:
        UsageError: it holds none.
    """
    try:
        return SnapshotHost(folder)
    except HostError as error:
        raise UsageError(
            f"--snapshot must be a folder that 'trimtab doctor --capture' wrote, but {error}"
        ) from error

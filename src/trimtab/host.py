"""The machine as a narrow port: every read of it and every write to it goes through here.

``LocalHost`` is the machine we run on. ``SnapshotHost`` is a captured one: a folder with
``root/`` (files under their absolute paths), ``commands/`` (outputs of commands) and
``meta.yaml`` (what no file shows). Fact parsers and checks see only the protocol, so every one
of them can be shown any machine.
"""

from __future__ import annotations

import glob as globbing
import io
import os
import re
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from trimtab.errors import HostError, UsageError

__all__ = [
    "LIMIT",
    "Host",
    "LocalHost",
    "ReadOnlyHost",
    "SnapshotHost",
    "command_slug",
    "draft_path",
    "open_snapshot",
]


LIMIT = 16 * 1024 * 1024
"""Bytes that ``read`` accepts at most: the maps of a large process fit, a device does not."""


class Host(Protocol):
    """What trimtab needs of a machine. Failures raise `HostError` with one line."""

    def read(self, path: str, limit: int = LIMIT) -> str:
        """Return the text of a file of at most ``limit`` bytes."""
        ...

    def head(self, path: str, size: int) -> bytes:
        """Return the first ``size`` bytes of a file, or all of a smaller one."""
        ...

    def exists(self, path: str) -> bool:
        """Whether the path names something (links are followed)."""
        ...

    def glob(self, pattern: str) -> tuple[str, ...]:
        """Return the absolute paths that match, sorted."""
        ...

    def listdir(self, path: str) -> tuple[str, ...]:
        """Return the names in a folder, sorted."""
        ...

    def readlink(self, path: str) -> str:
        """Return the text of a symbolic link."""
        ...

    def resolve(self, path: str) -> str:
        """Return the path with every symbolic link followed."""
        ...

    def write(self, path: str, text: str) -> None:
        """Replace the content of an existing file in place (a kernel setting, as a rule)."""
        ...

    def install(self, path: str, data: bytes) -> None:
        """Make a configuration file, or replace one: complete on disk, or not at all.

        A file that was there keeps its owner and mode.
        """
        ...

    def link(self, path: str, target: str) -> None:
        """Make a symbolic link, or replace one, at once."""
        ...

    def mkdir(self, path: str) -> None:
        """Make a folder in one that is there."""
        ...

    def remove(self, path: str) -> None:
        """Remove a file, a link or an empty folder; nothing is no failure."""
        ...

    def run(self, argv: Sequence[str], timeout: float = 10.0) -> str:
        """Return the standard output of a command that ends with 0 in ``timeout`` seconds."""
        ...

    def affinity(self) -> tuple[int, ...]:
        """Return the logical CPUs that this process may run on, sorted."""
        ...

    def euid(self) -> int:
        """Return the effective user."""
        ...


def system_error(what: str, path: str, error: OSError) -> HostError:
    """Return an error of the system as one line."""
    return HostError(f"cannot {what} {path}: {error.strerror or error}")


def head(place: Path, path: str, size: int) -> bytes:
    """Return the first bytes of the file at ``place``, which is called ``path``."""
    try:
        with place.open("rb") as file:
            return file.read(size)
    except OSError as error:
        raise system_error("read", path, error) from error


def command_slug(argv: Sequence[str]) -> str:
    """Return the file name (without ``.txt``) under which a snapshot keeps a command's output."""
    return re.sub(r"[^A-Za-z0-9.-]+", "_", " ".join(argv))


def draft_path(path: str) -> str:
    """Return where a file is written before it takes its place."""
    place = Path(path)
    return str(place.with_name(f".{place.name}.trimtab"))


_CHUNK = 64 * 1024
_MODE = 0o644


def _read_chunks(file: io.FileIO, limit: int) -> bytes:
    """Read to the end or past ``limit``, in pieces: /proc/sys allocates what one read asks for."""
    data = bytearray()
    while len(data) <= limit and (chunk := file.read(_CHUNK)):
        data += chunk
    return bytes(data)


def _like(handle: int, path: str) -> None:
    """Give the open file the owner and mode of the one at ``path``, if there is one."""
    try:
        old = os.stat(path)  # noqa: PTH116
    except FileNotFoundError:
        os.fchmod(handle, _MODE)
        return
    os.fchown(handle, old.st_uid, old.st_gid)
    os.fchmod(handle, old.st_mode & 0o7777)


def _write_all(handle: int, data: bytes) -> None:
    while data:
        data = data[os.write(handle, data) :]


def _settle(path: str) -> None:
    """Wait until a name's change in its folder is on disk."""
    folder = os.open(Path(path).parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class LocalHost:
    """The machine that this process runs on."""

    def read(self, path: str, limit: int = LIMIT) -> str:
        """See `Host.read`. Bytes that are not UTF-8 are replaced."""
        try:
            with Path(path).open("rb", buffering=0) as file:
                data = _read_chunks(file, limit)
        except OSError as error:
            raise system_error("read", path, error) from error
        if len(data) > limit:
            raise HostError(f"{path} must hold at most {limit} bytes to be read, but is longer")
        return data.decode(errors="replace")

    def head(self, path: str, size: int) -> bytes:
        """See `Host.head`."""
        return head(Path(path), path, size)

    def exists(self, path: str) -> bool:
        """See `Host.exists`."""
        return os.path.exists(path)  # noqa: PTH110  Path.exists raises on names too long

    def glob(self, pattern: str) -> tuple[str, ...]:
        """See `Host.glob`."""
        return tuple(sorted(globbing.glob(pattern)))  # noqa: PTH207  the pattern is absolute

    def listdir(self, path: str) -> tuple[str, ...]:
        """See `Host.listdir`."""
        try:
            return tuple(sorted(entry.name for entry in Path(path).iterdir()))
        except OSError as error:
            raise system_error("list", path, error) from error

    def readlink(self, path: str) -> str:
        """See `Host.readlink`."""
        try:
            return str(Path(path).readlink())
        except OSError as error:
            raise system_error("read the link", path, error) from error

    def resolve(self, path: str) -> str:
        """See `Host.resolve`."""
        return os.path.realpath(path)

    def write(self, path: str, text: str) -> None:
        """See `Host.write`. The file must exist: a kernel setting is never created."""
        try:
            # One write(2): kernel files take a value whole, and report a refusal there.
            handle = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
            try:
                os.write(handle, text.encode())
            finally:
                os.close(handle)
        except OSError as error:
            raise system_error("write", path, error) from error

    def install(self, path: str, data: bytes) -> None:
        """See `Host.install`."""
        draft = draft_path(path)
        try:
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                _like(handle, path)
                _write_all(handle, data)
                os.fsync(handle)
            finally:
                os.close(handle)
            os.replace(draft, path)  # noqa: PTH105  the descriptors are the system's too
            _settle(path)
        except OSError as error:
            raise system_error("write", path, error) from error

    def link(self, path: str, target: str) -> None:
        """See `Host.link`."""
        draft = draft_path(path)
        try:
            Path(draft).unlink(missing_ok=True)
            os.symlink(target, draft)  # noqa: PTH211
            os.replace(draft, path)  # noqa: PTH105
            _settle(path)
        except OSError as error:
            raise system_error("make the link", path, error) from error

    def mkdir(self, path: str) -> None:
        """See `Host.mkdir`."""
        try:
            Path(path).mkdir(mode=0o755)
            _settle(path)
        except OSError as error:
            raise system_error("make the folder", path, error) from error

    def remove(self, path: str) -> None:
        """See `Host.remove`."""
        place = Path(path)
        try:
            if place.is_dir() and not place.is_symlink():
                place.rmdir()
            elif place.is_symlink() or place.exists():
                place.unlink()
            else:
                return
            _settle(path)
        except OSError as error:
            raise system_error("remove", path, error) from error

    def run(self, argv: Sequence[str], timeout: float = 10.0) -> str:
        """See `Host.run`. The command sees the C locale and no terminal."""
        name = " ".join(argv)
        try:
            done = subprocess.run(
                list(argv),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=timeout,
                check=False,
                env={**os.environ, "LC_ALL": "C", "LANG": "C"},
            )
        except subprocess.TimeoutExpired as error:
            raise HostError(f"'{name}' must end in {timeout:g} s, but did not") from error
        except OSError as error:
            raise HostError(f"cannot run '{name}': {error.strerror or error}") from error
        if done.returncode != 0:
            last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
            raise HostError(f"'{name}' ended with {done.returncode}: {''.join(last) or 'silent'}")
        return done.stdout.decode(errors="replace")

    def affinity(self) -> tuple[int, ...]:
        """See `Host.affinity`."""
        return tuple(sorted(os.sched_getaffinity(0)))

    def euid(self) -> int:
        """See `Host.euid`."""
        return os.geteuid()


class ReadOnlyHost(ABC):
    """A host that refuses every change, each in the words of its :meth:`write`."""

    @abstractmethod
    def write(self, path: str, text: str) -> None:
        """Refuse, with the reason.

        Raises:
            HostError: always.
        """

    def install(self, path: str, data: bytes) -> None:
        """Refuse, as `write` does."""
        self.write(path, "")

    def link(self, path: str, target: str) -> None:
        """Refuse, as `write` does."""
        self.write(path, "")

    def mkdir(self, path: str) -> None:
        """Refuse, as `write` does."""
        self.write(path, "")

    def remove(self, path: str) -> None:
        """Refuse, as `write` does."""
        self.write(path, "")


class SnapshotHost(ReadOnlyHost):
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

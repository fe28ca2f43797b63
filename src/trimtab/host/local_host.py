"""The machine that this process runs on."""

from __future__ import annotations

import glob as globbing
import io
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from trimtab.errors import HostError
from trimtab.host.port import LIMIT, draft_path, head, system_error

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

"""Files that trimtab keeps: whole or not there, the caller's own, never written through a link.

A study holds what a later run acts upon (a journal of host settings, process ids, compiled code).
So a folder that another user could have written is refused before anything in it is read.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path

from trimtab.errors import StudyError, UsageError

_INHERITED = ("/dev/stdin", "/dev/fd/", "/proc/self/fd/", "/dev/null")
"""Paths that the caller's shell has opened: of a process substitution, of standard input."""

_LONGEST = 4096
"""Bytes of a path that Linux takes at most."""


def read(path: Path, limit: int) -> bytes:
    """Return the content of a file of at most ``limit`` bytes.

    Raises:
        OSError: it is missing, larger, or no plain file (a FIFO may never end), or the system
            refuses to read it; ``strerror`` says which.
    """
    if is_inherited(path):
        with path.open("rb") as file:
            return _bounded(path, file.read(limit + 1), limit)
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:  # a NUL, from a file that names this one
        raise OSError(errno.EINVAL, str(error), str(path)) from error
    with os.fdopen(handle, "rb") as file:
        kind = os.fstat(handle).st_mode
        if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):
            raise OSError(errno.EINVAL, "it is no plain file, and may never end", str(path))
        return _bounded(path, file.read(limit + 1), limit)


def is_inherited(path: Path) -> bool:
    """Whether a path is what the caller's shell has opened, such as ``<(command)``."""
    return str(path).startswith(_INHERITED)


def _bounded(path: Path, data: bytes, limit: int) -> bytes:
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"it has more than {limit:,} bytes", str(path))
    return data


def require_program(option: str, given: str) -> None:
    """Make sure that an option's value is a program: a path, or a name on PATH.

    Raises:
        UsageError: it is none.
    """
    path = str(Path(given).expanduser())
    if len(given) > _LONGEST or shutil.which(path) is None:
        raise UsageError(f"{option} must be an interpreter, but {given} is none: name its path")


def require_folder(option: str, folder: Path) -> None:
    """Make sure that an option's value is a folder, or can become one.

    Raises:
        UsageError: it is something else, below something else, or no name for a file.
    """
    for path in (folder, *folder.parents):
        if os.path.lexists(path) and not path.is_dir():
            raise UsageError(f"{option} must be a folder, but {path} is none: name another")
    try:
        folder.exists()  # raises on what no file system takes as a name
    except OSError as error:
        raise UsageError(f"{option} {folder}: {error.strerror}: name another folder") from error


def require_place(option: str, path: Path) -> None:
    """Make sure that a file can be made at a path, before the work whose result it shall hold.

    Raises:
        UsageError: there is no folder to hold it, or it is a folder itself.
    """
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise UsageError(f"{option} must be a file in a folder that exists, but is {path}")


def restrict_umask() -> None:
    """Keep whatever this process and its children make from being writable by other users."""
    os.umask(os.umask(0o077) | 0o022)


def write(path: Path, data: bytes | str, mode: int = 0o644) -> None:
    """Replace a file by one with these contents: complete on disk, or as it was before.

    A symbolic link at ``path`` is replaced, never followed.

    Raises:
        OSError: the file cannot be written.
    """
    raw = data.encode(errors="replace") if isinstance(data, str) else data
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(handle, "wb") as file:  # noqa: PTH123 - a descriptor
            os.fchmod(handle, mode)
            file.write(raw)
            file.flush()
            os.fsync(handle)
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def private_folder(path: Path) -> None:
    """Make a folder that only the caller can enter, whatever the umask.

    Raises:
        StudyError: what is there belongs to another user, or is no folder.
        OSError: it cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise StudyError(
                f"{path} must be a folder of your own, but is not: move it away, or remove it"
            ) from None
    path.chmod(0o700)


def require_own(folder: Path, *, linked: str = "", shared: bool = False) -> None:
    """Make sure that nobody but the caller can have written a folder or anything in it.

    ``linked`` names a folder in it that may hold symbolic links of the caller's own, as the
    compile caches of engines do. ``shared``: root may have written it too.

    Raises:
        StudyError: a file belongs to another user, is writable by others, or is no plain file
            or folder. The message names the first such file.
    """
    root = Path(os.path.realpath(folder))  # resolve() raises on links in a circle
    links = root / linked if linked else None
    for path, found in _walk(root):
        inside = links is not None and links in path.parents
        if why := _trouble(found, _owners(shared=shared), links_too=inside):
            raise StudyError(
                f"{path} {why}: trimtab acts only on files that nobody else can write; "
                "move it away, or name a folder of your own"
            )


def require_own_journal(path: Path) -> None:
    """Make sure that nobody but the caller or root can have written a journal, if there is one.

    Raises:
        StudyError: the file or its folder could be another user's work.
    """
    for one, follow in ((path.parent, True), (path, False)):
        try:
            found = one.stat(follow_symlinks=follow)
        except OSError:
            continue  # there is none, or whoever reads it says why not
        if why := _trouble(found, _owners(shared=True)):
            raise StudyError(
                f"{one} {why}: trimtab acts only on a journal that nobody else can write; "
                "move it away, or name another folder"
            )


def require_trusted(path: Path) -> None:
    """Make sure that what root acts upon was not written by another user than root.

    Under sudo the user who typed it counts too. Nobody's file may be writable by every user.

    Raises:
        StudyError: it could be another user's work, or is neither file nor folder.
    """
    if is_inherited(path):
        return
    try:
        found = path.stat()
    except OSError:
        return  # whoever reads it says so
    typed = os.environ.get("SUDO_UID", "")
    owners = {found.st_uid} if os.geteuid() else {0, int(typed) if typed.isdigit() else 0}
    if why := _trouble(found, owners):
        raise StudyError(f"{path} {why}: copy it to a file of your own, and name that")


def _owners(*, shared: bool) -> frozenset[int]:
    return frozenset({os.geteuid(), 0}) if shared else frozenset({os.geteuid()})


def _walk(path: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield a path and all below it, parents first, without following links."""
    try:
        found = path.lstat()
        yield path, found
        if stat.S_ISDIR(found.st_mode):
            for each in sorted(path.iterdir()):
                yield from _walk(each)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StudyError(f"{path} cannot be read ({error.strerror or error})") from error


def _trouble(found: os.stat_result, owners: Collection[int], *, links_too: bool = False) -> str:
    """Return why nothing may be acted upon by a file, "" if it may."""
    kind = found.st_mode
    if found.st_uid not in owners:
        return f"belongs to user {found.st_uid}, but you are user {os.geteuid()}"
    if stat.S_ISLNK(kind):
        return "" if links_too else "is a symbolic link"
    if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
        return "is neither a file nor a folder"
    if kind & stat.S_IWOTH:
        return "is writable by every user (chmod -R go-w)"
    if kind & stat.S_IWGRP and not _private(found.st_gid):
        return "is writable by a group (chmod -R go-w)"
    return ""


def _private(gid: int) -> bool:
    """Whether a group is the caller's own and has no other member, as with umask 002."""
    import grp
    import pwd

    try:
        user, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(gid)
    except KeyError:
        return False
    own = gid == user.pw_gid and group.gr_name == user.pw_name
    return own and not {*group.gr_mem} - {user.pw_name}

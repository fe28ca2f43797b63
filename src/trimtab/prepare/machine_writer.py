"""The changes of a step: each journalled before it is made, and taken back last first.

Replacing a file: whole or not at all, with its owner and mode kept.
"""

from __future__ import annotations

import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from trimtab import engines
from trimtab.environments import managed_environment
from trimtab.errors import HostError
from trimtab.host import Host
from trimtab.prepare import system
from trimtab.prepare.journal import Journal, OpenChange, digest, sync
from trimtab.prepare.step import (
    Change,
    CommandRun,
    EngineInstallation,
    FileReplacement,
    PackageInstallation,
    install_command,
)


def replace(path: Path, data: bytes) -> None:
    """Give a file another content.

    The new one is on disk under another name before it takes the old one's; a link keeps leading
    where it leads. A draft that a killed run left is overwritten.

    Raises:
        HostError: the file cannot be written; it is as it was.
    """
    target = path.resolve()
    draft = target.with_name(f".{target.name}.trimtab")
    try:
        was = target.stat()
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), was.st_mode & 0o7777)
            os.fchown(file.fileno(), was.st_uid, was.st_gid)
            os.fsync(file.fileno())
        draft.replace(target)
        sync(target.parent)
    except OSError as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise HostError(f"cannot replace {path}: {error.strerror or error}") from error


def clear_draft(path: Path) -> None:
    """Remove what a run that was killed while replacing has left beside a file."""
    target = path.resolve()
    with suppress(OSError):
        target.with_name(f".{target.name}.trimtab").unlink(missing_ok=True)


Run = Callable[[Sequence[str], Mapping[str, str]], tuple[int, str]]
"""Runs a command with further variables; returns its exit code and output."""

SECONDS = 7200.0
MARK = ".trimtab-prepare"
"""A file in a folder that was made here: undo removes no other folder."""


@dataclass(frozen=True, slots=True)
class MachineWriter:
    """What changes a machine. ``root`` is put before the paths of files and folders.

    ``say`` gets what goes on, ``run`` runs commands; both are there for tests.
    """

    host: Host
    journal: Journal
    say: Callable[[str], None] = field(default=lambda _: None)
    run: Run | None = None
    root: Path = Path("/")

    def path(self, name: str) -> Path:
        """Return where a path of the machine lies."""
        return self.root / name.lstrip("/")

    def command(self, words: Sequence[str], env: Mapping[str, str] | None = None) -> str:
        """Run a command, and return its output.

        Raises:
            HostError: it failed; the message has its last line and where all of it lies.
        """
        self.say(f"  {' '.join(words)}"[:160])
        code, output = (self.run or self._kept)(words, env or {})
        if code != 0:
            last = managed_environment.last_line(output)
            log = self.journal.folder / "install.log"
            raise HostError(f"'{' '.join(words[:4])} …' ended with {code}: {last}; log: {log}")
        return output

    def _kept(self, words: Sequence[str], env: Mapping[str, str]) -> tuple[int, str]:
        given = [f"{name}={value}" for name, value in env.items()]
        command = ["env", *given, *words] if given else [*words]
        return managed_environment.keeper_runner(self.journal.folder, self.say)(command, SECONDS)


def perform(change: Change, step: str, hands: MachineWriter) -> None:
    """Make one change.

    Raises:
        HostError: it could not be made; what the journal holds of it can be undone.
        EngineInstallError: an engine's installation failed.
    """
    match change:
        case FileReplacement():
            _replace(change, step, hands)
        case PackageInstallation():
            _packages(change, step, hands)
        case CommandRun():
            _commands(change, step, hands)
        case EngineInstallation():
            _managed(change, step, hands)


def _replace(change: FileReplacement, step: str, hands: MachineWriter) -> None:
    path = hands.path(change.path)
    try:
        before = path.read_bytes()
    except OSError as error:
        raise HostError(f"cannot read {change.path}: {error.strerror}") from error
    if before.decode(errors="replace") != change.before:
        raise HostError(f"{change.path} was changed since it was looked at: try again")
    after = change.after.encode()
    entry = {
        "do": "replace",
        "step": step,
        "path": change.path,
        "backup": hands.journal.keep(before),
        "before": digest(before),
        "after": digest(after),
    }
    number = hands.journal.begin(entry)
    replace(path, after)
    hands.journal.done(number)


def _packages(change: PackageInstallation, step: str, hands: MachineWriter) -> None:
    earlier = hands.journal.open()
    present = _present(hands, change.manager)
    kept = hands.journal.keep("\n".join(sorted(present)).encode())
    entry = {
        "do": "install",
        "step": step,
        "manager": change.manager,
        "names": list(change.names),
        "present": kept,
    }
    number = hands.journal.begin(entry)
    env = {"DEBIAN_FRONTEND": "noninteractive"} if change.manager == "apt" else {}
    if change.manager == "apt":
        if any(change.entry["do"] == "install" and not change.whole for change in earlier):
            hands.command(("dpkg", "--configure", "-a"), env)
        hands.command(("apt-get", "update"))
    hands.command((*install_command(change.manager), *change.names), env)
    now = _present(hands, change.manager)
    hands.journal.done(number, tuple(sorted(now - present)))


def _present(hands: MachineWriter, manager: str) -> frozenset[str]:
    found = system.read_packages(hands.host, manager)
    if found is None:
        raise HostError("the database of the system's packages must be readable, but is not")
    return found


def _commands(change: CommandRun, step: str, hands: MachineWriter) -> None:
    number = _claim(change.folder, step, hands)
    if number is not None and not change.makes:
        _sign(change.folder, number, hands)
    for words in change.commands:
        hands.command(words, change.env)
    if number is not None:
        if change.makes:
            _sign(change.folder, number, hands)
        hands.journal.done(number)


def _managed(change: EngineInstallation, step: str, hands: MachineWriter) -> None:
    number = _claim(change.path, step, hands)
    with _variables(change.env):
        engines.install(change.name, python=change.python, progress=hands.say)
    if number is not None:
        _sign(change.path, number, hands)  # not earlier: its first step clears the folder
        hands.journal.done(number)


@contextmanager
def _variables(env: Mapping[str, str]) -> Iterator[None]:
    """Hold variables in our own environment, which the managed engines' pip inherits."""
    before = {name: os.environ.get(name) for name in env}
    os.environ.update(env)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _claim(folder: str, step: str, hands: MachineWriter) -> int | None:
    """Journal a folder that is about to be made; ``None`` for one that was there already."""
    for change in hands.journal.open():
        if (
            change.entry.get("path") == folder
            and change.entry["do"] == "folder"
            and not change.whole
        ):
            return change.id  # an earlier run was ended in the middle of it
    if hands.path(folder).exists():
        return None
    entry = {"do": "folder", "step": step, "path": folder, "mark": uuid.uuid4().hex}
    return hands.journal.begin(entry)


def _sign(folder: str, number: int, hands: MachineWriter) -> None:
    mark = next(
        str(change.entry["mark"]) for change in hands.journal.open() if change.id == number
    )
    path = hands.path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        (path / MARK).write_text(mark)
    except OSError as error:
        raise HostError(f"cannot write into {folder}: {error.strerror}") from error


class ForeignChangeError(HostError):
    """Somebody else has changed since what is to be taken back: it is left as it is."""


def undo(hands: MachineWriter, steps: Sequence[str]) -> tuple[list[str], list[str]]:
    """Take back the changes of these steps; return a sentence for each, and for each that stays.

    What somebody else has changed since is theirs: it stays, and is no longer ours to undo. What
    could not be restored stays in the journal.
    """
    done: list[str] = []
    stays: list[str] = []
    for change in reversed(hands.journal.open()):
        if change.entry["step"] not in steps:
            continue
        try:
            done.append(_UNDO[str(change.entry["do"])](change, hands))
            hands.journal.undone(change.id)
        except ForeignChangeError as error:
            hands.journal.left(change.id, str(error))
            stays.append(str(error))
        except HostError as error:
            stays.append(f"{error}; it can be undone again")
    return done, stays


def pending_changes(journal: Journal) -> tuple[str, ...]:
    """Return a sentence for each change that is in force."""
    return tuple(_sentence(change) for change in journal.open())


def _sentence(change: OpenChange) -> str:
    entry = change.entry
    what = {
        "replace": f"{entry.get('path')} was replaced",
        "folder": f"{entry.get('path')} was made",
        "install": f"{' '.join(change.added or entry.get('names', ()))} installed",
    }[str(entry["do"])]
    return f"{entry['step']}: {what}{'' if change.whole else ' (was ended in the middle)'}"


def _file(change: OpenChange, hands: MachineWriter) -> str:
    name = str(change.entry["path"])
    path = hands.path(name)
    clear_draft(path)
    try:
        now = digest(path.read_bytes())
    except FileNotFoundError:
        raise ForeignChangeError(
            f"{name} was left: somebody removed it after it was replaced"
        ) from None
    except OSError as error:
        raise HostError(f"cannot read {name}: {error.strerror}") from error
    if now == change.entry["before"]:
        return f"{name} is as it was"
    if now != change.entry["after"]:
        kept = hands.journal.folder / str(change.entry["backup"])
        raise ForeignChangeError(
            f"{name} was left: somebody changed it since; as it was it lies in {kept}"
        )
    replace(path, hands.journal.kept(str(change.entry["backup"])))
    return f"{name} is as it was before"


def _folder(change: OpenChange, hands: MachineWriter) -> str:
    name = str(change.entry["path"])
    path = hands.path(name)
    if not path.exists():
        return f"{name} is gone"
    try:
        mark = (path / MARK).read_text()
    except OSError:
        mark = ""
    if change.whole and mark != change.entry["mark"]:
        raise ForeignChangeError(f"{name} was left: it is not the folder that was made here")
    try:
        shutil.rmtree(path)
    except OSError as error:
        raise HostError(f"cannot remove {name}: {error.strerror}: {error.filename}") from error
    # The installer's record beside a managed engine says that there is one.
    shutil.rmtree(path.with_name(f"{path.name}.install"), ignore_errors=True)
    return f"{name} is removed"


def _undo_packages(change: OpenChange, hands: MachineWriter) -> str:
    manager = str(change.entry["manager"])
    now = system.read_packages(hands.host, manager)
    if now is None:
        raise HostError("the database of the system's packages must be readable, but is not")
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    added = set(change.added)
    if not change.whole:
        if manager == "apt":
            hands.command(("dpkg", "--configure", "-a"), env)
            now = system.read_packages(hands.host, manager) or now
        before = hands.journal.kept(str(change.entry["present"])).decode().split("\n")
        added = set(now) - set(before)
    ours = tuple(sorted(added & now))
    if not ours:
        return f"{' '.join(change.entry['names'])}: nothing of it is installed"
    if manager == "apt":
        said = hands.command(("apt-get", "--simulate", "purge", "--no-auto-remove", *ours), env)
        others = parse_removed(said) - set(ours)
        if others:
            raise HostError(
                f"{' '.join(ours)} cannot be removed: {', '.join(sorted(others))} installed since "
                "need them"
            )
        hands.command(("apt-get", "purge", "--yes", "--no-auto-remove", *ours), env)
    else:
        hands.command(("rpm", "--erase", *ours))  # refuses where another package needs them
    return f"{' '.join(ours)} removed"


def parse_removed(text: str) -> set[str]:
    """Return the packages that a simulated run of apt-get would remove."""
    return set(re.findall(r"(?m)^(?:Purg|Remv) ([^\s:]+)", text))


_UNDO = {"replace": _file, "folder": _folder, "install": _undo_packages}

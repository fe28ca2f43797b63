"""Taking changes back, last first: each is compared with what was left, then restored."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence

from trimtab.errors import HostError
from trimtab.prepare import machine_writer, package_database
from trimtab.prepare.journal import Journal, OpenChange, digest
from trimtab.prepare.machine_writer import MARK, MachineWriter


class ForeignChangeError(HostError):
    """Somebody else has changed since what is to be taken back: it is left as it is."""


def undo(hands: MachineWriter, steps: Sequence[str]) -> tuple[list[str], list[str]]:
    """Take back the changes of these steps; return a sentence for each, and for each that stays.

    What somebody else has changed since is theirs: it stays, and is no longer ours to undo. What
    could not be restored stays in the journal.
    """
    done: list[str] = []
    stays: list[str] = []
    for one in reversed(hands.journal.open()):
        if one.entry["step"] not in steps:
            continue
        try:
            done.append(_UNDO[str(one.entry["do"])](one, hands))
            hands.journal.undone(one.id)
        except ForeignChangeError as error:
            hands.journal.left(one.id, str(error))
            stays.append(str(error))
        except HostError as error:
            stays.append(f"{error}; it can be undone again")
    return done, stays


def pending_changes(journal: Journal) -> tuple[str, ...]:
    """Return a sentence for each change that is in force."""
    return tuple(_sentence(one) for one in journal.open())


def _sentence(one: OpenChange) -> str:
    entry = one.entry
    what = {
        "replace": f"{entry.get('path')} was replaced",
        "folder": f"{entry.get('path')} was made",
        "install": f"{' '.join(one.added or entry.get('names', ()))} installed",
    }[str(entry["do"])]
    return f"{entry['step']}: {what}{'' if one.whole else ' (was ended in the middle)'}"


def _file(one: OpenChange, hands: MachineWriter) -> str:
    name = str(one.entry["path"])
    path = hands.path(name)
    machine_writer.clear_draft(path)
    try:
        now = digest(path.read_bytes())
    except FileNotFoundError:
        raise ForeignChangeError(
            f"{name} was left: somebody removed it after it was replaced"
        ) from None
    except OSError as error:
        raise HostError(f"cannot read {name}: {error.strerror}") from error
    if now == one.entry["before"]:
        return f"{name} is as it was"
    if now != one.entry["after"]:
        kept = hands.journal.folder / str(one.entry["backup"])
        raise ForeignChangeError(
            f"{name} was left: somebody changed it since; as it was it lies in {kept}"
        )
    machine_writer.replace(path, hands.journal.kept(str(one.entry["backup"])))
    return f"{name} is as it was before"


def _folder(one: OpenChange, hands: MachineWriter) -> str:
    name = str(one.entry["path"])
    path = hands.path(name)
    if not path.exists():
        return f"{name} is gone"
    try:
        mark = (path / MARK).read_text()
    except OSError:
        mark = ""
    if one.whole and mark != one.entry["mark"]:
        raise ForeignChangeError(f"{name} was left: it is not the folder that was made here")
    try:
        shutil.rmtree(path)
    except OSError as error:
        raise HostError(f"cannot remove {name}: {error.strerror}: {error.filename}") from error
    # The installer's record beside a managed engine says that there is one.
    shutil.rmtree(path.with_name(f"{path.name}.install"), ignore_errors=True)
    return f"{name} is removed"


def _packages(one: OpenChange, hands: MachineWriter) -> str:
    manager = str(one.entry["manager"])
    now = package_database.read(hands.host, manager)
    if now is None:
        raise HostError("the database of the system's packages must be readable, but is not")
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    added = set(one.added)
    if not one.whole:
        if manager == "apt":
            hands.command(("dpkg", "--configure", "-a"), env)
            now = package_database.read(hands.host, manager) or now
        before = hands.journal.kept(str(one.entry["present"])).decode().split("\n")
        added = set(now) - set(before)
    ours = tuple(sorted(added & now))
    if not ours:
        return f"{' '.join(one.entry['names'])}: nothing of it is installed"
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


_UNDO = {"replace": _file, "folder": _folder, "install": _packages}

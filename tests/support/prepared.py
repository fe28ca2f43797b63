"""A machine to prepare: a tree of files that the steps read and change, and commands played."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from trimtab.host import SnapshotHost
from trimtab.prepare import examination
from trimtab.prepare.journal import Journal
from trimtab.prepare.machine_writer import MachineWriter
from trimtab.prepare.step import MachineScene
from trimtab.prepare.target import TARGETS, PrepareOptions

SITE = "https://mirror.example"
SOURCES = """\
Types: deb
URIs: http://deb.debian.org/debian
Suites: bookworm bookworm-updates
Components: main
"""
SOURCES_PATH = "/etc/apt/sources.list.d/debian.sources"
_OS = 'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n'


def package(name: str, state: str = "install ok installed") -> str:
    return f"Package: {name}\nStatus: {state}\nArchitecture: amd64\n\n"


class Machine:
    """A Debian 12 in a folder, with nothing installed but its base."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.put("/etc/os-release", _OS)
        self.put(SOURCES_PATH, SOURCES)
        self.put("/var/lib/dpkg/status", package("base-files") + package("vim", "deinstall ok x"))
        self.put("/usr/bin/python3.11", "\x7fELF")
        (self.root / "usr/bin/python3").symlink_to("python3.11")
        commands = folder / "commands"
        commands.mkdir(parents=True)
        (commands / "uname_-m.txt").write_text("x86_64\n")
        (folder / "meta.yaml").write_text("affinity: [0, 1]\neuid: 0\n")
        self.host = SnapshotHost(folder)
        self.journal = Journal(folder / "state")
        self.ran: list[tuple[tuple[str, ...], dict[str, str]]] = []
        self.needed_by: dict[str, str] = {}
        self.fail = ""

    def put(self, path: str, text: str) -> None:
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def text(self, path: str) -> str:
        return (self.root / path.lstrip("/")).read_text()

    def scene(self, target: str = "cpu", **wish: str) -> MachineScene:
        wanted = PrepareOptions(TARGETS[target], **wish)
        return examination.scene_of(self.host, wanted, target, "", local=False)

    def hands(self) -> MachineWriter:
        return MachineWriter(self.host, self.journal, run=self.run, root=self.root)

    def installed(self) -> set[str]:
        blocks = self.text("/var/lib/dpkg/status").split("\n\n")
        return {one.split()[1] for one in blocks if "ok installed" in one}

    def run(self, words: Sequence[str], env: Mapping[str, str]) -> tuple[int, str]:
        """Play apt and dpkg on the tree's database; other commands do nothing."""
        self.ran.append((tuple(words), dict(env)))
        if self.fail and self.fail in " ".join(words):
            return 100, "E: Unable to locate package"
        names = [word for word in words[1:] if not word.startswith("-")][1:]
        status = self.text("/var/lib/dpkg/status")
        if words[:2] == ("apt-get", "install"):
            new = "".join(package(one) for one in (*names, "libdependency1"))
            self.put("/var/lib/dpkg/status", status + new)
        elif words[:2] == ("apt-get", "--simulate"):
            others = [self.needed_by[one] for one in names if one in self.needed_by]
            return 0, "".join(f"Purg {one} [1.0]\n" for one in (*names, *others))
        elif words[:2] == ("apt-get", "purge"):
            for one in names:
                status = status.replace(package(one), "")
            self.put("/var/lib/dpkg/status", status)
        return 0, "done"

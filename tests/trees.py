"""A captured machine that can be written: kernel files, services and swap behave as they do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from trimtab.errors import HostError
from trimtab.facts.parsing import format_cpu_list, parse_cpu_list
from trimtab.host import LocalHost, SnapshotHost
from trimtab.model import HostWrite

HOSTS = Path(__file__).parent / "hosts"
SWAPS = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
SDA2 = "/dev/sda2                               partition\t8388604\t\t0\t\t-2\n"
ZRAM = "/dev/zram0                              partition\t1048572\t\t0\t\t100\n"
THP = "/sys/kernel/mm/transparent_hugepage/enabled"
IRQ = "/proc/irq/31/smp_affinity_list"
UNIT = "/etc/systemd/system/trimtab-host.service"

FILES = {
    "/proc/sys/kernel/random/boot_id": "the-first-boot\n",
    "/proc/swaps": SWAPS + SDA2 + ZRAM,
    IRQ: "0-1\n",
    "/run/irqbalance": "active\n",
    "/etc/sysctl.d/99-trimtab.conf": "# somebody's own\nvm.swappiness = 30\n",
    "/etc/systemd/system/other.service": "[Unit]\n",
    "/etc/security/limits.d/10-own.conf": "* soft nofile 4096\n",
    "/etc/tuned/active_profile": "balanced\n",
    "/etc/tuned/profile_mode": "auto\n",
}

WRITES = (
    HostWrite("file:/etc/sysctl.d/99-trimtab.conf", "vm.swappiness = 1\n"),
    HostWrite(f"file:{UNIT}", "[Unit]\nDescription=ours\n"),
    HostWrite("folder:/etc/systemd/system/multi-user.target.wants", "there"),
    HostWrite("link:/etc/systemd/system/multi-user.target.wants/trimtab-host.service", UNIT),
    HostWrite("service:irqbalance.service", "inactive"),
    HostWrite(IRQ, "1"),
    HostWrite("/proc/sys/vm/swappiness", "1"),
    HostWrite(THP, "always"),
    HostWrite("swap:/dev/sda2", "off"),
    HostWrite("swap:/dev/zram0", "off"),
    HostWrite("limits:nofile", "65536"),
    HostWrite("limits:memlock", "unlimited"),
)
"""One write, at least, of every kind that a tree can hold."""

KEEPS_NOTHING = tuple(one for one in WRITES if not one.path.startswith(("file:", "limits:")))[2:]


def tree(folder: Path, name: str = "a2-openeuler") -> WritableHost:
    """Copy a captured machine into a new folder, with what the writes need."""
    shutil.copytree(HOSTS / name, folder, symlinks=True)
    for path, text in FILES.items():
        place = folder / "root" / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return WritableHost(folder)


class WritableHost(SnapshotHost):
    """A tree that takes writes. ``tick`` is called around each change."""

    def __init__(self, folder: Path, tick: Callable[[], None] = lambda: None) -> None:
        super().__init__(folder)
        self._tick = tick
        self._local = LocalHost()

    def image(self) -> dict[str, str]:
        """Return every file and link of the tree with its content, and every folder."""
        root = self.folder / "root"
        found = {}
        for place in sorted(root.rglob("*")):
            name = f"/{place.relative_to(root)}"
            if place.is_symlink():
                found[name] = f"-> {place.readlink()}"
            else:
                found[name] = "folder" if place.is_dir() else repr(place.read_bytes())
        return found

    def lay(self, path: str, text: str) -> None:
        """Put a file's text in one step, as the kernel changes what a file of it shows."""
        place = self._path(path)
        draft = self.folder / "draft"
        draft.write_text(text)
        self._tick()
        Path.rename(draft, place)
        self._tick()

    def write(self, path: str, text: str) -> None:
        before = self.read(path)
        words = before.replace("[", "").replace("]", "").split()
        if "[" in before:
            if text not in words:
                raise HostError(f"cannot write {path}: Invalid argument")
            text = " ".join(f"[{word}]" if word == text else word for word in words)
        if path.endswith("/smp_affinity_list"):
            text = format_cpu_list(parse_cpu_list(text))
        self.lay(path, text.rstrip("\n") + "\n")

    def install(self, path: str, data: bytes) -> None:
        self._local.install(str(self._path(path)), data)

    def link(self, path: str, target: str) -> None:
        self._local.link(str(self._path(path)), target)

    def mkdir(self, path: str) -> None:
        self._local.mkdir(str(self._path(path)))

    def remove(self, path: str) -> None:
        self._local.remove(str(self._path(path)))

    def run(self, argv: Sequence[str], timeout: float = 10.0) -> str:
        match list(argv):
            case ["systemctl", "show", *_, "irqbalance.service"]:
                return self.read("/run/irqbalance")
            case ["systemctl", verb, "irqbalance.service"]:
                self.lay("/run/irqbalance", "active\n" if verb == "start" else "inactive\n")
            case ["swapoff", device]:
                lines = self.read("/proc/swaps").splitlines(keepends=True)
                kept = [line for line in lines if not line.startswith(f"{device} ")]
                self.lay("/proc/swaps", "".join(kept))
            case ["swapon", *_, device]:
                on = {line.split()[0] for line in self.read("/proc/swaps").splitlines()[1:]}
                areas = {"/dev/sda2": SDA2, "/dev/zram0": ZRAM}
                kept = [line for name, line in areas.items() if name in {*on, device}]
                self.lay("/proc/swaps", SWAPS + "".join(kept))
            case _:
                return super().run(argv, timeout)
        return ""


def reboot(host: WritableHost, **now: str) -> None:
    """Let a tree begin another boot, in which kernel files read as ``now`` says."""
    host.lay("/proc/sys/kernel/random/boot_id", f"another-boot-{os.urandom(4).hex()}\n")
    for path, text in now.items():
        host.lay(path, text)

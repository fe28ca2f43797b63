"""The machine that is played, as trimtab's facts read it: this one, with NPUs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trimtab.host import LIMIT, LocalHost

_OURS = (
    "/usr/local/Ascend",
    "/etc/ascend_install.info",
    "/dev/davinci",
    "/dev/devmm_svm",
    "/dev/hisi_hdc",
)


class Played(LocalHost):
    """This machine, where what belongs to NPUs is read from a tree (:func:`tree.lay`)."""

    def __init__(self, folder: Path) -> None:
        self._root = folder / "root"
        self._npu_smi = folder / "bin" / "npu-smi"

    def _place(self, path: str) -> str:
        return f"{self._root}{path}" if path.startswith(_OURS) else path

    def read(self, path: str, limit: int = LIMIT) -> str:
        """See `Host.read`."""
        return super().read(self._place(path), limit)

    def head(self, path: str, size: int) -> bytes:
        """See `Host.head`."""
        return super().head(self._place(path), size)

    def exists(self, path: str) -> bool:
        """See `Host.exists`."""
        return super().exists(self._place(path))

    def glob(self, pattern: str) -> tuple[str, ...]:
        """See `Host.glob`. The paths are those of the machine that is played."""
        found = super().glob(self._place(pattern))
        return tuple(path.removeprefix(str(self._root)) for path in found)

    def listdir(self, path: str) -> tuple[str, ...]:
        """See `Host.listdir`."""
        return super().listdir(self._place(path))

    def run(self, argv: Sequence[str], timeout: float = 10.0) -> str:
        """See `Host.run`. npu-smi is the tree's."""
        words = [str(self._npu_smi), *argv[1:]] if argv[0] == "npu-smi" else argv
        return super().run(words, timeout)

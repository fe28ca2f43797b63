"""What keeps host writes over a boot: files for sysctl, systemd or TuneD, as host writes too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from trimtab.errors import HostError, UsageError
from trimtab.host import Host
from trimtab.host_settings import render
from trimtab.host_settings.render import RenderedFile
from trimtab.model import HostWrite

SYSCTL_FILE = "/etc/sysctl.d/99-trimtab.conf"
"""Read after distributions' files: those that come later in the alphabet win (sysctl.d(5))."""

UNIT = "trimtab-host.service"
_UNITS = "/etc/systemd/system"
_WANTS = f"{_UNITS}/multi-user.target.wants"
_TUNED = "/etc/tuned"
_ACTIVE = f"{_TUNED}/active_profile"
_MODE = f"{_TUNED}/profile_mode"
PROFILE = "trimtab"
"""Name of the TuneD profile."""

_BACK = "Take it back: trimtab host rollback"


@dataclass(frozen=True, slots=True)
class PersistentFiles:
    """The files as host writes, and the writes that no file of this form carries, with reasons."""

    writes: tuple[HostWrite, ...]
    left_out: tuple[tuple[HostWrite, str], ...]


def keep(form: str, writes: Sequence[HostWrite], label: str, host: Host) -> PersistentFiles:
    """Return what keeps ``writes`` over a boot.

    ``form`` is one of `FORMS`. ``label`` says in the files where they come from.

    Raises:
        UsageError: there is no such form.
        HostError: the host lacks what reads the files.
    """
    if form not in FORMS:
        raise UsageError(f"--persist must be one of {', '.join(FORMS)}, but is {form!r}")
    return FORMS[form](writes, (f"Made by trimtab host apply: {label}", _BACK), host)


def _sysctl(writes: Sequence[HostWrite], comments: Sequence[str], host: Host) -> PersistentFiles:
    made = render.sysctl_d(writes, comments)
    folder = SYSCTL_FILE.rpartition("/")[0]
    return _kept(made, [*_folders(host, folder), HostWrite(f"file:{SYSCTL_FILE}", made.text)])


def _systemd(writes: Sequence[HostWrite], comments: Sequence[str], host: Host) -> PersistentFiles:
    made = render.systemd_unit(writes, "Kernel settings for model serving (trimtab)", comments)
    unit = f"{_UNITS}/{UNIT}"
    if not host.exists(_UNITS):
        raise HostError(f"--persist systemd needs {_UNITS}, but this host has none: use sysctl")
    return _kept(
        made,
        [
            HostWrite(f"file:{unit}", made.text),
            *_folders(host, _WANTS),
            HostWrite(f"link:{_WANTS}/{UNIT}", unit),
        ],
    )


def _tuned(writes: Sequence[HostWrite], comments: Sequence[str], host: Host) -> PersistentFiles:
    made = render.tuned_profile(writes, "Kernel settings for model serving (trimtab)", comments)
    if not host.exists(_TUNED):
        raise HostError(f"--persist tuned needs TuneD, but {_TUNED} is not there: install tuned")
    # Since 2.23 users' profiles lie in a folder of their own, and the old place is still read.
    root = f"{_TUNED}/profiles" if host.exists(f"{_TUNED}/profiles") else _TUNED
    active = host.read(_ACTIVE).split() if host.exists(_ACTIVE) else []
    chosen = " ".join(dict.fromkeys((*active, PROFILE)))
    return _kept(
        made,
        [
            *_folders(host, f"{root}/{PROFILE}"),
            HostWrite(f"file:{root}/{PROFILE}/tuned.conf", made.text),
            HostWrite(f"file:{_ACTIVE}", f"{chosen}\n"),
            HostWrite(f"file:{_MODE}", "manual\n"),
        ],
    )


def _kept(made: RenderedFile, files: list[HostWrite]) -> PersistentFiles:
    return PersistentFiles(tuple(files), made.left_out)


def _folders(host: Host, folder: str) -> list[HostWrite]:
    return [] if host.exists(folder) else [HostWrite(f"folder:{folder}", "there")]


FORMS: Mapping[str, Callable[[Sequence[HostWrite], Sequence[str], Host], PersistentFiles]] = (
    MappingProxyType({"sysctl": _sysctl, "systemd": _systemd, "tuned": _tuned})
)

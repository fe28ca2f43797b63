"""What would be written on this host, value by value, and why the rest is not.

Which host settings are asked for: by a profile, a preset, or one by one.

The context in which host settings are judged: this machine, and the engine it would serve.

irqbalance, which moves interrupts as it sees fit: it is stopped while ours are placed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

from trimtab import facts, host_resources
from trimtab.catalog import CATALOG, Context, Tuning, require_known, value_refusal
from trimtab.diagnosis import machine
from trimtab.errors import HostError, UsageError
from trimtab.facts import Facts, situation
from trimtab.families import families, family_of_packages
from trimtab.host import Host
from trimtab.host_resources.files import ACTIVE, INACTIVE
from trimtab.host_resources.limits import start_ticks
from trimtab.host_settings import render
from trimtab.host_settings.render import RenderedFile
from trimtab.knobs import Draft
from trimtab.knobs.host import UNLIMITED
from trimtab.model import Candidate, HostWrite, Scope, Settings, Value, candidate
from trimtab.presets import DOCUMENTED

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


def preset_candidate(name: str) -> Candidate:
    """Return the host settings of a preset, also those that cannot be made on this machine.

    A preset's candidate leaves these out; a plan has to show them with the reason.

    Raises:
        UsageError: there is no such preset.
    """
    if name not in DOCUMENTED:
        raise UsageError(f"--preset must be one of {', '.join(DOCUMENTED)}, but is {name!r}")
    return DOCUMENTED[name].of_host()


def host_candidate(chosen: Candidate) -> Candidate:
    """Return the part of a candidate that changes the host."""
    require_known(CATALOG, [name for name, _ in chosen])
    values = {name: value for name, value in chosen if CATALOG[name].scope is Scope.HOST}
    return candidate({name: value for name, value in values.items() if value is not None})


def with_words(chosen: Candidate, words: Sequence[str]) -> Candidate:
    """Return a candidate with the settings of ``NAME=VALUE`` words on top.

    Raises:
        UnknownTuningError: a name is no entry of the catalogue.
        UsageError: a word is not NAME=VALUE, or no setting of the host.
    """
    values: dict[str, Value] = dict(chosen)
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not text:
            raise UsageError(f"--set must be NAME=VALUE, but is {word!r}")
        require_known(CATALOG, [name])
        if name not in CATALOG or CATALOG[name].scope is not Scope.HOST:
            raise UsageError(
                f"--set takes settings of the host, but {name} is none: 'trimtab catalog' tells"
            )
        values[name] = int(text) if text.isascii() and text.isdigit() else text
    return candidate(values)


def context(host: Host, *, local: bool) -> Context:
    """Return the context; ``local``: it is this machine, so its environments are looked at."""
    environment = machine.find_environment(host, None, local=local)
    found = facts.inspect(host, environment.packages, "cpu")
    family = family_of_packages(environment.packages) or families()[0]
    grammar = family.grammar
    return Context(
        facts=found,
        engine_name=family.name,
        engine_version=family.version(environment.packages),
        platform=situation.platform(found, environment.packages),
        packages=environment.packages,
        baseline=Settings(argv=(grammar.programs[0], grammar.subcommand)),
        allow_host=True,
    )


SERVICE = "service:irqbalance.service"
_INTERRUPTS = "/proc/irq/"


def is_interrupt(place: str) -> bool:
    """Whether a place is one that irqbalance writes as well."""
    return place.startswith(_INTERRUPTS)


def irqbalance_stop(host: Host, settings: Sequence[HostWrite]) -> tuple[HostWrite | None, str]:
    """Return the write that stops irqbalance, where it runs and interrupts are placed.

    The text is why they cannot be placed, "" if they can.
    """
    if not any(is_interrupt(setting.path) for setting in settings) or not _runs(host):
        return None, ""
    try:
        state = host_resources.read(host, SERVICE)
    except HostError as error:
        return None, f"irqbalance runs and would move it back, and is not to be stopped: {error}"
    if state != ACTIVE:
        return None, "irqbalance runs and would move it back, but not as a service: stop it first"
    return HostWrite(SERVICE, INACTIVE), ""


def _runs(host: Host) -> bool:
    for path in host.glob("/proc/[0-9]*/comm"):
        try:
            if host.read(path).strip() == "irqbalance":
                return True
        except HostError:
            continue  # it has ended meanwhile
    return False


_SESSIONS = "limits:"
_FILES = "nofile"
_MOST_FILES = "/proc/sys/fs/nr_open"


class SettingAction(StrEnum):
    """What a plan does with one setting."""

    WRITE = "write"
    ALREADY = "already"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class PlannedSetting:
    """One place. ``now`` and ``after`` are as `places.shown` gives them, ``now`` "" if unknown.

    ``tuning`` is "" for what only keeps the others over a boot. ``why`` is the sentence of a
    refusal, or what the setting is good for. ``kept`` says why a boot ends it, "" if none does.
    """

    tuning: str
    place: str
    now: str
    after: str
    fate: SettingAction
    why: str
    kept: str = ""


@dataclass(frozen=True, slots=True)
class HostPlan:
    """The rows, the writes in the order in which they are made, and why none can be made here.

    ``settings`` are the writes without the files that keep them over a boot. ``unmet`` are the
    tunings that were required and are refused: with any, none of the others is to be made.
    """

    label: str
    rows: tuple[PlannedSetting, ...]
    writes: tuple[HostWrite, ...]
    settings: tuple[HostWrite, ...]
    persist: str = ""
    refusal: str = ""
    container: str = ""
    unmet: tuple[str, ...] = ()

    @property
    def possible(self) -> bool:
        """Whether its writes may be made here."""
        return not self.refusal and not self.unmet and not self.futile

    @property
    def futile(self) -> bool:
        """Whether something is asked for, and each of it is refused."""
        return bool(self.rows) and all(row.fate is SettingAction.REFUSED for row in self.rows)


def plan(
    chosen: Candidate,
    context: Context,
    host: Host,
    label: str,
    *,
    persist: str = "",
    pid: int | None = None,
    required: Collection[str] = (),
) -> HostPlan:
    """Plan the host settings of a candidate on this machine. Nothing is changed.

    ``pid``: limits are set in this process instead of for sessions that begin later.
    ``required`` names the tunings that must all be possible; the others are made as far as they
    are.

    Raises:
        UsageError: there is no process ``pid``, or no form ``persist``.
        HostError: the host lacks what ``persist`` needs.
    """
    start = None if pid is None else _began(host, pid)
    rows: list[PlannedSetting] = []
    settings: list[HostWrite] = []
    values = dict(chosen)
    for name in (name for name in CATALOG if name in values):
        for row, write in _planned(CATALOG[name], values[name], context, host, pid, start):
            rows.append(row)
            settings += [write] if write is not None else []
    rows, settings = _beside_irqbalance(rows, settings, host)
    files: tuple[HostWrite, ...] = ()
    kept: dict[str, str] = {setting.path: "until the next boot" for setting in settings}
    refused = refusal(context.facts)
    if persist and not refused:
        made = keep(persist, settings, label, host)
        kept = {write.path: reason for write, reason in made.left_out}
        files = made.writes if len(made.left_out) < len(settings) else ()
        rows += [_file_row(file, persist, host) for file in files]
    return HostPlan(
        label=label,
        rows=tuple(_told(row, kept) for row in rows),
        writes=(*files, *settings),
        settings=tuple(settings),
        persist=persist if files else "",
        refusal=refused,
        container=_container(context.facts),
        unmet=_unmet(rows, required),
    )


def refusal(facts: Facts) -> str:
    """Return why no setting of the host can be made from here, "" if it can."""
    if kind := _container(facts):
        return (
            f"this is inside a container ({kind}), from where the host is not changed: make the "
            "settings on the host"
        )
    if facts.privileges.root.value is not True:
        return "host settings need root: run it as root, or let somebody who is make them"
    return ""


def _unmet(rows: Sequence[PlannedSetting], required: Collection[str]) -> tuple[str, ...]:
    refused = (
        row.tuning for row in rows if row.fate is SettingAction.REFUSED and row.tuning in required
    )
    return tuple(dict.fromkeys(refused))


def _container(facts: Facts) -> str:
    kind = facts.container.kind.value
    return "" if kind in ("none", None) else str(kind)


def _planned(
    tuning: Tuning,
    value: Value,
    context: Context,
    host: Host,
    pid: int | None,
    start: str | None,
) -> Iterator[tuple[PlannedSetting, HostWrite | None]]:
    """Yield the rows of one tuning, each with its write if there is one to make."""
    why = value_refusal(tuning, context, value)
    draft = Draft.of(Settings(argv=("serve",)))
    try:
        if why is None:
            tuning.knob.contribute(draft, value, context.facts)
    except UsageError as error:
        why = str(error)
    writes = draft.host_writes()
    if not writes:
        fate = SettingAction.ALREADY if why is None else SettingAction.REFUSED
        said = why or "every one of them has that much already"
        yield PlannedSetting(tuning.name, tuning.knob.place, "", str(value), fate, said), None
        return
    for write in _of_process(writes, host, pid, start):
        row = _row(tuning, write, host)
        yield row, None if row.fate is SettingAction.REFUSED else write


def _beside_irqbalance(
    rows: list[PlannedSetting], settings: list[HostWrite], host: Host
) -> tuple[list[PlannedSetting], list[HostWrite]]:
    """Stop irqbalance first where interrupts are placed, or refuse to place them beside it."""
    stop, why = irqbalance_stop(host, settings)
    if why:
        settings = [setting for setting in settings if not is_interrupt(setting.path)]
        rows = [
            replace(row, fate=SettingAction.REFUSED, why=why) if is_interrupt(row.place) else row
            for row in rows
        ]
    if stop is None:
        return rows, settings
    said = "it would move the interrupts back; a rollback starts it again"
    stopped = PlannedSetting("irqbalance", stop.path, ACTIVE, stop.text, SettingAction.WRITE, said)
    return [stopped, *rows], [stop, *settings]


def _row(tuning: Tuning, write: HostWrite, host: Host) -> PlannedSetting:
    after = host_resources.display_text(write.path, write.text)
    try:
        now = host_resources.read(host, write.path)
    except HostError as error:
        return PlannedSetting(
            tuning.name, write.path, "", after, SettingAction.REFUSED, str(error)
        )
    if why := _too_many_files(write, host):
        return PlannedSetting(
            tuning.name,
            write.path,
            host_resources.display_text(write.path, now),
            after,
            SettingAction.REFUSED,
            why,
        )
    is_same = host_resources.is_same_text(write.path, now, write.text)
    fate = SettingAction.ALREADY if is_same else SettingAction.WRITE
    return PlannedSetting(
        tuning.name,
        write.path,
        host_resources.display_text(write.path, now),
        after,
        fate,
        tuning.summary,
    )


def _too_many_files(write: HostWrite, host: Host) -> str:
    """Return why a limit of files cannot be had, "" if it can: pam_limits then ends the login."""
    if write.path.rpartition(":")[2] != _FILES or not host.exists(_MOST_FILES):
        return ""
    most = int(host.read(_MOST_FILES))
    limit = write.text.partition(":")[0]
    if int(limit) <= most:
        return ""
    return (
        f"the kernel gives no process more than fs.nr_open, {most}, and a session whose limit "
        "is refused does not begin"
    )


def _file_row(write: HostWrite, persist: str, host: Host) -> PlannedSetting:
    now = host_resources.read(host, write.path)
    fate = (
        SettingAction.ALREADY
        if host_resources.is_same_text(write.path, now, write.text)
        else SettingAction.WRITE
    )
    shown = host_resources.display_text(write.path, now)
    after = host_resources.display_text(write.path, write.text)
    return PlannedSetting(
        "", write.path, shown, after, fate, f"keeps the settings over a boot ({persist})"
    )


def _told(row: PlannedSetting, kept: dict[str, str]) -> PlannedSetting:
    lasts = row.fate is SettingAction.REFUSED or host_resources.lasts(row.place)
    reason = "" if lasts else kept.get(row.place, "")
    return replace(row, kept=reason)


def _began(host: Host, pid: int) -> str:
    """Return when a process began, in ticks after boot."""
    start = start_ticks(host, str(pid))
    if start is None:
        raise UsageError(f"--pid must be a process that runs, but {pid} is none")
    return start


def _of_process(
    writes: Sequence[HostWrite], host: Host, pid: int | None, start: str | None
) -> Iterator[HostWrite]:
    """Turn limits of sessions into those of one process, if one is named."""
    for write in writes:
        if start is None or not write.path.startswith(_SESSIONS):
            yield write
            continue
        place = f"rlimit:{pid}:{start}:{write.path.removeprefix(_SESSIONS)}"
        hard = (host_resources.read(host, place) or ":").partition(":")[2]
        # A hard limit is only raised: one that was lowered needs a capability to go back.
        yield HostWrite(place, f"{write.text}:{_larger(write.text, hard)}")


def _larger(one: str, other: str) -> str:
    if UNLIMITED in (one, other):
        return UNLIMITED
    return max(one, other, key=lambda text: int(text or 0))

"""Every check of a plan against the live server: what was expected, what was seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from trimtab.errors import HostError
from trimtab.facts import process
from trimtab.facts import process as given
from trimtab.facts.parsing import format_cpu_list, is_same_value, parse_cpu_list, selected_word
from trimtab.host import Host
from trimtab.knobs.env import name_matches
from trimtab.model import Check, CheckKind, CheckOutcome, Evidence, Plan, Process, Value
from trimtab.redaction import is_marker

_Thread: TypeAlias = tuple[int, str]
"""A process id, and the folder of one of its threads."""


def observe_threads(check: Check, processes: Iterable[Process], host: Host) -> Evidence:
    """Return the evidence for a check of threads by their name."""
    where, judge = _KINDS[check.kind]
    try:
        found = _named(processes, host, check.subject)
        verdict, text = judge(check, found, host)
    except HostError as error:
        return Evidence(check, CheckOutcome.UNOBSERVABLE, str(error), where)
    return Evidence(check, verdict, text, where)


def _named(processes: Iterable[Process], host: Host, name: str) -> list[_Thread]:
    found = []
    for one in processes:
        for task in host.listdir(f"/proc/{one.pid}/task"):
            folder = f"/proc/{one.pid}/task/{task}"
            try:
                if host.read(f"{folder}/comm").strip() == name:
                    found.append((one.pid, folder))
            except HostError:
                if host.exists(folder):
                    raise
    return found


def _any(check: Check, found: Sequence[_Thread], host: Host) -> tuple[CheckOutcome, str]:
    holders = ", ".join(sorted({str(pid) for pid, _ in found}))
    text = f"{check.subject} in {holders}" if found else f"no thread {check.subject}"
    return (CheckOutcome.YES if bool(found) is check.expected else CheckOutcome.NO), text


def _many(check: Check, found: Sequence[_Thread], host: Host) -> tuple[CheckOutcome, str]:
    """Fewer, but some, say nothing yet: each comes with the first use of what it serves."""
    assert isinstance(check.expected, int)
    if not found:
        return CheckOutcome.NO, f"no thread {check.subject}"
    pid, most = Counter(pid for pid, _ in found).most_common(1)[0]
    text = f"{most} {check.subject} in {pid}"
    if most >= check.expected:
        return CheckOutcome.YES, text
    return CheckOutcome.UNOBSERVABLE, f"{text}: more would come with the server's first requests"


def _cpus(check: Check, found: Sequence[_Thread], host: Host) -> tuple[CheckOutcome, str]:
    masks = {process.parse_allowed_cpus(host.read(f"{folder}/status")) for _, folder in found}
    if not masks:
        return CheckOutcome.NO, f"no thread {check.subject}"
    text = f"{check.subject} on {' and '.join(sorted(map(format_cpu_list, masks)))}"
    same = masks == {tuple(parse_cpu_list(str(check.expected)))}
    return (CheckOutcome.YES if same else CheckOutcome.NO), text


_Judge: TypeAlias = Callable[[Check, Sequence[_Thread], Host], tuple[CheckOutcome, str]]

_KINDS: Mapping[CheckKind, tuple[str, _Judge]] = {
    CheckKind.THREAD_NAMED: ("/proc/PID/task/*/comm", _any),
    CheckKind.THREADS_NAMED: ("/proc/PID/task/*/comm", _many),
    CheckKind.NAMED_AFFINITY: ("/proc/PID/task/*/status", _cpus),
}


class ServerView(Protocol):
    """What verification needs of a running server."""

    def processes(self) -> Sequence[Process]:
        """Return the living tree with roles."""
        ...

    def reported_config(self) -> Mapping[str, Value]:
        """Return the configuration in effect as server or log report it; missing: not reported."""
        ...


Sight: TypeAlias = tuple[CheckOutcome, str]
"""A verdict, and what was seen, in words."""


@dataclass(frozen=True, slots=True)
class _Scene:
    processes: tuple[Process, ...]
    config: Mapping[str, Value]
    host: Host


def verify(plan: Plan, view: ServerView, host: Host) -> tuple[Evidence, ...]:
    """Observe every check of the plan, in the plan's order."""
    scene = _Scene(tuple(view.processes()), view.reported_config(), host)
    return tuple(_OBSERVERS[check.kind](check, scene) for check in plan.checks)


def refutations(evidence: Iterable[Evidence]) -> tuple[Evidence, ...]:
    """Return what speaks against the plan; empty when nothing does."""
    return tuple(one for one in evidence if one.verdict is CheckOutcome.NO)


def summary(evidence: Iterable[Evidence]) -> str:
    """Return the counts of the verdicts in words: "5 yes, 0 no, 1 unobservable"."""
    counts = Counter(one.verdict for one in evidence)
    return ", ".join(f"{counts[seen]} {seen.value}" for seen in CheckOutcome)


def _each(
    check: Check, scene: _Scene, file: str, look: Callable[[Process, str], Sight]
) -> Evidence:
    """Look at a file of every process of the check's roles; one no refutes, one blur blurs.

    Of several roles some may rightly have no process (one-process serving has no worker), but
    with no process at all there is nothing that could have the value.
    """
    where = f"/proc/PID/{file}"
    chosen = [one for one in scene.processes if not check.roles or one.role in check.roles]
    sights: list[tuple[Process, Sight]] = []
    for one in chosen:
        try:
            sights.append((one, look(one, f"/proc/{one.pid}")))
        except HostError as error:
            if scene.host.exists(f"/proc/{one.pid}"):
                sights.append((one, (CheckOutcome.UNOBSERVABLE, str(error))))
        except ValueError as error:
            sights.append((one, (CheckOutcome.UNOBSERVABLE, f"cannot be parsed: {error}")))
    if not sights:
        wanted = " or ".join(check.roles) or "server"
        return Evidence(check, CheckOutcome.NO, f"no {wanted} process", where)
    verdicts = {sight[0] for _, sight in sights}
    worst = next(
        seen
        for seen in (CheckOutcome.NO, CheckOutcome.UNOBSERVABLE, CheckOutcome.YES)
        if seen in verdicts
    )
    told = "; ".join(
        f"{text} in {one.role} {one.pid}" for one, (seen, text) in sights if seen is worst
    )
    return Evidence(check, worst, told, where)


def _yes_no(condition: bool) -> CheckOutcome:
    return CheckOutcome.YES if condition else CheckOutcome.NO


def _code(scene: _Scene, folder: str) -> frozenset[str]:
    regions = process.parse_maps(scene.host.read(f"{folder}/maps"))
    files = process.executable_files(regions)
    return frozenset(path.removesuffix(" (deleted)") for path in files)


def _mapped(check: Check, scene: _Scene) -> Evidence:
    wanted = {check.subject, scene.host.resolve(check.subject)}

    def look(one: Process, folder: str) -> Sight:
        found = wanted & _code(scene, folder)
        return _yes_no(bool(found)), f"{min(found)} mapped" if found else "not mapped"

    return _each(check, scene, "maps", look)


def _not_mapped(check: Check, scene: _Scene) -> Evidence:
    def look(one: Process, folder: str) -> Sight:
        found = [path for path in _code(scene, folder) if name_matches(path, (check.subject,))]
        return _yes_no(not found), f"{min(found)} mapped" if found else "not mapped"

    return _each(check, scene, "maps", look)


def _executable(check: Check, scene: _Scene) -> Evidence:
    def look(one: Process, folder: str) -> Sight:
        found = scene.host.readlink(f"{folder}/exe")
        return _yes_no(found == check.expected), f"{found} runs"

    return _each(check, scene, "exe", look)


def _environ(check: Check, scene: _Scene) -> Evidence:
    def look(one: Process, folder: str) -> Sight:
        found = given.variables(scene.host, scene.processes, one).get(check.subject)
        if found is None and one.role not in given.TRUSTED:
            return (
                CheckOutcome.UNOBSERVABLE,
                f"{check.subject} not seen (the title overwrote the start)",
            )
        if found == check.expected:
            return CheckOutcome.YES, f"{check.subject} as expected"
        if is_marker(check.expected) and found is not None:
            return (
                CheckOutcome.YES,
                f"{check.subject} set; its value is a secret that no profile holds",
            )
        # What it is set to may be a secret, and is not told.
        return (
            CheckOutcome.NO,
            f"{check.subject} {'not set' if found is None else 'set to another value'}",
        )

    return _each(check, scene, "environ", look)


def _masks(scene: _Scene, folder: str) -> list[tuple[int, ...]]:
    masks: list[tuple[int, ...]] = []
    for task in scene.host.listdir(f"{folder}/task"):
        try:
            masks.append(
                process.parse_allowed_cpus(scene.host.read(f"{folder}/task/{task}/status"))
            )
        except HostError:
            if scene.host.exists(f"{folder}/task/{task}"):
                raise  # otherwise the thread has ended, and says nothing of the others
    if not masks:
        raise HostError(f"{folder}/task lists no thread")
    return masks


def _affinity(check: Check, scene: _Scene) -> Evidence:
    """Compare thread masks with a CPU list, in the way that the check's subject names.

    "threads": together they cover exactly the list. "within": none may leave it. "pinned": none
    may leave it, and each CPU of it has a thread bound to it alone.
    """
    wanted = set(parse_cpu_list(str(check.expected)))

    def look(one: Process, folder: str) -> Sight:
        masks = _masks(scene, folder)
        union = {cpu for mask in masks for cpu in mask}
        alone = {mask[0] for mask in masks if len(mask) == 1}
        good = {
            "threads": union == wanted,
            "within": union <= wanted,
            "pinned": union <= wanted <= alone,
        }[check.subject]
        bound = f", bound alone on {format_cpu_list(tuple(alone)) or 'none'}"
        text = f"{len(masks)} threads on {format_cpu_list(tuple(union))}"
        return _yes_no(good), text + (bound if check.subject == "pinned" else "")

    return _each(check, scene, "task/*/status", look)


def _named_threads(check: Check, scene: _Scene) -> Evidence:
    return observe_threads(check, scene.processes, scene.host)


def _arenas(check: Check, scene: _Scene) -> Evidence:
    assert isinstance(check.expected, int)
    most = check.expected

    def look(one: Process, folder: str) -> Sight:
        regions = process.parse_maps(scene.host.read(f"{folder}/maps"))
        low, high = process.arena_bounds(regions)
        text = f"{low} arenas" if low == high else f"{low} to {high} arenas"
        if low > most:
            return CheckOutcome.NO, text
        return (CheckOutcome.YES if high <= most else CheckOutcome.UNOBSERVABLE), text

    return _each(check, scene, "maps", look)


def _huge_pages(check: Check, scene: _Scene) -> Evidence:
    """Add up the anonymous huge pages of all processes together: one that has some is enough."""
    where, total, blurred = "/proc/PID/smaps_rollup", 0, ""
    chosen = [one for one in scene.processes if not check.roles or one.role in check.roles]
    if not chosen:
        return Evidence(
            check, CheckOutcome.NO, f"no {' or '.join(check.roles) or 'server'} process", where
        )
    for one in chosen:
        try:
            total += process.huge_page_bytes(scene.host.read(f"/proc/{one.pid}/smaps_rollup"))
        except (HostError, ValueError) as error:
            if scene.host.exists(f"/proc/{one.pid}"):
                blurred = str(error)
    if blurred and not total:
        return Evidence(check, CheckOutcome.UNOBSERVABLE, blurred, where)
    text = f"{total // 2**20} MiB of anonymous memory in huge pages"
    return Evidence(check, _yes_no((total > 0) is check.expected), text, where)


def _roles(check: Check, scene: _Scene) -> Evidence:
    count = sum(one.role == check.subject for one in scene.processes)
    text = f"{count} {check.subject} processes"
    return Evidence(check, _yes_no(count == check.expected), text, "process tree")


def _config(check: Check, scene: _Scene) -> Evidence:
    where = "the engine's report"
    if check.subject not in scene.config:
        return Evidence(check, CheckOutcome.UNOBSERVABLE, "not reported", where)
    found = scene.config[check.subject]
    return Evidence(check, _yes_no(is_same_value(found, check.expected)), str(found), where)


def _host_file(check: Check, scene: _Scene) -> Evidence:
    try:
        found = selected_word(scene.host.read(check.subject))
    except HostError as error:
        return Evidence(check, CheckOutcome.UNOBSERVABLE, str(error), check.subject)
    return Evidence(check, _yes_no(found == str(check.expected)), found, check.subject)


_OBSERVERS: Mapping[CheckKind, Callable[[Check, _Scene], Evidence]] = {
    CheckKind.MAPPED: _mapped,
    CheckKind.NOT_MAPPED: _not_mapped,
    CheckKind.ENVIRON: _environ,
    CheckKind.THREAD_AFFINITY: _affinity,
    CheckKind.THREAD_NAMED: _named_threads,
    CheckKind.THREADS_NAMED: _named_threads,
    CheckKind.NAMED_AFFINITY: _named_threads,
    CheckKind.ROLES: _roles,
    CheckKind.CONFIG: _config,
    CheckKind.ARENAS: _arenas,
    CheckKind.HUGE_PAGES: _huge_pages,
    CheckKind.EXECUTABLE: _executable,
    CheckKind.HOST_FILE: _host_file,
}

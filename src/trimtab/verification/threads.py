"""Checks by threads of a name: whether a tree has some, how many, and on which CPUs they may run.

They are looked for in the whole tree: which process has the device depends on the layout.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from trimtab.errors import HostError
from trimtab.facts import process
from trimtab.facts.parsing import format_cpu_list, parse_cpu_list
from trimtab.host import Host
from trimtab.model import Check, CheckKind, Evidence, Process, Seen

_Thread: TypeAlias = tuple[int, str]
"""A process id, and the folder of one of its threads."""


def observe_threads(check: Check, processes: Iterable[Process], host: Host) -> Evidence:
    """Return the evidence for a check of threads by their name."""
    where, judge = _KINDS[check.kind]
    try:
        found = _named(processes, host, check.subject)
        verdict, text = judge(check, found, host)
    except HostError as error:
        return Evidence(check, Seen.UNOBSERVABLE, str(error), where)
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


def _any(check: Check, found: Sequence[_Thread], host: Host) -> tuple[Seen, str]:
    holders = ", ".join(sorted({str(pid) for pid, _ in found}))
    text = f"{check.subject} in {holders}" if found else f"no thread {check.subject}"
    return (Seen.YES if bool(found) is check.expected else Seen.NO), text


def _many(check: Check, found: Sequence[_Thread], host: Host) -> tuple[Seen, str]:
    """Fewer, but some, say nothing yet: each comes with the first use of what it serves."""
    assert isinstance(check.expected, int)
    if not found:
        return Seen.NO, f"no thread {check.subject}"
    pid, most = Counter(pid for pid, _ in found).most_common(1)[0]
    text = f"{most} {check.subject} in {pid}"
    if most >= check.expected:
        return Seen.YES, text
    return Seen.UNOBSERVABLE, f"{text}: more would come with the server's first requests"


def _cpus(check: Check, found: Sequence[_Thread], host: Host) -> tuple[Seen, str]:
    masks = {process.parse_allowed(host.read(f"{folder}/status")) for _, folder in found}
    if not masks:
        return Seen.NO, f"no thread {check.subject}"
    text = f"{check.subject} on {' and '.join(sorted(map(format_cpu_list, masks)))}"
    same = masks == {tuple(parse_cpu_list(str(check.expected)))}
    return (Seen.YES if same else Seen.NO), text


_Judge: TypeAlias = Callable[[Check, Sequence[_Thread], Host], tuple[Seen, str]]

_KINDS: Mapping[CheckKind, tuple[str, _Judge]] = {
    CheckKind.THREAD_NAMED: ("/proc/PID/task/*/comm", _any),
    CheckKind.THREADS_NAMED: ("/proc/PID/task/*/comm", _many),
    CheckKind.NAMED_AFFINITY: ("/proc/PID/task/*/status", _cpus),
}

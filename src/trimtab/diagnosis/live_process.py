"""The view of a running server: every process of its tree, as far as each can be read.

Reads that must not hang: a file under /proc blocks while its process holds a lock.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from trimtab.catalog import Scene
from trimtab.diagnosis import allocator
from trimtab.diagnosis.machine import settings_of
from trimtab.diagnosis.records import Allocator, DiagnosisView, InspectedProcess
from trimtab.errors import HostError
from trimtab.facts import process, python_build
from trimtab.facts.limits import parse_limit
from trimtab.facts.memory import parse_meminfo
from trimtab.facts.parsing import parse_cpu_list
from trimtab.facts.process import TRUSTED, parse_numa_maps
from trimtab.facts.python_build import PythonBuild
from trimtab.families import serving_command
from trimtab.host import Host
from trimtab.linter.readers.launch import ShellWord, options_of
from trimtab.model import Process
from trimtab.model.document import Origin, Place
from trimtab.redaction import mask_text

T = TypeVar("T")


def read_in_time(seconds: float, what: str, read: Callable[[], T]) -> T:
    """Return what ``read`` returns, if it does so in time.

    A read that hangs is left behind in a daemon thread: nothing can end it, and it ends with us.

    Raises:
        HostError: it takes longer.
    """
    done: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(read())
        except BaseException as error:  # noqa: BLE001  raised again below
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    if not done:
        raise HostError(f"{what} must be read in {seconds:g} s, but hangs")
    return done[0]


_SECONDS = 2.0
SERVING = ("api", "engine", "worker")
"""Roles whose settings matter; helpers (resource trackers, compilers) come and go."""

_NAME = re.compile(r"[A-Za-z_]\w*")


class _Reader:
    """Reads files of one process, each with a deadline; failures become reasons."""

    def __init__(self, host: Host, pid: int) -> None:
        self.host, self.pid = host, pid
        self.unread: list[str] = []

    def read(self, file: str, parse: Callable[[str], T]) -> T | None:
        path = f"/proc/{self.pid}/{file}"
        try:
            return parse(read_in_time(_SECONDS, path, lambda: self.host.read(path)))
        except HostError as error:
            self.unread.append(str(error))
        except ValueError as error:
            self.unread.append(f"{path} cannot be parsed: {error}")
        return None


def inspect(host: Host, one: Process, base: Scene) -> InspectedProcess:
    """Return what one process shows; ``base`` has the machine's part of the scene."""
    reader = _Reader(host, one.pid)
    env = reader.read("environ", process.parse_environ) or {}
    whole = one.role in TRUSTED and bool(env)  # of several API servers titles wipe it out
    given = {name: text for name, text in env.items() if _NAME.fullmatch(name)}
    status = reader.read("status", str) or ""
    limits = reader.read("limits", str) or ""
    maps = reader.read("maps", str)
    allowed = _allowed(status)
    preloaded = allocator.preload_elements(given)
    heap = Allocator(
        preloaded,
        mapped=None if maps is None else allocator.mapped_allocators(maps),
        missing=allocator.missing_files(host, preloaded, f"/proc/{one.pid}/root"),
    )
    nodes = (base.situation.numa_nodes or 1) > 1
    return InspectedProcess(
        _process_scene(base, one, given, allowed, whole=whole),
        one.role,
        whole=whole,
        threads=_number(status, "Threads"),
        allowed=allowed,
        nofile=parse_limit(limits, "Max open files"),
        memlock=parse_limit(limits, "Max locked memory"),
        resident=parse_meminfo(status, "VmRSS"),
        swapped=parse_meminfo(status, "VmSwap"),
        huge=reader.read("smaps_rollup", process.huge_page_bytes),
        nodes=(reader.read("numa_maps", parse_numa_maps) or {}) if nodes else {},
        allocator=heap,
        unread=tuple(reader.unread),
    )


def _process_scene(
    base: Scene,
    one: Process,
    env: Mapping[str, str],
    allowed: tuple[int, ...] | None,
    *,
    whole: bool,
) -> Scene:
    """Return the machine's part of the scene with the settings of one process."""
    argv = serving_command(one.cmdline)
    place = Place("", 0)
    words = [ShellWord(text, place) for text in argv]
    return replace(
        base,
        argv=argv,
        env=settings_of(env, Origin.PROCESS),
        options={o.name: replace(o, place=None) for o in options_of(words)},
        affinity=allowed if allowed and len(allowed) < (base.situation.cpus or 0) else None,
        complete=whole,
        implied=False,
        role=one.role,
        pid=one.pid,
    )


def _allowed(status: str) -> tuple[int, ...] | None:
    match = re.search(r"^Cpus_allowed_list:\s*(\S+)", status, re.MULTILINE)
    try:
        return parse_cpu_list(match[1]) if match else None
    except ValueError:
        return None


def _number(status: str, key: str) -> int | None:
    match = re.search(rf"^{key}:\s*(\d+)", status, re.MULTILINE)
    return int(match[1]) if match else None


def view(
    machine: DiagnosisView,
    host: Host,
    tree: Sequence[Process],
    config: Callable[[], Mapping[str, object]],
    url: str,
) -> DiagnosisView:
    """Return the view of the server with this tree on the machine that was looked at."""
    base = machine.processes[0].scene
    processes = tuple(inspect(host, one, base) for one in tree if one.role in SERVING)
    processes = tuple(_probed(one, host) for one in processes)
    unread = [reason for one in processes for reason in one.unread]
    build = _interpreter(host, processes, machine)
    try:
        reported = read_in_time(3 * _SECONDS, "the server's configuration", config)
    except HostError as error:
        reported, unread = {}, [*unread, str(error)]
    return replace(
        machine,
        processes=processes,
        build=build,
        config=reported,  # type: ignore[arg-type]
        url=url,
        unread=(*machine.unread, *dict.fromkeys(unread)),
    )


def _interpreter(
    host: Host, processes: Sequence[InspectedProcess], machine: DiagnosisView
) -> PythonBuild:
    """Return the build of the program that the worker runs, else the engine, else the server."""
    order = sorted(processes, key=lambda one: -SERVING.index(one.scene.role))
    for one in order:
        try:
            executable = host.readlink(f"/proc/{one.scene.pid}/exe")
        except HostError:
            continue
        return python_build.read(host, executable, machine.situation.distribution or "")
    return machine.build


def _probed(one: InspectedProcess, host: Host) -> InspectedProcess:
    """Add who serves malloc, asked of a child of the API server's kind; others inherit from it."""
    heap, pid = one.allocator, one.scene.pid
    if not one.whole or pid is None or not any(map(allocator.family, heap.preloaded)):
        return one
    try:
        python = host.readlink(f"/proc/{pid}/exe")
    except HostError as error:
        return replace(one, allocator=replace(heap, reason=str(error)))
    env = {name: made.value for name, made in one.scene.env.items()}
    serving, reason = allocator.probe(python, env)
    return replace(one, allocator=replace(heap, serving=serving, reason=reason))


def differences(
    processes: Sequence[InspectedProcess], names: Callable[[str], bool]
) -> tuple[str, ...]:
    """Return in words where processes of a tree have different values of one variable.

    Only what is there counts: what is missing may have been overwritten by a process's title.
    """
    said: list[str] = []
    everything = dict.fromkeys(name for one in processes for name in one.scene.env if names(name))
    for name in everything:
        values: dict[str, list[str]] = {}
        for one in processes:
            if name in one.scene.env:
                values.setdefault(one.scene.env[name].value, []).append(one.label)
        if len(values) > 1:
            told = "; ".join(
                f"{mask_text(text)!r} in {', '.join(who)}" for text, who in values.items()
            )
            said.append(f"{name}: {told}")
    return tuple(said)

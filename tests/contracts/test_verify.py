"""Every observer: it accepts a real process that has the value, and rejects one that has not."""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.contracts.machines import STOCK
from trimtab.catalog import CATALOG, Context
from trimtab.errors import HostError
from trimtab.host import LocalHost, SnapshotHost
from trimtab.model import (
    Check,
    CheckKind,
    CheckOutcome,
    Evidence,
    Plan,
    Process,
    Proof,
    Settings,
    Value,
)
from trimtab.plan import compile_plan
from trimtab.verification import _OBSERVERS, refutations, summary, verify

YES, NO, UNOBSERVABLE = CheckOutcome.YES, CheckOutcome.NO, CheckOutcome.UNOBSERVABLE
GONE = 2**22 + 1
"""A process id above the kernel's largest."""


class View:
    """A server as verification sees it."""

    def __init__(self, *processes: Process, config: Mapping[str, Value] | None = None) -> None:
        self._processes = processes
        self._config = config or {}

    def processes(self) -> Sequence[Process]:
        return self._processes

    def reported_config(self) -> Mapping[str, Value]:
        return self._config


@contextmanager
def child(code: str = "", **env: str) -> Iterator[int]:
    """Run Python code in a child that then waits; yields its pid once the code has run."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "LD_"))}
    script = f"{code}\nprint('ready', flush=True)\nimport sys\nsys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**clean, **env},
    ) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        try:
            assert running.stdout.readline() == b"ready\n"
            yield running.pid
        finally:
            running.stdin.close()
            running.wait(timeout=30)


def process(pid: int, role: str = "api") -> Process:
    return Process(pid, 1, role, "python", ())


def look(check: Check, *processes: Process, config: Mapping[str, Value] | None = None) -> Evidence:
    plan = Plan(candidate=(), settings=Settings(argv=()), checks=(check,))
    (evidence,) = verify(plan, View(*processes, config=config), LocalHost())
    assert evidence.check is check
    assert evidence.where
    assert evidence.observed
    return evidence


def test_every_kind_has_an_observer() -> None:
    assert set(_OBSERVERS) == set(CheckKind)


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A loadable library of our own: a copy of the C mathematics library."""
    assert math.pi
    maps = Path("/proc/self/maps").read_text()
    found = re.search(r"(/\S*/libm\.so\.6|/\S*/libm-[\d.]+\.so)$", maps, re.MULTILINE)
    assert found, "a Python that does not map libm"
    real = tmp_path / "libtrimtabtest.so.4.2"
    shutil.copy(found[1], real)
    link = tmp_path / "libtrimtabtest.so.4"
    link.symlink_to(real.name)
    return link


def test_mapped(library: Path) -> None:
    check = Check(CheckKind.MAPPED, str(library), True, roles=("api", "engine", "worker"))
    with child(LD_PRELOAD=str(library)) as has, child() as has_not:
        assert look(check, process(has), process(has, "engine")).verdict is YES
        assert look(check, process(has_not)).verdict is NO
        mixed = look(check, process(has), process(has_not, "worker"))
        assert mixed.verdict is NO
        assert f"worker {has_not}" in mixed.observed
        assert f"api {has}" not in mixed.observed


def test_executable(tmp_path: Path) -> None:
    own = Path(sys.executable).resolve()
    check = Check(CheckKind.EXECUTABLE, "exe", str(own), roles=("api", "engine"))
    sleep = shutil.which("sleep")
    assert sleep
    copy = tmp_path / "another"
    shutil.copy(sleep, copy)
    with child() as has, subprocess.Popen([str(copy), "60"]) as other:
        try:
            assert look(check, process(has), process(has, "engine")).verdict is YES
            mixed = look(check, process(has), process(other.pid, "engine"))
            assert mixed.verdict is NO
            assert mixed.observed == f"{copy} runs in engine {other.pid}"
            copy.unlink()  # an interpreter that was replaced under the server
            again = replace(check, expected=str(copy))
            assert look(again, process(other.pid)).verdict is NO
        finally:
            other.kill()
    assert look(check, process(GONE)).verdict is NO


def test_not_mapped(library: Path) -> None:
    check = Check(CheckKind.NOT_MAPPED, "libtrimtabtest.so", True)
    with child(LD_PRELOAD=str(library)) as has, child() as has_not:
        assert look(check, process(has_not)).verdict is YES
        assert look(check, process(has)).verdict is NO


def test_a_preload_that_the_loader_ignored_is_refuted(tmp_path: Path) -> None:
    missing = str(tmp_path / "libabsent.so.1")
    with child(LD_PRELOAD=missing) as pid:
        assert look(Check(CheckKind.MAPPED, missing, True), process(pid)).verdict is NO
        delivered = Check(CheckKind.ENVIRON, "LD_PRELOAD", missing, proves=Proof.DELIVERY)
        assert look(delivered, process(pid)).verdict is YES


def test_environ() -> None:
    check = Check(CheckKind.ENVIRON, "TRIMTAB_X", "1", roles=("api",))
    with child(TRIMTAB_X="1") as has, child(TRIMTAB_X="2") as other, child() as without:
        assert look(check, process(has)).verdict is YES
        assert look(check, process(other)).verdict is NO
        assert look(check, process(without)).verdict is NO
        absent = replace(check, expected=None)
        assert look(absent, process(without)).verdict is YES
        assert look(absent, process(has)).verdict is NO
        # Where the title may have overwritten the start, missing proves nothing, other does.
        titled = replace(check, roles=("engine",))
        assert look(titled, process(has, "engine")).verdict is YES
        assert look(titled, process(other, "engine")).verdict is NO
        assert look(titled, process(without, "engine")).verdict is UNOBSERVABLE


_WIPED = """
import ctypes
start, end = map(int, open("/proc/self/stat").read().rpartition(")")[2].split()[47:49])
ctypes.memset(start, 0, end - start - 6)  # a tail may be left
"""
"""What setproctitle does to the variables at the head of a process's memory."""


def test_environ_of_several_api_servers_is_what_their_command_gave_them() -> None:
    check = Check(CheckKind.ENVIRON, "TRIMTAB_X", "1", roles=("api",))
    with child(TRIMTAB_X="1") as has, child() as has_not, child(_WIPED, TRIMTAB_X="1") as titled:
        below = {pid: Process(titled, pid, "api", "python", ()) for pid in (has, has_not)}
        assert look(check, process(has, "helper"), below[has]).verdict is YES
        assert look(check, process(has_not, "helper"), below[has_not]).verdict is NO
        assert look(check, below[has]).verdict is NO  # the command is none of the tree
        whole = Process(has_not, has, "api", "python", ())
        assert look(check, process(has, "helper"), whole).verdict is NO


def test_environ_never_tells_a_value() -> None:
    check = Check(CheckKind.ENVIRON, "API_TOKEN", "1", roles=("api",))
    with child(API_TOKEN="hush-hush") as pid:
        assert "hush" not in look(check, process(pid)).observed


PINNED = """
import os, threading
barrier = threading.Barrier({count} + 1)
def bind(cpu):
    os.sched_setaffinity(0, [cpu])
    barrier.wait()
    threading.Event().wait()
for cpu in {cpus}:
    threading.Thread(target=bind, args=(cpu,), daemon=True).start()
barrier.wait()
"""


def test_thread_affinity() -> None:
    cpus = sorted(os.sched_getaffinity(0))
    everywhere = ",".join(map(str, cpus))
    beyond = f"{everywhere},4095"

    def check(subject: str, expected: str) -> Check:
        return Check(CheckKind.THREAD_AFFINITY, subject, expected, roles=("worker",))

    with child() as free, child(PINNED.format(count=len(cpus), cpus=cpus)) as pinned:
        loose, bound = process(free, "worker"), process(pinned, "worker")
        assert look(check("threads", everywhere), loose).verdict is YES
        assert look(check("threads", beyond), loose).verdict is NO
        assert look(check("within", beyond), loose).verdict is YES
        assert look(check("within", "4095"), loose).verdict is NO
        assert look(check("pinned", everywhere), bound).verdict is YES
        assert look(check("pinned", beyond), bound).verdict is NO
        if len(cpus) > 1:
            assert look(check("pinned", everywhere), loose).verdict is NO


NAMED = """
import ctypes, threading
def wait():
    ctypes.CDLL(None).prctl(15, b"acl_thread", 0, 0, 0)  # PR_SET_NAME
    if {cpu} is not None:
        os.sched_setaffinity(0, [{cpu}])
    ready.set()
    threading.Event().wait()
import os
ready = threading.Event()
threading.Thread(target=wait, daemon=True).start()
ready.wait()
"""
PAIR = NAMED.format(cpu=None) + NAMED.format(cpu=None)


def test_named_threads() -> None:
    has = Check(CheckKind.THREAD_NAMED, "acl_thread", True)
    has_not = replace(has, expected=False)
    with child() as bare, child(NAMED.format(cpu=None)) as named:
        one, other = process(bare, "api"), process(named, "engine")
        assert look(has, one).verdict is NO
        assert look(has_not, one).verdict is YES
        assert look(has, one, other).verdict is YES
        assert look(has_not, one, other).verdict is NO
        assert str(named) in look(has, one, other).observed


def test_the_number_of_named_threads_in_one_process() -> None:
    two = Check(CheckKind.THREADS_NAMED, "acl_thread", 2)
    with child() as bare, child(NAMED.format(cpu=None)) as one, child(PAIR) as both:
        none, single = process(bare, "api"), process(one, "worker")
        assert look(two, none).verdict is NO
        assert look(two, none, single).verdict is CheckOutcome.UNOBSERVABLE  # it may be too early
        assert look(two, none, single, process(both, "worker")).verdict is YES
        assert str(both) in look(two, none, single, process(both, "worker")).observed


def test_the_cpus_of_named_threads() -> None:
    first = min(os.sched_getaffinity(0))
    alone = Check(CheckKind.NAMED_AFFINITY, "acl_thread", str(first))
    with child() as bare, child(NAMED.format(cpu=first)) as bound:
        assert look(alone, process(bare, "engine")).verdict is NO
        assert look(alone, process(bound, "engine")).verdict is YES
        assert look(replace(alone, expected="4095"), process(bound, "engine")).verdict is NO


def test_roles() -> None:
    none = Check(CheckKind.ROLES, "worker", 0)
    assert look(none, process(1), process(2, "engine")).verdict is YES
    assert look(none, process(1), process(2, "worker")).verdict is NO


@pytest.mark.parametrize(
    ("expected", "reported", "verdict"),
    [
        ("float32", "float32", YES),
        ("float32", "torch.float32", YES),
        ("float32", "bfloat16", NO),
        (True, True, YES),
        (True, False, NO),
        (8, 8, YES),
        (8, 128, NO),
        (1, True, NO),
    ],
)
def test_config(expected: Value, reported: Value, verdict: CheckOutcome) -> None:
    check = Check(CheckKind.CONFIG, "key", expected)
    assert look(check, config={"key": reported}).verdict is verdict
    assert look(check, config={"other": expected}).verdict is UNOBSERVABLE


ARENAS = """
import ctypes, threading
malloc = ctypes.CDLL(None).malloc
barrier = threading.Barrier(7)
def work():
    malloc(100)
    barrier.wait()
    threading.Event().wait()
for _ in range(6):
    threading.Thread(target=work, daemon=True).start()
barrier.wait()
"""


def test_arenas() -> None:
    check = Check(CheckKind.ARENAS, "glibc", 2, roles=("api",))
    with child(ARENAS, MALLOC_ARENA_MAX="2") as few, child(ARENAS) as many:
        assert look(check, process(few)).verdict is YES
        assert look(check, process(many)).verdict is NO
        assert look(replace(check, expected=7), process(many)).verdict is YES


def test_host_file(tmp_path: Path) -> None:
    name = Path("/proc/sys/kernel/ostype").read_text().strip()
    assert look(Check(CheckKind.HOST_FILE, "/proc/sys/kernel/ostype", name)).verdict is YES
    assert look(Check(CheckKind.HOST_FILE, "/proc/sys/kernel/ostype", "Other")).verdict is NO
    choice = tmp_path / "enabled"
    choice.write_text("always [madvise] never\n")
    assert look(Check(CheckKind.HOST_FILE, str(choice), "madvise")).verdict is YES
    assert look(Check(CheckKind.HOST_FILE, str(choice), "always")).verdict is NO
    assert look(Check(CheckKind.HOST_FILE, "/proc/none", "1")).verdict is UNOBSERVABLE


ROLLUP = "00400000-7fff0000 ---p 00000000 00:00 0  [rollup]\nRss: 9000 kB\nAnonHugePages: {} kB\n"


class Rollups(SnapshotHost):
    """A machine on which only some processes' memory can be seen: pid → its huge kB."""

    def __init__(self, sizes: Mapping[int, int | None]) -> None:
        self.sizes = sizes

    def read(self, path: str, limit: int = 0) -> str:
        size = self.sizes[int(path.split("/")[2])]
        if size is None:
            raise HostError(f"cannot read {path}: Permission denied")
        return ROLLUP.format(size)

    def exists(self, path: str) -> bool:
        return True


@pytest.mark.parametrize(
    ("sizes", "always", "never"),
    [
        ({1: 2048, 2: 0}, YES, NO),
        ({1: 0, 2: 0}, NO, YES),
        ({1: 2048, 2: None}, YES, NO),
        ({1: 0, 2: None}, UNOBSERVABLE, UNOBSERVABLE),
        ({}, NO, NO),
    ],
)
def test_huge_pages(
    sizes: Mapping[int, int | None], always: CheckOutcome, never: CheckOutcome
) -> None:
    view = View(process(3), *(process(pid, "worker") for pid in sizes))
    for expected, verdict in ((True, always), (False, never)):
        check = Check(CheckKind.HUGE_PAGES, "anonymous", expected, roles=("engine", "worker"))
        plan = Plan(candidate=(), settings=Settings(argv=()), checks=(check,))
        (evidence,) = verify(plan, view, Rollups(sizes))
        assert evidence.verdict is verdict, evidence


HUGE = """
import ctypes, mmap
MADV_HUGEPAGE, MADV_NOHUGEPAGE, SIZE = 14, 15, 32 << 20
area = mmap.mmap(-1, SIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
area.madvise({advice})
area.write(bytes(SIZE))
"""


def test_huge_pages_of_a_real_process() -> None:
    rollup = Path("/proc/self/smaps_rollup")
    enabled = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if not rollup.exists() or not enabled.exists() or "[never]" in enabled.read_text():
        pytest.skip("this kernel gives no transparent huge pages")
    check = Check(CheckKind.HUGE_PAGES, "anonymous", True)
    with child(HUGE.format(advice="MADV_HUGEPAGE")) as has:
        if look(check, process(has)).verdict is not YES:
            pytest.skip("no huge page is free on this machine")
        assert "MiB" in look(check, process(has)).observed
        assert look(replace(check, expected=False), process(has)).verdict is NO


PER_PROCESS = (
    Check(CheckKind.MAPPED, "/lib/x.so", True, roles=("worker",)),
    Check(CheckKind.NOT_MAPPED, "libx.so", True, roles=("worker",)),
    Check(CheckKind.ENVIRON, "X", "1", roles=("worker",)),
    Check(CheckKind.THREAD_AFFINITY, "within", "0-4095", roles=("worker",)),
    Check(CheckKind.ARENAS, "glibc", 1000, roles=("worker",)),
)


@pytest.mark.parametrize("check", PER_PROCESS, ids=lambda check: check.kind.value)
def test_without_a_process_of_the_role_nothing_has_the_value(check: Check) -> None:
    absent = look(check, process(os.getpid(), "api"))
    assert absent.verdict is NO
    assert "no worker process" in absent.observed
    assert look(check, process(GONE, "worker")).verdict is NO


def test_refuted_and_summary() -> None:
    check = Check(CheckKind.ROLES, "worker", 0)
    evidence = [Evidence(check, seen, "x", "y") for seen in (YES, NO, UNOBSERVABLE, YES)]
    assert refutations(evidence) == (evidence[1],)
    assert refutations(evidence[2:]) == ()
    assert summary(evidence) == "2 yes, 1 no, 1 unobservable"


def test_a_plan_of_the_catalogue_is_confirmed_and_refuted_as_a_whole(plain: Context) -> None:
    chosen = (("dummy", "1"), ("malloc-arenas", 2), ("one-process-engine", "0"))
    facts = replace(
        plain.facts,
        limits=replace(
            plain.facts.limits,
            allowed=replace(
                plain.facts.limits.allowed, value=tuple(sorted(os.sched_getaffinity(0)))
            ),
        ),
    )
    plan = compile_plan(chosen, STOCK, facts, catalog=CATALOG)
    env = {key: value for key, value in plan.settings.env if not key.startswith("HF_")}
    with child(ARENAS, **env) as api, child(ARENAS, **env) as engine, child(ARENAS) as stock:
        good = View(process(api), process(engine, "engine"))
        assert refutations(verify(plan, good, LocalHost())) == ()
        bad = View(process(stock), process(engine, "engine"), process(stock, "worker"))
        wrong = {one.check.tuning for one in refutations(verify(plan, bad, LocalHost()))}
        assert wrong == {"dummy", "malloc-arenas", "one-process-engine"}

"""Driving one continuous load: who is sent when, where windows are cut, and when it ends."""

from __future__ import annotations

import asyncio
import math
import os
import resource
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import Final

from trimtab.load.client import Client
from trimtab.load.connection import Exchange, LoadTarget
from trimtab.load.guards import HostCpu, Readings
from trimtab.load.steady_state import WarmUp
from trimtab.load.workload import Workload
from trimtab.model import Request


def client_cpu() -> float:
    """Return the CPU seconds that this process has used."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def parse_stat(text: str, ticks: float) -> HostCpu | None:
    """Parse the first line of ``/proc/stat`` (man 5 proc_stat); ``ticks`` a second.

    Returns ``None`` if the line is not what it should be. Guest time is part of user time, and
    waiting for I/O is idle time.
    """
    words = text.partition("\n")[0].split()
    if len(words) < 9 or words[0] != "cpu" or not all(word.isdecimal() for word in words[1:]):
        return None
    user, nice, system, idle, iowait, irq, softirq, steal = (int(w) / ticks for w in words[1:9])
    busy = user + nice + system + irq + softirq
    return HostCpu(busy, steal, busy + steal + idle + iowait)


def host_cpu(path: Path = Path("/proc/stat")) -> HostCpu | None:
    """Return the machine's CPU seconds, or ``None`` where the kernel does not tell."""
    try:
        text = path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    return parse_stat(text, os.sysconf("SC_CLK_TCK"))


HostReader = Callable[[], HostCpu | None]
"""What :func:`host_cpu` is; tests give their own."""


_LOOK_SECONDS: Final = 0.25
_FEWEST_FAILURES: Final = 4
_SPARE: Final = 32
"""Connections kept open ahead of need in open loop: one that a request has to wait for costs it
half a millisecond even on loopback."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What is looked at while the load runs.

    ``alive`` returns ``None`` while the server is whole, else a sentence. ``server_cpu`` returns
    the CPU seconds of the server's tree, ``host_cpu`` those of the machine. ``progress`` gets
    short texts. ``hopeless`` is asked with the load's begin, what has ended and what runs, and
    returns the sentence why it need not go on, or "". All are called from a helper thread, one
    call at a time for ``alive``, ``progress`` and ``hopeless``.
    """

    alive: Callable[[], str | None]
    host_cpu: HostReader
    server_cpu: Callable[[], float] | None = None
    stop: threading.Event | None = None
    progress: Callable[[str], None] | None = None
    hopeless: Callable[[float, Sequence[Exchange], Sequence[Exchange]], str] | None = None


@dataclass(slots=True)
class LoadRun:
    """What a load left: instants are of ``perf_counter``.

    ``cuts`` are the instants between windows (the first is the end of the warm-up), with the
    CPU readings taken there; windows that stand ``apart`` have two of their own. ``unfinished``
    were on the way when the load ended. ``spare`` is the number of requests that prolonged the
    warm-up, ``unsteady`` why it left no steady state.
    """

    # asyncio.Runner writes down what a task returned, only to drop it (signal.getsignal tries its
    # handler as an enum): with all answers in it that took as long as to decode them
    begun: float = 0.0
    ended: list[Exchange] = field(default_factory=list, repr=False)
    unfinished: list[Exchange] = field(default_factory=list, repr=False)
    cuts: list[tuple[float, Readings]] = field(default_factory=list)
    failed: str = ""
    apart: bool = False
    spare: int = 0
    unsteady: str = ""

    @property
    def spans(self) -> list[tuple[tuple[float, Readings], tuple[float, Readings]]]:
        """The cuts at which each window begins and ends."""
        return list(pairwise(self.cuts))[:: 2 if self.apart else 1]


class Driver:
    """Sends the requests of a workload until its windows are complete.

    Progress is counted in requests: in closed loop those that ended; in open loop the length of
    the unbroken row of ended requests from the first arrival on, so that a window is complete
    when all its requests and all before it are done. Windows are cut where that count passes
    ``warmup``, ``warmup + window_requests`` and so on; they tile the time without a gap.

    ``planned`` are so many of the requests as are not spare, by default those of the workload.
    """

    def __init__(
        self,
        target: LoadTarget,
        workload: Workload,
        requests: tuple[Request, ...],
        watch: Watch,
        planned: int | None = None,
    ) -> None:
        self._workload = workload
        self._requests = requests
        self._watch = watch
        self._client = Client(
            target, requests, workload.request_deadline, self._on_end, self._on_read
        )
        self._run = LoadRun()
        self._planned = workload.requests if planned is None else planned
        self._warmup = WarmUp(workload, requests[self._planned :])
        self._next = 0
        self._row = 0
        self._done: set[int] = set()
        self._failures = 0
        self._due = math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._readings: list[asyncio.Future[Readings]] = []
        self._cuts: list[float] = []
        self._finished: asyncio.Future[str] | None = None
        self._said = ""

    async def run(self) -> LoadRun:
        """Run the load to its end, however it ends."""
        self._finished = asyncio.get_running_loop().create_future()
        concurrency = self._workload.concurrency
        try:
            spare = 0 if concurrency else _SPARE
            await self._client.open(concurrency or spare, spare)
            self._run.begun = perf_counter()
            self._cut_windows(self._run.begun)
            if concurrency is None:
                self._arrive()
            else:
                for _ in range(concurrency):
                    self._send_next()
            await self._wait()
        finally:
            if self._timer is not None:
                self._timer.cancel()
            self._run.unfinished = list(self._client.running.values())
            await self._client.close()
        readings = await asyncio.gather(*self._readings)
        self._run.cuts = list(zip(self._cuts, readings, strict=True))
        self._run.spare, self._run.unsteady = self._warmup.spent, self._warmup.unsteady
        return self._run

    async def _wait(self) -> None:
        assert self._finished is not None
        while not self._finished.done():
            await asyncio.wait({self._finished}, timeout=_LOOK_SECONDS)
            if not self._finished.done():
                self._look_at(await asyncio.to_thread(self._look))
        self._run.failed = self._finished.result()

    def _look(self) -> str | None:
        """Tell the progress and ask whether the server is whole (in a helper thread)."""
        if self._watch.progress is not None:
            said = self._describe()
            if said != self._said:
                self._watch.progress(said)
                self._said = said
        hopeless = self._watch.hopeless
        run, running = self._run, list(self._client.running.values())
        why = hopeless(run.begun, run.ended[:], running) if hopeless is not None else ""
        return why or self._watch.alive()

    def _look_at(self, trouble: str | None) -> None:
        if trouble is not None:
            self._finish(trouble)
        elif self._watch.stop is not None and self._watch.stop.is_set():
            self._finish("stopped before the load was complete")
        elif self._overdue():
            self._finish("")

    def _overdue(self) -> bool:
        """Whether the time is over, and what must be measured is."""
        return len(self._cuts) > 1 and self._measured_seconds() > self._workload.max_seconds

    def _describe(self) -> str:
        workload, count = self._workload, len(self._run.ended)
        if not self._cuts:
            planned = workload.warmup + self._warmup.spent
            return f"warm-up: {count} of {planned} requests"
        return f"window {len(self._cuts)} of {workload.windows}: {count} requests"

    def _measured_seconds(self) -> float:
        return perf_counter() - self._cuts[0]

    def _arrive(self) -> None:
        """Send every request that is due (open loop), and come back for the next."""
        if self._timer is not None:
            self._timer.cancel()
        while self._next < len(self._requests):
            at = self._requests[self._next].at
            assert at is not None
            self._due = self._run.begun + at
            wait = self._due - perf_counter()
            if wait > 0:
                self._timer = asyncio.get_running_loop().call_later(wait, self._arrive)
                return
            self._send_next(self._due)
        self._due = math.inf

    def _on_read(self) -> None:
        """Send first what became due while others were read.

        The loop runs no timer until it has read all that is ready, and the chunks of an engine's
        step arrive together: those of 80 streams take 2 ms. The kernel has stamped them.
        """
        if perf_counter() >= self._due:
            self._arrive()

    def _send_next(self, intended: float | None = None) -> None:
        if intended is None and self._next == self._workload.warmup and (more := self._more()):
            self._client.submit(more, None)
            return
        if self._next < self._planned:
            request = self._requests[self._next]
            self._next += 1
            self._client.submit(request, intended)

    def _more(self) -> Request | None:
        """Return what prolongs the warm-up of a closed loop, ``None`` when it is over."""
        run = self._run
        return self._warmup.more(
            run.begun, perf_counter(), run.ended, self._client.running.values()
        )

    def _send_turn(self, index: int) -> None:
        """Send what follows request ``index`` on its stream: a conversation stays together."""
        assert self._workload.concurrency is not None
        following = index + self._workload.concurrency
        if following == self._workload.warmup:
            self._more()  # nothing does go on: it is only judged
        if following < len(self._requests):
            self._client.submit(self._requests[following], None)

    def _on_end(self, exchange: Exchange) -> None:
        """Send the next request first; everything else can wait for it."""
        assert exchange.done is not None
        self._run.ended.append(exchange)
        if self._finished is None or self._finished.done():
            return
        if self._workload.concurrency is None:
            pass  # the schedule sends
        elif self._workload.turns is not None:
            self._send_turn(exchange.request.index)
        else:
            self._send_next()
        self._done.add(exchange.request.index)
        while self._row in self._done:
            self._row += 1
        self._cut_windows(exchange.done)
        self._count_failures(exchange)

    def _cut_windows(self, now: float) -> None:
        workload = self._workload
        while self._passed() >= workload.warmup + len(self._cuts) * workload.window_requests:
            self._cut(now)
            if self._enough():
                self._finish("")
                return

    def _passed(self) -> int:
        if self._workload.concurrency is None:
            return self._row
        return len(self._run.ended) - self._warmup.spent

    def _cut(self, now: float) -> None:
        loop = asyncio.get_running_loop()
        self._cuts.append(now)
        # reading a process tree takes milliseconds, in which no chunk would be stamped
        self._readings.append(loop.run_in_executor(None, self._read, client_cpu()))

    def _read(self, client: float) -> Readings:
        server = self._watch.server_cpu
        return Readings(client, None if server is None else server(), self._watch.host_cpu())

    def _enough(self) -> bool:
        """Whether no further window is to be begun."""
        if len(self._cuts) < 2:
            return False
        if len(self._cuts) > self._workload.windows:
            return True
        last = self._cuts[-1] - self._cuts[-2]
        return self._cuts[-1] - self._cuts[0] + last > self._workload.max_seconds

    def _count_failures(self, exchange: Exchange) -> None:
        if exchange.own:
            self._finish(exchange.error)
            return
        self._failures = self._failures + 1 if exchange.error else 0
        if self._failures >= max(_FEWEST_FAILURES, self._workload.concurrency or 0):
            self._finish(f"the last {self._failures} requests failed: {exchange.error}")

    def _finish(self, reason: str) -> None:
        if self._finished is not None and not self._finished.done():
            self._finished.set_result(reason)

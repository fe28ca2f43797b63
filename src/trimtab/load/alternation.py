"""A load in which a setting of the host alternates between the windows.

Windows stand apart here. At the end of one the setting is switched for the next, and that begins
when as many requests have ended as were on the way once it was switched: what was half done under
the other setting is part of no window. The load itself goes on, so the server stays as busy as it
was. The pause comes before every window, whether it is switched or not, so that all are alike.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass

from trimtab.load.connection import LoadTarget
from trimtab.load.driver import Driver, LoadRun, Watch
from trimtab.load.workload import Workload
from trimtab.model import Request


@dataclass(frozen=True, slots=True)
class Toggle:
    """What alternates, the windows in which it is on, and how it is switched.

    ``switch`` gets whether it is to be on. It is called from a helper thread, once before each
    window; what it raises ends the load and leaves it as its error. So many windows make a
    ``round``: a load that runs out of time ends behind a whole one.
    """

    tuning: str
    order: tuple[bool, ...]
    switch: Callable[[bool], None]
    round: int

    def on(self, index: int) -> str:
        """Return what is on in a window: the tuning, or ""."""
        return self.tuning if self.order[index] else ""


def lengthen(workload: Workload, toggle: Toggle) -> Workload:
    """Return the workload with enough requests for the pauses: as many again as are measured."""
    each = max(workload.window_requests, 2 * (workload.concurrency or 0))
    windows = len(toggle.order)
    pauses = math.ceil(windows * each / workload.window_requests)
    return workload.model_copy(update={"windows": windows + pauses})


class TogglingDriver(Driver):
    """A driver that cuts at the begin and at the end of each window, with a pause between."""

    def __init__(
        self,
        target: LoadTarget,
        workload: Workload,
        requests: tuple[Request, ...],
        watch: Watch,
        toggle: Toggle,
    ) -> None:
        planned = min(len(requests), lengthen(workload, toggle).requests)
        super().__init__(target, workload, requests, watch, planned)
        self._run.apart = True
        self._toggle = toggle
        self._switching: asyncio.Future[None] | None = None
        self._pausing = False
        self._until: float = workload.warmup
        """The progress at which a window or a pause is over; infinite during a switch."""

    async def run(self) -> LoadRun:
        """Run the load to its end, however it ends; raises what a switch raised."""
        try:
            return await super().run()
        finally:
            if self._switching is not None:
                await self._switching  # whoever puts the setting back must not be overtaken

    def _cut_windows(self, now: float) -> None:
        while self._passed() >= self._until:
            if self._pausing:
                self._cut(now)
                self._pausing = False
                self._until = self._passed() + self._workload.window_requests
                continue
            if self._cuts:
                self._cut(now)
            if self._enough():
                self._finish("")
                return
            self._switch()
        if self._run.ended and self._dry():
            self._finish("")

    def _switch(self) -> None:
        on = self._toggle.order[self._windows()]
        self._until = math.inf
        loop = asyncio.get_running_loop()
        self._switching = loop.run_in_executor(None, self._toggle.switch, on)
        self._switching.add_done_callback(self._switched)

    def _switched(self, switching: asyncio.Future[None]) -> None:
        if switching.cancelled() or switching.exception() is not None:
            self._finish("the setting could not be switched")
            return
        self._pausing = True
        self._until = self._passed() + len(self._client.running)

    def _windows(self) -> int:
        """Return how many windows are complete."""
        return len(self._cuts) // 2

    def _enough(self) -> bool:
        windows, most = self._windows(), len(self._toggle.order)
        if windows in (0, most):
            return windows == most
        spent = self._cuts[-1] - self._cuts[0]
        another = spent * (windows + self._toggle.round) / windows
        return windows % self._toggle.round == 0 and another > self._workload.max_seconds

    def _overdue(self) -> bool:
        return self._windows() >= self._toggle.round and super()._overdue()

    def _dry(self) -> bool:
        """Whether requests have run out: a load that fades measures nothing."""
        if self._workload.concurrency is None:
            return self._next >= len(self._requests)
        return len(self._client.running) < self._workload.concurrency

    def _describe(self) -> str:
        if not self._cuts:
            return super()._describe()
        place = f"window {(len(self._cuts) + 1) // 2} of {len(self._toggle.order)}"
        return f"{place}: {len(self._run.ended)} requests"

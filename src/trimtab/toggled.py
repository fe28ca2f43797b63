"""A start in which a setting of the host alternates: what holds throughout, what is switched."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial

from trimtab.errors import SettingRefusedError
from trimtab.host import Host
from trimtab.host_settings.transaction import Switch
from trimtab.load.alternation import Toggle
from trimtab.model import Evidence, HostWrite, Plan, Seen, StartRequest
from trimtab.search import ROUND, alternation
from trimtab.session import Session
from trimtab.verification.checks import ServerView, verify


@dataclass(slots=True)
class Alternating:
    """The live tuning of one start, as a plan of its own: its writes and its checks.

    ``evidence`` is what was seen of the checks when it was first on, or the refusal.
    """

    request: StartRequest
    plan: Plan
    evidence: list[Evidence] = field(default_factory=list)

    @property
    def writes(self) -> tuple[HostWrite, ...]:
        """What is written when it is switched on; nothing in a start without a live tuning."""
        return self.plan.writes

    def toggle(self, switch: Switch, view: ServerView, session: Session) -> Toggle | None:
        """Return how a load of the session is to alternate; ``None`` if nothing does."""
        request = self.request
        if not request.live:
            return None
        order = alternation(request.block, session.workload.windows)
        turn = partial(self._turn, switch, view, session.host)
        return Toggle(request.live, order, turn, ROUND)

    def _turn(self, switch: Switch, view: ServerView, host: Host, on: bool) -> None:
        try:
            switch(on)
        except SettingRefusedError as error:
            self.evidence[:] = [
                Evidence(check, Seen.NO, str(error), check.subject) for check in self.plan.checks
            ]
            raise
        if on and not self.evidence:
            self.evidence += verify(self.plan, view, host)


def parted(session: Session, plan: Plan, request: StartRequest) -> tuple[Plan, Alternating]:
    """Return what of a start's plan holds throughout, and what alternates."""
    steady = session.compile(request.steady) if request.live else plan
    writes = tuple(write for write in plan.writes if write not in steady.writes)
    live = session.catalog[request.live].entry if request.live else ""
    checks = tuple(check for check in plan.checks if check.tuning == live)
    return steady, Alternating(request, replace(plan, writes=writes, checks=checks))

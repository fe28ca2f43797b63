"""A server under ``trimtab run``, seen from outside: does it serve, and what does it report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from trimtab.engines import Observer
from trimtab.model import Process, Value
from trimtab.processes.supervised import Kept
from trimtab.running.follower import Standing, is_follower
from trimtab.server import listeners
from trimtab.server.attached import described


class View:
    """What readiness and verification need of the server (`verify.ServerView`).

    ``text`` returns the server's output so far, ``key`` is its API key. ``url`` is "" until it is
    known to serve, and stays so for a ``follower``.
    """

    def __init__(
        self,
        kept: Kept,
        observer: Observer,
        argv: Sequence[str],
        text: Callable[[], str],
        key: str | None,
    ) -> None:
        self.url = ""
        self.follower = is_follower(argv)
        self._standing = Standing()
        self._kept = kept
        self._observer = observer
        self._argv = argv
        self._text = text
        self._key = key

    def processes(self) -> tuple[Process, ...]:
        """Return the living tree with roles, parents first."""
        return described(self._kept.tree(), self._observer)

    def reported_config(self) -> Mapping[str, Value]:
        """Return the configuration in effect, as far as server or output reports it."""
        return self._observer.reported_config(self.url, self._text(), key=self._key)

    def ready(self) -> bool:
        """Whether it serves: it answers ``GET /health`` without a server error.

        A follower answers nothing: it serves once its engines stand.
        """
        if self.follower:
            return self._standing.look(self.processes(), self._text())
        pids = (stat.pid for stat in self._kept.tree())
        found = listeners.serving(listeners.urls(pids, self._argv))
        self.url = found or self.url
        return found is not None

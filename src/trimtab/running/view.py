"""A server under ``trimtab run``, seen from outside: does it serve, and what does it report."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence

import psutil

from trimtab.engines import Observer
from trimtab.kept import Kept
from trimtab.live import described
from trimtab.model import Process, Value
from trimtab.running import program

_SECONDS = 2.0
_SERVER_ERRORS = 500
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  read from sockets, not bound


class View:
    """What readiness and verification need of the server (`verify.ServerView`).

    ``text`` returns the server's output so far, ``key`` is its API key. ``url`` is "" until it is
    known to serve.
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
        self._kept = kept
        self._observer = observer
        self._argv = argv
        self._text = text
        self._key = key
        self._tls = program.option(argv, "--ssl-keyfile") is not None

    def processes(self) -> tuple[Process, ...]:
        """Return the living tree with roles, parents first."""
        return described(self._kept.tree(), self._observer)

    def reported_config(self) -> Mapping[str, Value]:
        """Return the configuration in effect, as far as server or output reports it."""
        url = "" if self._tls else self.url
        return self._observer.reported_config(url, self._text(), key=self._key)

    def ready(self) -> bool:
        """Whether it serves: it answers ``GET /health`` without a server error.

        A server that is no vLLM may have no such page, and serves all the same.
        """
        path = program.option(self._argv, "--uds")
        if path is not None:
            return _accepts(path)
        for host, port in self._addresses():
            if _answers(host, port, tls=self._tls):
                shown = f"[{host}]" if ":" in host else host
                self.url = f"http{'s' if self._tls else ''}://{shown}:{port}"
                return True
        return False

    def _addresses(self) -> list[tuple[str, int]]:
        """Return where the tree listens: the port that was asked for first."""
        asked = program.option(self._argv, "--port")
        return sorted(set(self._listening()), key=lambda one: (str(one[1]) != asked, one[1]))

    def _listening(self) -> Iterator[tuple[str, int]]:
        for stat in self._kept.tree():
            try:
                sockets = psutil.Process(stat.pid).net_connections("tcp")
            except psutil.Error:
                continue
            for one in sockets:
                if one.status == psutil.CONN_LISTEN:
                    yield _WILDCARDS.get(one.laddr.ip, one.laddr.ip), one.laddr.port


def _answers(host: str, port: int, *, tls: bool) -> bool:
    connection: http.client.HTTPConnection
    if tls:
        # It is the process that we started, and it is told nothing.
        context = ssl._create_unverified_context()  # noqa: S323
        connection = http.client.HTTPSConnection(host, port, timeout=_SECONDS, context=context)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=_SECONDS)
    try:
        connection.request("GET", "/health", headers={"Connection": "close"})
        return connection.getresponse().status < _SERVER_ERRORS
    except ssl.SSLError as error:
        return "CERTIFICATE" in str(error).upper()  # it wants a client's certificate: it serves
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _accepts(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_SECONDS)
        return probe.connect_ex(path) == 0

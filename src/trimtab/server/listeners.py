"""Where the server of a process tree listens, and which of its addresses answers."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import psutil

from trimtab.engines.command import config_text
from trimtab.errors import UsageError
from trimtab.families import read_command
from trimtab.http_client import address, loopback
from trimtab.invocations import Invocation, with_config_file
from trimtab.processes import procfs

_SECONDS = 2.0
_BYTES = 65_536
_SERVER_ERRORS = 500
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  read from sockets, not bound


def urls(pids: Iterable[int], argv: Sequence[str]) -> list[str]:
    """Return the addresses at which processes may serve, the likeliest first.

    ``argv`` is the command's: its ``--uds``, ``--port`` and ``--ssl-*`` decide the order. Each
    place is named with TLS and without, because a file may have set it. Certificates are not
    checked: it is the socket of these very processes.
    """
    ids = list(pids)
    endpoint = invocation_with_config(argv, _folder(ids)).endpoint
    if endpoint.uds:
        return [address.socket_url(str(_folder(ids) / endpoint.uds))]
    asked, tls = endpoint.port, endpoint.tls
    places = sorted(set(_sockets(ids)), key=lambda one: (str(one[1]) != asked, one[1], one[0]))
    return [
        address.host_url(host, port, tls=secure, verified=False)
        for host, port in places
        for secure in (tls, not tls)
    ]


def invocation_with_config(argv: Sequence[str], folder: Path = Path()) -> Invocation:
    """Return what a command says, with its ``--config`` file's options if that can be read here.

    A relative path of it belongs to ``folder``. Of a program of no family the options are read.
    """
    invocation = read_command(argv)
    try:
        return with_config_file(invocation, config_text(folder))
    except UsageError:
        return invocation


def is_headless(argv: Sequence[str]) -> bool:
    """Whether a command, or the ``--config`` file in it, starts engines without an API."""
    return invocation_with_config(argv).headless


def serving_url(candidates: Iterable[str]) -> str | None:
    """Return the first address at which ``GET /health`` is answered without a server error.

    A server that is no vLLM may have no such page, and serves all the same.
    """
    silent: set[str] = set()  # places that would keep the other scheme waiting as well
    for url in candidates:
        place = url.partition("://")[2]
        if place in silent:
            continue
        try:
            reply = loopback.exchange("GET", url, "/health", timeout=_SECONDS, limit=_BYTES)
        except loopback.ExchangeError as error:
            if _wants_certificate(error.__cause__):
                return url  # it serves those who have one
            if isinstance(error.__cause__, TimeoutError):
                silent.add(place)
            continue
        if reply.status < _SERVER_ERRORS:
            return url
    return None


def _wants_certificate(cause: BaseException | None) -> bool:
    return isinstance(cause, ssl.SSLError) and "CERTIFICATE_REQUIRED" in str(cause).upper()


def _sockets(pids: Iterable[int]) -> Iterator[tuple[str, int]]:
    for pid in pids:
        try:
            sockets = psutil.Process(pid).net_connections("tcp")
        except psutil.Error:
            continue
        for socket in sockets:
            if socket.status == psutil.CONN_LISTEN:
                yield _WILDCARDS.get(socket.laddr.ip, socket.laddr.ip), socket.laddr.port


def _folder(pids: Sequence[int]) -> Path:
    """Return the working folder of the first process, to which its relative paths belong."""
    try:
        return (procfs.PROC / str(pids[0]) / "cwd").readlink()
    except (OSError, IndexError):
        return Path.cwd()

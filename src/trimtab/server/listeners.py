"""Where the server of a process tree listens, and which of its addresses answers."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import psutil

from trimtab.engines.vllm import config_file
from trimtab.errors import UsageError
from trimtab.http_client import address, loopback
from trimtab.knobs.server_arg import option_value
from trimtab.processes import procfs

_SECONDS = 2.0
_BYTES = 65_536
_SERVER_ERRORS = 500
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  read from sockets, not bound
_TLS = ("--ssl-keyfile", "--ssl-certfile")


def urls(pids: Iterable[int], argv: Sequence[str]) -> list[str]:
    """Return the addresses at which processes may serve, the likeliest first.

    ``argv`` is the command's: its ``--uds``, ``--port`` and ``--ssl-*`` decide the order. Each
    place is named with TLS and without, because a file may have set it. Certificates are not
    checked: it is the socket of these very processes.
    """
    ids = list(pids)
    argv = with_config_file(argv, _folder(ids))
    path = option_value(argv, "--uds")
    if path is not None:
        return [address.socket_url(str(_folder(ids) / path))]
    asked = option_value(argv, "--port")
    tls = any(option_value(argv, name) is not None for name in _TLS)
    places = sorted(set(_sockets(ids)), key=lambda one: (str(one[1]) != asked, one[1], one[0]))
    return [
        address.host_url(host, port, tls=secure, verified=False)
        for host, port in places
        for secure in (tls, not tls)
    ]


def with_config_file(argv: Sequence[str], folder: Path = Path()) -> list[str]:
    """Return a command with the options of its ``--config`` file, if that can be read here.

    A relative path of it belongs to ``folder``.
    """
    words = list(argv)
    if "--config" not in words[:-1] or "serve" not in words:
        return words
    at = words.index("--config") + 1
    words[at] = str(folder / words[at])
    behind = words.index("serve") + 1
    try:
        return [*words[:behind], *config_file.join_config_file(words[behind:], "the command")]
    except UsageError:
        return words


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

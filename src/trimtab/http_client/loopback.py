"""One HTTP request to a server, and the framing of its answer: bounded in time and size.

``url`` is an address as `trimtab.http_client.address` reads it: http, https or a unix socket.
``timeout`` bounds the whole exchange in seconds, name resolution aside: a server that drips bytes
is given up as one that is silent.

The key that a server demands of its clients. Pure.
"""

from __future__ import annotations

import errno
import http
import json
import socket
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import httptools

from trimtab.errors import ClientLimitError
from trimtab.http_client.address import Address, parse
from trimtab.model import Settings

HEAD_BYTES: Final = 64 * 1024
"""What status line and header fields may take. vLLM's take some 200 bytes."""

_INTERIM: Final = 200


class Framing:
    """Callbacks of `httptools.HttpResponseParser` that follow one response.

    ``status`` is ``None`` until its head is read, ``location`` where a redirect points, ``coding``
    how the body is compressed, "" if it is not.
    ``until_close``: the body has no length and ends with the connection, which is legal and which
    :meth:`ended` tells. ``keep`` says whether the connection may be used again. ``whole`` is set
    once the response is complete.
    """

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Expect a new response."""
        self.parser = httptools.HttpResponseParser(self)
        self.status: int | None = None
        self.location = self.coding = ""
        self.until_close = self.keep = self.whole = False
        self._sized = False

    @property
    def compressed(self) -> str:
        """The sentence that the body is compressed though no request asks for it; else ""."""
        if not self.coding:
            return ""
        coding = "".join(one for one in self.coding[:40] if one.isprintable())
        return f"the answer is compressed ({coding}): turn compression off before the server"

    def ended(self) -> bool:
        """Take the end of the connection; return whether the response is complete."""
        self.whole = self.whole or self.until_close
        return self.whole

    def on_message_begin(self) -> None:
        """Take the first byte of a response (the parser calls this)."""
        if self.whole:
            self.keep = False  # an answer nobody asked for

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header field (the parser calls this)."""
        lower = name.lower()
        if lower == b"content-length" or (
            lower == b"transfer-encoding" and b"chunked" in value.lower()
        ):
            self._sized = True
        elif lower == b"location":
            self.location = value.decode("latin-1")
        elif lower == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            self.coding = value.decode("latin-1").strip()

    def on_headers_complete(self) -> None:
        """Take the status (the parser calls this)."""
        status = self.parser.get_status_code()
        if self.whole:
            return
        if status < _INTERIM:
            self._sized = False  # 100 to 103 come before the response itself
            return
        self.status = status
        # asked now, because after the message llhttp has forgotten how it was framed
        self.keep = self.parser.should_keep_alive()
        self.until_close = not self._sized

    def on_message_complete(self) -> None:
        """Take the end of a response (the parser calls this, inside ``feed_data``)."""
        if self.status is not None:
            self.whole = True


_OPTION = "--api-key"
_VARIABLE = "VLLM_API_KEY"


def api_key(settings: Settings, inherited: Mapping[str, str]) -> str | None:
    """Return a key that the server of these settings accepts; ``None`` if it demands none.

    ``inherited`` is the environment that the launch starts from. A key of the command line hides
    the variable's; of several, each is as good (vLLM 0.32
    entrypoints/serve/middleware/register.py). Clients send it as "Authorization: Bearer KEY"; it
    is asked for under ``/v1`` only, not at ``/health``, ``/metrics`` and ``/server_info``.
    """
    keys: list[str] = []
    for given in _occurrences(settings.argv):
        keys = given  # the last occurrence wins
    if not keys:
        env = {name: text for name, text in inherited.items() if name not in settings.unset}
        keys = [{**env, **dict(settings.env)}.get(_VARIABLE, "")]
    return next((key for key in keys if key), None)


def header(key: str | None) -> dict[str, str]:
    """Return the header that shows the key to the server; none without a key."""
    return {} if key is None else {"Authorization": f"Bearer {key}"}


def _occurrences(argv: Sequence[str]) -> Iterator[list[str]]:
    """Yield the values of each ``--api-key``, which takes one or several."""
    for index, word in enumerate(argv):
        name, equals, value = word.partition("=")
        if name.replace("_", "-") != _OPTION:
            continue
        values = [value] if equals else []
        for following in argv[index + 1 :] if not equals else ():
            if following.startswith("-"):
                break
            values.append(following)
        yield values


MAX_BYTES: Final = 32 * 1024 * 1024
"""What a page may take unless it is asked for with a lower limit."""

SMALL_BYTES: Final = 4 * 1024 * 1024
"""What an answer in JSON may take: a list of models, a configuration, a few tokens."""

_REMEDIES: Final = {
    errno.EMFILE: "raise 'ulimit -n', or lower the load",
    errno.ENFILE: "raise the sysctl fs.file-max, or lower the load",
    errno.EADDRNOTAVAIL: "widen the sysctl net.ipv4.ip_local_port_range, or wait a minute",
    errno.EADDRINUSE: "widen the sysctl net.ipv4.ip_local_port_range, or wait a minute",
    errno.ENOBUFS: "lower the load",
}
"""What to do where this side has run out of descriptors, of local ports or of memory for them."""

OWN_LIMITS: Final = frozenset(_REMEDIES)
"""Errors of a connection that are this side's, and nothing that the server did."""

_PLAIN_ANSWERS: Final = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST"})
"""What OpenSSL calls the answer of a server without TLS."""

_READ_BYTES: Final = 65_536
_REDIRECTS: Final = range(300, 400)


class ExchangeError(Exception):
    """No answer was had; the message is a few words. Never leaves this package's callers."""


@dataclass(frozen=True, slots=True)
class HttpReply:
    """An answer: its status, its body, and where it redirects to if it does."""

    status: int
    body: bytes
    location: str = ""


def get(
    url: str, path: str, timeout: float, key: str | None = None, limit: int = MAX_BYTES
) -> bytes | None:
    """Return the body of a 200 answer to ``GET url/path``; ``None`` for anything else.

    ``key`` is the server's API key, if it demands one; ``limit`` what the body may take in bytes.

    Raises:
        ClientLimitError: this process has no descriptor left.
    """
    return _found("GET", url, path, None, timeout, key, limit)


def get_json(url: str, path: str, timeout: float, key: str | None = None) -> object:
    """Return the JSON of a 200 answer; ``None`` for anything else."""
    return _json(_found("GET", url, path, None, timeout, key, SMALL_BYTES))


def post_json(
    url: str, path: str, content: object, timeout: float, key: str | None = None
) -> object:
    """Post JSON and return the JSON of a 200 answer; ``None`` for anything else."""
    return _json(_found("POST", url, path, _bytes(content), timeout, key, SMALL_BYTES))


def version(url: str, key: str | None = None) -> str:
    """Return the version that a server says it has, "of unknown version" if it does not say."""
    answer = get_json(url, "/version", 5.0, key)
    told = answer.get("version") if isinstance(answer, dict) else None
    return told if isinstance(told, str) and told.isprintable() else "of unknown version"


def trouble(url: str, path: str, timeout: float, key: str | None = None) -> str:
    """Return why ``GET url/path`` gets no JSON, in a few words; "" if it does."""
    try:
        reply = exchange("GET", url, path, timeout=timeout, key=key, limit=SMALL_BYTES)
    except ExchangeError as error:
        return str(error)
    if why := refusal(path, reply):
        return why
    return "" if _json(reply.body) is not None else f"the answer of {path} is no JSON"


def refusal(path: str, reply: HttpReply) -> str:
    """Return what an answer other than 200 says of a page, in a few words; "" for 200."""
    if reply.status == http.HTTPStatus.OK:
        return ""
    if reply.status in _REDIRECTS and reply.location:
        place = "".join(one for one in reply.location[:200] if one.isprintable())
        return f"{path} redirects to {place} (HTTP {reply.status}), which trimtab does not follow"
    return f"{path} answers HTTP {reply.status}"


def exchange(
    method: str,
    url: str,
    path: str,
    content: object = None,
    *,
    timeout: float,
    key: str | None = None,
    limit: int = MAX_BYTES,
) -> HttpReply:
    """Return what the server answers, whatever its status.

    ``content`` is posted as JSON if it is not ``None``.

    Raises:
        ExchangeError: no complete HTTP answer came.
        ClientLimitError: this process has no descriptor left.
    """
    at = parse(url)
    body = None if content is None else _bytes(content)
    try:
        return _exchange(at, _request(at, method, path, body, key), timeout, limit)
    except TimeoutError as error:
        raise ExchangeError(f"no answer within {timeout:g} s") from error
    except ssl.SSLCertVerificationError as error:
        raise ExchangeError(
            f"its certificate is not trusted ({error.verify_message}): "
            "name its authority's file in SSL_CERT_FILE, or give --insecure"
        ) from error
    except ConnectionResetError as error:
        hint = "" if at.tls else ": if it speaks TLS, name it with https://"
        raise ExchangeError(f"the connection was closed without an answer{hint}") from error
    except ssl.SSLError as error:
        raise ExchangeError(_no_tls(error)) from error
    except OSError as error:
        if error.errno in OWN_LIMITS:
            raise ClientLimitError(client_limit(error)) from error
        raise ExchangeError((error.strerror or str(error) or type(error).__name__).lower()) from (
            error
        )


def _no_tls(error: ssl.SSLError) -> str:
    """Return why no TLS connection came about."""
    if error.reason in _PLAIN_ANSWERS:
        return "it speaks no TLS: name it with http://"
    return f"no TLS connection ({(error.reason or str(error)).lower().replace('_', ' ')})"


def client_limit(error: OSError) -> str:
    """Return the sentence that this side, and not the server, has run out of something."""
    what = error.strerror or str(error)
    remedy = _REMEDIES.get(error.errno or 0, "lower the load")
    return f"trimtab itself ran into a limit ({what}): {remedy}"


def _exchange(at: Address, request: bytes, timeout: float, limit: int) -> HttpReply:
    until = time.monotonic() + timeout
    opened = at.connect(timeout)
    try:
        opened.settimeout(_left(until))
        opened.sendall(request)
        return _answer(opened, until, limit)
    finally:
        opened.close()


class _Incoming(Framing):
    """One response that is collected whole."""

    def __init__(self) -> None:
        super().__init__()
        self.body = bytearray()

    def on_body(self, data: bytes) -> None:
        """Keep a part of the body (the parser calls this)."""
        if not self.whole:
            self.body += data


def _answer(opened: socket.socket, until: float, limit: int) -> HttpReply:
    incoming = _Incoming()
    room = limit + HEAD_BYTES
    while not incoming.whole:
        opened.settimeout(_left(until))
        try:
            data = opened.recv(_READ_BYTES)
        except ssl.SSLEOFError:
            data = b""
        room -= len(data)
        if room < 0:
            raise ExchangeError(f"its answer is longer than {limit} bytes")
        if not data:
            if incoming.ended():
                break
            if room == limit + HEAD_BYTES:
                raise ConnectionResetError(errno.ECONNRESET, "closed without an answer")
            raise ExchangeError("the connection was closed before the answer ended")
        try:
            incoming.parser.feed_data(data)
        except httptools.HttpParserError as error:
            if not incoming.whole:
                raise ExchangeError(f"what answers speaks no HTTP ({error})") from error
    assert incoming.status is not None
    if incoming.compressed and incoming.status == http.HTTPStatus.OK:
        raise ExchangeError(incoming.compressed)
    body = b"" if incoming.compressed else bytes(incoming.body)
    return HttpReply(incoming.status, body, incoming.location)


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _request(at: Address, method: str, path: str, body: bytes | None, key: str | None) -> bytes:
    return head(at, method, path, {"Connection": "close"}, body, key) + (body or b"")


def head(
    at: Address,
    method: str,
    path: str,
    fields: Mapping[str, str],
    body: bytes | None,
    key: str | None,
) -> bytes:
    """Return the head of an HTTP/1.1 request to a page of the server at an address."""
    sized = {"Content-Type": "application/json", "Content-Length": str(len(body))} if body else {}
    plain = {"Accept-Encoding": "identity"}  # without it, a server may compress (RFC 9110, 12.5.3)
    shown = {"Host": at.authority, **plain, **sized, **fields, **header(key)}
    lines = (f"{method} {at.path}{path} HTTP/1.1", *(f"{name}: {shown[name]}" for name in shown))
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


def _found(
    method: str,
    url: str,
    path: str,
    body: bytes | None,
    timeout: float,
    key: str | None,
    limit: int,
) -> bytes | None:
    at = parse(url)
    try:
        reply = _exchange(at, _request(at, method, path, body, key), timeout, limit)
    except ExchangeError:
        return None
    except OSError as error:
        if error.errno in OWN_LIMITS:
            raise ClientLimitError(client_limit(error)) from error
        return None
    return reply.body if reply.status == http.HTTPStatus.OK else None


def _bytes(content: object) -> bytes:
    return json.dumps(content).encode()


def _json(body: bytes | None) -> object:
    if body is None:
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None

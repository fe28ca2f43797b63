"""How a server is reached: the one place that reads, writes and opens a server's address.

An address travels as a string, which every function that takes a ``url`` understands::

    http://127.0.0.1:8000            https://host:8443/llm         http://[::1]:8000
    unix:///run/vllm.sock            https+insecure://host:8443    http://[fe80::1%25eth0]:8000

A path is put before every page (``/llm/health``). ``https`` checks the certificate against the
system's authorities, or those in ``SSL_CERT_FILE``; ``https+insecure`` checks nothing, and is for
a server that is ours anyhow (on loopback, or with ``--insecure``). To use it elsewhere: make the
string with :func:`of_socket` or :func:`of_host`, and ask with `trimtab.http_client.loopback`,
which follows no redirect and goes through no proxy.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from trimtab.errors import UsageError

_PORTS: Final = {"http": 80, "https": 443}
_INSECURE: Final = "https+insecure"
_EXAMPLE: Final = "such as http://127.0.0.1:8000, https://host/path or unix:///path/to.sock"


@dataclass(frozen=True, slots=True)
class Address:
    """A server's address. ``uds`` is the path of its socket, "" for TCP; ``path`` comes first.

    ``host`` of a link-local IPv6 address ends in its zone (``fe80::1%eth0``), which only this
    machine knows: it stays out of what is sent (RFC 6874).

    ``tls`` says whether it speaks TLS, ``verified`` whether its certificate is checked.
    """

    host: str
    port: int
    path: str = ""
    tls: bool = False
    verified: bool = True
    uds: str = ""

    @property
    def authority(self) -> str:
        """Host and port as a Host header has them: IPv6 in brackets."""
        return "localhost" if self.uds else f"{_bracketed(self.name)}:{self.port}"

    @property
    def name(self) -> str:
        """The host without its zone, which is what a certificate names."""
        return self.host.partition("%")[0]

    @property
    def url(self) -> str:
        """The string that :func:`parse` reads this address from."""
        if self.uds:
            return f"unix://{quote(self.uds)}"
        scheme = ("https" if self.verified else _INSECURE) if self.tls else "http"
        return f"{scheme}://{_bracketed(self.host.replace('%', '%25'))}:{self.port}{self.path}"

    @property
    def loopback(self) -> bool:
        """Whether it is on this machine, by its text alone."""
        if self.uds or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.name).is_loopback
        except ValueError:
            return False

    def context(self) -> ssl.SSLContext | None:
        """Return what TLS is spoken with; ``None`` without TLS."""
        return _context(verified=self.verified) if self.tls else None

    def connect(self, seconds: float) -> socket.socket:
        """Open a connection, with TLS where the address has it.

        ``seconds`` bound each of its steps. Raises OSError (`ssl.SSLError` is one).
        """
        if self.uds:
            opened = socket.socket(socket.AF_UNIX)
            opened.settimeout(seconds)
            target: str | tuple[str, int] = self.uds
        else:
            return self._wrapped(socket.create_connection((self.host, self.port), seconds))
        try:
            opened.connect(target)
        except OSError:
            opened.close()
            raise
        return opened

    def _wrapped(self, opened: socket.socket) -> socket.socket:
        context = self.context()
        if context is None:
            return opened
        try:
            return context.wrap_socket(opened, server_hostname=self.name)
        except OSError:
            opened.close()
            raise


@lru_cache(maxsize=64)
def parse(url: str, option: str = "the server's URL") -> Address:
    """Return the address that ``url`` names; ``option`` is what messages call it.

    Raises:
        UsageError: it is no address of a server.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"{option} must be {_EXAMPLE}, but is {url!r}: {error}") from error
    if host and ":" in host:
        bare, percent, zone = host.partition("%")
        host = f"{bare}{percent}{zone.removeprefix('25') or zone}"
    scheme = parts.scheme.removesuffix("+insecure")
    if parts.scheme == "unix" and parts.path.strip("/") and not parts.netloc:
        return Address("localhost", 0, uds=unquote(parts.path))
    if scheme not in _PORTS or parts.scheme == "http+insecure" or not host:
        raise UsageError(f"{option} must be {_EXAMPLE}, but is {_shown(url)!r}")
    _plain(option, parts.path, extra=bool(parts.query or parts.fragment), user=parts.username)
    if not (url.isascii() and url.isprintable() and " " not in url):
        raise UsageError(f"{option} must be plain ASCII without blanks, but is {url!r}")
    return Address(
        host,
        _PORTS[scheme] if port is None else port,
        parts.path.rstrip("/"),
        tls=scheme == "https",
        verified=parts.scheme != _INSECURE,
    )


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _plain(option: str, path: str, *, extra: bool, user: str | None) -> None:
    """Refuse parts of a URL that no request could carry."""
    if user is not None:
        raise UsageError(f"{option} must hold no user or password: set VLLM_API_KEY to the key")
    if extra:
        raise UsageError(f"{option} must end with its path: leave the query and '#…' out")
    if "v1" in path.split("/"):
        raise UsageError(f"{option} must end before /v1, which trimtab adds: leave {path!r} out")


def _shown(url: str) -> str:
    """Return a URL without what may be a password."""
    head, at, tail = url.rpartition("@")
    return f"{head.partition('://')[0]}://***@{tail}" if at else url


def socket_url(path: str) -> str:
    """Return the URL of a server on a unix socket."""
    return Address("localhost", 0, uds=path).url


def host_url(host: str, port: int, *, tls: bool = False, verified: bool = True) -> str:
    """Return the URL of a server on a host (IPv6 without brackets) and a port."""
    return Address(host.strip("[]"), port, tls=tls, verified=verified).url


def insecure_url(url: str) -> str:
    """Return the URL of the same server with its certificate unchecked.

    Raises:
        UsageError: it has no certificate.
    """
    if not url.startswith(("https://", f"{_INSECURE}://")):
        raise UsageError(f"--insecure goes with an https:// address, and not with {_shown(url)!r}")
    return f"{_INSECURE}://{url.partition('://')[2]}"


def proxy_remark(url: str, environment: Mapping[str, str]) -> str:
    """Return the sentence that a proxy of the environment is not used, "" if none is set.

    A load through a proxy would measure the proxy, so requests always go straight to the server.
    """
    at = parse(url)
    if at.loopback:
        return ""
    scheme = "https" if at.tls else "http"
    names = (f"{scheme}_proxy", f"{scheme.upper()}_PROXY", "all_proxy", "ALL_PROXY")
    name = next((name for name in names if environment.get(name)), "")
    if not name or _bypassed(at, environment):
        return ""
    return f"{name} is set, and not used: requests go straight to {at.authority}"


def _bypassed(at: Address, environment: Mapping[str, str]) -> bool:
    listed = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    for one in (word.strip().lower() for word in listed.split(",")):
        name = one.removeprefix("*").lstrip(".")
        if one == "*" or (name and (at.host == name or at.host.endswith(f".{name}"))):
            return True
    return False


@lru_cache(maxsize=2)
def _context(*, verified: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not verified:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context

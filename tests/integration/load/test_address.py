"""Addresses: one string says how a server is reached, by every part that asks it."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.answering import KEY_AND_CERTIFICATE, Answer, answer, serving
from trimtab.errors import ClientLimitError, UsageError
from trimtab.http_client import address, loopback
from trimtab.load.client import Client
from trimtab.load.connection import Exchange, LoadTarget
from trimtab.model import Request

STREAM = (
    b'data: {"choices":[{"text":"a","finish_reason":"length"}]}\n\n'
    b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}\n\ndata: [DONE]\n\n'
)


def streamed(url: str) -> Exchange:
    """Return what the load client gets for one request."""
    ended: list[Exchange] = []
    request = Request(0, (5,), 1)

    async def run() -> None:
        done = asyncio.Event()

        def end(exchange: Exchange) -> None:
            ended.append(exchange)
            done.set()

        client = Client(LoadTarget.parse(url, "m"), [request], 30.0, end, lambda: None)
        await client.open(1)
        client.submit(request, None)
        await asyncio.wait_for(done.wait(), 30)
        await client.close()

    asyncio.run(run())
    return ended[0]


@pytest.mark.parametrize(
    ("url", "authority", "path"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1:8000", ""),
        ("http://h:8000/llm/", "h:8000", "/llm"),
        ("http://[::1]:8000/a/b", "[::1]:8000", "/a/b"),
        ("https://H", "h:443", ""),
        ("https+insecure://h:1/x", "h:1", "/x"),
        ("unix:///run/a%20b.sock", "localhost", ""),
        ("http://[fe80::1%25enP1s0]:8000/x", "[fe80::1]:8000", "/x"),
        ("http://[fe80::1%enP1s0]:8000/x", "[fe80::1]:8000", "/x"),
        ("http://[fe80::1%25]:8000", "[fe80::1]:8000", ""),
    ],
)
def test_an_address_is_read_and_written(url: str, authority: str, path: str) -> None:
    at = address.parse(url)
    assert (at.authority, at.path) == (authority, path)
    assert address.parse(at.url) == at


@pytest.mark.parametrize("zone", ["%25enP1s0", "%enP1s0"])
def test_a_zone_leads_to_the_server_and_is_not_told_to_it(zone: str) -> None:
    at = address.parse(f"http://[fe80::1{zone}]:8000")
    assert (at.host, at.name) == ("fe80::1%enP1s0", "fe80::1")
    assert at.url == "http://[fe80::1%25enP1s0]:8000"
    assert address.host_url("fe80::1%enP1s0", 8000) == at.url


def test_parts_make_an_address() -> None:
    assert address.host_url("::1", 80) == "http://[::1]:80"
    assert address.host_url("h", 8, tls=True, verified=False) == "https+insecure://h:8"
    assert address.parse(address.socket_url("/run/a b#?.sock")).uds == "/run/a b#?.sock"
    assert address.insecure_url("https://h/x") == "https+insecure://h/x"
    with pytest.raises(UsageError, match="--insecure goes with an https"):
        address.insecure_url("http://h")


def test_a_password_is_not_repeated() -> None:
    with pytest.raises(UsageError) as caught:
        address.parse("ftp://me:secret@h")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "environment", "named"),
    [
        ("http://far:8000", {"HTTP_PROXY": "http://p"}, "HTTP_PROXY is set, and not used"),
        ("https://far", {"HTTP_PROXY": "http://p"}, ""),
        ("https://far", {"all_proxy": "http://p"}, "all_proxy is set"),
        ("http://far.corp", {"http_proxy": "p", "NO_PROXY": "a,.corp"}, ""),
        ("http://127.0.0.1:1", {"http_proxy": "p"}, ""),
        ("http://[::1]:1", {"http_proxy": "p"}, ""),
        ("unix:///s", {"http_proxy": "p"}, ""),
    ],
)
def test_a_proxy_that_is_not_used_is_told(
    url: str, environment: Mapping[str, str], named: str
) -> None:
    said = address.proxy_remark(url, environment)
    assert named in said
    assert bool(said) is bool(named)


def test_pages_over_a_path_ipv6_and_a_unix_socket(tmp_path: Path) -> None:
    with serving(answer(b"[1]")) as (place, heads):
        assert loopback.get_json(f"http://127.0.0.1:{place[1]}/llm", "/v1/models", 30.0) == [1]
        assert heads[0].startswith(b"GET /llm/v1/models HTTP/1.1\r\n")
    with serving(answer(STREAM), family=socket.AF_INET6, place=("::1", 0)) as (place, heads):
        url = address.host_url("::1", place[1])
        assert loopback.get(url, "/health", 30.0) == STREAM
        assert streamed(f"{url}/x").error == ""
        assert all(b"Host: [::1]:%d\r\n" % place[1] in one for one in heads)
        assert heads[-1].startswith(b"POST /x/v1/completions")
    path = str(tmp_path / "s.sock")
    with serving(answer(STREAM), family=socket.AF_UNIX, place=path):
        assert loopback.get(address.socket_url(path), "/health", 30.0) == STREAM
        assert streamed(address.socket_url(path)).error == ""


def test_tls_where_there_is_none_and_the_other_way_round() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"https://127.0.0.1:{listening.getsockname()[1]}"

        def refuse() -> None:
            peer, _ = listening.accept()
            with peer:
                peer.recv(65536)
                peer.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")

        thread = threading.Thread(target=refuse)
        thread.start()
        said = loopback.trouble(url, "/x", 30.0)
        thread.join()
    assert said == "it speaks no TLS: name it with http://"
    with serving(answer(STREAM), tls=True) as (place, _):
        said = loopback.trouble(f"http://127.0.0.1:{place[1]}", "/x", 30.0)
    assert "if it speaks TLS, name it with https://" in said


def test_tls_is_checked_unless_it_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(answer(STREAM), tls=True) as (place, _):
        url = f"https://127.0.0.1:{place[1]}"
        assert "certificate is not trusted" in loopback.trouble(url, "/x", 30.0)
        assert "CERTIFICATE_VERIFY_FAILED" in streamed(url).error
        assert loopback.get(address.insecure_url(url), "/x", 30.0) == STREAM
        exchange = streamed(address.insecure_url(url))
        assert (exchange.error, b"".join(body for _, body in exchange.pieces)) == ("", STREAM)
        monkeypatch.setenv("SSL_CERT_FILE", str(KEY_AND_CERTIFICATE))
        address._context.cache_clear()
        try:
            assert loopback.get(url, "/x", 30.0) == STREAM
            assert streamed(url).error == ""
        finally:
            address._context.cache_clear()


def test_a_server_that_wants_tls_gets_no_load() -> None:
    with serving(answer(b""), tls=True) as (place, _):
        url = f"http://127.0.0.1:{place[1]}"
        assert streamed(url).error
        assert loopback.trouble(url, "/x", 30.0)


def test_a_redirect_is_told_and_not_followed() -> None:
    with serving(answer(b"", "302 Found", "Location: https://else/v1\r\n")) as (
        place,
        heads,
    ):
        url = f"http://127.0.0.1:{place[1]}"
        said = loopback.trouble(url, "/v1/models", 30.0, "sk-x")
        assert said == (
            "/v1/models redirects to https://else/v1 (HTTP 302), which trimtab does not follow"
        )
        assert "/v1/completions redirects to https://else" in streamed(url).error
        assert len(heads) == 2


def dripping(peer: socket.socket, _: bytes) -> None:
    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while not threading.Event().wait(0.01):
        peer.sendall(b"x")


def endless(start: bytes, more: bytes) -> Answer:
    """Return what sends one thing, and then another for ever."""

    def send(peer: socket.socket, _: bytes) -> None:
        peer.sendall(start)
        while True:
            peer.sendall(more)

    return send


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def test_an_exchange_has_one_deadline_however_it_drips() -> None:
    with serving(dripping) as (place, _):
        url = f"http://127.0.0.1:{place[1]}"
        assert loopback.get(url, "/health", 0.2) is None
        assert loopback.trouble(url, "/health", 0.2) == "no answer within 0.2 s"


@pytest.mark.parametrize(
    "send",
    [
        endless(OK + b"\r\n", b"x" * 65536),
        endless(OK, b"X: y\r\n" * 1000),
        endless(OK + b"X: ", b"y" * 65536),
        endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
        endless(CHUNKED + b"0\r\n", b"X: y\r\n" * 1000),
        endless(CHUNKED + b"80000000\r\n", b"x" * 65536),
        endless(b"HTTP/1.1 500 X\r\n\r\n", b"x" * 65536),
    ],
    ids=["body", "fields", "field", "interim", "trailers", "chunk", "error"],
)
def test_an_answer_without_end_is_given_up(send: Answer) -> None:
    with serving(send) as (place, _):
        url = f"http://127.0.0.1:{place[1]}"
        assert loopback.get(url, "/metrics", 60.0, limit=1000) is None
        exchange = streamed(url)
        assert exchange.error
        assert "deadline" not in exchange.error
        assert sum(len(body) for _, body in exchange.pieces) < 500_000


def test_a_body_that_ends_with_the_connection_is_whole() -> None:
    def send(peer: socket.socket, _: bytes) -> None:
        peer.sendall(b"HTTP/1.0 200 OK\r\n\r\n[1,")
        peer.sendall(b"2]")

    with serving(send) as (place, _):
        assert loopback.get_json(f"http://127.0.0.1:{place[1]}", "/v1/models", 30.0) == [1, 2]


def test_json_that_is_nested_deep_is_no_json() -> None:
    with serving(answer(b"[" * 200_000)) as (place, _):
        assert loopback.get_json(f"http://127.0.0.1:{place[1]}", "/v1/models", 30.0) is None


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.EMFILE, "raise 'ulimit -n'"),
        (errno.ENFILE, "fs.file-max"),
        (errno.EADDRNOTAVAIL, "ip_local_port_range"),
    ],
)
def test_running_out_of_files_or_ports_is_not_the_servers_fault(
    number: int, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(self: address.Address, seconds: float) -> socket.socket:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(address.Address, "connect", connect)
    with pytest.raises(ClientLimitError, match=remedy):
        loopback.get("http://127.0.0.1:1", "/health", 1.0)
    with pytest.raises(ClientLimitError, match=f"{os.strerror(number)}.*{remedy}"):
        loopback.exchange("GET", "http://127.0.0.1:1", "/health", timeout=1.0)

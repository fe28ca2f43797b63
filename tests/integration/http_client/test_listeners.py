"""Where a tree listens: other addresses, TLS and unix sockets, found from its own sockets."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tests.support.answering import answer, serving
from trimtab.http_client import address
from trimtab.server import listeners

OWN = [os.getpid()]


def found(*argv: str) -> str | None:
    return listeners.serving_url(listeners.urls(OWN, argv))


def test_a_server_on_another_loopback_address() -> None:
    with serving(answer(b""), place=("127.0.0.2", 0)) as (place, _):
        assert found("--port", str(place[1])) == f"http://127.0.0.2:{place[1]}"


def test_a_server_on_ipv6() -> None:
    with serving(answer(b""), family=socket.AF_INET6, place=("::1", 0)) as (place, _):
        assert found(f"--port={place[1]}") == f"http://[::1]:{place[1]}"


def test_a_server_on_all_addresses() -> None:
    with serving(answer(b""), place=("0.0.0.0", 0)) as (place, _):
        assert found("--port", str(place[1])) == f"http://127.0.0.1:{place[1]}"


def test_tls_is_found_whether_the_command_says_so_or_a_file() -> None:
    with serving(answer(b""), tls=True) as (place, _):
        url = f"https+insecure://127.0.0.1:{place[1]}"
        for more in (("--ssl-keyfile", "k"), ("--ssl-certfile=both.pem",), ()):
            assert found("--port", str(place[1]), *more) == url


def test_a_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "s.sock")
    with serving(answer(b""), family=socket.AF_UNIX, place=path):
        assert found("--uds", path) == address.socket_url(path)
    assert found("--uds", path) is None


def test_a_relative_unix_socket_lies_in_the_servers_folder() -> None:
    assert listeners.urls(OWN, ("--uds", "s")) == [address.socket_url(str(Path.cwd() / "s"))]


def test_a_server_without_a_health_page_serves_and_one_in_trouble_does_not() -> None:
    with serving(answer(b"", "404 N")) as (place, _):
        assert found("--port", str(place[1])) is not None
    with serving(answer(b"", "503 S")) as (place, _):
        url = f"http://127.0.0.1:{place[1]}"
        assert listeners.serving_url([url]) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("uds: /run/v.sock\n", ["--uds", "/run/v.sock"]),
        ("port: 81\nssl-keyfile: k\n", ["--port", "81", "--ssl-keyfile", "k"]),
        ("headless: true\n", ["--headless"]),
    ],
)
def test_options_of_a_config_file_count(tmp_path: Path, text: str, words: list[str]) -> None:
    (tmp_path / "c.yaml").write_text(text)
    command = ["vllm", "serve", "m", "--config", "c.yaml"]
    invocation = listeners.invocation_with_config(command, tmp_path)
    assert invocation.words == ("vllm", "serve", "m", *words)
    missing = listeners.invocation_with_config([*command[:-1], "none.yaml"], tmp_path)
    assert missing.words[:3] == ("vllm", "serve", "m")


def test_a_unix_socket_of_a_config_file(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    (tmp_path / "c.yaml").write_text(f"uds: {path}\n")
    with serving(answer(b""), family=socket.AF_UNIX, place=path):
        words = ("vllm", "serve", "m", "--config", str(tmp_path / "c.yaml"))
        assert found(*words) == address.socket_url(path)

"""A follower of several hosts: ready once its engines stand, and what cannot be asked is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.support.answering import answer, serving
from tests.support.scripted import scripted
from trimtab import engines
from trimtab.model import Process
from trimtab.processes.supervised_process import SupervisedProcess
from trimtab.run import verification
from trimtab.run.verification import STEADY, EvidenceSink, FollowerState, Verification, is_follower
from trimtab.server.live_server import LiveServer

API = Process(1, 0, "api", "vllm", ("vllm", "serve", "m", "--headless"))
ENGINE = Process(2, 1, "engine", "VLLM::EngineCor", ())
SECOND = Process(3, 1, "engine", "VLLM::EngineCor", ())
WORKER = Process(4, 1, "worker", "VLLM::Worker_TP", ())
DONE = "(EngineCore pid=2) INFO init engine (profile, create kv cache, warmup model) took 2 s\n"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("vllm serve m --headless", True),
        ("vllm serve m --nnodes 2 --node-rank 1 --headless --master-addr h", True),
        ("python -m vllm.entrypoints.cli.main serve m --headless", True),
        ("vllm serve m", False),
        ("vllm serve m --served-model-name headless", False),
    ],
)
def test_a_follower_is_known_by_its_command(words: str, expected: bool) -> None:
    assert is_follower(words.split()) is expected


def test_a_follower_is_known_by_its_config_file(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("model: m\nheadless: true\n")
    assert is_follower(["vllm", "serve", "--config", str(path)])
    path.write_text("model: m\nheadless: false\n")
    assert not is_follower(["vllm", "serve", "--config", str(path)])


def test_engines_stand_once_each_says_so() -> None:
    standing = FollowerState()
    assert not standing.look([API], "")
    assert not standing.look([API], DONE), "there is no engine yet"
    assert not standing.look([API, ENGINE, SECOND], DONE), "one of two"
    assert standing.look([API, ENGINE, SECOND], DONE * 2)


def test_workers_stand_once_none_comes_or_goes() -> None:
    standing = FollowerState()
    looks = [standing.look([API, WORKER], "") for _ in range(STEADY + 1)]
    assert looks == [False] * STEADY + [True]
    another = Process(5, 1, "worker", "VLLM::Worker_TP", ())
    assert not standing.look([API, WORKER, another], "")


def test_nothing_below_it_never_stands() -> None:
    standing = FollowerState()
    assert not any(standing.look([API], "") for _ in range(3 * STEADY))


def test_run_waits_for_the_engines_and_says_what_it_cannot_ask(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(verification, "assign_roles", lambda *_: (API, ENGINE))
    kept = cast("SupervisedProcess", SimpleNamespace(tree=tuple))
    observer = engines.observer("vllm")
    seen = verification.RunServerView(kept, observer, API.cmdline, lambda: DONE, None)
    assert (seen.follower, seen.ready(), seen.url) == (True, True, "")
    said: list[str] = []
    nothing: Callable[[], None] = lambda: None  # noqa: E731
    wanted: Any = SimpleNamespace(plan=SimpleNamespace(checks=()), host=None)
    telling = EvidenceSink(said.append, None, cast("Any", None))
    thread = Verification(
        wanted,
        seen,
        telling,
        1.0,
        stopping=lambda: True,
        refuse=nothing,
        remember=nothing,
        done=nothing,
    )
    thread.run()
    assert " ".join(said) == (
        "--headless has no API: it is ready once its engines stand, and its configuration is what "
        "its log says"
    )


def test_a_server_that_answers_has_nothing_unasked(tmp_path: Path) -> None:
    with scripted(tmp_path, None) as server:
        found = LiveServer(server.process.pid, engines.observer("scripted"))
    assert (found.url, found.unread) == (server.url, ())


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--headless",), "a server with --headless has no API"),
        ((), "no address was found at which the server listens"),
        (("--uds", "/nowhere/s"), "unix:///nowhere/s does not answer"),
    ],
)
def test_what_could_not_be_asked_is_said(
    words: tuple[str, ...], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = Process(1, 0, "api", "vllm", ("vllm", "serve", "m", *words))
    monkeypatch.setattr(LiveServer, "processes", lambda _: (process,))
    monkeypatch.setattr("trimtab.server.listeners._sockets", lambda _: iter(()))
    monkeypatch.setattr("trimtab.server.live_server._output_file", lambda _: None)
    observer = engines.observer("vllm")
    asked = f"the server was not asked for its configuration, because {why}"
    log = "no log was read, because the server's output goes to no file: name it with --log"
    assert LiveServer(1, observer).unread == (asked, log)
    assert LiveServer(1, observer, Path("server.log")).unread == (asked,)


def test_a_server_in_trouble_is_said_not_to_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(answer(b"", "503 Busy")) as (place, _):
        monkeypatch.setattr("trimtab.server.listeners._sockets", lambda _: iter([place]))
        found = LiveServer(1, engines.observer("vllm"))
        assert found.unread[0].endswith(f"because {found.url} does not answer")

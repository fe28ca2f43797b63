"""One rule for all unit tests: none starts a process or listens on a socket."""

import sys
from collections.abc import Generator
from pathlib import Path

import pytest

_FORBIDDEN = frozenset({"subprocess.Popen", "os.fork", "os.forkpty", "socket.bind"})
_running: list[str] = []


class _ProcessInUnitTestError(BaseException):
    """Not an Exception: what the test runs must not mistake it for a failure of its own."""


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if _running and event in _FORBIDDEN:
        raise _ProcessInUnitTestError(
            f"{_running[-1]} must not call {event}: a test with a process or a server belongs "
            "into tests/integration"
        )


sys.addaudithook(_watch)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Watch over the setup, the call and the teardown of each test."""
    if not item.path.is_relative_to(Path(__file__).parent):
        return (yield)  # pytest calls this for each test of the run
    _running.append(item.nodeid)
    try:
        return (yield)
    finally:
        _running.pop()

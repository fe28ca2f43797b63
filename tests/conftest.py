"""Shared fixtures, and one rule for all property tests: none fails for the time it takes."""

import signal
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from trimtab.emulator import environments
from trimtab.environments import managed_environment

hypothesis.settings.register_profile("busy machine", deadline=None)
hypothesis.settings.load_profile("busy machine")


@pytest.fixture(scope="session", autouse=True)
def heard_signals() -> Iterator[None]:
    """Hear what nohup or a shell's background ignores: what a test starts would ignore it too."""
    every = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)
    ignored = [one for one in every if signal.getsignal(one) is signal.SIG_IGN]
    for one in ignored:
        interrupt = one is signal.SIGINT
        signal.signal(one, signal.default_int_handler if interrupt else signal.SIG_DFL)
    yield
    for one in ignored:
        signal.signal(one, signal.SIG_IGN)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Point the XDG folders at a fresh place, so that nothing of the user's is touched."""
    for name in ("DATA", "CACHE", "CONFIG", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    return tmp_path


@pytest.fixture(scope="session")
def emulator_python() -> Path:
    """Return the interpreter of the emulator's environment, which holds the vendors' wheels."""
    found = managed_environment.interpreter(environments.engine())
    if found is None:
        pytest.skip("needs the vendors' wheels: run 'trimtab engine install ascend-emulator'")
    return found

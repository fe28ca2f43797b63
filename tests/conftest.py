"""Shared fixtures: every test runs with its own user folders."""

from pathlib import Path

import pytest

from trimtab.engines import managed
from trimtab.rehearsal import environments


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Point the XDG folders at a fresh place, so that nothing of the user's is touched."""
    for name in ("DATA", "CACHE", "CONFIG", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    return tmp_path


@pytest.fixture(scope="session")
def rehearsal_python() -> Path:
    """Return the interpreter of the rehearsal's environment, which holds the vendors' wheels."""
    found = managed.interpreter(environments.engine())
    if found is None:
        pytest.skip("needs the vendors' wheels: run 'trimtab engine install ascend-rehearsal'")
    return found

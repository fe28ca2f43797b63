"""Fixtures of the stand-in's runtime, which is compiled once for all tests of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.emulator import Runtime, compiled


@pytest.fixture(scope="session")
def standin_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("runtime"))


@pytest.fixture
def runtime(standin_library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    """Return a runtime of its own for each test, which the environment says nothing to."""
    for name in [name for name in os.environ if name.startswith(("TRIMTAB_STANDIN", "ASCEND"))]:
        monkeypatch.delenv(name)
    return Runtime(standin_library, tmp_path)

"""Fixtures of the contract tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contracts.machines import context_of, facts_of, plain_host, rich_host
from trimtab.catalog import Context


@pytest.fixture
def plain() -> Context:
    return context_of(facts_of(plain_host()))


@pytest.fixture
def rich(tmp_path: Path) -> Context:
    return context_of(facts_of(rich_host(tmp_path / "rich")))

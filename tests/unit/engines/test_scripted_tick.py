"""The scripted server's tick: what a live setting of the host does to it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from trimtab.engines.scripted import behaviour


def test_a_live_setting_shortens_the_tick_while_it_is_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting, told = tmp_path / "setting", tmp_path / "behaviour.json"
    live = {"file": str(setting), "text": "1", "log_effect": 1.0}
    told.write_text(json.dumps({"live": live, "token_seconds": 0.01, "effects": []}))
    monkeypatch.setenv("TRIMTAB_SCRIPTED", str(told))
    script = behaviour.load(["serve", "model"])
    ticks = []
    for text in ("60\n", "1\n", "60\n"):
        setting.write_text(text)
        ticks.append(script.tick())
    assert ticks == [0.01, pytest.approx(0.01 / math.e), 0.01]


def test_without_a_live_setting_the_tick_is_one_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "behaviour.json"
    told.write_text(json.dumps({"token_seconds": 0.02, "effects": []}))
    monkeypatch.setenv("TRIMTAB_SCRIPTED", str(told))
    assert behaviour.load(["serve", "model"]).tick() == 0.02

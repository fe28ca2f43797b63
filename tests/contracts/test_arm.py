"""What of a preset is an arm on a platform: its own settings verbatim, no other platform's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.contracts.machines import context_of, facts_of, rich_host
from trimtab import presets
from trimtab.catalog import CATALOG, Context
from trimtab.model.platforms import PLATFORMS, UNKNOWN


@pytest.fixture
def rich(tmp_path: Path) -> Context:
    """A machine with every allocator."""
    return context_of(facts_of(rich_host(tmp_path / "rich")))


@pytest.mark.parametrize("platform", [*PLATFORMS, UNKNOWN])
@pytest.mark.parametrize("name", presets.DOCUMENTED)
def test_no_start_goes_to_another_platforms_settings(
    name: str, platform: str, rich: Context
) -> None:
    here = replace(rich, platform=platform)
    chosen = dict(presets.local_candidate(name, here))
    for one in chosen:
        assert platform in (CATALOG[one].platforms or (platform,)), one
    left = {one.name for one in presets.left_out_steps(name, here)}
    assert {step.name for step in presets.find(name).steps} <= left | {*chosen}


def test_on_ascend_the_guide_is_verbatim(rich: Context) -> None:
    here = replace(rich, platform="ascend")
    assert presets.default_preset("ascend") == "guide"
    assert presets.local_candidate("guide", here) == presets.guide(here)
    assert presets.remark("guide", here) == ""


@pytest.mark.parametrize("platform", ["cuda", "cpu", "rocm"])
def test_a_preset_is_judged_by_what_acts(platform: str, rich: Context) -> None:
    here = replace(rich, platform=platform)
    assert presets.default_preset(platform) is None
    assert set(dict(presets.local_candidate("guide", here))) == {"jemalloc", "tcmalloc"}
    assert {*presets.acting_tunings("guide", here)} <= {"jemalloc", "tcmalloc"}
    assert "only" in presets.remark("guide", here)
    assert "--arm guide" in presets.remark(None, here)

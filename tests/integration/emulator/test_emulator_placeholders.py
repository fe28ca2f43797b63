"""The emulator's import hooks and placeholders, on packages of ours with the vendors' names."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from trimtab.emulator.machine import PLACEHOLDERS

IMPORTING = """\
class TritonPlaceholder:
    def __init__(self):
        self.jit = self.autotune = lambda function: function
"""

MODULES = {
    "vllm/__init__.py": "",
    "vllm/triton_utils/__init__.py": "from .importing import TritonPlaceholder\n",
    "vllm/triton_utils/importing.py": IMPORTING,
    "vllm_ascend/__init__.py": "",
    "vllm_ascend/_build_info.py": "__device_type__ = 'A2'\n",
    "vllm_ascend/cpu_binding.py": "def is_arm_cpu():\n    return False\n",
    "vllm_ascend/sample/__init__.py": "",
    "vllm_ascend/sample/rejection_sampler.py": (
        "def rejection_greedy_sample_pytorch(tokens):\n    return tokens.shape\n"
        "def sample_recovered_tokens_pytorch(tokens):\n    return 1\n"
    ),
}


@pytest.fixture
def vendors(tmp_path: Path) -> Path:
    for name, text in MODULES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def run(vendors: Path, program: str, **settings: str) -> str:
    env = {**os.environ, "PYTHONPATH": f"{PLACEHOLDERS}:{vendors}", **settings}
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


TRITON = """
from vllm.triton_utils import TritonPlaceholder
triton = TritonPlaceholder()

@triton.autotune(configs=[], key=[])
@triton.jit
def kernel(pointer):
    'what it is'
    return 7

print(kernel[(4,)](None, BLOCK=8), kernel(None), kernel.__name__, kernel.__doc__)
"""


def test_a_triton_kernel_can_be_launched(vendors: Path) -> None:
    assert run(vendors, TRITON) == "None 7 kernel what it is"


@pytest.mark.parametrize(("asked", "told"), [("_310P", "_310P"), ("", "A2")])
def test_the_build_for_the_chip_is_played(vendors: Path, asked: str, told: str) -> None:
    program = "from vllm_ascend import _build_info; print(_build_info.__device_type__)"
    assert run(vendors, program, TRIMTAB_STANDIN_BUILD=asked) == told


@pytest.mark.parametrize(("asked", "told"), [("1", "True"), ("", "False")])
def test_an_arm_is_played_if_asked(vendors: Path, asked: str, told: str) -> None:
    program = "from vllm_ascend.cpu_binding import is_arm_cpu; print(is_arm_cpu())"
    assert run(vendors, program, TRIMTAB_STANDIN_ARM=asked) == told


def test_samplers_without_kernels_do_nothing(vendors: Path) -> None:
    program = (
        "from vllm_ascend.sample import rejection_sampler as one\n"
        "print(one.rejection_greedy_sample_pytorch(None), one.sample_recovered_tokens_pytorch(0))"
    )
    assert run(vendors, program) == "None 1"


def test_placeholders_answer(vendors: Path) -> None:
    program = (
        "import acl, acl.rt\n"
        "from torchvision.transforms import InterpolationMode, Compose\n"
        "from torchvision.io.image import anything\n"
        "print(acl.rt.set_device(0), acl.ACL_FLOAT, InterpolationMode.BICUBIC, Compose)"
    )
    said = run(vendors, program)
    assert said.startswith("(0, 0) 0 BICUBIC")

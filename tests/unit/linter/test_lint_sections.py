"""Guides are no scripts, and what serves a build is read by it."""

from __future__ import annotations

import pytest

from trimtab import linter
from trimtab.model.document import Oddity


def oddities(name: str, text: str) -> set[tuple[Oddity, str]]:
    return {(one.oddity, one.setting.name) for one in linter.read(name, text).notices}


def guide(*blocks: str) -> str:
    return "\n\nThen:\n\n".join(f"```bash\n{block}\n```" for block in blocks) + "\n"


@pytest.mark.parametrize(
    "blocks",
    [
        ("vllm serve m", "export VLLM_USE_MODELSCOPE=True\nvllm bench serve --model m"),
        ("vllm serve m", "export HCCL_BUFFSIZE=300"),
        ("export OMP_NUM_THREADS=8", "export OMP_NUM_THREADS=16\nvllm serve m"),
        ("export HCCL_BUFFSIZE=200\nvllm serve m", "export HCCL_BUFFSIZE=300\nvllm serve m"),
        ("vllm serve m &\nexport VLLM_USE_MODELSCOPE=1\nvllm bench serve --model m",),
    ],
)
def test_parts_of_a_guide_are_not_one_script(blocks: tuple[str, ...]) -> None:
    assert not oddities("guide.md", guide(*blocks))


@pytest.mark.parametrize(
    ("block", "oddity"),
    [
        ("vllm serve m &\nexport HCCL_BUFFSIZE=200", Oddity.AFTER_START),
        ("export HCCL_BUFFSIZE=1\nexport HCCL_BUFFSIZE=2\nvllm serve m", Oddity.OVERWRITTEN),
        ("HCCL_BUFFSIZE=200\nvllm serve m", Oddity.NOT_EXPORTED),
    ],
)
def test_one_block_of_a_guide_is_a_script(block: str, oddity: Oddity) -> None:
    assert (oddity, "HCCL_BUFFSIZE") in oddities("guide.md", guide("pip install vllm", block))


@pytest.mark.parametrize(
    "run",
    [
        "export LD_LIBRARY_PATH=/opt/lib:$LD_LIBRARY_PATH && pip install -e .",
        "export TASK_QUEUE_ENABLE=0; python setup.py build",
        "set -e; export VLLM_TARGET_DEVICE=cpu MAX_JOBS=8; make",
    ],
)
def test_an_export_that_serves_its_run_is_read(run: str) -> None:
    assert not oddities("Dockerfile", f"FROM x\nRUN {run}\nCMD vllm serve m\n")


@pytest.mark.parametrize(
    "run", ["export TASK_QUEUE_ENABLE=0", "true && export TASK_QUEUE_ENABLE=0"]
)
def test_an_export_that_nothing_follows_is_lost(run: str) -> None:
    found = oddities("Dockerfile", f"FROM x\nRUN {run}\nCMD vllm serve m\n")
    assert (Oddity.NEVER_READ, "TASK_QUEUE_ENABLE") in found

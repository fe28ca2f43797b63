"""Versions that belong together: every row of the matrix, and one sentence for all others."""

from __future__ import annotations

import pytest

from trimtab.engines.vllm import install
from trimtab.prepare import version_matrix
from trimtab.prepare.target import TARGETS

A2, P310, CUDA, CPU = (TARGETS[one] for one in ("ascend-a2", "ascend-310p", "cuda", "cpu"))


def whole(release: str) -> dict[str, str]:
    row = version_matrix.ASCEND[release]
    low = row.pythons[0]
    return {
        "vllm-ascend": release,
        "vllm": f"{row.vllm}+empty",
        "torch": f"{row.torch}+cpu",
        "torch-npu": row.torch_npu,
        "cann": row.cann,
        "python": f"{low[0]}.{low[1]}",
        "driver": "26.0.rc1",
    }


@pytest.mark.parametrize("release", version_matrix.ASCEND)
def test_a_whole_row_is_accepted(release: str) -> None:
    assert version_matrix.refusals(A2, whole(release)) == ()


@pytest.mark.parametrize("component", ["vllm", "torch", "torch-npu", "cann"])
@pytest.mark.parametrize("release", version_matrix.ASCEND)
def test_each_other_version_is_refused_in_one_sentence(release: str, component: str) -> None:
    found = version_matrix.refusals(A2, {**whole(release), component: "1.0.0"})
    assert any(component.replace("-", "_") in one.replace("-", "_") for one in found)
    assert all("\n" not in one for one in found)


@pytest.mark.parametrize(
    ("versions", "said"),
    [
        ({"cann": "9.1.0", "driver": "25.0.rc1.1"}, "CANN 9.1.0 needs Ascend HDK 25.2 or later"),
        ({"vllm-ascend": "0.19.1rc1", "python": "3.12.11"}, "no builds for Python 3.12"),
        ({"mindie-turbo": "2.0rc1"}, "mindie-turbo cannot work"),
        ({"torch-npu": "2.10.0.post4", "torch": "2.11.0"}, "cannot load torch 2.11.0"),
        ({"torch-npu": "2.7.1.post1", "torch": "2.5.1"}, "is built for torch 2.7.1, and cannot"),
        ({"torch-npu": "2.10.0", "torch": "2.10.0", "triton": "3.5"}, "triton takes the place"),
    ],
)
def test_combinations_that_cannot_work_on_ascend(versions: dict[str, str], said: str) -> None:
    (sentence,) = version_matrix.refusals(A2, versions)
    assert said in sentence


def test_triton_ascend_is_refused_on_310p_alone() -> None:
    versions = {"triton-ascend": "3.2.2"}
    assert "does not support 310P" in version_matrix.refusals(P310, versions)[0]
    assert version_matrix.refusals(A2, versions) == ()


@pytest.mark.parametrize(
    "versions",
    [
        {"cann": "9.1.0", "driver": "25.2.0", "firmware": "7.7.0.1.231"},
        {"cann": "9.0.0", "driver": "25.0.rc1.1"},
        {"cann": "8.3.RC1", "driver": "23.0.0"},
        {},
    ],
)
def test_what_is_documented_or_unknown_is_not_refused(versions: dict[str, str]) -> None:
    assert version_matrix.refusals(A2, versions) == ()


def test_without_an_npu() -> None:
    assert "needs driver 580" in version_matrix.refusals(CUDA, {"driver": "570.133.20"})[0]
    assert (
        version_matrix.refusals(CUDA, {"driver": "580.65.06", "vllm": "0.32.0", "torch": "2.13.0"})
        == ()
    )
    assert (
        "cannot load torch"
        in version_matrix.refusals(CUDA, {"vllm": "0.32.0", "torch": "2.10.0"})[0]
    )
    assert (
        "another one"
        in version_matrix.refusals(CPU, {"vllm": "0.32.0", "torch": "2.13.0+cu130"})[0]
    )
    assert version_matrix.refusals(CPU, {**install.PINS, "python": "3.11"}) == ()


@pytest.mark.parametrize(
    ("cann", "python", "release"),
    [
        (None, "3.12", version_matrix.NEWEST),
        ("9.1.0", "3.12", "0.23.0"),
        ("9.0.1", "3.11", "0.22.1rc1"),
        ("8.5.0", "3.11", "0.19.1rc1"),
        ("8.5.0", "3.12", "0.19.1rc1"),
        ("7.0.0", "", version_matrix.NEWEST),
    ],
)
def test_the_release_follows_the_machine(cann: str | None, python: str, release: str) -> None:
    assert version_matrix.release_for(cann, python) == release

"""What a text leaves open: alternatives to choose from, and words that may not be there."""

from __future__ import annotations

import pytest

from trimtab import linter
from trimtab.catalog.values import is_placeholder
from trimtab.model.situation import Situation


def found(text: str, file: str = "serve.sh") -> list[tuple[str, str]]:
    document = linter.read(file, f"#!/bin/bash\n{text}\n")
    return [(one.rule, one.setting) for one in linter.check(document, Situation())]


@pytest.mark.parametrize("value", ["[1|2|4]", "{1,2,4}", "{auto, half}", "auto|dummy|fp8_e4m3"])
def test_alternatives_are_no_value(value: str) -> None:
    assert is_placeholder(value)
    assert found(f"vllm serve m --pipeline-parallel-size '{value}'") == []


@pytest.mark.parametrize("value", ["[1,2]", "0-3|4-7", '{"a": 1}', "{4}", "a,b", "|"])
def test_what_has_no_alternatives_is_a_value(value: str) -> None:
    assert not is_placeholder(value)


def test_numbers_to_choose_from_are_no_value_but_lists_of_cpus_are() -> None:
    assert found("vllm serve m --tensor-parallel-size '1|2'") == []
    text = "export VLLM_CPU_OMP_THREADS_BIND='1|2|3'\nvllm serve m"
    assert found(text) == [("omp-bind-lists", "VLLM_CPU_OMP_THREADS_BIND")]


def test_of_words_that_may_not_be_there_names_alone_are_judged() -> None:
    assert found("vllm serve m ${Q:+--quantization nosuch} ${N:+--max-model-len=abc}") == []
    assert found("vllm serve m ${E:+--enable-eplb}") == []
    assert found('vllm serve m ${N:+--max-modl-len "$N"}') == [
        ("unknown-option", "--max-modl-len")
    ]


@pytest.mark.parametrize(("value", "rules"), [("mp", []), ("ray", []), ("rays", ["option-value"])])
def test_two_backends_run_data_parallel_engines(value: str, rules: list[str]) -> None:
    assert [rule for rule, _ in found(f"vllm serve m --data-parallel-backend {value}")] == rules

"""KServe: a model's arguments are vLLM's where its format or runtime says so."""

from __future__ import annotations

import pytest

from trimtab import linter
from trimtab.model.finding import Severity
from trimtab.model.situation import Situation

SERVICE = """apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {{name: m}}
spec:
  predictor:
    model:
      {kind}
      args: [{args}]
"""
VLLM, FACE = "modelFormat: {name: vLLM}", "modelFormat: {name: huggingface}"
WRONG = "--max-model-len=abc"


@pytest.mark.parametrize(
    ("kind", "args", "found"),
    [
        (VLLM, WRONG, [("option-value", "--max-model-len", 8)]),
        (FACE, f"--model_name=llama, {WRONG}", [("option-value", "--max-model-len", 8)]),
        (FACE, "--model_name, llama, --max_model_len=4096", []),
        (FACE, f"--backend=huggingface, {WRONG}", []),
        (f"runtime: my-vllm-cuda\n      {FACE}", "--nosuch", [("unknown-option", "--nosuch", 9)]),
        ("modelFormat: {name: sklearn}", WRONG, []),
        (f"runtime: triton\n      {VLLM}", WRONG, []),
        (VLLM, "--tensor-parallel-size=2", []),
    ],
)
def test_arguments_are_those_of_the_engine(
    kind: str, args: str, found: list[tuple[str, str, int]]
) -> None:
    document = linter.read("k.yaml", SERVICE.format(kind=kind, args=args))
    said = [
        (one.rule, one.setting, one.place.line)
        for one in linter.check(document, Situation())
        if one.severity is not Severity.INFO and one.place
    ]
    assert said == found


@pytest.mark.parametrize(
    ("image", "level"), [("v0.4.2", Severity.INFO), ("v0.20.0", Severity.ERROR)]
)
def test_the_runtime_of_the_same_file_names_the_version(
    image: str, level: Severity | None
) -> None:
    runtime = f"""kind: ServingRuntime
metadata: {{name: own-vllm}}
spec:
  containers:
    - image: vllm/vllm-openai:{image}
---
"""
    args = "--model, /mnt/models/m, --disable-log-requests"
    model = SERVICE.format(
        kind="runtime: own-vllm\n      modelFormat: {name: huggingface}", args=args
    )
    found = linter.check(linter.read("k.yaml", runtime + model), Situation())
    said = {one.rule: one.severity for one in found}
    assert said.get("removed-option") == level
    assert "extra-word" not in said

"""Manifests: what the API refuses, what probes end, what a Service's name sets."""

from __future__ import annotations

import pytest

from trimtab import linter
from trimtab.model.finding import Finding
from trimtab.model.situation import Situation

POD = """apiVersion: v1
kind: Pod
metadata: {{name: p{namespace}}}
spec:
  containers:
  - name: v
    image: vllm/vllm-openai:v0.32.0
{more}"""


def found(text: str) -> list[Finding]:
    return [*linter.check(linter.read("k.yaml", text), Situation())]


def rules(text: str) -> list[tuple[str, str, int]]:
    kinds = {"manifest-refused", "start-killed", "service-variable"}
    return [
        (one.rule, one.setting, one.place.line)
        for one in found(text)
        if one.rule in kinds and one.place
    ]


def pod(more: str, namespace: str = "") -> str:
    lines = "".join(f"    {line}\n" for line in more.splitlines())
    return POD.format(more=lines, namespace=f", namespace: {namespace}" if namespace else "")


@pytest.mark.parametrize("value", ["40", "0.5", "true", "on", "No", "1e3", "0x1f", "-1", ".5"])
def test_a_value_without_quotes_is_refused(value: str) -> None:
    env = "env:\n- name: VLLM_CPU_KVCACHE_SPACE\n  value: {}\n"
    refused = [("manifest-refused", "VLLM_CPU_KVCACHE_SPACE", 10)]
    assert rules(pod(env.format(value))) == refused
    assert rules(pod(env.format(f'"{value}"'))) == []
    assert rules(pod(env.format(f"'{value}'"))) == []


@pytest.mark.parametrize("value", ["", "~", "null", "text", "1:30", "0.1.2", "'1'", "1Gi", "0-7"])
def test_what_the_api_takes_for_text_is_none(value: str) -> None:
    assert rules(pod(f"env:\n- name: A\n  value: {value}\n")) == []


def test_words_are_text_in_a_list() -> None:
    assert rules(pod("args: [--port, 8000, --x=1]\n")) == [("manifest-refused", "args", 8)]
    assert rules(pod("args:\n- --port\n- '8000'\n- --max-num-seqs\n- 8\n")) == [
        ("manifest-refused", "args", 12)
    ]
    assert rules(pod("command: vllm serve m\n")) == [("manifest-refused", "command", 8)]


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ("{limits: {nvidia.com/gpu: 2}}", []),
        ("{limits: {nvidia.com/gpu: 2}, requests: {nvidia.com/gpu: 2}}", []),
        ("{requests: {cpu: 500m, memory: 1Gi}}", []),
        ("{requests: {huawei.com/Ascend910: 1}}", ["huawei.com/Ascend910"]),
        ("{limits: {amd.com/gpu: 1}, requests: {amd.com/gpu: 0.5}}", ["amd.com/gpu"]),
    ],
)
def test_devices_are_whole_and_in_limits(resources: str, expected: list[str]) -> None:
    assert [name for _, name, _ in rules(pod(f"resources: {resources}\n"))] == expected


@pytest.mark.parametrize(
    ("probes", "seconds"),
    [
        ("livenessProbe: {httpGet: {path: /health}}", 30),
        ("livenessProbe: {initialDelaySeconds: 60, periodSeconds: 5}", 75),
        ("livenessProbe: {initialDelaySeconds: 120}", 150),
        ("livenessProbe: {initialDelaySeconds: 150}", None),
        ("livenessProbe: {failureThreshold: 30, periodSeconds: 10}", None),
        ("readinessProbe: {failureThreshold: 1}", None),
        ("livenessProbe: {periodSeconds: 1}\nstartupProbe: {failureThreshold: 60}", None),
        ("livenessProbe: {periodSeconds: 1}\nstartupProbe: {failureThreshold: 6}", 60),
        ("livenessProbe: {periodSeconds: $P}", None),
    ],
)
def test_a_probe_ends_a_server_that_loads(probes: str, seconds: int | None) -> None:
    said = [one.message for one in found(pod(probes + "\n")) if one.rule == "start-killed"]
    assert [f"has not answered {seconds} s" in one for one in said] == [True] * (
        seconds is not None
    )


def test_a_probe_of_another_container_is_its_own() -> None:
    text = pod("livenessProbe: {periodSeconds: 1}\n").replace("vllm/vllm-openai", "nginx")
    assert rules(text) == []


SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {{name: {}}}\nspec: {{{}}}\n"


@pytest.mark.parametrize(
    ("name", "spec", "more", "finds"),
    [
        ("vllm", "ports: []", "", True),
        ("vllm-dp-master", "ports: []", "", True),
        ("vllm-service", "ports: []", "", False),
        ("vllm", "clusterIP: None", "", False),
        ("vllm", "type: ExternalName", "", False),
        ("vllm", "ports: []", "env: [{name: VLLM_PORT, value: '9000'}]\n", False),
    ],
)
def test_a_service_sets_a_variable_that_vllm_reads(
    name: str, spec: str, more: str, *, finds: bool
) -> None:
    text = SERVICE.format(name, spec) + "---\n" + pod(more)
    variable = name.upper().replace("-", "_") + "_PORT"
    assert rules(text) == ([("service-variable", variable, 3)] if finds else [])


def test_a_service_acts_in_its_namespace_on_pods_that_take_it() -> None:
    service = SERVICE.format("vllm", "ports: []")
    assert rules(service + "---\n" + pod("", "other")) == []
    silent = pod("").replace("spec:\n", "spec:\n  enableServiceLinks: false\n")
    assert rules(f"{service}---\n{silent}") == []
    (alone,) = found(service)
    assert alone.severity.value == "info"
    assert alone.message.endswith("(if a vLLM pod runs in this namespace)")


def test_kubernetes_expands_its_own_form() -> None:
    more = (
        "env: [{name: LEN, value: '1024'}]\n"
        "args: [--max-model-len=$(LEN), --x=$$(LEN), --y=$(NO), '${LEN}']\n"
    )
    (launch,) = linter.read("k.yaml", pod(more)).launches
    assert launch.argv[2:] == ("--max-model-len=1024", "--x=$(LEN)", "--y=$(NO)", "${LEN}")


def test_the_model_of_a_serving_runtime_is_named_as_not_read() -> None:
    text = (
        "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nspec:\n  predictor:\n"
        "    model:\n      args: [--max-model-len=9]\n"
    )
    document = linter.read("k.yaml", text)
    assert [(place.line, why.partition(":")[0]) for place, why in document.unread] == [
        (6, "the model's args are not read")
    ]


@pytest.mark.parametrize(("selector", "lost"), [("", 0), ("  selector: {}\n", 1)])
def test_a_patch_mounts_its_volume_elsewhere(selector: str, lost: int) -> None:
    text = (
        f"apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: m}}\nspec:\n{selector}"
        "  template:\n    spec:\n      containers: [{name: m, image: vllm/vllm-openai:v0.19.0}]\n"
        "      volumes: [{name: cache, emptyDir: {}}]\n"
    )
    found = linter.check(linter.read("m.yaml", text), Situation())
    assert [one.rule for one in found].count("volume-unmounted") == lost

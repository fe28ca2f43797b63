"""A launch has the CPUs of its container: quotas and cpusets of every format."""

from __future__ import annotations

import pytest

from trimtab import linter
from trimtab.errors import UsageError
from trimtab.linter.context import parse_context
from trimtab.linter.scenes import scenes
from trimtab.model.situation import Situation

POD = (
    "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - image: vllm/vllm-openai:v1\n"
    "    resources: {{limits: {{{}}}}}\n    env: [{{name: OMP_NUM_THREADS, value: '4'}}]\n"
)
SERVICE = (
    "services:\n v:\n  image: vllm/vllm-openai:v1\n  environment: [OMP_NUM_THREADS=4]\n"
    "  command: m\n{}"
)
DEPLOY = "  deploy: {{resources: {{limits: {{cpus: '{}'}}}}}}\n"
UNIT = "[Service]\nEnvironment=OMP_NUM_THREADS=4\n{}\nExecStart=/bin/vllm serve m\n"
QUADLET = "[Container]\nImage=vllm/vllm-openai:v1\nPodmanArgs=--cpus 2\n"
RUN = "docker run {} -e OMP_NUM_THREADS=4 vllm/vllm-openai:v1 m\n"


@pytest.mark.parametrize(
    ("name", "text", "quota", "cpus"),
    [
        ("a.sh", RUN.format("--cpus 1.5"), 1.5, None),
        ("a.sh", RUN.format("--cpus=2"), 2.0, None),
        ("a.sh", RUN.format("--cpu-period 50000 --cpu-quota 25000"), 0.5, None),
        ("a.sh", RUN.format("--cpu-quota=150000"), 1.5, None),
        ("a.sh", RUN.format("--cpu-quota=-1"), None, None),
        ("a.sh", RUN.format("--cpuset-cpus 0-2,8"), None, 4),
        ("a.sh", RUN.format("--cpuset-cpus=\"0,1\" --cpus .5"), 0.5, 2),
        ("a.sh", RUN.format('--cpus "$N"'), None, None),
        ("compose.yaml", SERVICE.format("  cpus: 1.5\n"), 1.5, None),
        ("compose.yaml", SERVICE.format("  cpus: '0'\n"), None, None),
        ("compose.yaml", SERVICE.format(DEPLOY.format("2.5")), 2.5, None),
        ("compose.yaml", SERVICE.format("  cpuset: 0-1\n"), None, 2),
        ("k.yaml", POD.format("cpu: 1500m"), 1.5, None),
        ("k.yaml", POD.format("cpu: '3'"), 3.0, None),
        ("k.yaml", POD.format("memory: 1Gi"), None, None),
        ("v.service", UNIT.format("CPUQuota=150%"), 1.5, None),
        ("v.container", QUADLET, 2.0, None),
    ],
)  # fmt: skip
def test_a_launch_has_the_quota_of_its_container(
    name: str, text: str, quota: float | None, cpus: int | None
) -> None:
    (scene,) = scenes(linter.read(name, text), Situation())
    assert (scene.situation.cpu_quota, scene.situation.cpus) == (quota, cpus)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.sh", RUN.format("--cpus 1.5"), "4 threads get 1.5 CPUs' time"),
        ("a.sh", RUN.format("--cpuset-cpus 0-2"), "4 threads share 3 CPUs"),
        ("a.sh", RUN.format("--cpus 4"), ""),
        ("compose.yaml", SERVICE.format(DEPLOY.format("0.5")), "4 threads get 0.5 CPUs' time"),
        ("k.yaml", POD.format("cpu: 1500m"), "4 threads get 1.5 CPUs' time"),
        ("v.service", UNIT.format("CPUQuota=150%"), "4 threads get 1.5 CPUs' time"),
        ("v.service", UNIT.format("AllowedCPUs=0-2"), "4 threads share 3 CPUs"),
    ],
)
def test_more_threads_than_cpus_is_said(name: str, text: str, message: str) -> None:
    said = [
        one.message
        for one in linter.check(linter.read(name, text), Situation())
        if one.rule == "omp-threads-over"
    ]
    assert [one.startswith(message) for one in said] == [True] * bool(message)


BIND = "docker run {} -e VLLM_CPU_OMP_THREADS_BIND='{}' vllm/vllm-openai-cpu:v0.32.0 m {}\n"


@pytest.mark.parametrize(
    ("options", "bind", "tensor", "expected"),
    [
        ("", "0-3", "", set()),
        ("", "auto", "", set()),
        ("", "nobind", "-tp 2", set()),
        ("", "0-3", "-tp 2", {("omp-bind-lists", "error")}),
        ("", "0-3|4-7", "-tp 2", set()),
        ("", "0-3|4-7", "", {("omp-bind-lists", "warning")}),
        ("", "0-3|4-7", "-dp 2", set()),
        ("--cpuset-cpus 0-3", "0-3", "", set()),
        ("--cpuset-cpus 0-3", "2-5", "", {("omp-bind-outside", "warning")}),
        ("--cpus 2", "0-3", "", {("omp-bind-outside", "warning")}),
        ("--cpus 4", "0-3", "", set()),
    ],
)
def test_threads_are_bound_to_cpus_that_are_given(
    options: str, bind: str, tensor: str, expected: set[tuple[str, str]]
) -> None:
    document = linter.read("a.sh", BIND.format(options, bind, tensor))
    found = {
        (one.rule, one.severity.value)
        for one in linter.check(document, Situation())
        if one.rule.startswith("omp-bind")
    }
    assert found == expected


def test_a_quota_can_be_told() -> None:
    assert parse_context("cpu-quota=1.5").cpu_quota == 1.5
    for wrong in ("cpu-quota=x", "cpu-quota=0", "cpu-quota=-1"):
        with pytest.raises(UsageError, match="must be a number above 0"):
            parse_context(wrong)


@pytest.mark.parametrize(
    ("devices", "finds"),
    [
        ("{driver: nvidia, count: 2, capabilities: [gpu]}", True),
        ("{driver: nvidia, device_ids: ['0', '1'], capabilities: [gpu]}", True),
        ("{driver: nvidia, count: 4, capabilities: [gpu]}", False),
        ("{count: all, capabilities: [gpu]}", False),
        ("{driver: nvidia, count: 2, capabilities: [tpu]}", False),
    ],
)
def test_devices_of_a_deployment_are_counted(devices: str, *, finds: bool) -> None:
    text = SERVICE.format(
        f"  deploy: {{resources: {{reservations: {{devices: [{devices}]}}}}}}\n"
    ).replace("command: m", "command: m -tp 4")
    found = linter.check(linter.read("compose.yaml", text), Situation())
    assert any(
        "2" in one.message and one.setting == "--tensor-parallel-size" for one in found
    ) is (finds)

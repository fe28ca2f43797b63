"""CANN, ACL and the container runtime of Ascend: which devices are seen, how operators load."""

from __future__ import annotations

import re
from collections.abc import Iterator

from trimtab.catalog.rules.scene import Rule, Scene
from trimtab.catalog.schema import VA, Source, advisory_entry
from trimtab.catalog.values import Acceptance, Choice, Integer, Pattern
from trimtab.model.document import Origin
from trimtab.model.finding import Hit, Problem, Severity

_ASCEND = ("ascend",)
_VISIBLE = "ASCEND_RT_VISIBLE_DEVICES"
_BINDING = Source(f"{VA}, CPU binding", "vllm_ascend/cpu_binding.py:175-177")


def _replaced(scene: Scene) -> Iterator[Hit]:
    setting = scene.env.get("LD_LIBRARY_PATH")
    if setting is None or "$" in setting.value or setting.origin is Origin.PROCESS:
        return
    platform = scene.situation.platform
    speaks = any(True for _ in scene.variables("ASCEND_", "HCCL_", "VLLM_ASCEND_"))
    if platform not in (None, "ascend") or (platform is None and not speaks):
        return
    if not re.search(r"/Ascend/|/driver/lib64", setting.value):
        yield Hit(
            "LD_LIBRARY_PATH",
            (
                "this replaces LD_LIBRARY_PATH, so programs no longer find the libraries of the "
                "driver and CANN"
            ),
            'append the old value: "...:$LD_LIBRARY_PATH"',
            given="" if platform == "ascend" else "an NPU serves",
        )


def _mixed(scene: Scene) -> Iterator[Hit]:
    if "ASCEND_VISIBLE_DEVICES" not in scene.env or scene.container is None:
        return
    devices = [option for option in scene.container.options if option.name == "--device"]
    if any("davinci" in device.value for device in devices):
        yield Hit(
            "ASCEND_VISIBLE_DEVICES",
            (
                "ASCEND_VISIBLE_DEVICES makes the Ascend runtime mount devices, and --device "
                "names some by hand too"
            ),
            "keep one of the two ways",
        )


TUNINGS = (
    advisory_entry(
        "ascend-rt-visible-devices",
        "cann",
        "Which of the NPUs that a process could see it uses, renumbered from 0.",
        _VISIBLE,
        _BINDING,
        stock="all",
        details=(
            "The numbers count among the devices that the container sees. vllm-ascend reads them "
            "as whole numbers joined by commas: a range such as 0-3 ends its start."
        ),
        accepts=Pattern(
            r"\s*\d+\s*(,\s*\d+\s*)*|",
            "device numbers joined by commas",
            "vllm-ascend raises ValueError at the start",
        ),
        platforms=_ASCEND,
    ),
    advisory_entry(
        "ascend-visible-devices",
        "cann",
        "Which NPUs of the host the Ascend container runtime mounts.",
        "ASCEND_VISIBLE_DEVICES",
        Source("Ascend Docker Runtime", "user guide; Kubernetes device plugin"),
        stock="none",
        details=(
            "Numbers of the host, also in the form Ascend910-4; read by --runtime=ascend, not by "
            "the server. A Kubernetes device plugin sets it."
        ),
        platforms=_ASCEND,
        rules=(
            Rule(
                id="devices-mixed",
                severity=Severity.WARNING,
                problem=Problem.CONFLICT,
                summary="The Ascend runtime and --device both choose devices.",
                process=_mixed,
            ),
        ),
    ),
    advisory_entry(
        "acl-op-init-mode",
        "cann",
        "When operators are initialised: 0 at the start, 1 at first use, 2 without aclops.",
        "ACL_OP_INIT_MODE",
        Source("torch_npu, environment variables", "ACL_OP_INIT_MODE.md"),
        stock="1 on 310P, 910C and 950 with CANN 8.3.RC1 or later, else 0",
        accepts=Choice(
            ("0", "1", "2"), "it warns and takes the default", taken=Acceptance.MISREAD
        ),
        details="Chips that have only aclnn operators force 2.",
        torch_npu_reads="alone",
        platforms=_ASCEND,
    ),
    advisory_entry(
        "ascend-log-level",
        "cann",
        "How much CANN and HCCL write to their log: how HCCL settings are verified.",
        "ASCEND_GLOBAL_LOG_LEVEL",
        Source("CANN, log reference", "ASCEND_GLOBAL_LOG_LEVEL"),
        stock="3: errors",
        default="3",
        details=(
            "At 1 the log under ~/ascend/log says what HCCL took from each variable. 0 and 1 cost "
            "time: for a check, not for serving."
        ),
        accepts=Integer(0, 4, "CANN takes its default", taken=Acceptance.MISREAD),
        torch_npu_reads="too",
        platforms=_ASCEND,
    ),
    advisory_entry(
        "ld-library-path",
        "cann",
        "Where libraries are looked for, those of the NPU's driver included.",
        "LD_LIBRARY_PATH",
        Source(f"{VA}, tutorials", "Mooncake's paths"),
        stock="set by CANN's set_env.sh",
        rules=(
            Rule(
                id="library-path-replaced",
                severity=Severity.WARNING,
                problem=Problem.HAZARD,
                summary="LD_LIBRARY_PATH is replaced, so the driver's libraries are lost.",
                process=_replaced,
            ),
        ),
    ),
)

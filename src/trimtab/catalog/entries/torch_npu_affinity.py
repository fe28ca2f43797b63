"""CPU_AFFINITY_CONF: how torch_npu binds the threads of a process."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from trimtab.catalog import applicability
from trimtab.catalog.rules.scene import Rule, Scene
from trimtab.catalog.schema import GUIDE, TN, VA, Context, Source, Tuning
from trimtab.catalog.values import Acceptance, CustomReader, Reading
from trimtab.facts import Facts
from trimtab.facts.parsing import format_cpu_list
from trimtab.knobs import Argument, Env
from trimtab.model import Check, CheckKind, Proof, Risk, RiskLevel, Settings, Value
from trimtab.model.finding import Hit, Problem, Severity

_NAME = "CPU_AFFINITY_CONF"
_VISIBLE = "ASCEND_RT_VISIBLE_DEVICES"
_BINDS_SINCE = "0.18"
"""Release of vllm-ascend since which ``enable_cpu_binding`` is on by default on ARM."""

_CONTROLLER = Source(f"{TN}, affinity", "NPUAffinityController.cpp:97-106, 130-185, 265-342")
_BINDING = Source(
    f"{VA}, CPU binding", "vllm_ascend/worker/worker.py:799-805; cpu_binding.py:249-257, 683-694"
)


def _reading(text: str) -> Reading:
    """Read as torch_npu does: the first bare number is the mode, anything above 1 is 2."""
    parts = [part.strip() for part in text.split(",")]
    mode = next((p.removeprefix("mode:") for p in parts if re.fullmatch(r"(mode:)?\d+", p)), None)
    if mode is None:
        return Reading(
            Acceptance.MISREAD, f"it names no mode, so {text!r} is silently read as 0: no binding"
        )
    if int(mode[:9]) > 2:
        return Reading(
            Acceptance.MISREAD, f"the mode must be 0, 1 or 2: {mode} is silently read as 2"
        )
    known = r"(mode:)?\d+|force:[01]|npu\d+:\d+(-\d+)?|npu_affine:[01]|(lazy_bind|bind_irq):\d+"
    for part in parts:
        if not re.fullmatch(known, part):
            return Reading(
                Acceptance.MISREAD, f"{part!r} is no part of it and is silently ignored"
            )
    return Reading.fine()


def _affinity_applies(context: Context) -> str | None:
    """Leave CPUs to vllm-ascend where it binds them itself (finding of its worker's source).

    And leave out what torch_npu makes nothing of.
    """
    if (reason := _binds_nothing(context)) is not None:
        return reason
    plugin = context.packages.get("vllm-ascend", "")
    arm = context.facts.cpu.arch.value == "aarch64"
    if (
        not arm
        or applicability.is_before(plugin, _BINDS_SINCE) is not False
        or _binding_off(context)
    ):
        return None
    return (
        f"vllm-ascend binds the CPUs itself on ARM since {_BINDS_SINCE}, after torch_npu has, and "
        f"the plugin is {plugin}: whatever this sets is overwritten"
    )


def _binds_nothing(context: Context) -> str | None:
    """Return why torch_npu, silently, leaves threads where they are; seen of it (docs/oracle.md).

    ``None`` where it binds, or where the devices or CPUs are not known.
    """
    online, npus = context.facts.cpu.online.value, context.facts.ascend.npus.value
    visible = _visible(dict(context.baseline.env))
    count = len(visible) if visible else len(npus or ())
    if online is not None and count > len(online):
        return (
            f"torch_npu silently binds nothing here: {count} NPUs are visible and "
            f"{len(online)} CPUs, so that no slice has a CPU; {_VISIBLE} makes fewer visible"
        )
    if count == 1 and context.tries.get("cpu-affinity-conf", "1") == "1":
        return "1 binds to a slice of the CPUs for each visible NPU, and one NPU's is all of them"
    return None


def _visible(env: Mapping[str, str]) -> list[str]:
    """Return the devices that an environment names; empty where it names none: then all are."""
    return [one for one in env.get(_VISIBLE, "").split(",") if one.strip()]


def _binding_off(context: Context) -> bool:
    """Whether the baseline's --additional-config says enable_cpu_binding: false."""
    text = Argument("--additional-config").parse(context.baseline)
    try:
        config = json.loads(str(text)) if text is not None else None
    except (ValueError, RecursionError):
        return False
    return isinstance(config, dict) and config.get("enable_cpu_binding") is False


def _affinity_checks(value: Value, facts: Facts, settings: Settings) -> tuple[Check, ...]:
    """Mode 1 binds the dispatching thread to the slice of its device, of two or more visible ones.

    With one visible device the slice is every CPU, which is what happens anyway; with several
    workers each has another slice; and without torch_npu, or its queue, there is no such thread.
    """
    delivered = Check(CheckKind.ENVIRON, _NAME, str(value), roles=("api",), proves=Proof.DELIVERY)
    env = dict(settings.env)
    devices = _visible(env)
    online = facts.cpu.online.value
    workers = Argument("--tensor-parallel-size").parse(settings) not in (None, "1", 1)
    queue = "torch-npu" in facts.packages and env.get("TASK_QUEUE_ENABLE") != "0"
    if value != "1" or online is None or workers or not queue:
        return (delivered,)
    share = len(online) // len(devices) if len(devices) > 1 else 0
    if share == 0:
        return (delivered,)
    slice_ = format_cpu_list(tuple(range(share)))
    return (delivered, Check(CheckKind.NAMED_AFFINITY, "acl_thread", slice_))


def _on(scene: Scene) -> bool:
    text = scene.text(_NAME)
    return text is not None and text != "0" and _reading(text).taken is not Acceptance.REFUSED


def _overwritten(scene: Scene) -> Iterator[Hit]:
    if not _on(scene) or '"enable_cpu_binding": false' in (
        scene.option("--additional-config") or ""
    ):
        return
    arch, before = (
        scene.situation.arch,
        applicability.is_before(scene.version("vllm-ascend"), _BINDS_SINCE),
    )
    if arch == "x86_64" or before is True:
        return
    sure = arch == "aarch64" and before is False
    yield Hit(
        _NAME,
        (
            f"{_NAME} is overwritten: vllm-ascend {_BINDS_SINCE} and later bind every thread "
            "of the worker after torch_npu has"
        ),
        "leave it out, or switch enable_cpu_binding off and measure both",
        given="" if sure else f"the machine is ARM and vllm-ascend {_BINDS_SINCE} or later",
        severity=Severity.WARNING,
    )


def _overlap(scene: Scene) -> Iterator[Hit]:
    if _on(scene) and "npu" not in (scene.text(_NAME) or ""):
        yield Hit(
            _NAME,
            (
                "torch_npu cuts the CPUs into slices by visible devices, from CPU 0 on: two "
                "services on one host get the same CPUs"
            ),
            "name the CPUs of each device (npu0:0-23), or leave it out",
            given="several services share the host",
        )


def _cpuset(scene: Scene) -> Iterator[Hit]:
    bound = scene.affinity is not None or (
        scene.container is not None
        and any(option.name == "--cpuset-cpus" for option in scene.container.options)
    )
    if _on(scene) and bound and "force:1" not in (scene.text(_NAME) or ""):
        yield Hit(
            _NAME,
            (
                "the process is bound already: torch_npu silently binds nothing if default CPUs "
                "of a device lie outside"
            ),
            "bind in one place only",
        )


def _chip(scene: Scene) -> Iterator[Hit]:
    if _on(scene) and scene.situation.chip == "310P":
        yield Hit(
            _NAME,
            (
                "torch_npu's documents leave out inference cards (310P), but its code binds there "
                "too"
            ),
            "leave it out, or measure both",
        )


TUNINGS = (
    Tuning(
        name="cpu-affinity-conf",
        layer="torch_npu",
        summary="Bind the threads of each NPU's process to its slice of the CPUs.",
        details=(
            "1 binds to the whole slice of a device, 2 puts main, dispatch, release and watchdog "
            "threads on CPUs of their own; torch_npu's own documents recommend 2. The slice is "
            "online CPUs / visible NPUs, contiguous from 0, whatever the topology. Where any "
            "default CPU of any device is outside the process's mask nothing is bound, with a "
            "warning in the plog only, unless force:1. npu_affine needs libdcmi and A2. Next to "
            "vllm-ascend's own binding it has no effect."
        ),
        knob=Env(_NAME),
        values=(None, "1", "2"),
        stock="0: not bound by torch_npu",
        default="0",
        accepts=CustomReader("<mode>[,force:0|1][,npuN:a-b][,npu_affine:0|1]", _reading),
        applies=_affinity_applies,
        checks=_affinity_checks,
        risk=Risk(
            RiskLevel.MEDIUM, "Two services on one host are bound to the same slices of CPUs."
        ),
        platforms=("ascend",),
        rules=(
            Rule(
                id="cpu-affinity-overwritten",
                severity=Severity.WARNING,
                problem=Problem.NO_EFFECT,
                summary="vllm-ascend binds the CPUs after torch_npu has.",
                process=_overwritten,
                traps=("T10",),
            ),
            Rule(
                id="cpu-affinity-overlap",
                severity=Severity.WARNING,
                problem=Problem.HAZARD,
                summary="Two services on one host are bound to the same CPUs.",
                process=_overlap,
                traps=("T10",),
            ),
            Rule(
                id="cpu-affinity-cpuset",
                severity=Severity.WARNING,
                problem=Problem.NO_EFFECT,
                summary="In a cpuset, or under taskset or numactl, it silently binds nothing.",
                process=_cpuset,
                traps=("T10",),
            ),
            Rule(
                id="cpu-affinity-chip",
                severity=Severity.INFO,
                problem=Problem.ADVICE,
                summary="Binding on inference cards is not documented.",
                process=_chip,
            ),
        ),
        sources=(GUIDE, _CONTROLLER, _BINDING),
    ),
)

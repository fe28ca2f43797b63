"""Further options of torch_npu: debugging, numerics, logs. They are read once, at first use."""

from __future__ import annotations

from collections.abc import Iterator

from trimtab.catalog.rules.scene import Rule, Scene
from trimtab.catalog.schema import TN, Source, advisory_entry
from trimtab.catalog.values import SWITCH, Acceptance, CustomReader, Reading, is_switched_on
from trimtab.model.finding import Hit, Problem, Severity

_ASCEND = ("ascend",)
_OPTIONS = Source(f"{TN}, options", "OptionsManager.cpp:570-584")


def _inf_nan(scene: Scene) -> Iterator[Hit]:
    text, chip = scene.text("INF_NAN_MODE_ENABLE"), scene.situation.chip
    forced = is_switched_on(scene.text("INF_NAN_MODE_FORCE_DISABLE"))
    if text is None or is_switched_on(text) or forced or chip not in (None, "A2", "A3"):
        return
    yield Hit(
        "INF_NAN_MODE_ENABLE",
        (
            f"torch_npu refuses INF_NAN_MODE_ENABLE={text} on A2 and A3, at the first use of the "
            "device"
        ),
        "leave it out, or set INF_NAN_MODE_FORCE_DISABLE=1",
        given="" if chip else "the chip is A2 or A3",
        severity=Severity.ERROR if chip else Severity.WARNING,
    )


def _logs(text: str) -> Reading:
    """Read as torch's logging does: registered names, each with signs in front."""
    if not text:
        return Reading(
            Acceptance.REFUSED,
            "it is set and empty: the import of torch_npu raises AttributeError",
        )
    return Reading.fine()


TUNINGS = (
    advisory_entry(
        "no-npu-memory-caching",
        "torch_npu",
        "Switch the device allocator's cache off: for debugging only.",
        "PYTORCH_NO_NPU_MEMORY_CACHING",
        _OPTIONS,
        stock="not set: the cache is on",
        details=(
            "Any number but 0 switches the cache off, and virtual memory with it: every "
            "allocation is slow. Text without digits is read as 0."
        ),
        accepts=SWITCH,
        platforms=_ASCEND,
        rules=(
            Rule(
                id="no-memory-caching",
                severity=Severity.WARNING,
                problem=Problem.HAZARD,
                summary="The device allocator's cache is off: every allocation is slow.",
                process=lambda scene: (
                    Hit(
                        variable.name,
                        f"{variable.name} switches the device allocator's cache off, which is for "
                        "debugging",
                        "take it out",
                    )
                    for variable in scene.variables("PYTORCH_NO_NPU_MEMORY_CACHING")
                    if not variable.literal or is_switched_on(variable.value)
                ),
            ),
        ),
    ),
    advisory_entry(
        "combined-enable",
        "torch_npu",
        "Combine discontiguous operators.",
        "COMBINED_ENABLE",
        _OPTIONS,
        stock="0",
        default="0",
        details="No value is refused; only operators that are compiled just in time ask for it.",
        accepts=SWITCH,
        platforms=_ASCEND,
    ),
    advisory_entry(
        "inf-nan-mode",
        "torch_npu",
        "Let overflow give inf and nan rather than the largest number.",
        "INF_NAN_MODE_ENABLE",
        _OPTIONS,
        stock="1",
        default="1",
        accepts=SWITCH,
        details=(
            "It is about numerics, not about speed. 0 is refused on A2 and A3 (unless "
            "INF_NAN_MODE_FORCE_DISABLE=1), 310P takes it, 950 does not read it."
        ),
        platforms=_ASCEND,
        rules=(
            Rule(
                id="inf-nan-chip",
                severity=Severity.ERROR,
                problem=Problem.WRONG_VALUE,
                summary="A2 and A3 cannot leave inf-nan mode.",
                process=_inf_nan,
            ),
        ),
    ),
    advisory_entry(
        "torch-npu-logs",
        "torch_npu",
        "Print what torch_npu reads: how settings are verified.",
        "TORCH_NPU_LOGS",
        Source(f"{TN}, logging", "TORCH_NPU_LOGS=env,memory"),
        details=(
            "'env' prints every variable that torch_npu takes, 'memory' the allocator's "
            "configuration. An empty text, or a name that is neither registered nor a module, "
            "ends the import of torch_npu."
        ),
        accepts=CustomReader("names of logs joined by commas", _logs),
        platforms=_ASCEND,
    ),
)

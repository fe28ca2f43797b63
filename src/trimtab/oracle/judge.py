"""From what checks showed to a verdict. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from trimtab.catalog import CATALOG
from trimtab.oracle.effective_values import effective_value
from trimtab.oracle.model import (
    SIZES,
    STAGES,
    CheckFailure,
    CheckRun,
    Handling,
    OracleSetting,
    SettingReply,
    is_same_message,
    new_warnings,
    one_line,
)

_ELSEWHERE = re.compile(r"(?:HCCL|ASCEND|ACL|CANN|GE|ATB|LCCL|LCAL|HCCN|RANK_TABLE)_")
"""Names whose readers belong to CANN, HCCL or the driver."""

_OWN = (
    "ASCEND_LAUNCH_BLOCKING",
    "ACL_OP_INIT_MODE",
    "ACL_DEVICE_SYNC_TIMEOUT",
    "HCCL_ASYNC_ERROR_HANDLING",
    "HCCL_BLOCKING_WAIT",
    "HCCL_DESYNC_DEBUG",
    "HCCL_EVENT_TIMEOUT",
)
"""Names of that form that torch_npu alone reads."""

_OF_CANN = ("ASCEND_RT_VISIBLE_DEVICES",)
"""Names by which CANN chooses what the others see. The stand-in, not CANN, would answer."""

_LIBRARIES = ("allocator", "threads")
"""Layers of the catalogue whose readers are libraries that are in none of the wheels asked."""

_WORKERS = re.compile(
    r"(?:tensor|pipeline|data)[ _-]parallel|parallel[ _-]size|\b[tpd]p\b", re.IGNORECASE
)
_MODEL = re.compile(r"\b(?:mla|moe|models?)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class VendorSoftware:
    """What is known of the software beside the check: its versions, and which names it mentions.

    ``mentioned`` maps a name (a variable, or a key of --additional-config) to the software whose
    files hold it as a word. ``beside`` does so for the software around it, which is not judged.
    """

    versions: Mapping[str, str] = field(default_factory=dict)
    mentioned: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    beside: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def asked(self) -> str:
        """The software that was asked, with versions: "torch_npu 2.13.0"."""
        found = [f"{name} {self.versions[name]}" for name in _ASKED if name in self.versions]
        return " and ".join(found)


_ASKED = ("torch_npu", "vllm-ascend")


def failure_of(run: CheckRun, base: CheckRun, *, graph: bool) -> CheckFailure | None:
    """Return the failure that a setting brought about; ``None`` if the check went as without it.

    A stage that fails without the setting too says nothing. ``graph``: whether the capture of a
    graph counts; otherwise it is only there to tell a value.
    """
    failed = run.failure
    if failed is None or (failed.stage == "graph" and not graph):
        return None
    usual = base.failure
    same = usual is not None and usual.stage == failed.stage
    if same and usual is not None and is_same_message(usual.message, failed.message):
        return None
    return failed


def judge(
    given: OracleSetting,
    run: CheckRun,
    base: CheckRun,
    known: VendorSoftware,
    *,
    graph: bool = False,
) -> SettingReply:
    """Return what one kind of check says to one setting, set alone. ``base`` is without it."""
    failed = failure_of(run, base, graph=graph)
    if failed is not None:
        return SettingReply(
            given, failed.verdict, one_line(failed.message), stage=failed.stage, through=run.kind
        )
    value = effective_value(given, run, base)
    warned = new_warnings(run.output, base.output, (given.name,))
    stage = run.asked.get(given.name, "")
    if value is not None and value.unread and not value.text:
        return _unread(given, value.unread, known, run.kind)
    if value is not None:
        verdict = Handling.ACCEPTED if value.as_written else Handling.READ_AS
        sentence = _also_unread(value.unread)
        return SettingReply(given, verdict, sentence, value.text, stage, run.kind, warned)
    if beside := known.beside.get(given.name):
        why = f"read by {' and '.join(beside)}, which {_is(beside)} not judged here"
        return SettingReply(given, Handling.NOT_OBSERVABLE, why, through=run.kind, said=warned)
    if stage and (owner := _other_reader(given.name)):
        why = f"{run.kind} takes it; {owner} reads it too and is in no wheel"
        return SettingReply(given, Handling.NOT_OBSERVABLE, why, "", stage, run.kind, warned)
    if stage:
        why = f"read at {STAGES.get(stage, stage)}; its effect is not read back"
        return SettingReply(given, Handling.ACCEPTED, why, "", stage, run.kind, warned)
    if base.failure is not None:
        why = f"the check fails without it too: {one_line(base.failure.message)}"
        return SettingReply(given, Handling.NOT_OBSERVABLE, why, through=run.kind)
    if given.is_option:
        why = f"nothing of it is read back from {run.kind}"
        return SettingReply(given, Handling.NOT_OBSERVABLE, why, through=run.kind, said=warned)
    return _unread(given, (given.name,), known, run.kind)


def uncheckable_reply(given: OracleSetting) -> SettingReply | None:
    """Return the answer for a setting that no check is given; ``None`` if checks are."""
    if given.name not in _OF_CANN:
        return None
    return SettingReply(given, Handling.NOT_OBSERVABLE, "read by CANN, which is in no wheel")


def unknown_cause(sentence: str, *, sized: bool) -> str:
    """Return what a refusal may be due to that is not known here; "" if it tells of nothing.

    ``sized``: whether all sizes are known.
    """
    if not sized and _WORKERS.search(sentence):
        return f"{', '.join(SIZES)}, which are not all known here"
    if _MODEL.search(sentence):
        return "the model, and the oracle's is a small dense one"
    return ""


def qualify(answer: SettingReply, *, sized: bool) -> SettingReply:
    """Return an answer, which is no refusal where what is not known here may be to blame."""
    why = unknown_cause(answer.sentence, sized=sized)
    if answer.verdict is not Handling.REJECTED or not why:
        return answer
    why = f"it depends on {why}: {answer.sentence}"
    return replace(answer, verdict=Handling.NOT_OBSERVABLE, sentence=why, stage="")


def is_read_by_cann(name: str) -> bool:
    """Whether the form of a variable's name tells that its reader belongs to CANN."""
    return _ELSEWHERE.match(name) is not None


def _is(names: tuple[str, ...]) -> str:
    return "is" if len(names) == 1 else "are"


def _other_reader(name: str) -> str:
    """Return who reads a variable beside the software that was asked; "" if nobody does."""
    if name in _OWN or not is_read_by_cann(name):
        return ""
    return "HCCL" if name.startswith("HCCL_") else "CANN"


def _also_unread(unread: tuple[str, ...]) -> str:
    return f"nothing asks for {', '.join(unread)}" if unread else ""


def _unread(
    given: OracleSetting, names: Iterable[str], known: VendorSoftware, kind: str
) -> SettingReply:
    """Return the answer for a name that nothing asked for."""
    names = tuple(names)
    holders = sorted({one for name in names for one in known.mentioned.get(_last(name), ())})
    shown = ", ".join(names)
    if holders:
        mention, ask = ("mentions", "asks") if len(holders) == 1 else ("mention", "ask")
        why = (
            f"{' and '.join(holders)} {mention} {shown}, but {ask} for it in none of the stages "
            "that were run"
        )
        return SettingReply(given, Handling.NOT_OBSERVABLE, why, through=kind)
    if is_read_by_cann(given.name):
        why = "its reader is a part of CANN, which is in no wheel"
        return SettingReply(given, Handling.NOT_OBSERVABLE, why)
    if (layer := _layer_of(given.name)) in _LIBRARIES:
        why = f"of the layer {layer}: its reader is a library that is not judged here"
        return SettingReply(given, Handling.NOT_OBSERVABLE, why)
    return SettingReply(given, Handling.IGNORED, f"no code of {known.asked} mentions {shown}")


def _layer_of(name: str) -> str:
    """Return the catalogue's layer of a variable, "" if it has none of that name."""
    return next((tuning.layer for tuning in CATALOG.values() if tuning.knob.setting == name), "")


def _last(name: str) -> str:
    return name.rpartition(".")[2]


_ORDER = (
    Handling.CRASHED,
    Handling.HUNG,
    Handling.REJECTED,
    Handling.READ_AS,
    Handling.ACCEPTED,
    Handling.NOT_OBSERVABLE,
    Handling.IGNORED,
)


def decisive_reply(answers: Iterable[SettingReply]) -> SettingReply:
    """Return the answer that counts, of those through torch_npu and through vllm-ascend.

    A refusal outranks a misreading, that outranks being taken; at equal rank the first one with a
    value in force counts.
    """
    return min(answers, key=lambda one: (_ORDER.index(one.verdict), not one.effective))

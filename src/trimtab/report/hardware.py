"""What a study over a stand-in leaves to be confirmed on hardware, tuning by tuning. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab import formatting
from trimtab.catalog import CATALOG
from trimtab.model import Answer, Conclusion

_KEPT = (
    "to confirm on hardware, of {}: the gain with 'trimtab compare stock PROFILE' on the NPU, "
    "the verification with 'make test-ascend'"
)
_NONE = (
    "no tuning is kept, so there is no gain to confirm on hardware; 'make test-ascend' confirms "
    "the verification there"
)
_OPEN = (
    "measured and not kept, which says nothing of hardware either: {}; 'trimtab tune' on the NPU "
    "with the same --only and --try tests them there"
)


def notes(conclusion: Conclusion) -> tuple[str, ...]:
    """Return the sentences of a report: what is kept, and what was measured and is not.

    Neither carries over: a device that takes time can hide what the host gains, and a host with
    more cores can turn a cost (a second thread on few of them) into a gain.
    """
    kept = dict.fromkeys((*conclusion.proven, *conclusion.best))
    names = {name for name, _ in kept}
    rest = [one for one in conclusion.answers if one.tuning not in names and _measured(one)]
    said = _KEPT.format(formatting.settings(tuple(kept))) if kept else _NONE
    return (said, _OPEN.format(_listed(rest))) if rest else (said,)


def _measured(answer: Answer) -> bool:
    """Whether there is an estimate, and it is not the dummy's, which no hardware changes."""
    entry = CATALOG.get(answer.tuning)
    return answer.effect.ratio is not None and not (entry is not None and entry.dummy)


def _listed(answers: Sequence[Answer]) -> str:
    return ", ".join(
        f"{formatting.setting(one.tuning, one.value)} ({one.verdict.value})" for one in answers
    )

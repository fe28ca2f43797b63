"""Whether a profile changes what the model says: greedy answers against the baseline's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations, product, takewhile

from trimtab import formatting
from trimtab.model import BASELINE, Candidate, Fidelity, Phase, Start

OutputTokens = tuple[tuple[int, ...], ...]


def fidelity(
    starts: Sequence[Start], profiles: Iterable[tuple[str, Candidate]]
) -> Iterator[Fidelity]:
    """Yield how far each profile that is not the baseline answers as the baseline does.

    Only starts whose answers were taken count; a profile without any is left out.
    """
    own = _answers(starts, BASELINE)
    floor = [_same(*pair) for pair in combinations(own, 2)]
    for arm, chosen in profiles:
        pairs = list(product(_answers(starts, chosen), own))
        if chosen == BASELINE or not pairs:
            continue
        same = [_same(*pair) for pair in pairs]
        yield Fidelity(
            arm=arm,
            agreement=_share(same, pairs),
            floor=_share(floor, list(combinations(own, 2))) if floor else None,
            diverges_at=_first(same, pairs),
            prompts=len(own[0]),
            pairs=len(pairs),
        )


def has_output_tokens(start: Start, chosen: Candidate) -> bool:
    """Whether a start of exactly this candidate has answers."""
    return start.valid and bool(start.answers) and start.request.candidate == chosen


def any_output_tokens(starts: Iterable[Start], chosen: Candidate) -> bool:
    """Whether any start of exactly this candidate has answers."""
    return any(has_output_tokens(start, chosen) for start in starts)


def failure_sentences(starts: Sequence[Start]) -> Iterator[str]:
    """Yield a sentence for each start that was to take answers only, and failed."""
    for start in starts:
        if start.request.phase is Phase.ANSWERS and not start.valid:
            why = formatting.line(start.detail) or start.outcome.value
            yield (
                f"{start.request.stem} failed in the start that was to take its answers "
                f"(start {start.number}): {why}"
            )


def fidelity_sentence(one: Fidelity) -> str:
    """Return what a reader must know of it."""
    itself = "" if one.floor is None else f"; the baseline with itself {_percent(one.floor)}"
    where = "" if one.diverges_at is None else f", the first difference at token {one.diverges_at}"
    verb = "answers as the baseline does" if one.kept else "ANSWERS OTHERWISE than the baseline"
    return (
        f"{one.arm} {verb}: {_percent(one.agreement)} of the greedy tokens agree over "
        f"{formatting.count(one.prompts, 'prompt')}{where}{itself}"
    )


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _answers(starts: Sequence[Start], chosen: Candidate) -> list[OutputTokens]:
    return [start.answers for start in starts if has_output_tokens(start, chosen)]


def _same(one: OutputTokens, other: OutputTokens) -> list[int]:
    """Return for each prompt how many tokens agree before the first that differs."""
    return [
        sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False)))
        for a, b in zip(one, other, strict=False)
    ]


def _share(
    same: Sequence[Sequence[int]], pairs: Sequence[tuple[OutputTokens, OutputTokens]]
) -> float:
    whole = sum(max(len(a), len(b)) for pair in pairs for a, b in zip(*pair, strict=False))
    return sum(map(sum, same)) / whole if whole else 1.0


def _first(
    same: Sequence[Sequence[int]], pairs: Sequence[tuple[OutputTokens, OutputTokens]]
) -> int | None:
    found = [
        equal + 1
        for counts, pair in zip(same, pairs, strict=True)
        for equal, a, b in zip(counts, *pair, strict=False)
        if equal < max(len(a), len(b))
    ]
    return min(found, default=None)

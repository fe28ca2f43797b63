"""The oracle at work: settings alone, then together, and which of them exclude each other."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from trimtab.errors import EngineError
from trimtab.oracle import allocator, judge, vendor
from trimtab.oracle.effective import effective
from trimtab.oracle.messages import one_line
from trimtab.oracle.model import (
    ADDITIONAL,
    SWITCHES,
    TORCH_NPU,
    VLLM_ASCEND,
    Answer,
    Conflict,
    Given,
    Givens,
    Reply,
    Run,
    Verdict,
)
from trimtab.oracle.zygote import Check, Zygote
from trimtab.rehearsal.machine import StandIn

_STAGES: Mapping[str, tuple[str, ...]] = {
    TORCH_NPU: ("import", "device", "operator", "streams", "copies", "collective"),
    VLLM_ASCEND: ("configuration", "variables", "device", "operator"),
}

_TELLS_BY_GRAPH = "TASK_QUEUE_ENABLE"
"""Only the capture of a graph tells its level 2 from 1."""

DEADLINE = 60.0


class Oracle:
    """The vendors' code in an environment, and a machine it believes to run on.

    ``through`` are the kinds of checks to make. ``fresh``: a new child for every check, to show
    that forking changes no answer.
    """

    def __init__(
        self,
        python: Path,
        machine: StandIn | None = None,
        *,
        graph: bool = False,
        through: Sequence[str] = (),
        fresh: bool = False,
        deadline: float = DEADLINE,
    ) -> None:
        self._python = python
        self._machine = machine or StandIn()
        self._graph = graph
        self._fresh = fresh
        self._deadline = deadline
        self.kinds = tuple(one for one in vendor.kinds(python) if not through or one in through)
        if not self.kinds:
            raise EngineError(
                f"{python} must have {' and '.join(through) or 'torch_npu'} installed, but has "
                "not: run 'trimtab engine install ascend-rehearsal'"
            )
        self._env = vendor.environment(python, self._machine)
        self._zygotes: dict[str, Zygote] = {}
        self._runs: dict[tuple[str, Check], Run] = {}
        self._mentioned: dict[str, tuple[str, ...]] = {}

    def __enter__(self) -> Oracle:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for one in self._zygotes.values():
            one.close()
        self._zygotes.clear()

    @property
    def versions(self) -> dict[str, str]:
        """Package → version, as far as a child has told."""
        found: dict[str, str] = {}
        for one in self._zygotes.values():
            found.update(one.versions)
        return found

    def ask(self, givens: Sequence[Given]) -> Reply:
        """Return what the vendors' code says to each setting, and to all of them together."""
        switches = tuple(one for one in givens if one.name in SWITCHES)
        asked = [one for one in givens if one.name not in SWITCHES]
        answers = self.alone(asked, switches)
        good = tuple(one.given for one in answers if not one.verdict.fails)
        conflicts = self.together(good, switches) if len(good) > 1 else ()
        return Reply(self._machine.chip, self.versions, tuple(answers), tuple(conflicts))

    def alone(self, givens: Sequence[Given], switches: Givens = ()) -> list[Answer]:
        """Return the answer to each setting by itself."""
        self._look_up(givens)
        wanted = {
            kind: [one for one in givens if kind in self._kinds_of((one,))] for kind in self.kinds
        }
        self._start(kind for kind, concerned in wanted.items() if concerned)
        for kind, concerned in wanted.items():
            if concerned:
                self._runs_of(kind, [(), *((one,) for one in concerned)], switches)
        return [self._answer(one, switches) for one in givens]

    def together(self, givens: Givens, switches: Givens = ()) -> list[Conflict]:
        """Return which settings, each taken alone, are not taken or are misread together."""
        self._look_up(givens)
        return [
            conflict
            for kind in self._kinds_of(givens)
            for conflict in self._conflicts(kind, givens, switches)
        ]

    def _start(self, kinds: Iterable[str]) -> None:
        """Start children that are not there yet, all at once: they import side by side."""
        for kind in kinds:
            if kind not in self._zygotes and not self._fresh:
                self._zygotes[kind] = Zygote(self._python, kind, self._env)

    def _look_up(self, givens: Iterable[Given]) -> None:
        names = {name for given in givens for name in _names(given)}
        missing = names - set(self._mentioned)
        self._mentioned.update(vendor.mentions(self._python, missing))

    def _kinds_of(self, givens: Givens) -> tuple[str, ...]:
        """Return the checks in which settings take part: those whose software mentions them."""
        wanted = set()
        for one in givens:
            named = set() if one.is_option else set(self._mentioned.get(one.name, ()))
            if one.is_option or one.name in allocator.NAMES:
                named.add(VLLM_ASCEND)  # it writes the allocator's variable itself
            wanted |= (named or {TORCH_NPU}) & set(self.kinds) or {self.kinds[0]}
        return tuple(kind for kind in self.kinds if kind in wanted)

    def _answer(self, given: Given, switches: Givens) -> Answer:
        known = judge.Known(self.versions, self._mentioned)
        answers = []
        for kind in self._kinds_of((given,)):
            base, run = self._runs_of(kind, [(), (given,)], switches)
            answers.append(judge.judge(given, run, base, known, graph=self._graph))
        return judge.of_both(answers)

    def _runs_of(self, kind: str, sets: Sequence[Givens], switches: Givens) -> list[Run]:
        """Return what the check of each set of settings showed; none is run twice."""
        graph = self._graph or any(
            one.name == _TELLS_BY_GRAPH for givens in sets for one in givens
        )
        checks = [self._check(kind, givens, switches, graph=graph) for givens in sets]
        missing = list(dict.fromkeys(one for one in checks if (kind, one) not in self._runs))
        if missing:
            for check, run in zip(missing, self._run(kind, missing), strict=True):
                self._runs[kind, check] = run
        return [self._runs[kind, check] for check in checks]

    def _run(self, kind: str, checks: Sequence[Check]) -> list[Run]:
        if not self._fresh:
            self._start([kind])
            return self._zygotes[kind].run(checks)
        found = []
        for check in checks:
            with Zygote(self._python, kind, self._env) as zygote:
                found += zygote.run([check])
        return found

    def _check(self, kind: str, givens: Givens, switches: Givens, *, graph: bool) -> Check:
        env = tuple((one.name, one.text) for one in givens if not one.is_option)
        words = [
            word
            for one in (*switches, *givens)
            if one.is_option
            for word in ([one.name, one.text] if one.text else [one.name])
        ]
        stages = (*_STAGES[kind], "graph") if graph and kind == TORCH_NPU else _STAGES[kind]
        argv = tuple(words) if kind == VLLM_ASCEND else ()
        return Check(env, argv, stages, self._deadline)

    def _conflicts(self, kind: str, givens: Givens, switches: Givens) -> list[Conflict]:
        found: list[Conflict] = []
        left = list(givens)
        while len(left) > 1:
            conflict = self._conflict(kind, tuple(left), switches)
            if conflict is None:
                break
            found.append(conflict)
            left.remove(conflict.givens[-1])
        return found

    def _conflict(self, kind: str, givens: Givens, switches: Givens) -> Conflict | None:
        def failed(some: Givens) -> tuple[Verdict, str, str] | None:
            base, run = self._runs_of(kind, [(), some], switches)
            failure = judge.failure_of(run, base, graph=self._graph)
            if failure is not None:
                return failure.verdict, one_line(failure.message), failure.stage
            return None

        def misread(some: Givens) -> tuple[Verdict, str, str] | None:
            base, run = self._runs_of(kind, [(), some], switches)
            for one in some:
                (single,) = self._runs_of(kind, [(one,)], switches)
                before, now = effective(one, single, base), effective(one, run, base)
                if before and now and before.as_written and not now.as_written:
                    sentence = f"{one.name} is then read as {now.text}"
                    return Verdict.READ_AS, sentence, run.asked.get(one.name, "")
            return None

        for trouble in (failed, misread):
            if trouble(givens) is not None:
                least = _least(givens, trouble)
                what = trouble(least)
                if what is not None and len(least) > 1:
                    return Conflict(least, what[0], what[1], what[2], kind)
        return None


def _least(givens: Givens, trouble: Callable[[Givens], object | None]) -> Givens:
    """Return settings of which none can be left out without the trouble going away."""
    left = list(givens)
    for one in givens:
        rest = tuple(other for other in left if other is not one)
        if rest and trouble(rest) is not None:
            left.remove(one)
    return tuple(left)


def _names(given: Given) -> set[str]:
    """Return the words to look up for a setting: its name, or the keys of its object."""
    if given.name != ADDITIONAL:
        return {given.name}
    try:
        found = json.loads(given.text)
    except (ValueError, RecursionError):
        return set()
    return set(_keys(found)) if isinstance(found, dict) else set()


def _keys(values: Mapping[str, object]) -> Iterable[str]:
    for key, value in values.items():
        yield key
        if isinstance(value, Mapping):
            yield from _keys(value)

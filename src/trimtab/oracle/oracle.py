"""The oracle at work: settings alone, then together, and which of them exclude each other.

What the processes of files or of a machine are asked about, each on what it is to run on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from types import TracebackType
from typing import TypeAlias

from trimtab.catalog import CATALOG
from trimtab.emulator.machine import EmulatedMachine
from trimtab.errors import EngineError
from trimtab.knobs import Env, EnvList
from trimtab.model.document import Setting
from trimtab.model.finding import Finding
from trimtab.oracle import LABEL, judge, settings, vendor
from trimtab.oracle import effective_values as allocator
from trimtab.oracle import vendor as environment
from trimtab.oracle.effective_values import effective_value
from trimtab.oracle.executor import CheckRequest, Zygote
from trimtab.oracle.model import (
    ADDITIONAL,
    SIZES,
    SLEEP,
    SWITCHES,
    TORCH_NPU,
    VLLM_ASCEND,
    CheckRun,
    Conflict,
    Handling,
    OracleReply,
    OracleSetting,
    OracleSettings,
    SettingReply,
    one_line,
)
from trimtab.oracle.output import findings
from trimtab.oracle.settings import OracleTarget

_STAGES = {
    TORCH_NPU: ("import", "device", "operator", "streams", "copies", "collective"),
    VLLM_ASCEND: ("configuration", "variables", "device", "operator"),
}

_TOLD_BY_GRAPH = "TASK_QUEUE_ENABLE"
"""Only the capture of a graph tells its level 2 from 1."""

DEADLINE = 60.0
"""Seconds after which a check counts as hung. One takes less than a second."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What is given to every check, and whether the capture of a graph counts."""

    switches: OracleSettings = ()
    graph: bool = False


class CheckRuns:
    """The vendors' software in an environment, and what its checks have shown so far.

    ``through`` are the kinds of checks to make, all that are installed by default. ``fresh``: a
    new child for every check, to show that forking changes no answer.
    """

    def __init__(
        self,
        python: Path,
        machine: EmulatedMachine,
        *,
        through: Sequence[str] = (),
        fresh: bool = False,
        deadline: float = DEADLINE,
    ) -> None:
        self.machine = machine
        self.kinds = tuple(kind for kind in vendor.kinds(python) if not through or kind in through)
        if not self.kinds:
            raise EngineError(
                f"{python} must have {' and '.join(through) or TORCH_NPU} installed, but has "
                "not: run 'trimtab engine install ascend-emulator'"
            )
        self._python = python
        self._env = vendor.environment(python, machine)
        self._fresh = fresh
        self._deadline = deadline
        self._zygotes: dict[str, Zygote] = {}
        self._runs: dict[tuple[str, CheckRequest], CheckRun] = {}
        self.versions: dict[str, str] = {}

    def close(self) -> None:
        """End the children."""
        for zygote in self._zygotes.values():
            zygote.close()
        self._zygotes.clear()

    def prepare(self, kinds: Iterable[str]) -> None:
        """Start children that are not there yet, all at once: they import side by side."""
        for kind in kinds:
            if kind not in self._zygotes and not self._fresh:
                self._zygotes[kind] = Zygote(self._python, kind, self._env)

    def pairs(
        self, kind: str, sets: Sequence[OracleSettings], setup: Setup
    ) -> list[tuple[CheckRun, CheckRun]]:
        """Return for each set of settings what its check showed: (without them, with them)."""
        wanted = []
        for givens in sets:
            graph = setup.graph or any(setting.name == _TOLD_BY_GRAPH for setting in givens)
            wanted.append(
                (
                    self._check(kind, (), setup, graph=graph),
                    self._check(kind, givens, setup, graph=graph),
                )
            )
        self._fill(kind, [check for pair in wanted for check in pair])
        return [(self._runs[kind, base], self._runs[kind, check]) for base, check in wanted]

    def pair(self, kind: str, givens: OracleSettings, setup: Setup) -> tuple[CheckRun, CheckRun]:
        """Return what the check of a set of settings showed: (without them, with them)."""
        return self.pairs(kind, [givens], setup)[0]

    def _fill(self, kind: str, checks: Sequence[CheckRequest]) -> None:
        missing = list(dict.fromkeys(check for check in checks if (kind, check) not in self._runs))
        if missing:
            for check, run in zip(missing, self._run(kind, missing), strict=True):
                self._runs[kind, check] = run

    def _run(self, kind: str, checks: Sequence[CheckRequest]) -> list[CheckRun]:
        if not self._fresh:
            self.prepare([kind])
            runs = self._zygotes[kind].run(checks)
            self.versions.update(self._zygotes[kind].versions)
            return runs
        runs = []
        for check in checks:
            with closing(Zygote(self._python, kind, self._env)) as zygote:
                runs += zygote.run([check])
                self.versions.update(zygote.versions)
        return runs

    def _check(
        self, kind: str, givens: OracleSettings, setup: Setup, *, graph: bool
    ) -> CheckRequest:
        env = tuple((setting.name, setting.text) for setting in givens if not setting.is_option)
        words = tuple(
            word
            for setting in (*setup.switches, *givens)
            if setting.is_option
            for word in ([setting.name, setting.text] if setting.text else [setting.name])
        )
        stages = _STAGES[kind]
        if kind == TORCH_NPU:
            return CheckRequest(env, (), (*stages, "graph") if graph else stages, self._deadline)
        sleeps = any(switch.name == SLEEP for switch in setup.switches)
        return CheckRequest(env, words, (*stages, "sleep") if sleeps else stages, self._deadline)


@dataclass(frozen=True, slots=True)
class Trouble:
    """What becomes of settings that are not all taken as written."""

    verdict: Handling
    sentence: str
    stage: str


_ITS_OWN = "VLLM_ASCEND_"
"""How the names of vllm-ascend's variables begin."""

Asking: TypeAlias = Callable[[str, OracleSettings, Setup], Trouble | None]


class Oracle:
    """Asks the vendors' code in an environment; see `CheckRuns` for the arguments."""

    def __init__(
        self,
        python: Path,
        machine: EmulatedMachine | None = None,
        *,
        through: Sequence[str] = (),
        fresh: bool = False,
        deadline: float = DEADLINE,
    ) -> None:
        self._python = python
        self.runs = CheckRuns(
            python, machine or EmulatedMachine(), through=through, fresh=fresh, deadline=deadline
        )
        self._mentioned: dict[str, tuple[str, ...]] = {}
        self._beside: dict[str, tuple[str, ...]] = {}

    def __enter__(self) -> Oracle:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.runs.close()

    def ask(self, givens: Sequence[OracleSetting], *, graph: bool = False) -> OracleReply:
        """Return what the vendors' code says to each setting, and to all of them together."""
        switches = [setting for setting in givens if setting.name in SWITCHES]
        known = tuple(switch for switch in switches if switch.text or switch.name not in SIZES)
        setup = Setup(known, graph)
        answers = self.alone(
            [setting for setting in givens if setting.name not in SWITCHES], setup
        )
        good = tuple(answer.given for answer in answers if not answer.verdict.fails)
        conflicts = self.together(good, setup)
        sized = len(known) == len(switches)
        answers = [judge.qualify(answer, sized=sized) for answer in answers]
        conflicts = [
            conflict
            for conflict in conflicts
            if not judge.unknown_cause(conflict.sentence, sized=sized)
        ]
        chip = self.runs.machine.chip
        return OracleReply(chip, self.runs.versions, tuple(answers), tuple(conflicts))

    def alone(
        self, givens: Sequence[OracleSetting], setup: Setup | None = None
    ) -> list[SettingReply]:
        """Return the answer to each setting by itself."""
        setup = setup or Setup()
        asked = _given_to_checks(givens)
        self.runs.prepare(self._surely_asked(asked))  # while the names are looked up
        self._look_up(asked)
        wanted = {
            kind: [(setting,) for setting in asked if kind in self._kinds_of((setting,))]
            for kind in self.runs.kinds
        }
        self.runs.prepare(kind for kind, concerned in wanted.items() if concerned)
        for kind, concerned in wanted.items():
            self.runs.pairs(kind, concerned, setup)
        return [self._answer(setting, setup) for setting in givens]

    def together(self, givens: OracleSettings, setup: Setup | None = None) -> list[Conflict]:
        """Return which settings, each taken alone, are not taken or are misread together."""
        givens = _given_to_checks(givens)
        if len(givens) < 2:
            return []
        self._look_up(givens)
        return [
            conflict
            for kind in self._kinds_of(givens)
            for conflict in self._conflicts(kind, givens, setup or Setup())
        ]

    def at_once(self, givens: OracleSettings, setup: Setup | None = None) -> Trouble | None:
        """Return what becomes of settings given together, ``None`` if all are taken as written."""
        givens = _given_to_checks(givens)
        self._look_up(givens)
        for kind in self._kinds_of(givens):
            for trouble in (self._failed, self._misread):
                if (found := trouble(kind, givens, setup or Setup())) is not None:
                    return found
        return None

    def _look_up(self, givens: Iterable[OracleSetting]) -> None:
        names = {name for given in givens for name in _names(given)}
        missing = names - set(self._mentioned)
        self._mentioned.update(vendor.mentions(self._python, missing))
        # a key of an option is the vendors' own; a variable may be of the software around them
        variables = {setting.name for setting in givens if not setting.is_option} & missing
        nowhere = {name for name in variables if not self._mentioned.get(name)}
        nowhere = {
            name for name in nowhere if not judge.is_read_by_cann(name)
        }  # who reads it is known
        self._beside.update(vendor.framework_mentions(self._python, nowhere))

    def _surely_asked(self, givens: OracleSettings) -> set[str]:
        """Return the checks that settings take part in, as far as their names alone tell."""
        sure = any(
            _concerns_plugin(setting) or setting.name.startswith(_ITS_OWN) for setting in givens
        )
        return {VLLM_ASCEND} & set(self.runs.kinds) if sure else set()

    def _kinds_of(self, givens: OracleSettings) -> tuple[str, ...]:
        """Return the checks in which settings take part: those whose software mentions them."""
        wanted = set()
        for setting in givens:
            named = set() if setting.is_option else set(self._mentioned.get(setting.name, ()))
            if _concerns_plugin(setting):
                named.add(VLLM_ASCEND)
            wanted |= (named or {TORCH_NPU}) & set(self.runs.kinds) or {self.runs.kinds[0]}
        return tuple(kind for kind in self.runs.kinds if kind in wanted)

    def _answer(self, given: OracleSetting, setup: Setup) -> SettingReply:
        if (known_before := judge.uncheckable_reply(given)) is not None:
            return known_before
        answers = []
        for kind in self._kinds_of((given,)):
            base, run = self.runs.pair(kind, (given,), setup)
            known = judge.VendorSoftware(self.runs.versions, self._mentioned, self._beside)
            answers.append(judge.judge(given, run, base, known, graph=setup.graph))
        return judge.decisive_reply(answers)

    def _conflicts(self, kind: str, givens: OracleSettings, setup: Setup) -> list[Conflict]:
        conflicts: list[Conflict] = []
        left = list(givens)
        while len(left) > 1:
            conflict = self._conflict(kind, tuple(left), setup)
            if conflict is None:
                break
            conflicts.append(conflict)
            left.remove(conflict.givens[-1])
        return conflicts

    def _conflict(self, kind: str, givens: OracleSettings, setup: Setup) -> Conflict | None:
        for trouble in (self._failed, self._misread):
            if trouble(kind, givens, setup) is None:
                continue
            least = _least(givens, partial(self._again, trouble, kind, setup))
            what = trouble(kind, least, setup)
            if what is not None and len(least) > 1:
                return Conflict(least, what.verdict, what.sentence, what.stage, kind)
        return None

    def _again(
        self, trouble: Asking, kind: str, setup: Setup, some: OracleSettings
    ) -> Trouble | None:
        return trouble(kind, some, setup)

    def _failed(self, kind: str, givens: OracleSettings, setup: Setup) -> Trouble | None:
        base, run = self.runs.pair(kind, givens, setup)
        failure = judge.failure_of(run, base, graph=setup.graph)
        if failure is None:
            return None
        return Trouble(failure.verdict, one_line(failure.message), failure.stage)

    def _misread(self, kind: str, givens: OracleSettings, setup: Setup) -> Trouble | None:
        """Return which setting, read as written alone, is read otherwise beside the others."""
        base, run = self.runs.pair(kind, givens, setup)
        for setting in givens:
            usual, single = self.runs.pair(kind, (setting,), setup)
            before, now = (
                effective_value(setting, single, usual),
                effective_value(setting, run, base),
            )
            if before and now and before.as_written and not now.as_written:
                sentence = f"{setting.name} is then read as {now.text}"
                return Trouble(Handling.READ_AS, sentence, run.asked.get(setting.name, ""))
        return None


def _concerns_plugin(given: OracleSetting) -> bool:
    """Whether vllm-ascend handles a setting: options, and the allocator's variable it writes."""
    return given.is_option or given.name in allocator.NAMES


def _given_to_checks(givens: Iterable[OracleSetting]) -> OracleSettings:
    return tuple(setting for setting in givens if judge.uncheckable_reply(setting) is None)


def _least(
    givens: OracleSettings, trouble: Callable[[OracleSettings], object | None]
) -> OracleSettings:
    """Return settings of which none can be left out without the trouble going away."""
    left = list(givens)
    for setting in givens:
        rest = tuple(other for other in left if other is not setting)
        if rest and trouble(rest) is not None:
            left.remove(setting)
    return tuple(left)


def _names(given: OracleSetting) -> set[str]:
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


@dataclass(frozen=True, slots=True)
class Question:
    """The settings of one process, name → who made them, and what it is to run on.

    ``graph``: whether a refusal to capture a graph counts.
    """

    givens: OracleSettings
    made: Mapping[str, Setting]
    wanted: OracleTarget
    graph: bool


@dataclass(frozen=True, slots=True)
class OracleFindings:
    """The findings of each question, in order; and what was asked, one sentence each."""

    findings: tuple[tuple[Finding, ...], ...]
    asked: tuple[str, ...]


def ask_all(questions: Sequence[Question]) -> OracleFindings:
    """Ask all questions; those about one chip and version share their child programs.

    Raises:
        EngineError: the vendors' software is not installed, or does not run.
    """
    sessions: dict[tuple[Path, str], list[tuple[int, Question]]] = {}
    for number, question in enumerate(questions):
        for python, part in _parts(question):
            sessions.setdefault((python, part.wanted.played), []).append((number, part))
    found: list[list[Finding]] = [[] for _ in questions]
    asked: list[str] = []
    for (python, chip), parts in sessions.items():
        with Oracle(python, EmulatedMachine(chip=chip)) as oracle:
            for number, part in parts:
                reply = oracle.ask(part.givens, graph=part.graph)
                found[number] += findings(reply, part.made, part.wanted)
                asked.append(f"{LABEL}: {part.wanted.asked(reply)}")
    return OracleFindings(tuple(map(tuple, found)), tuple(dict.fromkeys(asked)))


def _parts(question: Question) -> Iterator[tuple[Path, Question]]:
    """Yield the interpreters to ask, each with what of a question it can answer.

    The environment of another torch_npu has no vllm-ascend: of what that reads, it would say that
    nothing asks for it. The emulator's own is asked about that, without the other settings.
    """
    python = environment.nearest_interpreter(question.wanted.torch_npu)
    if VLLM_ASCEND in vendor.kinds(python):
        parts = [(python, question)]
    else:
        plugin = tuple(setting for setting in question.givens if _is_of_vllm_ascend(setting))
        others = tuple(setting for setting in question.givens if setting not in plugin)
        unnamed = replace(question.wanted, torch_npu="")  # what vllm-ascend runs on there
        parts = [(python, replace(question, givens=others))]
        if settings.asks(plugin):
            own = environment.interpreter()
            parts.append((own, replace(question, givens=plugin, wanted=unnamed)))
    yield from (part for part in parts if settings.asks(part[1].givens))


def _is_of_vllm_ascend(given: OracleSetting) -> bool:
    return given.is_option or given.name.startswith("VLLM_") or given.name in _variables()


@cache
def _variables() -> frozenset[str]:
    """Return the variables that vllm-ascend alone reads."""
    return frozenset(
        tuning.knob.name
        for tuning in CATALOG.values()
        if tuning.layer == "vllm_ascend" and isinstance(tuning.knob, Env | EnvList)
    )

"""Checks of settings, run where the vendors' software is; none is run twice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from trimtab.emulator.machine import EmulatedMachine
from trimtab.errors import EngineError
from trimtab.oracle import vendor
from trimtab.oracle.executor import CheckRequest, Zygote
from trimtab.oracle.model import SLEEP, TORCH_NPU, VLLM_ASCEND, CheckRun, OracleSettings

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
        self.kinds = tuple(one for one in vendor.kinds(python) if not through or one in through)
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
        for one in self._zygotes.values():
            one.close()
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
            graph = setup.graph or any(one.name == _TOLD_BY_GRAPH for one in givens)
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
        missing = list(dict.fromkeys(one for one in checks if (kind, one) not in self._runs))
        if missing:
            for check, run in zip(missing, self._run(kind, missing), strict=True):
                self._runs[kind, check] = run

    def _run(self, kind: str, checks: Sequence[CheckRequest]) -> list[CheckRun]:
        if not self._fresh:
            self.prepare([kind])
            found = self._zygotes[kind].run(checks)
            self.versions.update(self._zygotes[kind].versions)
            return found
        found = []
        for check in checks:
            with closing(Zygote(self._python, kind, self._env)) as zygote:
                found += zygote.run([check])
                self.versions.update(zygote.versions)
        return found

    def _check(
        self, kind: str, givens: OracleSettings, setup: Setup, *, graph: bool
    ) -> CheckRequest:
        env = tuple((one.name, one.text) for one in givens if not one.is_option)
        words = tuple(
            word
            for one in (*setup.switches, *givens)
            if one.is_option
            for word in ([one.name, one.text] if one.text else [one.name])
        )
        stages = _STAGES[kind]
        if kind == TORCH_NPU:
            return CheckRequest(env, (), (*stages, "graph") if graph else stages, self._deadline)
        sleeps = any(one.name == SLEEP for one in setup.switches)
        return CheckRequest(env, words, (*stages, "sleep") if sleeps else stages, self._deadline)

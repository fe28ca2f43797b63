"""A scene, one process with all that reaches it; and a rule, one trap seen in scenes.

It is the same for a live process (``doctor --pid``), for the machine as it is (``doctor``), and
for a process that a file would start (``lint``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TypeAlias

from trimtab.catalog.values import is_placeholder
from trimtab.facts.parsing import parse_cpu_list
from trimtab.knobs import Switch
from trimtab.knobs.server_arg import option_name
from trimtab.model import HostWrite, Settings
from trimtab.model.document import Container, Document, Setting
from trimtab.model.finding import Hit, Problem, Severity
from trimtab.model.situation import Situation

_NOTHING: Mapping[str, Setting] = MappingProxyType({})


_VLLMS_SCRIPTS = frozenset({"api_server.py", "benchmark_latency.py", "benchmark_throughput.py"})
"""Scripts that take the options of vLLM's engine."""


def script_of(argv: Sequence[str]) -> str:
    """Return the name of the Python script that a command runs, "" where it runs none."""
    program = argv[0].rpartition("/")[2] if argv else ""
    if not re.match(r"python|torchrun|accelerate", program):
        return ""
    words = argv[1 : argv.index("-m")] if "-m" in argv else argv[1:]
    return next((word for word in words if word.endswith(".py")), "").rpartition("/")[2]


def is_engine_script(argv: Sequence[str]) -> bool:
    """Whether a command runs a script of vLLM's that takes the options of its engine."""
    return script_of(argv) in _VLLMS_SCRIPTS


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What one process is given.

    ``env`` and ``options`` map a name to the setting in force; ``host`` maps the path of a kernel
    setting to its value (of the machine, or as the file writes it). ``complete``: a variable that
    is not here is known to be unset. ``document`` is the file it comes from, if any; ``role`` and
    ``pid`` belong to a live process. ``implied``: no server command is known.
    """

    situation: Situation
    argv: tuple[str, ...] = ()
    env: Mapping[str, Setting] = field(default_factory=lambda: _NOTHING)
    options: Mapping[str, Setting] = field(default_factory=lambda: _NOTHING)
    host: Mapping[str, Setting] = field(default_factory=lambda: _NOTHING)
    affinity: tuple[int, ...] | None = None
    container: Container | None = None
    complete: bool = False
    implied: bool = False
    document: Document | None = None
    role: str = ""
    pid: int | None = None

    @cached_property
    def settings(self) -> Settings:
        """What is given, as knobs parse it; the preload list stays inside the environment."""
        env = tuple(sorted((name, setting.value) for name, setting in self.env.items()))
        return Settings(argv=self.argv, env=env, affinity=self.affinity)

    @cached_property
    def writes(self) -> tuple[HostWrite, ...]:
        """The kernel settings, as knobs parse them."""
        return tuple(HostWrite(path, setting.value) for path, setting in self.host.items())

    def text(self, name: str) -> str | None:
        """Return a variable's text; ``None`` when it is not set, or not known to the letter.

        A placeholder says nothing of the value that will be filled in.
        """
        setting = self.env.get(name)
        if setting is None or not setting.literal or is_placeholder(setting.value):
            return None
        return setting.value

    def option(self, name: str) -> str | None:
        """Return a server option's text ("" for a switch); ``None`` when it is not given."""
        setting = self.options.get(option_name(name))
        return None if setting is None else setting.value

    def at(self, name: str) -> Setting | None:
        """Return the setting of that name, wherever it was made."""
        for group in (self.env, self.options, self.host):
            if name in group:
                return group[name]
        return None

    @property
    def allowed(self) -> tuple[int, ...] | None:
        """The CPUs that a wrapper binds the process to, else its container's, if known."""
        if self.affinity is not None:
            return self.affinity
        options = self.container.options if self.container is not None else ()
        for option in options:
            if option.name == "--cpuset-cpus" and option.literal and len(option.value) < 200:
                try:
                    return parse_cpu_list(option.value.strip("'\"")) or None
                except ValueError:
                    return None
        return None

    @property
    def own_script(self) -> bool:
        """Whether a text starts a Python script of its own, which takes options of its own."""
        return self.pid is None and bool(script_of(self.argv)) and not is_engine_script(self.argv)

    @property
    def graphs(self) -> bool | None:
        """Whether graphs are captured: the command line tells, or else the situation.

        ``--enforce-eager`` switches them off; without it vllm-ascend captures them by default.
        """
        if Switch("--enforce-eager").parse(Settings(argv=self.argv)) is True:
            return False
        return self.situation.graphs

    def version(self, component: str) -> str:
        """Return a component's version, "" when it is not known."""
        return self.situation.versions.get(component, "")

    def variables(self, *prefixes: str) -> Iterator[Setting]:
        """Yield the variables whose names begin so, in their order."""
        for name, setting in self.env.items():
            if name.startswith(prefixes):
                yield setting


InProcess: TypeAlias = Callable[[Scene], Iterable[Hit]]
InText: TypeAlias = Callable[[Document, Situation], Iterable[Hit]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One trap.

    ``id`` is unique in the catalogue, in kebab-case, and stable: people write it into suppressing
    comments. ``process`` looks at each process, ``text`` at a whole file; a rule has one of them
    at least, and both are total: no scene makes them raise. ``traps`` names the recorded traps of
    the vllm-ascend guide (T1 to T33) that it shows.
    """

    id: str
    severity: Severity
    problem: Problem
    summary: str
    process: InProcess | None = None
    text: InText | None = None
    traps: tuple[str, ...] = ()

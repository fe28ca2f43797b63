"""The interpreter: the engine's environment that the server is started from.

An environment on an interpreter NAME lies beside the engine's own (``engines/ENGINE@NAME``) and
holds the same packages, so all that changes is the first word of the command line.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from trimtab.errors import UsageError
from trimtab.facts import Facts
from trimtab.knobs.protocol import Draft
from trimtab.model import Check, CheckKind, HostWrite, Settings, Value

_PLACE = re.compile(r"(?P<own>(?:.*/)?engines/[^/@]+)@(?P<name>[^/]+)(?P<program>/bin/[^/]+)")


@dataclass(frozen=True, slots=True)
class Interpreter:
    """The value is the name of an interpreter that the engine has an environment on."""

    @property
    def place(self) -> str:
        """What people would look at."""
        return "the program that starts the server"

    @property
    def setting(self) -> str:
        """See `Knob.setting`."""
        return "interpreter"

    def contribute(self, draft: Draft, value: Value, facts: Facts) -> None:
        """Start from the environment of that name; ``/proc/PID/exe`` of every role proves it.

        Raises:
            UsageError: there is no such environment on this machine.
        """
        if value is None:
            if (now := _PLACE.fullmatch(draft.argv[0])) is not None:
                draft.argv[0] = now["own"] + now["program"]
            return
        environment = next(
            (environment for environment in facts.environments if environment.name == value), None
        )
        if environment is None:
            names = (
                ", ".join(environment.name for environment in facts.environments)
                or "there is none yet"
            )
            raise UsageError(
                f"interpreter must name an environment of the engine ({names}), but is {value!r}: "
                "'trimtab engine install ENGINE --python NAME' makes one"
            )
        program = draft.argv[0].rpartition("/")[2]
        draft.argv[0] = f"{environment.folder}/bin/{_generic(program)}"
        draft.checks.append(
            Check(
                CheckKind.EXECUTABLE,
                "exe",
                environment.executable,
                roles=("api", "engine", "worker"),
            )
        )

    def parse(self, settings: Settings, writes: Sequence[HostWrite] = ()) -> Value:
        """Return the name; a live process shows the interpreter before the program."""
        for word in settings.argv[:2]:
            if (match := _PLACE.fullmatch(word)) is not None:
                return match["name"]
        return None


def _generic(program: str) -> str:
    """Return a program's name in any environment: "python" for "python3.11"."""
    return "python" if re.fullmatch(r"python[\d.]*", program) else program

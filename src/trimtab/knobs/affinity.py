"""The CPUs on which the server starts; every process and thread of it inherits them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trimtab.errors import UsageError
from trimtab.facts import Facts
from trimtab.facts.parsing import format_cpu_list, parse_cpu_list
from trimtab.knobs.protocol import Draft
from trimtab.model import Check, CheckKind, HostWrite, Settings, Value


@dataclass(frozen=True, slots=True)
class Affinity:
    """The mask given before ``exec``; the value is a list such as "0-3,8"."""

    @property
    def place(self) -> str:
        """What people would type."""
        return "taskset --cpu-list"

    @property
    def setting(self) -> str:
        """See `Knob.setting`."""
        return "affinity"

    def contribute(self, draft: Draft, value: Value, facts: Facts) -> None:
        """Set the mask. Workers may narrow it further, so they only have to stay inside."""
        if value is None:
            draft.affinity = None
            return
        try:
            cpus = parse_cpu_list(str(value))
        except ValueError as error:
            raise UsageError(f"the affinity must be a CPU list (0-3,8): {error}") from error
        allowed = set(facts.limits.allowed.value or cpus)
        if not cpus or not set(cpus) <= allowed:
            raise UsageError(
                f"the affinity must name allowed CPUs ({format_cpu_list(tuple(allowed))}), "
                f"but is {value!r}"
            )
        draft.affinity = cpus
        text = format_cpu_list(cpus)
        draft.checks.append(Check(CheckKind.THREAD_AFFINITY, "threads", text, roles=("api",)))
        draft.checks.append(
            Check(CheckKind.THREAD_AFFINITY, "within", text, roles=("engine", "worker"))
        )

    def parse(self, settings: Settings, writes: Sequence[HostWrite] = ()) -> Value:
        """Return the mask as a list."""
        return None if settings.affinity is None else format_cpu_list(settings.affinity)

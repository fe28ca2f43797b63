"""Which CPUs vllm-ascend would bind the threads of its workers to, planned by its own code."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from trimtab import facts
from trimtab.emulator.machine import EmulatedMachine
from trimtab.errors import EngineError, HostError, UsageError
from trimtab.facts import ascend
from trimtab.facts.parsing import format_cpu_list
from trimtab.host import Host
from trimtab.oracle.executor import CheckRequest, Zygote
from trimtab.oracle.model import VLLM_ASCEND, one_line
from trimtab.oracle.vendor import environment

_COMMANDS = (("npu-smi", "info", "-m"), ("npu-smi", "info"), ("npu-smi", "info", "-t", "topo"))
_IDLE = re.compile(r"\| No running processes found in NPU \d+")
_PROCESSES = re.compile(r"\| NPU\b.*\bProcess id\b")
_HEADER = "| NPU     Chip | Process id | Process name | Process memory(MB) |"
_DEADLINE = 60.0


@dataclass(frozen=True, slots=True)
class BindingPlan:
    """NPU → role ("main", "acl_thread", "release_thread") → CPUs; ``note`` is "", or a sentence.

    NPUs are called by their logical ids. ``note`` says which workers have no plan.
    """

    npus: Mapping[str, Mapping[str, list[int]]]
    note: str = ""


def plan(python: Path, host: Host, machine: EmulatedMachine, workers: int) -> BindingPlan:
    """Return the plan that vllm-ascend makes for ``workers`` workers.

    ``host`` tells what npu-smi and the kernel say of the machine, ``machine`` which chip the
    vendors' code shall believe in. The first ``workers`` NPUs count as having a worker.

    Raises:
        EngineError: vllm-ascend refuses to plan (the message is its own), or plans nothing.
        UsageError: the machine shows no NPUs or CPUs.
    """
    recorded, shown = _recorded(host, workers)
    with closing(Zygote(python, VLLM_ASCEND, environment(python, machine))) as zygote:
        path = zygote.scratch / "machine.json"
        path.write_text(json.dumps(recorded), encoding="utf-8")
        env = (("ORACLE_MACHINE", str(path)),)
        (run,) = zygote.run([CheckRequest(env, (), ("binding",), _DEADLINE)])
    if run.failure is not None:
        raise EngineError(
            f"vllm-ascend plans no CPU binding here: {one_line(run.failure.message)}"
        )
    found: dict[str, dict[str, list[int]]] = run.seen.get("binding") or {}
    if not found:
        raise EngineError(f"vllm-ascend plans no CPU binding here for any of {workers} workers")
    return BindingPlan(found, missing_sentence(len(found), workers, shown))


def _recorded(host: Host, workers: int) -> tuple[dict[str, object], int]:
    """Return what the child needs of a machine, and how many NPUs it shows.

    The child needs outputs of commands, and the allowed CPUs.
    """
    found = facts.inspect(host, {}, "ascend")
    nodes, allowed = found.cpu.nodes.value, found.limits.allowed.value
    if nodes is None or not allowed:
        raise UsageError("the machine must show its CPUs and NUMA nodes, but does not")
    commands = {"lscpu -e=CPU,NODE": _lscpu(nodes), "lscpu": "Thread(s) per core: 1\n"}
    for words in _COMMANDS:
        try:
            commands[" ".join(words)] = host.run(words)
        except HostError:  # a machine without a topology is planned for otherwise
            continue
    if "npu-smi info" not in commands:
        raise UsageError("the machine must have npu-smi, but has not")
    shown = chips(commands["npu-smi info"], commands.get("npu-smi info -m", ""))
    commands["npu-smi info"] = busy_listing(commands["npu-smi info"], shown[:workers])
    told = {"commands": commands, "allowed": format_cpu_list(allowed), "ranks": workers}
    return told, len(shown)


def _lscpu(nodes: tuple[tuple[int, tuple[int, ...]], ...]) -> str:
    rows = [f"{cpu} {node}" for node, cpus in nodes for cpu in cpus]
    return "\n".join(["CPU NODE", *rows, ""])


def chips(listing: str, mapping: str) -> list[tuple[int, int]]:
    """Return (card, chip) of a machine's NPUs, by logical id.

    ``listing`` is the output of ``npu-smi info``, ``mapping`` that of ``npu-smi info -m``, which
    some versions do not have.
    """
    logical = ascend.parse_mapping(mapping)
    if logical:
        return sorted(logical, key=logical.__getitem__)
    return [(npu.card, npu.chip) for npu in ascend.parse_list(listing)]


def busy_listing(listing: str, working: Collection[tuple[int, int]]) -> str:
    """Return the output of ``npu-smi info`` with a worker on each of the chips ``working``.

    The processes that it shows stay: vllm-ascend counts them too, whosever they are.
    """
    rows = [
        f"| {card:<7} {chip:<17} | {1000 + number:<13} | {'python':<24} | {'3000':<23} |"
        for number, (card, chip) in enumerate(working)
    ]
    lines = [line for line in listing.splitlines() if not _IDLE.match(line)]
    headers = [number for number, line in enumerate(lines) if _PROCESSES.match(line)]
    if not headers:
        lines.append(_HEADER)
    below = headers[0] + 1 if headers else len(lines)
    return "\n".join([*lines[:below], *rows, *lines[below:], ""])


def missing_sentence(planned: int, workers: int, shown: int) -> str:
    """Return the sentence on workers without a plan; "" if there are none.

    ``planned`` of ``workers`` have one, on a machine that shows ``shown`` NPUs.
    """
    if planned >= workers:
        return ""
    npus = "1 NPU" if shown == 1 else f"{shown} NPUs"
    why = f"the machine shows {npus}" if shown < workers else "it makes no plan for the rest"
    return f"vllm-ascend plans for {planned} of {workers} workers: {why}"

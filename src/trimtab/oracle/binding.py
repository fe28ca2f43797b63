"""Which CPUs vllm-ascend would bind the threads of its workers to, planned by its own code."""

from __future__ import annotations

import json
import re
from contextlib import closing
from pathlib import Path

from trimtab import facts
from trimtab.errors import EngineError, HostError, UsageError
from trimtab.facts.text import format_cpu_list
from trimtab.host import Host
from trimtab.oracle.messages import one_line
from trimtab.oracle.model import VLLM_ASCEND
from trimtab.oracle.vendor import environment
from trimtab.oracle.zygote import Check, Zygote
from trimtab.rehearsal.machine import StandIn

_COMMANDS = (("npu-smi", "info", "-m"), ("npu-smi", "info"), ("npu-smi", "info", "-t", "topo"))
_IDLE = re.compile(r"^\| No running processes found in NPU (\d+).*$", re.MULTILINE)
_DEADLINE = 60.0


def plan(
    python: Path, host: Host, machine: StandIn, workers: int
) -> dict[str, dict[str, list[int]]]:
    """Return NPU → role ("main", "acl_thread", "release_thread") → CPUs.

    ``host`` tells what npu-smi and the kernel say of the machine, ``machine`` which chip the
    vendors' code shall believe in. The first ``workers`` idle NPUs count as having a worker.

    Raises:
        EngineError: vllm-ascend refuses to plan; the message is its own.
        UsageError: the machine shows no NPUs or CPUs.
    """
    recorded = json.dumps(_recorded(host, workers))
    with closing(Zygote(python, VLLM_ASCEND, environment(python, machine))) as zygote:
        path = zygote.scratch / "machine.json"
        path.write_text(recorded, encoding="utf-8")
        env = (("ORACLE_MACHINE", str(path)),)
        (run,) = zygote.run([Check(env, (), ("binding",), _DEADLINE)])
    if run.failure is not None:
        raise EngineError(
            f"vllm-ascend plans no CPU binding here: {one_line(run.failure.message)}"
        )
    found: dict[str, dict[str, list[int]]] = run.seen.get("binding") or {}
    return found


def _recorded(host: Host, workers: int) -> dict[str, object]:
    """Return what the child needs of a machine: outputs of commands, and the allowed CPUs."""
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
    commands["npu-smi info"] = busy(commands["npu-smi info"], workers)
    return {"commands": commands, "allowed": format_cpu_list(allowed), "ranks": workers}


def _lscpu(nodes: tuple[tuple[int, tuple[int, ...]], ...]) -> str:
    rows = [f"{cpu} {node}" for node, cpus in nodes for cpu in cpus]
    return "\n".join(["CPU NODE", *rows, ""])


def busy(text: str, workers: int) -> str:
    """Return the output of ``npu-smi info`` with a worker on each of the first idle NPUs."""

    def row(match: re.Match[str]) -> str:
        number = int(match[1])
        if number >= workers:
            return match[0]
        return f"| {number}       0                 | {1000 + number}          | python  | 3000 |"

    return _IDLE.sub(row, text)

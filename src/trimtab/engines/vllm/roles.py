"""Which process of a vLLM tree does what, told by its title. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab.model import Process


def roles(tree: Sequence[Process]) -> dict[int, str]:
    """Return pid → role from the titles that vLLM gives its processes (utils/system_utils.py).

    A process with its parent's title is a forked copy on its way to something else: a helper.
    """
    titles = {process.pid: _title_role(process) for process in tree}
    serving = "serving" in titles.values()
    found: dict[int, str] = {}
    for process in tree:
        role = titles[process.pid]
        if role != "helper" and titles.get(process.ppid) == role:
            role = "helper"
        elif role == "serving":
            role = "api"
        elif role == "api" and serving:
            role = "helper"  # with several API servers the command only supervises them
        found[process.pid] = role
    return found


def _title_role(process: Process) -> str:
    title = process.cmdline[0] if process.cmdline else ""
    for mark, role in (("APIServer", "serving"), ("EngineCor", "engine"), ("Worker", "worker")):
        if any(text.startswith(f"VLLM::{mark}") for text in (process.comm, title)):
            return role
    launched = process.comm == "vllm" or "vllm.entrypoints.cli.main" in process.cmdline
    return "api" if launched and "serve" in process.cmdline else "helper"

"""Which process of a vLLM tree does what, told by its title. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab.model import Process


def roles(tree: Sequence[Process]) -> dict[int, str]:
    """Return pid → role from the titles that vLLM gives its processes (utils/system_utils.py).

    A process with its parent's title is a forked copy on its way to something else: a helper.
    """
    titles = {one.pid: _title_role(one) for one in tree}
    serving = "serving" in titles.values()
    found: dict[int, str] = {}
    for one in tree:
        role = titles[one.pid]
        if role != "helper" and titles.get(one.ppid) == role:
            role = "helper"
        elif role == "serving":
            role = "api"
        elif role == "api" and serving:
            role = "helper"  # with several API servers the command only supervises them
        found[one.pid] = role
    return found


def _title_role(one: Process) -> str:
    title = one.cmdline[0] if one.cmdline else ""
    for mark, role in (("APIServer", "serving"), ("EngineCor", "engine"), ("Worker", "worker")):
        if any(text.startswith(f"VLLM::{mark}") for text in (one.comm, title)):
            return role
    launched = one.comm == "vllm" or "vllm.entrypoints.cli.main" in one.cmdline
    return "api" if launched and "serve" in one.cmdline else "helper"

"""What a command measures, in three lines: engine, model, and workload with machine."""

from __future__ import annotations

import os
from pathlib import Path

from trimtab import formatting
from trimtab.engines.default_model import folder as built_in
from trimtab.facts import Facts
from trimtab.load.lengths import Lengths
from trimtab.load.workload import Workload
from trimtab.model import Header
from trimtab.server.environment import reaches_engine
from trimtab.study.session import Session

_OWN = {"python": "vllm"}
"""Engines by how they were named → what they are."""


def header_of(session: Session) -> Header:
    """Return what a session measures."""
    engine = session.engine
    return Header(
        engine=_OWN.get(engine.name, engine.name),
        version=engine.version,
        platform=engine.platform,
        path=engine.where if session.serves else "",
        model=session.model + (_of_model(session.model) if session.serves else ""),
        workload=workload(session.workload),
        machine=machine(session.facts) if session.serves else "a simulated machine",
    )


def header_lines(session: Session) -> tuple[str, ...]:
    """Return what is printed before a measurement: the three lines, then what goes with them."""
    environment = dict(session.base.env)
    ours = sorted(
        name
        for name, value in os.environ.items()
        if reaches_engine(name) and environment.get(name) == value
    )
    remarks = [*session.notes, *(f"{session.engine.name}: {one}" for one in session.caveats)]
    if ours and session.serves:
        remarks.append(f"the baseline includes what your environment sets: {', '.join(ours)}")
    return (*header_of(session).lines(), *remarks)


def _of_model(model: str) -> str:
    if model == str(built_in()):
        return " (built in: a toy with random weights)"
    here = "://" in model or Path(model).expanduser().exists()
    return "" if here else " (no folder here: the server looks for it on its hub)"


def workload(given: Workload) -> str:
    """Return a workload's name, arrival and lengths."""
    arrival = given.arrival
    if arrival.concurrency is not None:
        load = f"closed loop of {arrival.concurrency}"
    elif arrival.rate is not None:
        load = f"{arrival.rate:g} requests/s"
    else:
        load = f"trace {arrival.trace}"
    sizes = [
        f"{_lengths(lengths)} tokens {way}"
        for lengths, way in ((given.input_tokens, "in"), (given.output_tokens, "out"))
        if lengths is not None
    ]
    return f"{given.name}: " + ", ".join([load, *sizes])


def machine(facts: Facts) -> str:
    """Return the machine's devices if it has any, and its CPUs."""
    devices: list[str] = []
    if npus := facts.ascend.devices.value:
        chip = facts.ascend.chip.value
        devices.append(formatting.count(len(npus), f"NPU{f' {chip}' if chip else ''}"))
    if gpus := facts.cuda.gpus.value:
        devices.append(f"{len(gpus)} x {gpus[0].name}")
    cores = facts.limits.allowed.value or facts.cpu.online.value or ()
    name = facts.cpu.model.value or "a CPU of unknown model"
    return ", ".join([*devices, f"{formatting.count(len(cores), 'core')} of {name}"])


def _lengths(lengths: Lengths) -> str:
    alone = len({*lengths.values}) == 1
    return f"{lengths.longest}" if alone else f"up to {lengths.longest}"

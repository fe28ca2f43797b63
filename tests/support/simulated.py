"""The machine of a simulated session."""

from trimtab.simulated import SimulatedMachine
from trimtab.study.session import Session


def machine_of(session: Session) -> SimulatedMachine:
    assert session.machine is not None
    return session.machine

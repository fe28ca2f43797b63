"""The control: a setting that nothing reads. If it wins, the study is wrong."""

from trimtab.catalog.schema import Source, Tuning
from trimtab.knobs import Env
from trimtab.model import Risk, RiskLevel


def inert_tuning(name: str, variable: str, *, dummy: bool = False) -> Tuning:
    """Return an entry that does nothing; ``dummy``: it is the control that every study has."""
    return Tuning(
        name=name,
        layer="control",
        summary="An inert variable that no program reads; it must never win.",
        knob=Env(variable),
        values=(None, "1"),
        stock="not set",
        risk=Risk(RiskLevel.NONE, "It does nothing."),
        sources=(Source("trimtab's design of studies", "docs, the dummy tuning"),),
        dummy=dummy,
    )


TUNINGS = (inert_tuning("dummy", "TRIMTAB_DUMMY", dummy=True),)


def aa_study_tunings(count: int) -> tuple[Tuning, ...]:
    """Return the tunings of an A/A study: all inert, and unlike the dummy allowed to win."""
    return tuple(inert_tuning(f"inert-{i}", f"TRIMTAB_INERT_{i}") for i in range(1, count + 1))

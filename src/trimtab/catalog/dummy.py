"""The control: a setting that nothing reads. If it wins, the study is wrong."""

from trimtab.catalog._tuning import Source, Tuning
from trimtab.knobs import Env
from trimtab.model import Risk, RiskLevel

TUNINGS = (
    Tuning(
        name="dummy",
        layer="control",
        summary="An inert variable that no program reads; it must never win.",
        knob=Env("TRIMTAB_DUMMY"),
        values=(None, "1"),
        stock="not set",
        risk=Risk(RiskLevel.NONE, "It does nothing."),
        sources=(Source("trimtab's design of studies", "docs, the dummy tuning"),),
        dummy=True,
    ),
)

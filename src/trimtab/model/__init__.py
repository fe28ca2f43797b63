"""The vocabulary of trimtab as frozen records: no I/O, no imports of ours.

Every record is an immutable value, so what is shown, launched, verified, measured, exported and
reported is the same thing. Times are seconds (``float``); instants are seconds of the clock named
in the field's docstring.
"""

from trimtab.model.answer import Answer, Comparison, Effect, Verdict
from trimtab.model.conclusion import Conclusion, Fidelity, Spread
from trimtab.model.header import Header
from trimtab.model.headline import Advice, Headline, Status
from trimtab.model.knowledge import (
    BASELINE,
    Candidate,
    Fact,
    RestartCost,
    Risk,
    RiskLevel,
    Scope,
    Value,
    candidate,
)
from trimtab.model.load import (
    Request,
    RequestRecord,
    Window,
)
from trimtab.model.pareto import Advantage, Standing
from trimtab.model.plan import (
    Check,
    CheckKind,
    Evidence,
    HostWrite,
    Plan,
    Process,
    Proves,
    Seen,
    Settings,
    to_json,
)
from trimtab.model.study import (
    Budget,
    Design,
    Factor,
    Outcome,
    Phase,
    Space,
    Start,
    StartRequest,
)

__all__ = [
    "BASELINE",
    "Advantage",
    "Advice",
    "Answer",
    "Budget",
    "Candidate",
    "Check",
    "CheckKind",
    "Comparison",
    "Conclusion",
    "Design",
    "Effect",
    "Evidence",
    "Fact",
    "Factor",
    "Fidelity",
    "Header",
    "Headline",
    "HostWrite",
    "Outcome",
    "Phase",
    "Plan",
    "Process",
    "Proves",
    "Request",
    "RequestRecord",
    "RestartCost",
    "Risk",
    "RiskLevel",
    "Scope",
    "Seen",
    "Settings",
    "Space",
    "Spread",
    "Standing",
    "Start",
    "StartRequest",
    "Status",
    "Value",
    "Verdict",
    "Window",
    "candidate",
    "to_json",
]

"""How layers write entries that no study tries: known to doctor, lint and the docs only."""

from __future__ import annotations

from collections.abc import Callable

from trimtab.catalog._accepts import ANY_TEXT, Accepts
from trimtab.catalog._rule import Rule
from trimtab.catalog._tuning import Checks, Claim, Context, Relation, Source, Tuning, always
from trimtab.knobs import Env, Knob
from trimtab.model import RestartCost, Risk, RiskLevel, Scope

NO_RISK = Risk(RiskLevel.NONE, "None that is known.")

TN = "Ascend/pytorch (torch_npu)"
VA = "vllm-ascend"
HCCL_DOCS = "HCCL user guide, environment variables"
VLLM = "vLLM 0.32"

GUIDE = Source("vllm-ascend guide, optimization and tuning", "optimization_and_tuning.md")
TUTORIALS = Source("vllm-ascend tutorials", "docs/source/tutorials")


def known(
    name: str,
    layer: str,
    summary: str,
    knob: Knob | str,
    *sources: Source,
    stock: str = "not set",
    accepts: Accepts = ANY_TEXT,
    details: str = "",
    default: str = "",
    risk: Risk = NO_RISK,
    rules: tuple[Rule, ...] = (),
    conflicts: tuple[Relation, ...] = (),
    claims: tuple[Claim, ...] = (),
    platforms: tuple[str, ...] = (),
    engines: tuple[str, ...] = (),
    scope: Scope = Scope.PROCESS,
    restart: RestartCost = RestartCost.PROCESS,
    superseded_by: str = "",
    inert: str = "",
    since: str = "",
    removed_in: str = "",
    package: str = "",
    applies: Callable[[Context], str | None] = always,
    checks: Checks | None = None,
    torch_npu_reads: str = "",
) -> Tuning:
    """Return an advisory entry. A knob given as text is the variable of that name."""
    return Tuning(
        name=name,
        layer=layer,
        summary=summary,
        knob=Env(knob) if isinstance(knob, str) else knob,
        values=(None,),
        stock=stock,
        risk=risk,
        sources=sources,
        details=details,
        accepts=accepts,
        default=default,
        rules=rules,
        conflicts=conflicts,
        claims=claims,
        platforms=platforms,
        engines=engines,
        scope=scope,
        restart=restart,
        superseded_by=superseded_by,
        inert=inert,
        since=since,
        removed_in=removed_in,
        package=package,
        applies=applies,
        checks=checks,
        torch_npu_reads=torch_npu_reads,
        advisory=True,
    )

"""How many processes vLLM serves with. A study takes them up only when they are named."""

from __future__ import annotations

from trimtab.catalog import applicability
from trimtab.catalog.schema import NO_RISK, VLLM, Context, Source, Tuning
from trimtab.catalog.values import Choice, Integer
from trimtab.facts import Facts
from trimtab.knobs import Argument
from trimtab.model import Check, CheckKind, Proof, Risk, RiskLevel, Settings, Value

_ARGS = Source(f"{VLLM}, engine arguments", "vllm/engine/arg_utils.py")
_SERVE = Source("vLLM 0.23, the command serve", "vllm/entrypoints/cli/serve.py")

_CLIENTS = Source("vLLM 0.23, clients", "vllm/v1/engine/core_client.py, make_client")


def _servers_applies(context: Context) -> str | None:
    if "api-server-count" in context.tries:
        return None
    return (
        "one process is the limit at thousands of tokens per second only: name it with "
        "--try api-server-count=2 to test it"
    )


def _servers_checks(value: Value, facts: Facts, settings: Settings) -> tuple[Check, ...]:
    return (Check(CheckKind.ROLES, "api", value),)


def _executor_applies(context: Context) -> str | None:
    if reason := applicability.parallel_refusal(context):
        return f"{reason}, which are processes of their own already"
    if context.platform == "cpu":
        return "on CPU the worker is a process of its own already; see one-process-engine"
    if "distributed-executor-backend" in context.tries:
        return None
    return (
        "one worker computes in the engine core, which spares a hop between two processes: name "
        "it with --try distributed-executor-backend=mp to test it"
    )


def _executor_checks(value: Value, facts: Facts, settings: Settings) -> tuple[Check, ...]:
    name = "args.distributed_executor_backend"
    return (
        Check(CheckKind.CONFIG, name, value, proves=Proof.DELIVERY),
        Check(CheckKind.ROLES, "worker", 1),
    )


TUNINGS = (
    Tuning(
        name="distributed-executor-backend",
        layer="vllm",
        summary="Let a process of its own compute for a single worker, beside the engine core.",
        knob=Argument("--distributed-executor-backend"),
        values=(None, "mp"),
        stock="uni for one worker (the engine core computes itself), mp for several",
        accepts=Choice(
            ("mp", "ray", "uni", "external_launcher"), "vLLM looks for a class so named"
        ),
        applies=_executor_applies,
        checks=_executor_checks,
        risk=NO_RISK,
        prior=-0.05,
        engines=("vllm",),
        details=(
            "It is what starts and holds the workers. The opposite, an API server in the engine "
            "core's process, is not to be had: VLLM_ENABLE_V1_MULTIPROCESSING=0 is for vLLM's "
            "class LLM, and the server's engine core stays a process of its own."
        ),
        sources=(_ARGS, _CLIENTS),
    ),
    Tuning(
        name="api-server-count",
        layer="vllm",
        summary="Read requests and write answers in two processes instead of one.",
        knob=Argument("--api-server-count", int, aliases=("-asc",)),
        values=(None, 2),
        stock="1",
        accepts=Integer(0, None, "vLLM's parser refuses it"),
        applies=_servers_applies,
        checks=_servers_checks,
        risk=Risk(RiskLevel.LOW, "Metrics are gathered from several processes over files."),
        engines=("vllm",),
        details=(
            "One process can be the limit at thousands of tokens per second. The command itself "
            "then only supervises, so that there are three processes instead of one."
        ),
        sources=(_ARGS, _SERVE),
    ),
)

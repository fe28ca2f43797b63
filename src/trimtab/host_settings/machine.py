"""The context in which host settings are judged: this machine, and the engine it would serve."""

from __future__ import annotations

from trimtab import facts
from trimtab.catalog import Context
from trimtab.diagnosis import machine
from trimtab.facts import situation
from trimtab.host import Host
from trimtab.model import Settings


def context(host: Host, *, local: bool) -> Context:
    """Return the context; ``local``: it is this machine, so its environments are looked at."""
    environment = machine.find_environment(host, None, local=local)
    found = facts.inspect(host, environment.packages, "cpu")
    return Context(
        facts=found,
        engine_name="vllm",
        engine_version=environment.packages.get("vllm", ""),
        platform=situation.platform(found, environment.packages),
        packages=environment.packages,
        baseline=Settings(argv=("vllm", "serve")),
        allow_host=True,
    )

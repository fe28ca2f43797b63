"""Preparation: mirrors, packages, the order of installation, where models come from."""

from __future__ import annotations

from trimtab.catalog.rules import install as traps
from trimtab.catalog.schema import GUIDE, VA, Source, advisory_entry
from trimtab.knobs import ManualSetting
from trimtab.model import RestartCost, Risk, RiskLevel, Scope

_INSTALL = Source(f"{VA}, installation", "docs, installation.md")

TUNINGS = (
    advisory_entry(
        "apt-mirror",
        "install",
        "Where packages of the operating system are fetched from.",
        ManualSetting("/etc/apt/sources.list", "apt-mirror"),
        GUIDE,
        stock="as the image says",
        details=(
            "ubuntu-ports serves arm64 and others, never x86_64; the release in the address must "
            "be the image's; an https mirror needs ca-certificates, which small images lack. "
            "openEuler uses dnf."
        ),
        scope=Scope.IMAGE,
        restart=RestartCost.REINSTALL,
        risk=Risk(RiskLevel.MEDIUM, "Writing the file anew loses what the image had."),
        rules=(traps.TRUNCATED, traps.PORTS, traps.RELEASE),
    ),
    advisory_entry(
        "pip-index",
        "install",
        "Where Python packages are fetched from.",
        ManualSetting("pip config set global.index-url", "pip-index"),
        GUIDE,
        stock="pypi.org",
        details="pip config writes it for every later use; --index-url or PIP_INDEX_URL does not.",
        scope=Scope.IMAGE,
        restart=RestartCost.REINSTALL,
        rules=(traps.PIP_CONFIG,),
    ),
    advisory_entry(
        "os-packages",
        "install",
        "The packages of the operating system that the guide asks for.",
        ManualSetting("apt install wget gcc g++ libnuma-dev git", "os-packages"),
        GUIDE,
        stock="as the image has them",
        details=(
            "Only libnuma is needed to serve: gcc, g++ and libnuma-dev are for building from "
            "source, wget, git and vim for people. modelscope fetches models; pandas, datasets, "
            "gevent, sacrebleu, rouge_score, pybind11 and pytest serve the guide's benchmarks."
        ),
        scope=Scope.IMAGE,
        restart=RestartCost.REINSTALL,
    ),
    advisory_entry(
        "install-order",
        "install",
        "The optimized Python comes before vLLM and vllm-ascend.",
        ManualSetting("the order of installation", "install-order"),
        GUIDE,
        _INSTALL,
        stock="the image's Python comes first",
        details=(
            "Native parts are built for the Python that installs them: one of another minor "
            "version cannot load them. The same minor version and ABI can be exchanged later."
        ),
        scope=Scope.IMAGE,
        restart=RestartCost.REINSTALL,
        rules=(traps.ORDER, traps.DANGLING),
    ),
    advisory_entry(
        "mindie-turbo",
        "install",
        "MindIE Turbo: obsolete, never to be installed on a current stack.",
        ManualSetting("pip install mindie-turbo", "mindie-turbo"),
        Source("mindie-turbo 2.0rc1, METADATA", "Requires-Dist: torch==2.5.1"),
        Source(f"{VA} issue 2451", "github.com/vllm-project/vllm-ascend/issues/2451"),
        GUIDE,
        stock="absent",
        details=(
            "Its last release (May 2025) pins torch 2.5.1 and is for vLLM 0.7.3 on 800I A2: "
            "installing it replaces torch. Users reported no effect on 0.9.1."
        ),
        scope=Scope.IMAGE,
        restart=RestartCost.REINSTALL,
        risk=Risk(RiskLevel.HIGH, "It replaces torch by an old one, and vLLM no longer starts."),
        rules=(traps.TURBO,),
    ),
    advisory_entry(
        "cann-address",
        "install",
        "The address from which CANN is fetched, made for the machine's architecture.",
        ManualSetting("wget .../CANN-...-linux-$(uname -m).run", "cann-address"),
        _INSTALL,
        stock="the image has it",
        details="Made with uname -i it ends in 'unknown' on Debian and others.",
        scope=Scope.IMAGE,
        restart=RestartCost.REINSTALL,
        rules=(traps.UNAME,),
    ),
)

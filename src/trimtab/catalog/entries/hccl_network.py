"""HCCL's network: links inside a server, RDMA between servers, and which NIC is used."""

from __future__ import annotations

from trimtab.catalog.rules import hccl_links as links
from trimtab.catalog.rules.hccl_links import PCIE, ROCE, SL, TC
from trimtab.catalog.rules.scene import Rule
from trimtab.catalog.schema import GUIDE, HCCL_DOCS, VA, Source, Tuning, advisory_entry
from trimtab.catalog.values import AnyText, Choice, Integer, Pattern
from trimtab.model.finding import Problem, Severity

_ASCEND = ("ascend",)
_PAIR = Source("HCCL, environment parser", "src/common/alg_env_config.cc:693-785")
_FAILS = "the communicator fails with EI0001"


def _number(name: str, low: int, high: int, default: str, summary: str, details: str) -> Tuning:
    return advisory_entry(
        name.lower().replace("_", "-"),
        "hccl",
        summary,
        name,
        Source(HCCL_DOCS, f"{name}.md"),
        stock=default,
        default=default,
        accepts=Integer(low, high, _FAILS),
        details=details,
        platforms=_ASCEND,
    )


TUNINGS = (
    advisory_entry(
        "hccl-intra-roce",
        "hccl",
        "Use RDMA rather than PCIe between the two halves of a server.",
        ROCE,
        Source(HCCL_DOCS, f"{ROCE}.md"),
        _PAIR,
        GUIDE,
        stock="0",
        details=(
            f"It goes with {PCIE}, and only some pairs are legal. On A2 it is for Atlas 200T A2 "
            "Box16, on A3 for LLM-DataDist, and not for 310P and 950."
        ),
        accepts=Choice(("0", "1"), _FAILS),
        platforms=_ASCEND,
        rules=(
            Rule(
                id="hccl-intra-pair",
                severity=Severity.ERROR,
                problem=Problem.CONFLICT,
                summary="The pair of link switches is illegal: HCCL does not initialise.",
                process=links.pair,
                traps=("T12",),
            ),
            Rule(
                id="hccl-roce-product",
                severity=Severity.WARNING,
                problem=Problem.NO_EFFECT,
                summary="The product does not have the link.",
                process=links.product,
                traps=("T12",),
            ),
            Rule(
                id="hccl-mc2-hierarchy",
                severity=Severity.INFO,
                problem=Problem.ADVICE,
                summary="The pair is vllm-ascend's old switch for hierarchical MC2.",
                process=links.hierarchy,
            ),
            links.text_rule("hccl-roce-unsaid", "T12", ROCE),
        ),
    ),
    advisory_entry(
        "hccl-intra-pcie",
        "hccl",
        "Use PCIe between the two halves of a server.",
        PCIE,
        Source(HCCL_DOCS, f"{PCIE}.md"),
        _PAIR,
        stock="1",
        details=f"It goes with {ROCE}: see there.",
        accepts=Choice(("0", "1"), _FAILS),
        platforms=_ASCEND,
    ),
    advisory_entry(
        "hccl-rdma-tc",
        "hccl",
        "The traffic class of RDMA between servers.",
        TC,
        Source(HCCL_DOCS, f"{TC}.md"),
        GUIDE,
        stock="132: DSCP 33",
        default="132",
        details=(
            "A quarter of it is the DSCP that switches map to a queue, so it must match theirs. A "
            "communicator's own configuration outranks it; Mooncake reads ASCEND_RDMA_TC first."
        ),
        accepts=Integer(0, 255, _FAILS, multiple=4),
        platforms=_ASCEND,
        rules=(links.ONE_HOST, links.text_rule("hccl-rdma-unsaid", "T13", TC, SL)),
    ),
    advisory_entry(
        "hccl-rdma-sl",
        "hccl",
        "The service level of RDMA between servers.",
        SL,
        Source(HCCL_DOCS, f"{SL}.md"),
        GUIDE,
        stock="4",
        default="4",
        details="It must be the NIC's PFC priority (hccn_tool), the same on all servers.",
        accepts=Integer(0, 7, _FAILS),
        platforms=_ASCEND,
    ),
    advisory_entry(
        "hccl-rdma-timeout",
        "hccl",
        "How long RDMA waits for an answer.",
        "HCCL_RDMA_TIMEOUT",
        Source(HCCL_DOCS, "HCCL_RDMA_TIMEOUT.md"),
        stock="20",
        default="20",
        accepts=Integer(0, 31, _FAILS),
        details="5 to 20 on A2 and A3, 5 to 24 on 310P and 910, 0 to 31 on 950.",
        platforms=_ASCEND,
        rules=(
            Rule(
                id="hccl-rdma-timeout-chip",
                severity=Severity.ERROR,
                problem=Problem.WRONG_VALUE,
                summary="The chip takes a smaller range.",
                process=links.timeout,
            ),
        ),
    ),
    _number("HCCL_RDMA_RETRY_CNT", 1, 7, "7", "How often RDMA sends again.", "All chips."),
    _number(
        "HCCL_RDMA_QPS_PER_CONNECTION",
        1,
        32,
        "1",
        "Queue pairs of each RDMA connection.",
        "At most 8 are advised, and only without graphs.",
    ),
    advisory_entry(
        "hccl-socket-ifname",
        "hccl",
        "Which NIC of the host HCCL uses to find its peers.",
        "HCCL_SOCKET_IFNAME",
        Source(HCCL_DOCS, "HCCL_SOCKET_IFNAME.md"),
        stock="chosen by HCCL",
        details=(
            "A name is a prefix ('eth' takes eth0 and eth1) unless '=' stands before it; '^' "
            "excludes. A wrong one fails with EI0001. HCCL_IF_IP wins over it."
        ),
        accepts=Pattern(r"\^?=?[\w.,:@-]+", "NIC names, after =, ^ or ^=", _FAILS),
        platforms=_ASCEND,
        rules=(
            Rule(
                id="hccl-interface-twice",
                severity=Severity.INFO,
                problem=Problem.CONFLICT,
                summary="An address and a NIC name are both given: the address wins.",
                process=links.interface,
            ),
        ),
    ),
    advisory_entry(
        "hccl-if-ip",
        "hccl",
        "The address of the host's NIC that HCCL uses to find its peers.",
        "HCCL_IF_IP",
        Source(HCCL_DOCS, "HCCL_IF_IP.md"),
        stock="chosen by HCCL",
        details="One IPv4 or IPv6 address; it wins over HCCL_SOCKET_IFNAME.",
        accepts=Pattern(r"[0-9a-fA-F.:]+", "one IP address", _FAILS),
        platforms=_ASCEND,
    ),
    advisory_entry(
        "hccl-superpod-id",
        "hccl",
        "Which super pod this server belongs to.",
        "HCCL_LOGIC_SUPERPOD_ID",
        Source(HCCL_DOCS, "HCCL_LOGIC_SUPERPOD_ID.md"),
        stock="the physical one",
        accepts=Pattern(r"[^\n]{1,127}", "fewer than 128 characters", _FAILS),
        platforms=_ASCEND,
    ),
    advisory_entry(
        "p2p-hccl-buffsize",
        "hccl",
        "The buffer of point-to-point groups, in MB.",
        "P2P_HCCL_BUFFSIZE",
        Source(f"{VA}, environment variables", "docs, env_vars"),
        stock="20 MB; 0 makes no group of its own",
        default="20",
        accepts=Integer(0, None, "it must be a number", unit="MB"),
        platforms=_ASCEND,
    ),
    *(
        advisory_entry(
            f"{part}-socket-ifname",
            "hccl",
            f"Which NIC {who} uses between servers.",
            f"{part.upper()}_SOCKET_IFNAME",
            Source(f"{VA}, multi-node tutorials", "docs/source/tutorials"),
            stock="chosen by it",
            details="The exact name of a NIC, which must exist in the container's network.",
            accepts=AnyText("a NIC's exact name"),
        )
        for part, who in (("gloo", "Gloo"), ("tp", "tensor parallelism"))
    ),
)

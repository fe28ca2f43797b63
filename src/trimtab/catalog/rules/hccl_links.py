"""What can be wrong with HCCL's links between cards and between servers."""

from __future__ import annotations

import re
from collections.abc import Iterator

from trimtab.catalog.rules.scene import Rule, Scene
from trimtab.model.document import Document
from trimtab.model.finding import Hit, Problem, Severity
from trimtab.model.situation import Situation

ROCE, PCIE = "HCCL_INTRA_ROCE_ENABLE", "HCCL_INTRA_PCIE_ENABLE"
TC, SL = "HCCL_RDMA_TC", "HCCL_RDMA_SL"

_LEGAL = frozenset({("1", None), ("1", "0"), (None, None), ("0", "0"), ("0", "1"), (None, "1")})
"""Legal (PCIE, ROCE) pairs; all others end the initialisation (HCCL_INTRA_ROCE_ENABLE.md)."""


def pair(scene: Scene) -> Iterator[Hit]:
    """Yield a hit where the pair of link switches is illegal."""
    for name in (PCIE, ROCE):
        if name in scene.env and scene.text(name) is None:
            return
    pcie, roce = scene.text(PCIE), scene.text(ROCE)
    if not {pcie, roce} <= {None, "0", "1"} or (pcie, roce) in _LEGAL:
        return
    said = " and ".join(f"{k}={v}" for k, v in ((PCIE, pcie), (ROCE, roce)) if v is not None)
    both = (pcie, roce) == ("1", "1")
    alone = "both links cannot be on" if both else "the other one of the pair must be set as well"
    yield Hit(
        ROCE if roce is not None else PCIE,
        f"HCCL refuses {said}: {alone}",
        f"set {PCIE}=0 and {ROCE}=1 for RDMA, or neither",
    )


def product(scene: Scene) -> Iterator[Hit]:
    """Yield a hit where the product may not have the link."""
    roce, chip = scene.text(ROCE), scene.situation.chip
    if roce is None or (scene.text(PCIE), roce) == ("1", "0"):
        return  # that pair is vllm-ascend's own switch
    if chip in ("950", "310P"):
        yield Hit(ROCE, f"HCCL does not support {ROCE} on {chip}", "leave it out")
    elif chip in (None, "A2", "A3"):
        yield Hit(
            ROCE,
            f"HCCL supports {ROCE} on the Atlas 200T A2 Box16, and on A3 for LLM-DataDist",
            "leave it out on other products",
            given="the product is another one",
        )


def hierarchy(scene: Scene) -> Iterator[Hit]:
    """Yield a hit where the pair is vllm-ascend's own switch."""
    if (scene.text(PCIE), scene.text(ROCE)) == ("1", "0"):
        yield Hit(
            ROCE,
            f"vllm-ascend reads {PCIE}=1 with {ROCE}=0 as its switch for hierarchical MC2",
            "set enable_mc2_hierarchy_comm in --additional-config instead",
        )


def _one_host(scene: Scene) -> Iterator[Hit]:
    for name in (TC, SL):
        if name not in scene.env:
            continue
        if scene.situation.hosts == 1:
            yield Hit(
                name,
                f"{name} marks RDMA traffic between servers, but one server serves here",
                "leave it out",
            )
        elif scene.situation.hosts is None:
            yield Hit(
                name,
                (
                    f"{name} acts between servers only, and must have one value on the switch, "
                    "each NIC and each server"
                ),
                "check it with hccn_tool on every server",
                given="one server serves, or the network is set otherwise",
            )


def interface(scene: Scene) -> Iterator[Hit]:
    """Yield a hit where address and NIC are both given."""
    if "HCCL_IF_IP" in scene.env and "HCCL_SOCKET_IFNAME" in scene.env:
        yield Hit(
            "HCCL_SOCKET_IFNAME",
            "HCCL_IF_IP wins over HCCL_SOCKET_IFNAME",
            "keep one of the two",
            severity=Severity.INFO,
        )


_UNSAID = {
    ROCE: (
        f"the text does not say that {ROCE} needs {PCIE} beside it, and that few products have it"
    ),
    TC: (
        f"the text does not say that {TC} is 0 to 255 in steps of 4 (default 132) and must match "
        "the switch; a wrong value ends the start"
    ),
    SL: (
        f"the text does not say that {SL} is 0 to 7 (default 4) and must be the NIC's PFC "
        "priority; a wrong value ends the start"
    ),
}


def text_rule(id_: str, trap: str, *names: str) -> Rule:
    """Return the rule that a text must say more where it names a setting."""

    def check(document: Document, situation: Situation) -> Iterator[Hit]:
        for mention in document.mentions:
            if mention.kind == "name" and mention.text in names:
                yield Hit(
                    mention.text, _UNSAID[mention.text], "add that beside it", place=mention.place
                )

    return Rule(
        id=id_,
        severity=Severity.INFO,
        problem=Problem.ADVICE,
        summary="A text names the setting without the rules that it stands under.",
        text=check,
        traps=(trap,),
    )


ONE_HOST = Rule(
    id="hccl-rdma-hosts",
    severity=Severity.WARNING,
    problem=Problem.NO_EFFECT,
    summary="RDMA marks act between servers only, and must match switch and NIC.",
    process=_one_host,
    traps=("T13",),
)


_TIMEOUTS = {"A2": (5, 20), "A3": (5, 20), "310P": (5, 24), "910": (5, 24)}


def timeout(scene: Scene) -> Iterator[Hit]:
    """Yield a timeout of RDMA that the chip does not take; A2 and A3 serve most often."""
    text, chip = scene.text("HCCL_RDMA_TIMEOUT"), scene.situation.chip
    if text is None or not re.fullmatch(r"\s*\d{1,2}\s*", text) or chip == "950":
        return
    low, high = _TIMEOUTS.get(chip or "A2", (0, 31))
    if not low <= int(text) <= high:
        yield Hit(
            "HCCL_RDMA_TIMEOUT",
            f"HCCL_RDMA_TIMEOUT must be from {low} to {high} on {chip or 'A2 and A3'}, but is "
            f"{text.strip()}: the communicator fails with EI0001",
            f"set it to {low} to {high}",
            given="" if chip else "the chip is A2 or A3",
        )

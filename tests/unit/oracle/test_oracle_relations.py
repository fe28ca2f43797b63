"""Cases of settings given together: how they are told, and what the page says of them."""

from __future__ import annotations

from trimtab.oracle.audit.cases import NOT_ASKED, Case
from trimtab.oracle.audit.table import CaseOutcome, page
from trimtab.oracle.model import OracleSetting

AFFINITY = (OracleSetting("CPU_AFFINITY_CONF", "1"),)


def test_a_case_names_the_machine_where_it_is_another_than_usual() -> None:
    assert Case("r", AFFINITY, "taken").words == "CPU_AFFINITY_CONF=1"
    one = Case("r", AFFINITY, "taken", chip="310P", devices=1)
    assert one.words == "CPU_AFFINITY_CONF=1 on a 310P, one device"
    assert (one.machine.chip, one.machine.devices) == ("310P", 1)
    several = Case("r", AFFINITY, "taken", graph=True, devices=2)
    assert several.words.endswith("=1 with the capture of a graph on 2 devices")


def test_the_page_says_what_is_read_back_and_which_rules_are_not_asked() -> None:
    case = Case("cpu-affinity-chip", AFFINITY, "taken", said="misread", chip="310P")
    made = page({}, [CaseOutcome(case, "taken", "acl_thread on 0")])
    assert "`CPU_AFFINITY_CONF=1 on a 310P`" in made
    assert "| misread: **no** | taken: acl_thread on 0 |" in made
    assert "Of 1 statements the code does not keep 1." in made
    for rule, why in NOT_ASKED.items():
        assert f"- `{rule}`: {why}." in made

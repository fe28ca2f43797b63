"""What the benchmark of the search says of its targets: met, not met, or not judged."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def made() -> Any:
    """The two modules of the benchmark, which is no package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parents[3] / "benchmarks"))
        yield import_module("search"), import_module("search_targets")
        for name in ("search", "search_targets", "search_results", "search_table", "peers"):
            sys.modules.pop(name, None)


def results(made: Any, many: int, *, covered: bool | None, claimed: float = 0.05) -> list[Any]:
    one = made[0].Result(
        "trimtab proven", 0.05, claimed, covered, frozenset({"gain-5"}), 0, 0, 0.05
    )
    return [one] * many


def table(made: Any, landscape: str, own: list[Any]) -> list[str]:
    return list(made[1].judged({made[0].Case(landscape, 0.02, 40): own}))


def lines_of(table: list[str], what: str) -> list[str]:
    return [line for line in table if line.startswith(f"| {what}")]


def test_too_few_intervals_are_neither_met_nor_missed(made: Any) -> None:
    own = results(made, 29, covered=True)
    (line,) = lines_of(table(made, "L4", own), "interval holds")
    assert "29 intervals" in line
    assert line.endswith("not judged |")


def test_enough_intervals_are_judged(made: Any) -> None:
    (line,) = lines_of(table(made, "L4", results(made, 100, covered=False)), "interval holds")
    assert line.endswith("**no** |")
    half = results(made, 95, covered=True) + results(made, 5, covered=False)
    (line,) = lines_of(table(made, "L4", half), "interval holds")
    assert line.endswith("yes |")


def test_where_nothing_is_claimed_no_bias_is_judged(made: Any) -> None:
    for claimed in (0.0, float("nan")):
        own = results(made, 50, covered=None, claimed=claimed)
        (line,) = lines_of(table(made, "L1", own), "claim")
        assert line.endswith("no claims | not judged |")
    (line,) = lines_of(table(made, "L1", results(made, 50, covered=True)), "claim")
    assert line.endswith("yes |")


def test_the_headline_counts_judged_cells_only(made: Any) -> None:
    first = table(made, "L4", results(made, 10, covered=True))[0]
    assert first == "0 of 0 judged cells meet theirs, 1 could not be judged."
    assert made[1].headline({True: 3, False: 1}) == "3 of 4 judged cells meet theirs."


def test_the_page_of_the_docs_counts_what_its_table_says() -> None:
    docs = Path(__file__).parents[3] / "docs"
    cells = (docs / "search-table.md").read_text(encoding="utf-8").splitlines()
    met, unmet, unknown = (
        sum(line.endswith(f"| {state} |") for line in cells)
        for state in ("yes", "**no**", "not judged")
    )
    said = (docs / "search.md").read_text(encoding="utf-8")
    assert (
        f"{met} of {met + unmet} judged cells meet theirs, {unknown} could not be judged" in said
    )


def test_the_figure_reads_what_the_table_says(made: Any) -> None:
    case = made[0].Case("L2-strong", 0.005, 24)
    own = results(made, 3, covered=True)
    read = made[0].read
    (row,) = read(["A page.", "", *made[0].table({case: own}), ""])
    assert (row.landscape, row.noise, row.starts) == ("L2-strong", 0.5, 24)
    assert row.tuner == "trimtab proven"
    assert row.interval("regret, pp") == (0.0, 0.0, 0.0)
    assert row.interval("any null kept") == pytest.approx((0.0, 0.0, 0.71))
    nothing = results(made, 3, covered=True, claimed=float("nan"))
    (row,) = read(made[0].table({case: nothing}))
    assert row.interval("claim − truth, pp") is None
    assert read(["| a | table | of another kind |"]) == []

"""The pages made from data are those that the data make, and the docs name what exists."""

import importlib.util
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest

from trimtab.model import Verdict

ROOT = Path(__file__).parents[2]


def maker() -> ModuleType:
    loader = SourceFileLoader("make_docs", str(ROOT / "scripts" / "make_docs.py"))
    spec = importlib.util.spec_from_loader("make_docs", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["metrics.md", "tunings.md", "rules.md"])
def test_made_pages_are_current(name: str) -> None:
    page = (ROOT / "docs" / name).read_text()
    assert page == maker().PAGES[name](), "run scripts/make_docs.py"


def test_the_page_of_verdicts_lists_each_word_once() -> None:
    page = (ROOT / "docs" / "verdicts.md").read_text()
    first, _, former = page.partition("| former word | now |")
    listed = [line.split("|")[1].strip() for line in first.splitlines() if line.startswith("| ")]
    assert [word for word in listed if word in set(Verdict)] == [one.value for one in Verdict]
    mapped: dict[str, str] = {}
    for line in former.splitlines():
        if line.startswith("| "):
            _, words, now, _ = (part.strip() for part in line.split("|"))
            mapped |= dict.fromkeys(words.split(", "), now)
    assert len(mapped) == 9
    assert all(Verdict(word).value == now for word, now in mapped.items())
    assert "](verdicts.md)" in (ROOT / "docs" / "tune.md").read_text()


def test_links_of_the_docs_lead_somewhere() -> None:
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
        for part in page.read_text().split("](")[1:]:
            target = part.partition(")")[0]
            if "://" not in target and not target.startswith("#"):
                assert (page.parent / target.partition("#")[0]).exists(), (
                    f"{page.name} links to {target}"
                )

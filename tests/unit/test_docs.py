"""The pages made from data are those that the data make, and the docs name what exists."""

import importlib.util
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


def maker() -> ModuleType:
    loader = SourceFileLoader("make_docs", str(ROOT / "scripts" / "make-docs"))
    spec = importlib.util.spec_from_loader("make_docs", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["metrics.md", "tunings.md", "rules.md"])
def test_made_pages_are_current(name: str) -> None:
    page = (ROOT / "docs" / name).read_text()
    assert page == maker().PAGES[name](), "run scripts/make-docs"


def test_links_of_the_docs_lead_somewhere() -> None:
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
        for part in page.read_text().split("](")[1:]:
            target = part.partition(")")[0]
            if "://" not in target and not target.startswith("#"):
                assert (page.parent / target).exists(), f"{page.name} links to {target}"

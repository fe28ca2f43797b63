"""The pages made from data are those that the data make, and the docs name what exists."""

import importlib.util
import pkgutil
import re
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest

from tests.unit.test_architecture import FLOORS
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


def test_each_word_of_the_glossary_stands_once_and_is_in_the_code() -> None:
    page = (ROOT / "docs" / "glossary.md").read_text()
    rows = [line.split("|") for line in page.splitlines() if re.match(r"\| (?!word|-)", line)]
    words = [row[1].strip() for row in rows]
    assert len(words) > 50
    assert sorted(words) == sorted(set(words))
    for row in rows:
        pkgutil.resolve_name(row[3].strip().strip("`"))


def test_the_page_of_the_architecture_has_the_floors() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    rows = re.findall(r"^\| (\d+) \| ([\w, ]+) \|", page, re.MULTILINE)
    shown = {int(number): set(names.split(", ")) for number, names in rows}
    assert shown == dict(enumerate(FLOORS))


NAMED = re.compile(
    r"`((?:src|tests|scripts|benchmarks|docs|examples)/[\w./-]+|trimtab(?:\.\w+)+)`"
)
ENDINGS = {"md", "yaml", "json", "log", "com", "org", "io", "service", "d"}


def test_every_path_and_module_that_the_docs_name_exists() -> None:
    missing = []
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/*.md")]:
        for name in NAMED.findall(page.read_text()):
            if name.startswith("docs/source/"):  # vllm-ascend's
                continue
            if "/" in name:
                missing += [] if (ROOT / name).exists() else [f"{page.name}: {name}"]
            elif name.rpartition(".")[2] not in ENDINGS:
                try:
                    pkgutil.resolve_name(name)
                except (ImportError, AttributeError):
                    missing.append(f"{page.name}: {name}")
    assert missing == []

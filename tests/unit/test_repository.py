"""What stands at the root of the repository has the form that its readers expect."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
SECTIONS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")


def test_the_changelog_has_the_sections_of_keep_a_changelog_in_their_order() -> None:
    lines = (ROOT / "CHANGELOG.md").read_text().splitlines()
    releases: dict[str, list[str]] = {}
    for line in lines:
        if line.startswith("## "):
            releases[line[3:]] = []
        elif line.startswith("### "):
            releases[list(releases)[-1]].append(line[4:])
    assert "Unreleased" in releases
    for sections in releases.values():
        assert sections
        assert sections == [name for name in SECTIONS if name in sections]


def test_every_bullet_of_the_changelog_stands_under_a_section() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    before, _, _ = text.partition("\n### ")
    assert "\n- " not in before
    bullets = re.findall(r"^- .*", text, re.MULTILINE)
    assert len(bullets) >= 120
    assert len(set(bullets)) == len(bullets)


def test_issue_templates_have_their_heads() -> None:
    templates = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.md"))
    assert [path.stem for path in templates] == ["bug", "new_tuning", "question"]
    for path in templates:
        _, head, body = path.read_text().split("---\n", 2)
        assert set(yaml.safe_load(head)) == {"name", "about", "labels"}
        assert body.strip()
    assert "trimtab doctor --json" in (templates[0]).read_text()


def test_the_security_page_says_how_to_report_and_what_is_in_scope() -> None:
    headings = re.findall(r"^## (.*)", (ROOT / "SECURITY.md").read_text(), re.MULTILINE)
    assert headings == ["Report a vulnerability", "In scope", "Not in scope"]

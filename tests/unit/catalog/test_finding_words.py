"""Every finding is a short sentence with a subject, and its fix says what to do.

The texts are read from the source, so a rule that no test triggers is held to it too.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from trimtab.catalog import CATALOG
from trimtab.rules import all_rules

SOURCES = Path(__file__).parents[3] / "src" / "trimtab"
FILES = sorted([*SOURCES.glob("rules/*.py"), *SOURCES.glob("catalog/**/*.py")])

BANNED = re.compile(
    r"\b(by itself|at hand|as it stands|otherwise than|mend|told|tells|none of ours|is none|"
    r"so many|ends at the start|the start ends|the other opposite|\(s\))\b"
)
CLAUSE = re.compile(r"^(what|where|that|which|whatever) ", re.IGNORECASE)
VERBS = frozenset(
    (
        *("add", "allow", "append", "bind", "build", "check", "compare", "count", "correct"),
        *("describe", "drop", "export", "give", "hand", "join", "keep", "leave", "link", "look"),
        *("lower", "make", "measure", "mount", "move", "name", "put", "quote", "raise", "remove"),
        *("render", "replace", "run", "say", "serve", "set", "start", "take", "test", "unset"),
        *("use", "write"),
    )
)


def text(node: ast.expr) -> str:
    """Return a literal with a word for each value in it, "" for what is no literal."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            one.value if isinstance(one, ast.Constant) and isinstance(one.value, str) else "X"
            for one in node.values
        )
    return ""


def hits() -> Iterator[tuple[str, str, str]]:
    """Yield (place, message, fix) of each hit that the rules write down."""
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Hit":
                given = {one.arg: one.value for one in node.keywords}
                message = node.args[1] if len(node.args) > 1 else given.get("message")
                fix = node.args[2] if len(node.args) > 2 else given.get("fix")
                place = f"{path.stem}:{node.lineno}"
                yield place, text(message) if message else "", text(fix) if fix else ""


HITS = list(hits())
MESSAGES = [
    *((place, message) for place, message, _ in HITS if message),
    *((name, tuning.inert) for name, tuning in CATALOG.items() if tuning.inert),
    *((name, one.sentence) for name, tuning in CATALOG.items() for one in tuning.conflicts),
]


def test_the_rules_write_down_over_a_hundred_messages() -> None:
    assert len(HITS) > 100
    assert len(MESSAGES) > 100


@pytest.mark.parametrize(("place", "message"), MESSAGES, ids=[place for place, _ in MESSAGES])
def test_a_message_is_short_and_has_a_subject(place: str, message: str) -> None:
    assert len(message.split()) <= 25, message
    assert not CLAUSE.match(message), message
    assert not BANNED.search(message), message
    assert not message.endswith("."), "the output ends it"


FIXES = [(place, fix) for place, _, fix in HITS if fix]


@pytest.mark.parametrize(("place", "fix"), FIXES, ids=[place for place, _ in FIXES])
def test_a_fix_begins_with_what_to_do(place: str, fix: str) -> None:
    assert re.split(r"[ :]", fix)[0] in VERBS or "trimtab" in fix, fix
    assert len(fix.split()) <= 25, fix
    assert not BANNED.search(fix), fix


@pytest.mark.parametrize("name", all_rules())
def test_a_summary_is_one_sentence(name: str) -> None:
    summary = all_rules()[name][0].summary
    assert summary.endswith(".")
    assert len(summary.split()) <= 25
    assert not BANNED.search(summary), summary
    assert not CLAUSE.match(summary), summary

"""Host writes: restored on every exit, even when the process is killed between any two steps."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from trimtab.errors import HostError
from trimtab.host import LocalHost
from trimtab.host_settings.transaction import pending_places, recover, temporary_writes
from trimtab.model import HostWrite

BEFORE = {"/swappiness": "60\n", "/enabled": "always [madvise] never\n", "/balancing": "1\n"}
WRITES = (
    HostWrite("/swappiness", "1"),
    HostWrite("/enabled", "always"),
    HostWrite("/balancing", "0"),
)


class Tree(LocalHost):
    """A writable machine in a folder; ``enabled`` behaves like the kernel's choice files."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, path: str, limit: int = 1024) -> str:
        return super().read(str(self.root / path.lstrip("/")), limit)

    def write(self, path: str, text: str) -> None:
        if path == "/enabled":
            words = ["always", "madvise", "never"]
            if text not in words:
                raise HostError(f"cannot write {path}: Invalid argument")
            text = " ".join(f"[{word}]" if word == text else word for word in words) + "\n"
        super().write(str(self.root / path.lstrip("/")), text)

    def now(self) -> dict[str, str]:
        return {path: self.read(path) for path in BEFORE}


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    root = tmp_path / "host"
    root.mkdir()
    for path, text in BEFORE.items():
        (root / path.lstrip("/")).write_text(text)
    return Tree(root)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "host.journal"


@contextmanager
def held(tree: Tree, journal: Path, writes: tuple[HostWrite, ...] = WRITES) -> Iterator[None]:
    with temporary_writes(writes, tree, journal, lock=journal.parent / "lock"):
        yield


def restore(tree: Tree, journal: Path) -> tuple[str, ...]:
    return recover(journal, tree, lock=journal.parent / "lock")


def test_written_inside_restored_outside(tree: Tree, journal: Path) -> None:
    with held(tree, journal):
        inside = tree.now()
        assert pending_places(journal) == ("/swappiness", "/enabled", "/balancing")
    assert inside == {
        "/swappiness": "1",
        "/enabled": "[always] madvise never\n",
        "/balancing": "0",
    }
    assert tree.now() == BEFORE
    assert pending_places(journal) == ()
    assert restore(tree, journal) == ()


def test_restored_backwards_when_the_body_raises(tree: Tree, journal: Path) -> None:
    with pytest.raises(KeyboardInterrupt), held(tree, journal):
        raise KeyboardInterrupt
    assert tree.now() == BEFORE
    restored = [
        entry["path"]
        for entry in map(json.loads, journal.read_text().splitlines())
        if entry["do"] == "restored"
    ]
    assert restored == ["/balancing", "/enabled", "/swappiness"]


def test_no_writes_need_no_lock_and_no_journal(tree: Tree, journal: Path) -> None:
    with temporary_writes((), tree, journal, lock=Path("/nonexistent/lock")):
        pass
    assert not journal.exists()
    assert recover(journal, tree, lock=Path("/nonexistent/lock")) == ()


def test_a_value_that_is_there_already_is_not_written(tree: Tree, journal: Path) -> None:
    with held(tree, journal, (HostWrite("/enabled", "madvise"),)):
        assert pending_places(journal) == ()


def test_a_refused_write_undoes_the_earlier_ones(tree: Tree, journal: Path) -> None:
    writes = (HostWrite("/swappiness", "1"), HostWrite("/enabled", "sometimes"))
    with pytest.raises(HostError, match="Invalid argument"), held(tree, journal, writes):
        pytest.fail("the body must not run")
    assert tree.now() == BEFORE
    missing = (HostWrite("/swappiness", "1"), HostWrite("/absent", "1"))
    with pytest.raises(HostError, match="absent"), held(tree, journal, missing):
        pytest.fail("the body must not run")
    assert tree.now() == BEFORE


def test_a_write_that_the_kernel_swallows_is_noticed(tree: Tree, journal: Path) -> None:
    class Deaf(Tree):
        def write(self, path: str, text: str) -> None:
            if path != "/swappiness" or text != "1":
                super().write(path, text)

    deaf = Deaf(tree.root)
    with pytest.raises(HostError, match=r"must read '1' .* reads '60'"), held(deaf, journal):
        pytest.fail("the body must not run")
    assert tree.now() == BEFORE


def test_what_somebody_else_changed_is_left_and_reported(tree: Tree, journal: Path) -> None:
    with pytest.raises(HostError, match=r"/swappiness was left at '30'"), held(tree, journal):
        tree.write("/swappiness", "30")
    assert tree.now() == {**BEFORE, "/swappiness": "30"}
    assert restore(tree, journal) == ()


def test_a_failing_body_keeps_its_error_and_gets_the_report_as_a_note(
    tree: Tree, journal: Path
) -> None:
    def body() -> None:
        tree.write("/swappiness", "30")
        raise ValueError("boom")

    with pytest.raises(ValueError, match="boom") as caught, held(tree, journal):
        body()
    assert any("/swappiness" in note for note in caught.value.__notes__)


def test_only_one_at_a_time(tree: Tree, journal: Path) -> None:
    with held(tree, journal):
        other = journal.with_name("other.journal")
        with pytest.raises(HostError, match="another trimtab"), held(tree, other):
            pytest.fail("the body must not run")
    assert tree.now() == BEFORE


def test_a_lock_that_cannot_be_made_is_one_line(tree: Tree, journal: Path) -> None:
    lock = tree.root / "swappiness" / "lock"
    with (
        pytest.raises(HostError, match="cannot lock"),
        temporary_writes(WRITES, tree, journal, lock=lock),
    ):
        pytest.fail("the body must not run")


CRASH = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.integration.host_settings.test_apply import Tree, WRITES
from trimtab.host_settings.transaction import temporary_writes

step = int(sys.argv[3])
count = 0

def tick():
    global count
    if count == step:
        os._exit(9)
    count += 1

class Mortal(Tree):
    def write(self, path, text):
        tick()
        super().write(path, text)
        tick()

journal = Path(sys.argv[2]).parent / "host.journal"
with temporary_writes(WRITES, Mortal(Path(sys.argv[2])), journal, lock=journal.parent / "lock"):
    tick()
"""

STEPS = 2 * len(WRITES) + 1 + 2 * len(WRITES)
"""Before and after each write, in the body, before and after each restore."""


@pytest.mark.parametrize("step", range(STEPS))
def test_killed_at_any_step_recovers_exactly(tree: Tree, journal: Path, step: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CRASH, str(Path(__file__).parents[3]), str(tree.root), str(step)],
        check=False,
        timeout=60,
    )
    assert done.returncode == 9, "the child must have been killed at this step"
    assert restore(tree, journal) == ()
    assert tree.now() == BEFORE
    assert pending_places(journal) == ()


def test_a_torn_journal_is_replayed(tree: Tree, journal: Path) -> None:
    entry = {"do": "write", "path": "/swappiness", "before": "60\n", "after": "1"}
    journal.write_text(json.dumps(entry) + '\n{"do":"restored","path":"/swap')
    tree.write("/swappiness", "1")
    assert restore(tree, journal) == ()
    assert tree.now() == BEFORE
    assert pending_places(journal) == ()


def test_recover_goes_on_past_a_failure(tree: Tree, journal: Path) -> None:
    lines = [
        {"do": "write", "path": "/swappiness", "before": "60\n", "after": "1"},
        {"do": "write", "path": "/absent", "before": "1", "after": "2"},
    ]
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    tree.write("/swappiness", "1")
    (sentence,) = restore(tree, journal)
    assert "/absent must be set back to '1' by hand" in sentence
    assert tree.now() == BEFORE
    assert pending_places(journal) == ("/absent",)

"""Modules that wait in the oracle's child program: run when used, and only then, and once."""

import subprocess
import sys
from pathlib import Path

import pytest

from trimtab.oracle.executor import CHILD

MODULES = {
    "heavy/__init__.py": "print('heavy runs')\nfrom .part import Part\nRATE = 2\n",
    "heavy/part.py": "print('part runs')\nclass Part:\n    kind = 'a part'\n",
    "heavy/other.py": "print('other runs')\nLEFT = 1\n",
    "user.py": (
        "import heavy\nfrom heavy import Part\n"
        "def use(part: Part | None = None) -> str:\n    return Part().kind\n"
    ),
    "changes.py": "print('changes runs')\nimport server.api\nserver.api.answer = lambda: 'new'\n",
    "server/__init__.py": "",
    "server/api.py": "print('api runs')\ndef answer():\n    return 'old'\n",
}
START = "from oracle_child import later\nlater.defer({'heavy': ''}, {'changes': ('server',)})\n"


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    for name, text in MODULES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


def said(packages: Path, program: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", START + program],
        env={"PYTHONPATH": f"{CHILD}:{packages}"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("import user", []),
        ("import user; print(user.use())", ["heavy runs", "part runs", "a part"]),
        ("import heavy; print(heavy.RATE == 2)", ["heavy runs", "part runs", "True"]),
        ("import heavy.other", ["heavy runs", "part runs", "other runs"]),
        (
            "import user\nclass Mine(user.Part): ...\nprint(isinstance(Mine(), user.Part))",
            ["heavy runs", "part runs", "True"],
        ),
        ("import heavy; heavy.RATE = 3; print(heavy.RATE)", ["heavy runs", "part runs", "3"]),
    ],
    ids=["imported", "called", "a value", "a part of it", "a base", "changed"],
)
def test_a_module_runs_when_it_is_used(packages: Path, program: str, expected: list[str]) -> None:
    assert said(packages, program) == expected


def test_a_patch_waits_for_what_it_changes_and_comes_before_anybody_uses_it(
    packages: Path,
) -> None:
    assert said(packages, "import changes") == []
    ran = ["changes runs", "api runs", "new"]
    assert said(packages, "import changes\nimport server.api\nprint(server.api.answer())") == ran


def test_what_is_not_there_is_missed_as_always(packages: Path) -> None:
    (packages / "heavy" / "__init__.py").unlink()
    (packages / "heavy" / "part.py").unlink()
    (packages / "heavy" / "other.py").unlink()
    (packages / "heavy").rmdir()
    program = "try:\n    import heavy\nexcept ImportError:\n    print('missing')"
    assert said(packages, program) == ["missing"]


def test_what_is_absent_meanwhile_can_be_imported_afterwards(packages: Path) -> None:
    program = """
with later.absent('server.api'):
    try:
        from server import api
    except ImportError as error:
        print(error)
from server import api
print(api.answer())
"""
    missed = "import of server.api halted; None in sys.modules"
    assert said(packages, program) == [missed, "api runs", "old"]


def test_a_distribution_is_looked_up_when_asked_and_all_only_where_names_differ(
    packages: Path,
) -> None:
    program = """
from importlib import metadata
from oracle_child import distributions
whole = metadata.packages_distributions()
made = []
metadata.packages_distributions = lambda: made.append(1) or whole
distributions.look_up_when_asked()
table = metadata.packages_distributions()
print(table['pytest'], len(made))
print(table['yaml'] == whole['yaml'], len(made))
try:
    table['no_such']
except KeyError as error:
    print('missing', error)
"""
    assert said(packages, program) == ["['pytest'] 0", "True 1", "missing 'no_such'"]


DECORATED = """
from types import SimpleNamespace
from oracle_child.compiled_later import compiled_when_called

def compile(function, *, dynamic=False):
    print('compiles', getattr(function, '__name__', function), dynamic)
    return lambda *given: ('compiled', function(*given))

plain = SimpleNamespace(disable=compile, allow_in_graph=compile, assume_constant_result=compile)
torch = SimpleNamespace(compile=compile, compiler=plain)
with compiled_when_called(torch):
    @torch.compile
    def one(number):
        return number
    @torch.compile(dynamic=True)
    def two(number):
        return 2 * number
    @torch.compiler.disable
    def three():
        return 3
"""


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("print(one.__name__, two.__name__)", ["one two"]),
        ("print(one(1), one(2))", ["compiles one False", "('compiled', 1) ('compiled', 2)"]),
        ("print(two(1))", ["compiles two True", "('compiled', 2)"]),
        ("print(three())", ["compiles three False", "('compiled', 3)"]),
        ("print(torch.compile is plain.disable is compile)", ["True"]),
        (
            "with compiled_when_called(torch):\n    made = torch.compile(print)\nmade('now')",
            ["compiles print False", "now"],
        ),
    ],
    ids=["named", "called", "with options", "another", "put back", "no function of Python"],
)
def test_what_is_decorated_is_compiled_when_it_is_called(
    packages: Path, program: str, expected: list[str]
) -> None:
    assert said(packages, DECORATED + program) == expected


TRANSFORMERS = """
import os

def create_import_structure_from_path(path):
    print('reads', os.path.basename(path))
    folder = os.path.dirname(path) if os.path.isfile(path) else path
    inner = os.path.join(folder, 'inner')
    parts = {'inner': create_import_structure_from_path(inner)} if os.path.isdir(inner) else {}
    return {**parts, frozenset({'torch'}): {'of': {'A', 'B'}}}
"""
SCANNED = """
import os
os.environ['ORACLE_KEPT'] = 'kept'
from oracle_child import scanned_once
from transformers.utils import import_utils
found = import_utils.create_import_structure_from_path('models')
again = import_utils.create_import_structure_from_path('models/__init__.py')
print(found == again, sorted(found['inner'][frozenset({'torch'})]['of']))
"""


def test_models_are_read_once_until_they_are_installed_anew(
    packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(packages)
    Path("transformers", "utils").mkdir(parents=True)
    Path("transformers", "utils", "import_utils.py").write_text(TRANSFORMERS)
    Path("models", "inner").mkdir(parents=True)
    Path("models", "__init__.py").touch()
    answer = "True ['A', 'B']"
    assert said(packages, SCANNED) == ["reads models", "reads inner", answer]  # nowhere to keep it
    Path("kept").mkdir()
    assert said(packages, SCANNED) == ["reads models", "reads inner", answer]
    assert said(packages, SCANNED) == [answer]
    for one in Path("kept").iterdir():
        one.write_bytes(one.read_bytes()[:-9])
    assert said(packages, SCANNED) == ["reads models", "reads inner", answer]
    Path("models", "another").touch()
    assert said(packages, SCANNED) == ["reads models", "reads inner", answer]


BINDS = """
import os, threading, time
from oracle_child import seen

cpu = min(os.sched_getaffinity(0))
named = threading.Event()

def work():
    open('/proc/thread-self/comm', 'w').write('acl_thread')
    named.set()
    until = time.thread_time() + 0.1
    while time.thread_time() < until:  # at work between its name and its CPUs
        pass
    os.sched_setaffinity(0, {cpu})
    threading.Event().wait()

threading.Thread(target=work, daemon=True).start()
named.wait()
print(seen.LOOKS['threads'].read({})['acl_thread'] == [str(cpu)])
"""


def test_threads_are_read_once_they_have_bound_themselves(packages: Path) -> None:
    assert said(packages, BINDS) == ["True"]

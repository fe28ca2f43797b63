"""Exit codes: one table for help and docs, and 2 for whatever is typed wrongly."""

from __future__ import annotations

import ast
import errno
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer

from tests.integration.cli.test_manners import COMMANDS, help_of
from trimtab import errors
from trimtab.cli import app, conventions, terminal
from trimtab.errors import TrimtabError

ROOT = Path(__file__).parents[3]
LEAVES = [" ".join(path) for path, one in COMMANDS.items() if not hasattr(one, "commands")]
ME = str(os.getpid())


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setattr(terminal, "_asked", terminal.Verbosity())


def ran(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str]:
    """Run a command line in this process; return its exit code and standard error."""
    monkeypatch.setattr(sys, "argv", ["trimtab", *words])
    monkeypatch.setattr("signal.signal", lambda *_: None)
    capsys.readouterr()
    code = app.run()
    return code, capsys.readouterr().err


def test_each_command_has_its_codes() -> None:
    assert list(conventions.CODES) == sorted(LEAVES, key=list(conventions.CODES).index)


@pytest.mark.parametrize("name", LEAVES)
def test_help_lists_the_codes_and_so_does_the_page(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    section = help_of(tuple(name.split()), "-h", capsys).partition("\nExit codes:\n")[2]
    listed = [int(found) for found in re.findall(r"^  (\d+) ", section, re.MULTILINE)]
    assert listed == list(conventions.codes_of(name))
    page = (ROOT / "docs" / "exit-codes.md").read_text()
    rows = re.findall(rf"^\| `trimtab {name}` \| (\d+) \|", page, re.MULTILINE)
    assert [int(code) for code in rows] == list(conventions.CODES[name])


def literals(path: Path) -> set[int]:
    """Return the numbers with which a module ends a command."""
    found: set[int] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "typer.Exit" and node.args:
            code = node.args[0]
            if isinstance(code, ast.Constant):
                found.add(int(str(code.value)))
    return found


@pytest.mark.parametrize("module", sorted({name.split()[0] for name in LEAVES}))
def test_no_command_ends_with_a_code_that_is_not_listed(module: str) -> None:
    own = {
        code for name in LEAVES if name.split()[0] == module for code in conventions.codes_of(name)
    }
    assert literals(ROOT / "src" / "trimtab" / "cli" / f"{module}.py") <= own


def test_the_codes_of_errors_are_listed() -> None:
    kinds = [one for one in vars(errors).values() if isinstance(one, type)]
    codes = {one.exit_code for one in kinds if issubclass(one, TrimtabError)}
    assert codes == {1, 2, 78}
    assert 78 in conventions.codes_of("run")


def test_the_other_pages_lead_to_the_page() -> None:
    for name in ("README.md", "docs/tune.md", "docs/lint.md", "docs/doctor.md", "docs/run.md"):
        assert "exit-codes.md)" in (ROOT / name).read_text(), name


@pytest.mark.parametrize("name", [name for name in LEAVES if name != "catalog"])
def test_an_unknown_option_is_one_line(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = ran([*name.split(), "--bogus"], monkeypatch, capsys)
    assert code == 2
    assert said.startswith("trimtab: no such option: --bogus")
    assert said.endswith(f": see 'trimtab {name} -h'\n")
    assert said.count("\n") == 1


FILES: dict[str, Callable[[str], list[str]]] = {
    "tune --baseline": lambda f: ["tune", "--engine", "scripted", "--dry-run", "--baseline", f],
    "tune --workload": lambda f: ["tune", "--engine", "scripted", "--dry-run", "--workload", f],
    "tune --landscape": lambda f: [
        *("tune", "--engine", "simulated", "--dry-run", "--landscape", f)
    ],
    "tune --study": lambda f: ["tune", "--engine", "scripted", "--resume", "--study", f],
    "tune --like": lambda f: ["tune", "--like", f, "--dry-run"],
    "tune --engine-python": lambda f: ["tune", "--engine-python", f, "--dry-run"],
    "tune -- --config": lambda f: [
        *("tune", "--engine", "scripted", "--dry-run", "--", "vllm", "serve", "m", "--config", f)
    ],
    "tune -- PROGRAM": lambda f: ["tune", "--dry-run", "--", f"{f}/vllm", "serve", "m"],
    "show": lambda f: ["show", f],
    "bench": lambda f: ["bench", f, "--engine", "scripted"],
    "bench --workload": lambda f: ["bench", "stock", "--engine", "scripted", "--workload", f],
    "bench --study": lambda f: [
        *("bench", "stock", "--engine", "scripted", "--resume", "--study", f)
    ],
    "capacity": lambda f: ["capacity", f, "--engine", "scripted", "--slo", "ttft_p99<=1s"],
    "compare A": lambda f: ["compare", f, "stock", "--engine", "scripted"],
    "compare B": lambda f: ["compare", "stock", f, "--engine", "scripted"],
    "workload show": lambda f: ["workload", "show", f],
    "doctor --profile": lambda f: ["doctor", "--pid", ME, "--profile", f],
    "doctor --snapshot": lambda f: ["doctor", "--snapshot", f],
    "doctor --python": lambda f: ["doctor", "--python", f],
    "oracle check --profile": lambda f: ["oracle", "check", "--profile", f],
    "oracle binding --snapshot": lambda f: ["oracle", "binding", "--snapshot", f],
    "export": lambda f: ["export", f],
    "export --snapshot": lambda f: ["export", "--preset", "guide", "--snapshot", f],
    "export --engine-python": lambda f: ["export", "--preset", "guide", "--engine-python", f],
    "run --profile": lambda f: ["run", "--profile", f, "--dry-run"],
    "run --verify-only": lambda f: ["run", "--profile", f, "--verify-only", "--pid", ME],
    "host plan": lambda f: ["host", "plan", f],
    "host plan --snapshot": lambda f: ["host", "plan", "--preset", "guide", "--snapshot", f],
    "host apply": lambda f: ["host", "apply", f, "--state", f"{f}.state"],
    "prepare --snapshot": lambda f: ["prepare", "--check", "--snapshot", f],
    "prepare --python": lambda f: ["prepare", "--check", "--target", "cpu", "--python", f],
    "engine list --engine-python": lambda f: ["engine", "list", "--engine-python", f],
    "python verify": lambda f: ["python", "verify", f],
}
"""Option or argument → a command line with a path there."""


def broken(folder: Path, kind: str) -> str:
    """Return a path of a kind that no command takes."""
    path = folder / "given.yaml"
    if kind == "folder":
        path.mkdir()
    elif kind == "links in a circle":
        path.symlink_to(path)
    elif kind == "FIFO":
        os.mkfifo(path)
    elif kind == "too long":
        return str(folder / ("x" * 300))
    elif kind == "below a file":
        path.touch()
        return str(path / "x.yaml")
    elif kind != "missing":
        path.write_bytes(CONTENTS[kind])
    return str(path)


CONTENTS = {
    "empty": b"",
    "binary": bytes(range(256)) * 8,
    "torn YAML": b'a: [1, 2\nb: {"x": \n',
    "a list": b"- 1\n- 2\n",
}
KINDS = ["missing", "folder", "links in a circle", "FIFO", "too long", "below a file", *CONTENTS]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("where", FILES)
def test_a_path_that_cannot_be_taken_is_one_line_and_2(
    where: str,
    kind: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = broken(tmp_path, kind)
    code, said = ran(FILES[where](given), monkeypatch, capsys)
    assert code == 2, said
    assert said.startswith("trimtab: ")
    assert said.count("\n") == 1


@pytest.mark.parametrize("command", ["status", "verify", "rollback"])
@pytest.mark.parametrize("kind", ["links in a circle", "FIFO", "below a file", "too long"])
def test_a_journal_in_no_folder_is_one_line_and_2(
    command: str,
    kind: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = broken(tmp_path, kind)
    code, said = ran(["host", command, "--state", given], monkeypatch, capsys)
    assert (code, said.count("\n")) == (2, 1)
    assert said.startswith("trimtab: ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["compare", "stock"], "missing argument 'B': see 'trimtab compare -h'"),
        (["capacity", "stock"], "missing option '--slo': see 'trimtab capacity -h'"),
        (["tunne"], "no such command 'tunne'"),
        (["catalog", "jemallocc"], "jemalloc"),
        (["catalog", "--bogus"], "--bogus"),  # options of the server are names there
        (["export", "--preset", "guide", "--port", "x"], "invalid value for '--port'"),
        (["export", "--preset", "none-such"], "none-such"),
        (["diff", "guide-v1", "none-such"], "none-such"),
        (["lint", "--preset", "none-such"], "none-such"),
        (["lint", "x", "--format", "xml"], "--format must be text, json, sarif or github"),
        (["workload", "show", "none-such"], "none-such"),
        (["workload", "from-metrics", "ftp://h"], "ftp"),
        (["tune", "--only", "none-such", "--engine", "scripted", "--dry-run"], "none-such"),
        (["tune", "--slo", "ttft<1", "--engine", "scripted", "--dry-run"], "ttft"),
        (["tune", "--budget", "x", "--engine", "scripted", "--dry-run"], "--budget"),
        (["tune", "--engine", "none-such", "--dry-run"], "none-such"),
        (["bench", "--url", "http://h:x"], "http://h:x"),
        (["host", "plan", "--set", "none-such=1"], "none-such"),
        (["host", "plan", "--set", "swappiness"], "swappiness"),
        (["oracle", "check", "--setting", "X"], "X"),
        (["prepare", "--check", "--target", "none-such"], "none-such"),
        (["engine", "install", "none-such"], "none-such"),
        (["python", "verify", "none-such"], "none-such"),
        (["python", "fetch", "x"], "the version must be"),
        (["run", "--profile", "p"], "p"),
        (["run", "--dry-run"], "--profile FILE"),
        (["doctor", "--profile", "p"], "--profile needs --pid"),
        (["doctor", "--layer", "none-such"], "--layer must be one of"),
        (["show", "--why", "x", "--left-out"], "name one of them"),
    ],
)
def test_what_is_typed_wrongly_is_one_line_and_2(
    words: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    code, text = ran(words, monkeypatch, capsys)
    assert code == 2
    assert text.startswith("trimtab: ")
    assert said in text
    assert text.count("\n") == 1


def raising(error: BaseException) -> Callable[[], Callable[..., None]]:
    def run(**_: object) -> None:
        raise error

    return lambda *_: run


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (errors.ServerLostError("it died"), 1, "it died"),
        (errors.UsageError("two\n lines"), 2, "two lines"),
        (errors.RunRefusedError("no"), 78, "no"),
        (
            OSError(errno.ENOSPC, "No space left on device", "/study/x"),
            1,
            "No space left on device: /study/x: free some space, then resume",
        ),
        (
            OSError(errno.ENAMETOOLONG, "File name too long", "/study/x"),
            2,
            "File name too long: /study/x: name another path",
        ),
        (
            OSError(errno.EACCES, "Permission denied", "/x/y"),
            1,
            "Permission denied: /x/y",
        ),
    ],
)
def test_what_ends_a_command_has_its_code(
    error: BaseException,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("trimtab.cli.conventions.name_values", lambda _: None)
    monkeypatch.setattr("typer.main.get_command", raising(error))
    assert ran(["show", "--study=/study"], monkeypatch, capsys) == (code, f"trimtab: {said}\n")


@pytest.mark.parametrize(
    ("terminal_", "expected"),
    [
        (True, (130, "\ntrimtab: interrupted\n")),
        (
            False,
            (
                1,
                "\ntrimtab: the question had no answer: answer it in a terminal, or add --yes\n",
            ),
        ),
    ],
)
def test_a_question_without_an_answer(
    terminal_: bool,
    expected: tuple[int, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("trimtab.cli.conventions.name_values", lambda _: None)
    monkeypatch.setattr("typer.main.get_command", raising(typer.Abort()))
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: terminal_))
    assert ran(["show"], monkeypatch, capsys) == expected


@pytest.mark.parametrize(
    "words",
    [
        ["workload", "from-metrics", "http://127.0.0.1:9", "--out"],
        ["oracle", "table", "--output"],
    ],
    ids=lambda words: words[0],
)
def test_a_place_for_the_result_comes_first(
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for place in (tmp_path, tmp_path / "none" / "x"):
        code, said = ran([*words, str(place)], monkeypatch, capsys)
        assert (code, said) == (
            2,
            f"trimtab: {words[-1]} must be a file in a folder that exists, but is {place}\n",
        )


def test_an_event_says_the_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["tune", "--json", "--dry-run", "--baseline", str(tmp_path / "none.sh")]
    code, said = ran(words, monkeypatch, capsys)
    last = json.loads(said.splitlines()[-1])
    assert (code, last["event"], last["exit_code"]) == (2, "error", 2)

"""What every command shares on the command line."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from trimtab.cli import conventions, terminal
from trimtab.cli.app import COMMANDS as COMMANDS_BY_NAME
from trimtab.cli.app import app
from trimtab.errors import UsageError
from trimtab.model import Phase, StartRequest
from trimtab.study.progress import FORMAT, EventDisplay


def built() -> Any:
    command = typer.main.get_command(app)
    conventions.name_values(command)
    return command


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, sub in getattr(command, "commands", {}).items():
        yield from commands(sub, (*path, name))


COMMANDS = dict(commands(built()))


def help_of(path: tuple[str, ...], flag: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        built()([*path, flag], prog_name="trimtab")
    assert ended.value.code == 0
    return capsys.readouterr().out


@pytest.fixture(autouse=True)
def eighty(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERMINAL_WIDTH", "80")
    yield
    terminal.choose()


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_is_short_to_type_and_80_columns_wide(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    text = help_of(path, "-h", capsys)
    assert text == help_of(path, "--help", capsys)
    assert max(map(len, text.splitlines())) <= 80
    assert "<" not in text.replace("<=", "").replace("<time>", ""), "a Python type as a metavar"


@pytest.mark.parametrize(
    "path", [path for path in COMMANDS if not hasattr(COMMANDS[path], "commands")], ids=" ".join
)
def test_every_command_can_be_quiet_or_verbose(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    text = help_of(path, "-h", capsys)
    assert "-q, --quiet" in text
    assert "-v, --verbose" in text


def test_every_value_has_a_noun() -> None:
    for path, command in COMMANDS.items():
        for param in command.params:
            if not getattr(param, "is_flag", False):
                assert param.metavar, f"{' '.join(path)}: give {param.opts[0]} a noun in METAVARS"
                assert param.metavar.upper() == param.metavar or " " in param.metavar


def test_every_command_has_its_section_and_no_summary_is_cut(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = help_of((), "-h", capsys)
    listed = {name for names in conventions.SECTIONS.values() for name in names}
    assert {path[0] for path in COMMANDS if len(path) == 1} <= listed
    assert "..." not in text.replace("[ARGS]...", "")


def test_long_help_is_grouped(capsys: pytest.CaptureFixture[str]) -> None:
    text = help_of(("tune",), "-h", capsys)
    for title in ("Server:", "Workload:", "Tunings:", "Study:", "Options:"):
        assert f"\n{title}\n" in text
    left = text.partition("\nOptions:\n")[2]
    assert left.count("\n  -") <= 8, "give new options a group in GROUPS"


def test_quiet_silences_what_is_said_but_not_errors(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.choose(quiet=True)
    terminal.say("study: x")
    terminal.fail("no such file", 2)
    assert capsys.readouterr().err == "trimtab: no such file\n"


def test_what_a_server_says_cannot_steer_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.choose()
    terminal.say("model \x1b[31mm\x1b]0;t\x07 \u202ex é\n\tnext")
    terminal.fail("\x9b2J", 1)
    assert capsys.readouterr().err == "model ?[31mm?]0;t? ?x é\n\tnext\ntrimtab: ?2J\n"


def test_a_script_that_reads_json_gets_events(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.choose(events=True)
    terminal.say("study: x")
    terminal.fail("no such file", 2)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(one["event"], one["text"], one["format"]) for one in lines] == [
        ("note", "study: x", FORMAT),
        ("error", "no such file", FORMAT),
    ]
    assert lines[1]["exit_code"] == 2


def test_events_are_json_lines_until_nobody_reads() -> None:
    class Closed(io.StringIO):
        def write(self, text: str, /) -> int:
            raise BrokenPipeError

    stream = io.StringIO()
    for target in (stream, Closed()):
        events = EventDisplay(target, "ttft_p99", clock=lambda: 5.0)
        events.begin_start(3, StartRequest(Phase.SCREEN, 0, "row 2", (), 1))
        events.state("load")
        events.best(None)
        events.close()
        events.note("never")
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert first == {
        "event": "start",
        "format": FORMAT,
        "time": 5.0,
        "start": 3,
        "phase": "screen",
        "arm": "row 2",
    }
    assert (second["event"], second["start"], second["state"]) == ("state", 3, "load")


def test_no_color_takes_every_style_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")

    def shown() -> str:
        console = terminal.console()
        console.file = io.StringIO()
        console.print("wrong", style="bold red")
        return console.file.getvalue()

    assert "\x1b[" in shown()
    monkeypatch.setenv("NO_COLOR", "1")
    assert shown() == "wrong\n"


def test_a_verbosity_of_its_own_is_left_alone() -> None:
    def command(quiet: bool = False) -> bool:
        return quiet

    assert conventions.with_verbosity(command) is command


def test_verbosity_reaches_the_terminal_and_not_the_command() -> None:
    def command(name: str) -> str:
        if terminal.is_verbose():
            raise UsageError(name)
        return name

    dressed = conventions.with_verbosity(command)
    assert dressed("x") == "x"
    with pytest.raises(UsageError, match="x"):
        dressed("x", verbose=True)


@pytest.mark.parametrize("name", COMMANDS_BY_NAME)
def test_the_summary_of_a_command_is_the_first_sentence_of_its_help(name: str) -> None:
    assert conventions._summary(COMMANDS[(name,)]) == COMMANDS_BY_NAME[name]


def test_a_command_imports_no_other_command() -> None:
    code = (
        "import sys; sys.argv = ['trimtab', 'lint', '--help']\n"
        "from trimtab.cli.app import run\n"
        "run(); print(sorted(m for m in sys.modules if m.startswith('trimtab.cli.')))"
    )
    words = [sys.executable, "-c", code]
    said = subprocess.run(words, capture_output=True, text=True, check=True)
    loaded = said.stdout.splitlines()[-1]
    assert "'trimtab.cli.lint'" in loaded
    assert not [
        name for name in COMMANDS_BY_NAME if name != "lint" and f"trimtab.cli.{name}'" in loaded
    ]


def test_the_completion_of_a_shell_knows_the_options_of_a_command() -> None:
    environment = {
        **os.environ,
        "_TRIMTAB_COMPLETE": "complete_bash",
        "COMP_WORDS": "trimtab lint --stdin",
        "COMP_CWORD": "2",
    }
    words = [sys.executable, "-m", "trimtab"]
    said = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert said.stdout.split() == ["--stdin-filename"]

"""What lint prints for people: errors first, repeats once, infos counted, lines that fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from trimtab.linter.output import Style, render
from trimtab.linter.report import Report
from trimtab.model.document import Place
from trimtab.model.finding import Finding, Problem, Severity


def finding(line: int, severity: Severity, rule: str, message: str, fix: str = "") -> Finding:
    text = f"export X={line}"
    place = Place("serve.sh", line, 8, end_column=9 + len(str(line)) + 1, text=text)
    return Finding(rule, severity, Problem.NO_EFFECT, "X", message, fix, place)


def report(*findings: Finding) -> Report:
    return Report(("serve.sh",), findings, (), (), frozenset())


ERROR = finding(9, Severity.ERROR, "value-refused", "X must be 0 or 1", "set it to 0")
WARNING = finding(1, Severity.WARNING, "inert", "X has no effect", "take it out")
INFO = finding(2, Severity.INFO, "redundant", "X is 1, the default")


def test_errors_come_first_and_infos_are_counted() -> None:
    more = finding(3, Severity.INFO, "privileged", "the container may change the host")
    again = finding(4, Severity.INFO, "redundant", "X is 1, the default")
    shown = render(report(WARNING, INFO, more, again, ERROR), Style(everything=False))
    assert shown.splitlines() == [
        "serve.sh:9:8: error[value-refused]: X must be 0 or 1",
        "    export X=9",
        "           ^^^",
        "    fix: set it to 0",
        "serve.sh:1:8: warning[inert]: X has no effect",
        "    export X=1",
        "           ^^^",
        "    fix: take it out",
        "3 infos: redundant (2), privileged (1); --all shows them",
        "1 file: 1 error, 1 warning, 3 infos",
    ]
    assert "info[redundant]: X is 1, the default" in render(report(WARNING, INFO), Style())


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([], []),
        ([1], []),
        ([5], ["and at line 5"]),
        ([7, 5], ["and at lines 5, 7"]),
        ([*range(2, 30)], ["and at lines 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13 and 16 more"]),
    ],
)
def test_what_repeats_is_printed_once_with_its_lines(more: list[int], said: list[str]) -> None:
    same = [finding(line, Severity.WARNING, "inert", "X has no effect") for line in (1, *more)]
    shown = render(report(*same), Style(everything=False)).splitlines()
    assert [line for line in shown if "X has no effect" in line] == [
        "serve.sh:1:8: warning[inert]: X has no effect"
    ]
    assert [line.strip() for line in shown if "and at" in line] == said


def test_lines_have_the_width_and_words_stay_whole() -> None:
    path = "/usr/lib/x86_64-linux-gnu/" + "very-" * 12 + "long.so"
    long = finding(3, Severity.ERROR, "preload", f"the loader finds no file {path} and ignores it")
    source = Place("serve.sh", 1, 101, end_column=110, text="x" * 100 + " --option=1 " + "y" * 90)
    wide = Finding("r", Severity.ERROR, Problem.NO_EFFECT, "X", "cut", "", source)
    shown = render(report(long, wide), Style(width=80)).splitlines()
    assert all(len(line) <= 80 or len(line.split()) == 1 for line in shown)
    assert path in " ".join(shown).split()
    cut = next(i for i, line in enumerate(shown) if "--option" in line)
    mark = shown[cut + 1]
    assert shown[cut][mark.index("^") :].startswith(" --option")


def test_only_a_terminal_without_no_color_gets_colours() -> None:
    assert "\x1b[31;1merror\x1b[0m[value-refused]" in render(report(ERROR), Style(colour=True))
    assert "\x1b" not in render(report(ERROR), Style())


def test_a_fifo_is_refused_at_once(tmp_path: Path) -> None:
    import os

    from typer.testing import CliRunner

    from trimtab.cli.app import app

    fifo = tmp_path / "serve.sh"
    os.mkfifo(fifo)
    ran = CliRunner().invoke(app, ["lint", str(fifo)])
    assert (ran.exit_code, ran.stdout) == (2, "no file was read\n")
    assert "no plain file" in ran.stderr

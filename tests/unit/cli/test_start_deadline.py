"""Every command that starts servers lets them take their time."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from trimtab.cli.app import app
from trimtab.measurement import runs
from trimtab.study.options import Options


class _SeenError(Exception):
    """Ends a command once its options are known."""


@pytest.mark.parametrize("words", [["bench", "stock"], ["compare", "stock", "guide"]])
def test_the_deadline_reaches_the_options(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Options] = []

    def look(*args: object, **_: object) -> None:
        seen.extend(one for one in args if isinstance(one, Options))
        raise _SeenError

    for name in ("measure_starts", "measure_pairs"):
        if hasattr(runs, name):
            monkeypatch.setattr(runs, name, look)
    result = CliRunner().invoke(app, [*words, "--engine", "scripted", "--start-deadline", "1800"])
    assert isinstance(result.exception, _SeenError)
    assert [one.start_deadline for one in seen] == [1800.0]


@pytest.mark.parametrize("command", ["tune", "bench", "compare", "capacity", "run"])
def test_every_command_that_starts_a_server_has_it(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"})
    assert "--start-deadline" in result.output

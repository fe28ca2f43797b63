"""The lines of a log that a reader is shown."""

from trimtab.server import launcher as enginelog

PREFIX = "(EngineCore pid=42) ERROR 11-22 21:19:20 [core.py:1] "


def test_exceptions_come_before_all_else() -> None:
    log = (
        "(APIServer pid=1) INFO 11-22 21:19:00 [a.py:1] starting\n"
        f"{PREFIX}EngineCore failed to start.\n"
        f"{PREFIX}Traceback (most recent call last):\n"
        f'{PREFIX}  File "x.py", line 1, in f\n'
        f"{PREFIX}ValueError: No available memory for the cache blocks.\n"
        "RuntimeError: Engine core initialization failed. See root cause above.\n"
        "INFO: done\n"
    )
    assert enginelog.relevant_lines(log) == [
        "ValueError: No available memory for the cache blocks.",
        "RuntimeError: Engine core initialization failed. See root cause above.",
    ]


def test_a_validation_error_comes_with_its_reason() -> None:
    what = "pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig"
    why = "Value error, User-specified max_model_len (9) is greater than the derived"
    log = f"{what}\n  {why}\n    For further information visit\n"
    assert enginelog.relevant_lines(log) == [f"{what}: {why}"]


def test_marked_errors_come_next() -> None:
    log = "usage: vllm serve\nvllm: error: unrecognized arguments: --no-such-flag\nbye\n"
    assert enginelog.relevant_lines(log) == ["vllm: error: unrecognized arguments: --no-such-flag"]
    assert enginelog.relevant_lines(f"ok\n{PREFIX}it broke\nok\n") == ["it broke"]


def test_otherwise_the_last_lines_are_shown() -> None:
    log = "".join(f"line {number}\n\n" for number in range(20))
    assert enginelog.relevant_lines(log, limit=2) == ["line 18", "line 19"]
    assert enginelog.relevant_lines("") == []


def test_repeated_and_endless_lines_are_shortened() -> None:
    assert enginelog.relevant_lines("KeyError: 'a'\n" * 9 + "ValueError: b\n") == [
        "KeyError: 'a'",
        "ValueError: b",
    ]
    (line,) = enginelog.relevant_lines("ValueError: " + "x" * 5000)
    assert len(line) == 300


def test_the_last_line_is_bare() -> None:
    log = "one\n(Worker pid=7) INFO 11-22 21:15:09 [cpu_model_runner.py:87] Warming up\n  \n"
    assert enginelog.last_line(log) == "Warming up"
    assert enginelog.last_line("\n\n") == "(nothing)"


def test_a_taken_port_is_told() -> None:
    assert enginelog.is_port_taken("OSError: [Errno 98] Address already in use")
    assert enginelog.is_port_taken("error: [Errno 98] error while attempting to bind")
    assert not enginelog.is_port_taken("OSError: [Errno 13] Permission denied")

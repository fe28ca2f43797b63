from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab import baseline
from trimtab.errors import UsageError


def write(folder: Path, text: str) -> Path:
    path = folder / "serve.sh"
    path.write_text(text)
    return path


def test_command_with_exports_continuations_and_endpoint(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "#!/bin/sh\n# what we run\nexport OMP_NUM_THREADS=4\nTASK_QUEUE_ENABLE=1\n"
        "exec /e/vllm serve /models/q \\\n  --port 8000 --host=0.0.0.0 \\\n"
        "  --hf-overrides '{\"a b\": 1}' --max-num-seqs=64\n",
    )
    command = baseline.read_file(path)
    assert command.model == "/models/q"
    assert command.args == ("--hf-overrides", '{"a b": 1}', "--max-num-seqs=64")
    assert command.env == (("OMP_NUM_THREADS", "4"), ("TASK_QUEUE_ENABLE", "1"))
    assert command.program == "/e/vllm"


def test_inline_assignment_wins_over_export(tmp_path: Path) -> None:
    command = baseline.read_file(write(tmp_path, "export A=1\nA=2 vllm serve m\n"))
    assert command.env == (("A", "2"),)


@pytest.mark.parametrize(
    "words", [["vllm", "serve", "--model", "m", "-x"], ["vllm", "serve", "-x", "--model=m"]]
)
def test_model_as_option(words: list[str]) -> None:
    assert baseline.parse(words) == baseline.ServeCommand("m", ("-x",))


@pytest.mark.parametrize(
    ("words", "program"),
    [
        ("vllm serve m", "vllm"),
        ("exec env A=1 /opt/env/bin/vllm serve m", "/opt/env/bin/vllm"),
        ("A=1 ./vllm serve m", "./vllm"),
        ("env A=1 python -m vllm serve m", "python"),
        ("A=1 /e/bin/python3.11 -m vllm.entrypoints.cli.main serve m", "/e/bin/python3.11"),
    ],
)
def test_the_program_is_kept(words: str, program: str) -> None:
    command = baseline.parse(words.split())
    assert (command.program, command.model) == (program, "m")
    assert command.env == ((("A", "1"),) if "A=1" in words else ())


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("numactl -N 0 vllm serve m", "'numactl'"),
        ("A=1 taskset -c 0 vllm serve m", "'taskset'"),
        ("env -u A vllm serve m", "'-u'"),
        ("docker run image vllm serve m", "'docker'"),
        ("nohup vllm serve m", "'nohup'"),
        ("vllm -v serve m", "'-v'"),
        ("vllm bench serve m", "'bench'"),
        ("python -O -m vllm serve m", "'python'"),
        ("python -m vllm.entrypoints.openai.api_server --model serve", "'python'"),
        ("pythonic -m vllm serve m", "'pythonic'"),
        ("vllm", "is only: vllm"),
        ("A=1", "is only: A=1"),
    ],
)
def test_a_word_that_would_be_dropped_is_refused_by_name(words: str, named: str) -> None:
    with pytest.raises(UsageError, match="must be 'vllm serve MODEL") as error:
        baseline.parse(words.split())
    assert named in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("vllm serve $MODEL\n", ":1 holds '$'"),
        ("set -e; vllm serve m\n", ":1 holds ';'"),
        ("export A\nvllm serve m\n", ":1 must be NAME=VALUE"),
        ("vllm serve 'm\n", ":1 cannot be split"),
        ("python serve.py\n", "must be 'vllm serve MODEL"),
        ("vllm serve --port 1\n", "must name the model"),
        ("# nothing\n", "holds no 'vllm serve MODEL'"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(
    tmp_path: Path, text: str, named: str
) -> None:
    with pytest.raises(UsageError) as error:
        baseline.read_file(write(tmp_path, text))
    assert named in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_and_oversized_files(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        baseline.read_file(tmp_path / "absent")
    with pytest.raises(UsageError, match="at most"):
        baseline.read_file(write(tmp_path, "#" * (baseline.MAX_BYTES + 1)))


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1)))
def test_arguments_pass_through_unchanged(args: list[str]) -> None:
    args = [arg for arg in args if arg.partition("=")[0] not in ("--host", "--port", "--uds")]
    assert baseline.parse(["vllm", "serve", "m", *args]).args == tuple(args)

import re
import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.errors import UsageError
from trimtab.study import baseline
from trimtab.study.baseline import shell_words


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
        ("vllm -v serve m", "'-v'"),
        ("vllm bench serve m", "'bench'"),
        ("python -O -m vllm serve m", "'python'"),
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
        ("vllm serve $MODEL\n", ":1 holds '$MODEL'"),
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
    with pytest.raises(UsageError, match="more than 65,536 bytes"):
        baseline.read_file(write(tmp_path, "#" * (baseline.MAX_BYTES + 1)))


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1)
OPTIONS = st.sampled_from(["--max-num-seqs", "--max_num_seqs=4", "-tp", "-O3", "--nosuch", "--"])


@given(st.lists(TEXTS.filter(lambda text: not text.startswith("-")) | OPTIONS))
def test_arguments_pass_through_unchanged(args: list[str]) -> None:
    assert baseline.parse(["vllm", "serve", "m", *args]).args == tuple(args)


@pytest.mark.parametrize(
    ("text", "args"),
    [
        ('vllm serve m --api-key "a&b"', ("--api-key", "a&b")),
        ("vllm serve m --api-key a\\&b", ("--api-key", "a&b")),
        ("vllm serve m --api-key 'a$b`c'", ("--api-key", "a$b`c")),
        ('vllm serve m --x "a\\$b"', ("--x", "a$b")),
        ("vllm serve m  # fast (and good)", ()),
        ("vllm serve m --x a#b", ("--x", "a#b")),
        ('N=3\nvllm serve m --x $N --y "${N}0"', ("--x", "3", "--y", "30")),
        ("vllm serve m --x [1,2] --y=''", ("--x", "[1,2]", "--y=")),
        ("set -eu\r\nvllm serve m \\\r\n  --x 1\r\n", ("--x", "1")),
        (f"vllm serve m --x ~/a --y={'~'}/b", ("--x", f"{Path.home()}/a", f"--y={Path.home()}/b")),
    ],
)
def test_quoted_and_escaped_text_is_no_syntax(
    tmp_path: Path, text: str, args: tuple[str, ...]
) -> None:
    assert baseline.read_file(write(tmp_path, text)).args == args


def test_models_and_variables_may_be_quoted(tmp_path: Path) -> None:
    text = 'export VLLM_LOGGING_PREFIX="[a; b]"\nvllm serve "/models/Qwen (1)"\n'
    command = baseline.read_file(write(tmp_path, text))
    assert command.model == "/models/Qwen (1)"
    assert command.env == (("VLLM_LOGGING_PREFIX", "[a; b]"),)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ('"$X"', "'$X'"),
        ('"`id`"', "'`'"),
        ("$(id)", "'$'"),
        ("*.bin", "'*'"),
        ("{a,b}", "'{a,b}'"),
        ("~root/x", "'~root/x'"),
        ("a;b", "';'"),
        ("x \\ ", "blank"),
    ],
)
def test_what_only_a_shell_knows_is_refused_by_name(
    tmp_path: Path, words: str, named: str
) -> None:
    with pytest.raises(UsageError) as error:
        baseline.read_file(write(tmp_path, f"vllm serve m {words}\n"))
    assert named in str(error.value)


@given(st.lists(st.text(st.characters(codec="ascii", exclude_categories=["Cc"])), min_size=1))
def test_what_shlex_quotes_is_read_back(words: list[str]) -> None:
    assert shell_words.split(shlex.join(words), "here", {}, "/home") == words


def config(folder: Path, text: str) -> str:
    path = folder / "c.yaml"
    path.write_text(text)
    return str(path)


def test_a_config_file_stands_before_the_command_line(tmp_path: Path) -> None:
    path = config(
        tmp_path,
        "model: other\nport: 1\nenforce-eager: true\ntensor_parallel_size: 2\nmax-num-seqs: 8\n"
        "enable-prefix-caching: false\ntrust-remote-code: false\nlora-modules: [a, b]\n"
        "compilation-config: {pass_config: {fuse: true}}\n",
    )
    command = baseline.parse(["vllm", "serve", "m", "--config", path, "--max_num_seqs=4"])
    assert command.model == "m"
    assert command.args == (
        "--enforce-eager",
        *("--tensor_parallel_size", "2"),
        "--no-enable-prefix-caching",
        "--no-trust-remote-code",
        *("--lora-modules", "a", "b"),
        *("--compilation-config", '{"pass_config": {"fuse": true}}'),
        "--max_num_seqs=4",
    )
    short = baseline.parse(["vllm", "serve", "m", "-tp", "4", "--config", path])
    assert "--tensor_parallel_size" not in short.args
    assert baseline.parse(["vllm", "serve", "--config", path]).model == "other"


@pytest.mark.parametrize(
    ("text", "named"),
    [("a: [", "no YAML"), ("- a", "must map"), ("3: x", "must map"), ("a: b", "name the model")],
)
def test_a_bad_config_file_is_one_line(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(UsageError, match=named) as error:
        baseline.parse(["vllm", "serve", "--config", config(tmp_path, text)])
    assert "\n" not in str(error.value)


def test_a_config_file_that_is_not_read_is_refused(tmp_path: Path) -> None:
    for words, named in (
        (["--config", str(tmp_path / "no.yaml")], "No such file"),
        (["--config", "c.json"], "yaml"),
        (["--config=c.yaml"], "write --config FILE"),
        (["--config"], "one file"),
    ):
        with pytest.raises(UsageError, match=named):
            baseline.parse(["vllm", "serve", "m", *words])


@pytest.mark.parametrize(
    "words",
    [
        "python3 -m vllm.entrypoints.openai.api_server --model m --seed 1",
        "nohup vllm serve m --seed 1",
        "docker run --rm -e A=1 --gpus all -v /a:/b vllm/vllm-openai:v0.32.0 --model m --seed 1",
        "docker run -it --shm-size 2g img vllm serve m --seed 1",
        "podman run --entrypoint vllm img serve m --seed 1",
        "docker run img python3 -m vllm.entrypoints.openai.api_server --model m --seed 1",
    ],
)
def test_other_ways_to_start_it_are_read(words: str) -> None:
    command = baseline.parse(words.split())
    assert (command.model, command.args) == ("m", ("--seed", "1"))
    assert command.env == ((("A", "1"),) if "A=1" in words else ())
    assert bool(command.notes) == (" run " in words)


@pytest.mark.parametrize(
    "word",
    [
        *("--headless", "--grpc", "--data-parallel-rank=1", "-dpr", "--data_parallel_start_rank"),
        *("--nnodes", "--node-rank"),
    ],
)
def test_a_server_that_never_answers_is_refused_at_once(word: str) -> None:
    with pytest.raises(UsageError, match="never answers"):
        baseline.parse(["vllm", "serve", "m", word, "2"])


def test_tls_and_address_are_left_out_with_a_sentence() -> None:
    words = "--ssl-keyfile k --ssl_certfile=c --enable-ssl-refresh --uds /s --host h --seed 1"
    command = baseline.parse(["vllm", "serve", "m", *words.split()])
    assert command.args == ("--seed", "1")
    assert "TLS" in command.notes[0]


def test_secrets_of_a_refused_command_are_not_in_its_message() -> None:
    for words in (["numactl", "--api-key", "hunter2-x"], ["DB_PASS=hunter2-x"]):
        with pytest.raises(UsageError) as error:
            baseline.parse(words)
        assert "hunter2" not in str(error.value)
    with pytest.raises(UsageError, match="line break"):
        baseline.parse(["vllm", "serve", "m", "--api-key", "a\nb"])


PAGE = (Path(__file__).parents[3] / "docs" / "baseline.md").read_text()
ROWS = re.findall(r"^\| `(.+?)` \| (taken|refused)", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("line", "outcome"), ROWS)
def test_the_forms_of_the_page(
    line: str, outcome: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yaml").write_text("model: m\nport: 80\n")
    path = write(tmp_path, line + "\n")
    if outcome == "taken":
        command = baseline.read_file(path)
        assert command.model.rpartition("/")[2] in {"m", "Qwen (1)"}
        assert not {"--port", "--host", "--uds", "--ssl-keyfile"}.intersection(command.args)
        return
    with pytest.raises(UsageError) as error:
        baseline.read_file(path)
    assert "\n" not in str(error.value)


def test_the_page_has_both_outcomes() -> None:
    assert {outcome for _, outcome in ROWS} == {"taken", "refused"}
    assert len(ROWS) == 29


@pytest.mark.parametrize(
    ("words", "program", "args", "env"),
    [
        ("docker run -e A=1 img --model m -tp 2", "", ("-tp", "2"), (("A", "1"),)),
        ("sudo -E docker run img m", "", (), ()),
        ("podman run --entrypoint python3 img -m vllm serve m", "", (), ()),
        ("docker run img bash -lc 'B=2 exec vllm serve m -tp 2'", "", ("-tp", "2"), (("B", "2"),)),
        ("nerdctl run --entrypoint sh img -c 'vllm serve m'", "", (), ()),
        ("python3 -u -m vllm.entrypoints.openai.api_server --model m", "python3", (), ()),
        ("/v/bin/python3.12 -m vllm.entrypoints.cli.main serve m", "/v/bin/python3.12", (), ()),
        ("sh -c 'A=1 vllm serve m'", "vllm", (), (("A", "1"),)),
    ],
)
def test_launchers(
    words: str, program: str, args: tuple[str, ...], env: tuple[tuple[str, str], ...]
) -> None:
    command = baseline.parse(shlex.split(words))
    assert (command.model, command.program, command.args, command.env) == ("m", program, args, env)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ("-dp 4 -dpl 2", "--data-parallel-size-local 2 of 4"),
        ("--data-parallel-size=4 --data-parallel-size-local=0", "local 0 of 4"),
        ("-dp 4 -dpl 1 -dpa 10.0.0.1", "waits for other hosts"),
        ("--api_server_count 0", "no API"),
        ("--headless", "no API"),
        ("--version", "prints its version"),
        ("--nnodes=2", "other hosts"),
    ],
)
def test_what_never_answers_is_refused_at_once(args: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        baseline.parse(["vllm", "serve", "m", *args.split()])


@pytest.mark.parametrize(
    "args", ["-dp 4 -dpl 4", "-dp 2 --data-parallel-address 127.0.0.1", "-dp 4 -dpl 2 -dpb ray"]
)
def test_a_whole_server_of_several_engines_is_taken(args: str) -> None:
    assert baseline.parse(["vllm", "serve", "m", *args.split()]).args == tuple(args.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("uv run vllm serve m", "name the vllm of that environment by its path"),
        ("conda run -n x vllm serve m", "name the vllm of that environment by its path"),
        ("python serve.py", "write it as python -m vllm.entrypoints.openai.api_server"),
        ("cd /x", "write absolute paths"),
        ("docker run -it img bash", "starts a shell"),
    ],
)
def test_a_refusal_says_what_to_do(words: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        baseline.parse(words.split())


def test_a_file_starts_one_server(tmp_path: Path) -> None:
    path = write(tmp_path, "vllm serve a\nwait\nvllm serve b\n")
    with pytest.raises(UsageError, match=":3 starts another server"):
        baseline.read_file(path)
    assert baseline.read_file(write(tmp_path, "vllm serve a\nwait\n")).model == "a"

"""One command, one answer: of the parser, the baseline, run, lint, doctor, diff and export."""

from __future__ import annotations

import math
import shlex
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.engines.vllm.command_line import GRAMMAR
from trimtab.errors import UsageError
from trimtab.export.order import world_size
from trimtab.families import invocation_of, serving_command
from trimtab.invocations import Endpoint, GivenOption, Invocation, parse
from trimtab.linter import read
from trimtab.linter.readers.launch import ShellWord, options_of
from trimtab.model import Settings
from trimtab.model.document import Place
from trimtab.profiles import launch_diff
from trimtab.redaction import mask_text, redact_words
from trimtab.server import listeners
from trimtab.study import baseline

SERVER = "python3 -m vllm.entrypoints.openai.api_server"
TP = {"--tensor-parallel-size": "2"}
PORT = {"--port": "8000"}
AT_8000 = Endpoint(port="8000")
NOWHERE = Endpoint()


@dataclass(frozen=True)
class Case:
    """A command with what every reader says of it.

    ``baseline`` is False where a baseline refuses the command, because it would be measured
    otherwise than it is written.
    """

    command: str
    model: str | None = "q"
    options: Mapping[str, str] = field(default_factory=dict)
    endpoint: Endpoint = NOWHERE
    baseline: bool = True


CASES = (
    Case("vllm serve q"),
    Case("vllm serve /models/q --port 8000", "/models/q", PORT, AT_8000),
    Case("vllm serve org/q --port=8000", "org/q", PORT, AT_8000),
    Case("vllm serve --model q"),
    Case("vllm serve --model=q -tp 2", options=TP),
    Case("vllm serve --port 8000 q", options=PORT, endpoint=AT_8000),
    Case("vllm serve q --model other"),
    Case("vllm serve --seed 1 9 --model q", options={"--seed": "1"}),
    Case("vllm serve --enforce-eager q", options={"--enforce-eager": ""}),
    Case("vllm serve --enforce-eager q -tp 2", options={"--enforce-eager": "", **TP}),
    Case("vllm serve q -tp 2", options=TP),
    Case("vllm serve q -tp=2", options=TP),
    Case("vllm serve q --tensor-parallel-size=2", options=TP),
    Case("vllm serve q --tensor_parallel_size 2", options=TP),
    Case("vllm serve q --tensor_parallel_size=2", options=TP),
    Case("vllm serve q -tp 1 --tensor-parallel-size 2", options=TP),
    Case("vllm serve q -tp 2 -pp 3 -dp 4", options={
        **TP, "--pipeline-parallel-size": "3", "--data-parallel-size": "4"}),
    Case("vllm serve q -O3", options={"-O": "3"}),
    Case("vllm serve q -O 3", options={"-O": "3"}),
    Case("vllm serve q -O=3", options={"-O": "3"}),
    Case("vllm serve q -cc.level=3", options={"--compilation-config.level": "3"}),
    Case("vllm serve q --compilation-config.mode 3", options={"--compilation-config.mode": "3"}),
    Case("vllm serve q --compilation-config '{\"level\": 3}'", options={
        "--compilation-config": '{"level": 3}'}),
    Case("vllm serve q --no-enable-prefix-caching", options={"--no-enable-prefix-caching": ""}),
    Case("vllm serve q --enable-prefix-caching --no-enable-prefix-caching", options={
        "--enable-prefix-caching": "", "--no-enable-prefix-caching": ""}),
    Case("vllm serve q --no_enable_prefix_caching -tp 2", options={
        "--no-enable-prefix-caching": "", **TP}),
    Case("vllm serve -tp 2 -- q", options=TP),
    Case("vllm serve q --seed -1", options={"--seed": "-1"}),
    Case("vllm serve q --host 0.0.0.0 --port 8000", options={"--host": "0.0.0.0", **PORT},
         endpoint=Endpoint(host="0.0.0.0", port="8000")),
    Case("vllm serve q --uds /run/v.sock", options={"--uds": "/run/v.sock"},
         endpoint=Endpoint(uds="/run/v.sock")),
    Case("vllm serve q --ssl-keyfile k --ssl-certfile c", options={
        "--ssl-keyfile": "k", "--ssl-certfile": "c"}, endpoint=Endpoint(tls=True)),
    Case("vllm serve q --root-path /v", options={"--root-path": "/v"},
         endpoint=Endpoint(root_path="/v")),
    Case("vllm serve q --served-model-name a b -tp 2", options={
        "--served-model-name": "a", **TP}, endpoint=Endpoint(served_names=("a", "b"))),
    Case("vllm serve q --api-key first second -tp 2", options={"--api-key": "first", **TP},
         endpoint=Endpoint(api_keys=2)),
    Case("vllm serve q --api-key=first --port 8000", options={"--api-key": "first", **PORT},
         endpoint=Endpoint(port="8000", api_keys=1)),
    Case("A=b vllm serve q"),
    Case("env A=b vllm serve q -tp 2", options=TP),
    Case("A=b C=d exec vllm serve q -tp 2", options=TP),
    Case("nohup vllm serve q -tp 2", options=TP),
    Case("/opt/venv/bin/vllm serve q -tp 2", options=TP),
    Case("./vllm serve q"),
    Case(f"{SERVER} --model q -tp 2", options=TP),
    Case(f"{SERVER} --model=q --port 8000", options=PORT, endpoint=AT_8000),
    Case("python -u -m vllm.entrypoints.openai.api_server --model q"),
    Case("/v/bin/python3.12 -m vllm.entrypoints.cli.main serve q -tp 2", options=TP),
    Case("python -m vllm serve q -tp 2", options=TP),
    Case("uv run vllm serve q -tp 2", options=TP, baseline=False),
    Case("uv run --with vllm vllm serve q -tp=2", options=TP, baseline=False),
    Case("conda run -n x vllm serve q", baseline=False),
    Case("numactl -N 0 -m 0 vllm serve q -tp 2", options=TP, baseline=False),
    Case("taskset -c 0-3 vllm serve q", baseline=False),
    Case("vllm serve q --headless -tp 2", options={"--headless": "", **TP}, baseline=False),
    Case("vllm serve q --nnodes 2 --node-rank 1 --headless", options={
        "--nnodes": "2", "--node-rank": "1", "--headless": ""}, baseline=False),
)  # fmt: skip


def given_options(invocation: Invocation) -> dict[str, str]:
    """Return the options without the model's: the answer that all readers share."""
    return {option.name: option.value for option in invocation.options if option.name != "--model"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.command)
class TestOneAnswer:
    """What each reader says of a command."""

    def test_the_parser(self, case: Case) -> None:
        words = shlex.split(case.command)
        invocation = invocation_of(words)
        assert invocation is not None
        assert invocation.words == tuple(words)
        assert invocation.model == case.model
        assert given_options(invocation) == case.options
        assert invocation.endpoint == case.endpoint
        assert invocation.headless == ("--headless" in words)
        assert "first" not in repr(invocation)

    def test_the_baseline(self, case: Case) -> None:
        words = shlex.split(case.command)
        if not case.baseline:
            with pytest.raises(UsageError):
                baseline.parse(words)
            return
        command = baseline.parse(words)
        left = parse(("vllm", "serve", command.model, *command.args), GRAMMAR)
        assert left is not None
        elsewhere = {"--host", "--port", "--uds", "--ssl-keyfile", "--ssl-certfile"}
        kept = {name: text for name, text in case.options.items() if name not in elsewhere}
        assert (command.model, given_options(left)) == (case.model, kept)

    def test_lint(self, case: Case) -> None:
        (launch,) = read("serve.sh", f"{case.command}\n").launches
        options = {option.name: option.value for option in launch.options}
        options.pop("--model", None)
        assert options == case.options
        for option in launch.options:
            assert option.name_place is not None
            assert option.name_place.line == 1
            first, last = option.name_place.column - 1, (option.name_place.end_column or 0) - 1
            written = case.command[first:last].partition("=")[0]
            assert GRAMMAR.option_name(written) in {option.name, f"{option.name}{option.value}"}

    def test_doctor(self, case: Case) -> None:
        argv = serving_command(shlex.split(case.command))
        words = [ShellWord(text, Place("", 0)) for text in argv]
        options = {option.name: option.value for option in options_of(words)}
        options.pop("--model", None)
        assert options == case.options

    def test_diff(self, case: Case) -> None:
        argv = tuple(shlex.split(case.command))
        settings = dict(launch_diff.settings_side("a", Settings(argv)).settings)
        settings.pop("--model", None)
        assert settings.pop("model") == case.model
        assert list(settings) == list(case.options)
        plain = {name: text for name, text in case.options.items() if name != "--api-key"}
        assert {name: settings[name].split(" ")[0] for name in plain} == {
            name: text.split(" ")[0] for name, text in plain.items()
        }

    def test_run(self, case: Case) -> None:
        invocation = listeners.invocation_with_config(shlex.split(case.command))
        assert (invocation.model, invocation.endpoint) == (case.model, case.endpoint)

    def test_export(self, case: Case) -> None:
        sizes = ("--tensor-parallel-size", "--pipeline-parallel-size", "--data-parallel-size")
        expected = math.prod(int(case.options.get(name, "1")) for name in sizes)
        assert world_size(shlex.split(case.command)) == expected

    def test_no_key_is_shown_and_no_option_lost(self, case: Case) -> None:
        words = shlex.split(case.command)
        for shown in (" ".join(redact_words(words)), mask_text(case.command)):
            assert "first" not in shown
            assert "second" not in shown
            seen, whole = invocation_of(shown.split()), invocation_of(words)
            assert seen is not None
            assert whole is not None
            assert [option.name for option in seen.options] == [
                option.name for option in whole.options
            ]


def test_there_are_enough_shapes() -> None:
    assert len(CASES) >= 40
    assert len({case.command for case in CASES}) == len(CASES)


@pytest.mark.parametrize(
    "command",
    [
        "",
        "vllm",
        "vllm bench serve --model q",
        "python -m vllm bench serve",
        "python -m vllm.entrypoints.cli.main bench",
        "python -m http.server",
        "python train.py -m vllm.entrypoints.openai.api_server",
        "pip install vllm",
    ],
)
def test_what_starts_no_server(command: str) -> None:
    words = shlex.split(command)
    assert invocation_of(words) is None
    assert all(not launch.options for launch in read("serve.sh", f"{command}\n").launches)
    with pytest.raises(UsageError):
        baseline.parse(words)


@pytest.mark.parametrize(
    ("text", "command", "model", "options", "endpoint"),
    [
        ("model: q\nport: 8000\n", "vllm serve", "q", PORT, AT_8000),
        ("model: q\nport: 1\n", "vllm serve m --port 8000", "m", PORT, AT_8000),
        ("tensor_parallel_size: 2\n", "vllm serve q", "q", TP, Endpoint()),
        ("tensor-parallel-size: 4\n", "vllm serve q -tp 2", "q", TP, Endpoint()),
        (
            "enable-prefix-caching: false\n",
            "vllm serve q",
            "q",
            {"--no-enable-prefix-caching": ""},
            Endpoint(),
        ),
        (
            "enforce-eager: true\n",
            "vllm serve q --no-enforce-eager",
            "q",
            {"--no-enforce-eager": ""},
            NOWHERE,
        ),
        ("enforce-eager: true\n", "vllm serve q", "q", {"--enforce-eager": ""}, Endpoint()),
        (
            "served-model-name: [a, b]\n",
            "vllm serve q",
            "q",
            {"--served-model-name": "a"},
            Endpoint(served_names=("a", "b")),
        ),
        ("uds: /run/s\n", "vllm serve q", "q", {"--uds": "/run/s"}, Endpoint(uds="/run/s")),
    ],
)
def test_a_config_file_is_merged_alike(
    tmp_path: Path,
    text: str,
    command: str,
    model: str,
    options: Mapping[str, str],
    endpoint: Endpoint,
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    words = [*command.split(), "--config", str(path)]
    invocation = listeners.invocation_with_config(words)
    assert (invocation.model, given_options(invocation)) == (model, options)
    assert invocation.endpoint == endpoint
    measured = baseline.parse(words)
    left = parse(("vllm", "serve", measured.model, *measured.args), GRAMMAR)
    assert left is not None
    kept = {name: text for name, text in options.items() if name not in {"--port", "--uds"}}
    assert (measured.model, given_options(left)) == (model, kept)


def test_a_literal_assignment_is_resolved_alike(tmp_path: Path) -> None:
    text = "M=/models/q\nvllm serve $M --port 8000\n"
    path = tmp_path / "v.sh"
    path.write_text(text)
    assert baseline.read_file(path).model == "/models/q"
    (launch,) = read("v.sh", text).launches
    invocation = invocation_of(launch.argv)
    assert invocation is not None
    assert (invocation.model, invocation.endpoint) == ("/models/q", AT_8000)


TEXT = st.text(string.ascii_letters + string.digits + '/._{}":= é', max_size=8)
VALUE = TEXT.filter(lambda text: not text.startswith("-"))
JOINED = st.text(string.printable, max_size=8)
SWITCHES = ("--enforce-eager", "--no-enable-prefix-caching", "--headless")
VALUED = ("--port", "-tp", "--max_num_seqs", "--hf-overrides", "-cc.level", "--root-path")
SEVERAL = ("--api-key", "--served-model-name", "--lora_modules")


@st.composite
def invocations(draw: st.DrawFn) -> Invocation:
    """Return an invocation as its parts say it, each option at the position that it has."""
    wrappers = draw(st.sampled_from([(), ("env", "A=b"), ("numactl", "-N", "0"), ("uv", "run")]))
    program = draw(st.sampled_from([("vllm", "serve"), ("/e/vllm", "serve")]))
    at = len(wrappers) + len(program)
    model = draw(st.sampled_from(["q", "org/q", "/models/q"]))
    positionals, at = [(at, model)], at + 1
    options = []
    for _ in range(draw(st.integers(0, 6))):
        option = draw(option_at(at))
        options.append(option)
        at += len(option.words)
    end = None
    if draw(st.booleans()):
        end = at
        rest = draw(st.lists(JOINED, max_size=2))
        positionals += [(at + 1 + index, word) for index, word in enumerate(rest)]
    return Invocation(
        wrappers, program, "command", GRAMMAR, tuple(options), tuple(positionals), end
    )


@st.composite
def option_at(draw: st.DrawFn, index: int) -> GivenOption:
    """Return an option whose word has this position."""
    kind = draw(st.sampled_from(["switch", "valued", "joined", "several", "attached"]))
    if kind == "attached":
        return GivenOption("-O", "-O", (str(draw(st.integers(0, 9))),), index, attached=True)
    names = {"switch": SWITCHES, "several": SEVERAL}.get(kind, VALUED)
    spelling = draw(st.sampled_from(names))
    name = GRAMMAR.option_name(spelling)
    if kind == "switch":
        return GivenOption(name, spelling, (), index)
    if kind == "joined":
        return GivenOption(name, spelling, (draw(JOINED),), index, "=")
    most = 3 if kind == "several" else 1
    values = tuple(draw(st.lists(VALUE, min_size=1, max_size=most)))
    return GivenOption(name, spelling, values, index)


@given(invocations())
def test_the_words_of_an_invocation_are_read_back(invocation: Invocation) -> None:
    assert parse(invocation.words, GRAMMAR) == invocation

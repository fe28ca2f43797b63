"""``lint --fix``: only the finding's item changes, and ``fixable`` says what it would do."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from trimtab.cli.app import app
from trimtab.errors import UsageError
from trimtab.linter import check, fix, fix_trial, parse_context, read
from trimtab.linter.readers.grammar import errors
from trimtab.model.document import Document
from trimtab.model.finding import Finding

HERE = parse_context("vllm=0.32")
COMPOSE = "services:\n  a:\n    image: vllm/vllm-openai:v0.32.0\n"


def find(document: Document) -> tuple[Finding, ...]:
    return check(document, HERE)


def fixed(name: str, text: str) -> str:
    return fix_trial.fix_all(read(name, text), find, lambda _: True).text


SHELL = {
    "if a; then\n  export VLLM_USE_V1=1\nfi\nvllm serve m\n": (
        "if a; then\n  :\nfi\nvllm serve m\n"
    ),
    "f() {\n  export VLLM_USE_V1=1\n}\nf\nvllm serve m\n": "f() {\n  :\n}\nf\nvllm serve m\n",
    "for i in 1 2; do\n  export VLLM_USE_V1=1\ndone\nvllm serve m\n": (
        "for i in 1 2; do\n  :\ndone\nvllm serve m\n"
    ),
    "test -d /d &&\n  export VLLM_USE_V1=1\nvllm serve m\n": "test -d /d &&\n  :\nvllm serve m\n",
    "export VLLM_USE_V1=1 && vllm serve m\n": ": && vllm serve m\n",
    "export VLLM_USE_V1=1 HF_HOME=/d\nvllm serve m\n": "export HF_HOME=/d\nvllm serve m\n",
    "vllm serve m \\\n  --seed 1 \\\n  --swap-space 4\necho done\n": (
        "vllm serve m \\\n  --seed 1\necho done\n"
    ),
    "vllm serve m \\\n  --swap-space 4 \\\n  --seed 1\n": "vllm serve m \\\n  --seed 1\n",
    "vllm serve m --swap-space \\\n  4 \\\n  --seed 1\n": "vllm serve m \\\n  --seed 1\n",
    "vllm serve m --swap-space 4 # why\n": "vllm serve m # why\n",
    "vllm serve m --swap-space 4 --seed 1 | tee l": "vllm serve m --seed 1 | tee l",
    "cat <<E > r.sh\nvllm serve m --swap-space 4\nE\nbash r.sh\n": (
        "cat <<E > r.sh\nvllm serve m\nE\nbash r.sh\n"
    ),
    "typeset -x VLLM_USE_V1=1\nvllm serve m\n": "vllm serve m\n",
    "VLLM_USE_V1=1 \\\nA=1 \\\nvllm serve m\n": "A=1 \\\nvllm serve m\n",
    "vllm serve m --enable-prefix-caching false --seed 1\n": (
        "vllm serve m --no-enable-prefix-caching --seed 1\n"
    ),
    "vllm serve m --gpu_memory_utilisation=0.9\n": "vllm serve m --gpu-memory-utilization=0.9\n",
    # the option is one of several that may stand in a variable
    'A=(--swap-space 4)\nvllm serve m "${A[@]}"\n': 'A=(--swap-space 4)\nvllm serve m "${A[@]}"\n',
}


@pytest.mark.parametrize("before", SHELL)
def test_a_script_loses_the_item_of_the_finding_alone(before: str) -> None:
    assert fixed("a.sh", before) == SHELL[before]


UNIT = "[Service]\nEnvironment={}\nExecStart=/usr/bin/vllm serve m/x{} --seed 1\n"
LIST = COMPOSE + "    command:\n      - --model\n      - m/x\n{}"
FLOW = COMPOSE + '    command: ["--model", "m/x"{}, "--seed", "1"]\n'
UNIT_LINES = "[Service]\nExecStart=/usr/bin/vllm serve m{} \\\n  --seed 1\n"
FOLDED = COMPOSE + "    command: >\n      --model m\n{}      --seed 1\n    restart: always\n"
ALONE = COMPOSE + "    command: --model m\n{}    restart: always\n"
ROWS = (
    COMPOSE + '    command:\n      [\n        "--model", "m",\n{}        "--seed", "1"\n      ]\n'
)
POD = (
    "apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\nspec:\n  containers:\n  - name: v\n"
    "    image: vllm/vllm-openai:v0.32.0\n    args: [m]\n{}    ports: []\n"
)
EXEC = 'FROM vllm/vllm-openai:v0.32.0\nENTRYPOINT ["vllm", "serve", "m"{}, "--seed", "1"]\n'
IMAGE = 'FROM vllm/vllm-openai:v0.32.0\nENV {}HF_HOME=/d\nCMD ["--model", "m/x"]\n'


@pytest.mark.parametrize(
    ("name", "form", "items", "rest"),
    [
        (
            "a.service",
            UNIT,
            ('"VLLM_USE_V1=1" "HF_HOME=/d"', " --swap-space 4"),
            ('"HF_HOME=/d"', ""),
        ),
        ("compose.yaml", LIST, ('      - --swap-space\n      - "4"\n',), ("",)),
        ("compose.yaml", FLOW, (', "--swap-space", "4"',), ("",)),
        ("Dockerfile", IMAGE, ("VLLM_USE_V1=1 ",), ("",)),
        ("a.service", UNIT_LINES, (" \\\n  --swap-space 4",), ("",)),
        ("compose.yaml", FOLDED, ("      --swap-space 4\n",), ("",)),
        ("compose.yaml", ROWS, ('        "--swap-space", "4",\n',), ("",)),
        ("compose.yaml", ALONE, ('    environment:\n      VLLM_USE_V1: "1" # a\n',), ("",)),
        ("compose.yaml", ALONE, ("    environment:\n    - VLLM_USE_V1=1\n",), ("",)),
        (
            "k.yaml",
            POD,
            ('    env: [{name: VLLM_USE_V1, value: "1"}, {name: A, value: b}]\n',),
            ("    env: [{name: A, value: b}]\n",),
        ),
        ("k.yaml", POD, ('    env:\n    - value: "1"\n      name: VLLM_USE_V1\n',), ("",)),
        (
            "k.yaml",
            POD,
            ('    env:\n    - {name: A, value: b}\n    - {name: VLLM_USE_V1, value: "1"}\n',),
            ("    env:\n    - {name: A, value: b}\n",),
        ),
        ("Dockerfile", EXEC, (', "--swap-space", "4"',), ("",)),
        ("Dockerfile", EXEC, (', \\\n  "--swap-space=4"',), ("",)),
    ],
)
def test_other_formats_lose_the_item_alone(
    name: str, form: str, items: tuple[str, ...], rest: tuple[str, ...]
) -> None:
    assert fixed(name, form.format(*items)) == form.format(*rest)


@pytest.mark.parametrize(
    "text",
    [
        COMPOSE + "    command:\n      - --swap-space=4\n",  # would leave the key without a value
        COMPOSE + "    environment: &e\n      VLLM_USE_V1: x\n  b:\n    environment: *e\n",
    ],
)
def test_yaml_stays_whole(text: str) -> None:
    assert fixed("compose.yaml", text) == text


@pytest.mark.parametrize(
    "text",
    [
        "export VLLM_ATTENTION_BACKEND=FLASH_ATTN\nvllm serve m\n",
        "export VLLM_TORCH_PROFILER_DIR=/d\nvllm serve m\n",
        "export VLLM_USE_V1=1\necho $VLLM_USE_V1 --seed $VLLM_USE_V1\nvllm serve m\n",
        "export VLLM_USE_V1=1 | cat\nvllm serve m\n",
    ],
)
def test_a_wish_and_a_use_elsewhere_are_never_lost(text: str) -> None:
    assert fixed("a.sh", text) == text


def test_line_ends_and_a_byte_order_mark_stay(tmp_path: Path) -> None:
    path = tmp_path / "a.sh"
    path.write_bytes("\ufeffexport VLLM_USE_V1=1\r\nvllm serve m # \u00e9\r\n".encode())
    CliRunner().invoke(app, ["lint", str(path), "--fix", "--yes"])
    assert path.read_bytes() == "\ufeffvllm serve m # \u00e9\r\n".encode()
    path.write_bytes("vllm serve m # \u00e9\r\n".encode("latin-1"))
    fix.write(path, "vllm serve m # \u00e9\r\n", "vllm serve n # \u00e9\r\n")
    assert path.read_bytes() == "vllm serve n # \u00e9\r\n".encode("latin-1")


def test_a_symbolic_link_is_not_written_through(tmp_path: Path) -> None:
    path, link = tmp_path / "a.sh", tmp_path / "b.sh"
    path.write_text("a\n")
    link.symlink_to(path)
    with pytest.raises(UsageError, match="symbolic link"):
        fix.write(link, "a\n", "b\n")
    assert link.is_symlink()
    assert path.read_text() == "a\n"


def test_a_read_only_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.sh"
    path.write_text("export VLLM_USE_V1=1\nvllm serve m\n")
    path.chmod(0o444)
    runner = CliRunner()
    shown = json.loads(runner.invoke(app, ["lint", str(path), "--json"]).stdout)["findings"]
    said = runner.invoke(app, ["lint", str(path), "--fix", "--yes"])
    assert [one["fixable"] for one in shown] == [False]
    assert "is read-only: nothing is written" in said.stderr
    assert path.read_text() == "export VLLM_USE_V1=1\nvllm serve m\n"


def test_a_file_reached_twice_is_fixed_once(tmp_path: Path) -> None:
    path, link = tmp_path / "a.sh", tmp_path / "b.sh"
    path.write_text("export VLLM_USE_V1=1\nvllm serve m\n")
    link.symlink_to(path)
    runner = CliRunner()
    said = runner.invoke(app, ["lint", str(path), str(link), "--fix", "--yes"])
    assert path.read_text() == "vllm serve m\n"
    assert "is a symbolic link" in said.stderr
    again = runner.invoke(app, ["lint", str(path), str(link), "--fix", "--yes"])
    assert (again.exit_code, path.read_text()) == (0, "vllm serve m\n")


@pytest.mark.parametrize("text", ["export VLLM_USE_V1=1", "export VLLM_USE_V1=1 | cat"])
def test_fixable_says_what_fix_does(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.sh"
    path.write_text(f"{text}\nvllm serve m\n")
    runner = CliRunner()
    shown = json.loads(runner.invoke(app, ["lint", str(path), "--json"]).stdout)["findings"]
    before = path.read_text()
    said = runner.invoke(app, ["lint", str(path), "--fix", "--yes"])
    assert any(one["fixable"] for one in shown) == (path.read_text() != before)
    assert ("1 fixed" in said.stderr) == (path.read_text() != before)


_ITEM = "export VLLM_USE_V1=1"
_LINES = st.sampled_from(
    [_ITEM, "export HF_HOME=/d", "echo a", "test -d /d", "export VLLM_USE_V1=1 HF_HOME=/e"]
)
_WRAPS = st.sampled_from(
    ["{}", "if a; then\n  {}\nfi", "f() {{\n  {}\n}}\nf", "true && {}", "( {} )",
     "while a; do\n{}\nbreak\ndone", "case $A in\n  b) {} ;;\nesac", "{} || true"]
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(_WRAPS, _LINES), min_size=1, max_size=4), st.sampled_from(["\n", "\r\n"])
)
def test_a_fixed_script_is_whole_and_says_the_same(parts: list[tuple[str, str]], end: str) -> None:
    text = "\n".join(wrap.format(line) for wrap, line in parts) + "\nvllm serve m --seed 1\n"
    text = text.replace("\n", end)
    before = read("a.sh", text)
    made = fix_trial.fix_all(before, find, lambda _: True)
    after = read("a.sh", made.text)
    assert errors(after) <= errors(before)
    others = [(one.name, one.value) for one in before.settings if one.name != "VLLM_USE_V1"]
    assert [(o.name, o.value) for o in after.settings if o.name != "VLLM_USE_V1"] == others
    assert len(after.launches) == len(before.launches)
    if end == "\n":
        ran = subprocess.run(["bash", "-n"], input=made.text, text=True, check=False)
        assert ran.returncode == 0


PARTS = {
    "a.sh": [
        *SHELL,
        "bash -c 'vllm serve m --swap-space 4'\n",
        "A=1 && export VLLM_USE_V1=1 | cat\n",
    ],
    "a.service": [
        "[Service]\nEnvironment=VLLM_USE_V1=1 A=1\nExecStart=/opt/vllm serve m --swap-space=4\n",
        "[Service]\nExecStart=/bin/sh -c 'exec vllm serve m --swap-space 4'\n",
    ],
    "compose.yaml": [
        COMPOSE
        + "    command: [--model, m, --swap-space, 4]\n    environment: {VLLM_USE_V1: x}\n",
        COMPOSE + "    command: --model m --swap-space 4\n    environment:\n    - VLLM_USE_V1=1\n",
        COMPOSE + "    command:\n    - --swap-space\n    - 4\n",
    ],
    "Dockerfile": [
        IMAGE.format("VLLM_USE_V1=1 "),
        "FROM vllm/vllm-openai:v0.32.0\nENV VLLM_USE_V1 1\nENTRYPOINT vllm serve m --swap-space 4",
    ],
    ".env": ["VLLM_USE_V1=1\nHF_HOME=/d\n"],
    "a.md": ["```sh\nexport VLLM_USE_V1=1\nvllm serve m \\\n  --swap-space 4\n```\n"],
}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name, texts in PARTS.items() for text in texts]
)
def test_what_is_fixable_is_fixed_and_stays_so(name: str, text: str, end: str) -> None:
    before = read(name, text.replace("\n", end))
    able = fix_trial.fixable_findings(before, find(before), find)
    made = fix_trial.fix_all(before, find, lambda _: True)
    assert sorted((one.rule, one.setting) for one in able) == sorted(
        (one.rule, one.setting) for one in made.fixed
    )
    after = read(name, made.text)
    assert fix_trial.fixable_findings(after, find(after), find) == set()
    assert made.text.count("\n") == made.text.count(end)
    assert errors(after) <= errors(before)

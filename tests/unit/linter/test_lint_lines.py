"""A finding stands at the line of its text, in every format and however it is nested."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from trimtab import linter
from trimtab.cli.app import app
from trimtab.model.situation import Situation


def lines(name: str, text: str, setting: str = "--swap-space") -> list[int]:
    return [
        one.place.line
        for one in linter.check(linter.read(name, text), Situation())
        if one.setting == setting and one.place
    ]


SHELL = [
    ("vllm serve m \\\n  --x \\\n  --swap-space 4\n", [3]),
    ("A=1 && \\\nvllm serve m \\\n  $(cat <<E\na\nE\n) \\\n  --swap-space 4\n", [7]),
    ("srun bash -c '\n  export A=1\n  vllm serve m \\\n    --swap-space 4\n'\n", [4]),
    ('ssh h "\n  A=\\"1\\"\n  vllm serve m \\\n    --swap-space 4\n"\n', [4]),
    ('bash -c "export A=$B\n  vllm serve m \\\n    --swap-space 4"\n', [3]),
    ("cat > r.sh <<'E'\n# a\nvllm serve m \\\n --swap-space 4\nE\nbash r.sh\n", [4]),
    ("docker run -e A=1 \\\n  vllm/vllm-openai m \\\n  --swap-space 4\n", [3]),
    ("tmux new -d '\nvllm serve m --swap-space 4'\n", [2]),
    ('f() {\n  vllm serve m "$@"\n}\nf --swap-space 4\n', []),
    ('eval "vllm serve m \\\n  --swap-space 4"\n', [2]),
]


@pytest.mark.parametrize(("text", "expected"), SHELL)
def test_a_script(text: str, expected: list[int]) -> None:
    assert lines("a.sh", text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1. a\n\n   ```bash\n   vllm serve m \\\n     --swap-space 4\n   ```\n", [5]),
        ("> ```bash\n> vllm serve m \\\n>   --swap-space 4\n> ```\n", [3]),
        ("````{tab} X\n```bash\nvllm serve m --swap-space 4\n```\n````\n", [3]),
        ("````{note}\ntext\n\n```console\n$ vllm serve m --swap-space 4\n```\n````\n", [5]),
        ("~~~sh\nbash <<'E'\nvllm serve m --swap-space 4\nE\n~~~\n", [3]),
        ("<details>\n\n```bash\nvllm serve m --swap-space 4\n```\n</details>\n", [4]),
        ("---\na: b\n---\n\n```bash\nvllm serve m --swap-space 4\n```\n", [6]),
        ("```zsh\n% vllm serve m \\\n%   --swap-space 4\n```\n", [3]),
        ("```{code-block} bash\n:linenos:\n\nvllm serve m --swap-space 4\n```\n", [4]),
        ("::::{tab-item} A\n```sh\nvllm serve m --swap-space 4\n```\n::::\n", [3]),
        ("# x\r\n\r\n```bash\r\nvllm serve m \\\r\n  --swap-space 4\r\n```\r\n", [5]),
    ],
)
def test_a_guide(text: str, expected: list[int]) -> None:
    assert lines("g.md", text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('CMD ["vllm", "serve", \\\n  "m", \\\n  "--swap-space", "4"]\n', [4]),
        ("CMD vllm serve m \\\n# a comment\n  --swap-space 4\n", [4]),
        ('ENV A=1\nENTRYPOINT ["vllm", "serve"]\nCMD ["m", "--swap-space", "4"]\n', [4]),
        (
            "COPY <<'E' /r.sh\n#!/bin/bash\nexec vllm serve m \\\n --swap-space 4\nE\nCMD /r.sh\n",
            [5],
        ),
        ("RUN cat > /r <<'E'\nvllm serve m \\\n  --swap-space 4\nE\nCMD bash /r\n", [4]),
        ("RUN printf 'vllm serve m --swap-space 4\\n' > /r.sh\nENTRYPOINT /r.sh\n", [2]),
        ("RUN <<E\nvllm serve m --swap-space 4\nE\n", [3]),
        ("RUN <<E python3\n#!/usr/bin/python3\nvllm serve m --swap-space 4\nE\n", []),
    ],
)  # fmt: skip
def test_an_image(text: str, expected: list[int]) -> None:
    document = linter.read("Dockerfile", f"FROM x\n{text}")
    assert lines("Dockerfile", f"FROM x\n{text}") == expected
    assert not document.unread


COMPOSE = """x-env: &env {VLLM_LOGGING_LEVL: DEBUG}
services:
  base:
    image: vllm/vllm-openai:v0.32.0
    command: &command [m, --swap-space, "4"]
    environment: {<<: *env, A: "1"}
  two:
    extends: base
    environment: {VLLM_USE_V1: "1"}
  three:
    extends: {service: base}
    command: m --no-such 1
  four:
    extends: {service: four}
  five:
    extends: {file: other.yaml, service: base}
    command: *command
"""


def test_a_service_has_what_it_extends() -> None:
    launches = {one.service: one for one in linter.read("compose.yaml", COMPOSE).launches}
    assert launches["two"].argv == ("vllm", "serve", "m", "--swap-space", "4")
    assert {one.name: one.value for one in launches["two"].env} == {
        "VLLM_LOGGING_LEVL": "DEBUG", "A": "1", "VLLM_USE_V1": "1",
    }  # fmt: skip
    assert launches["three"].argv == ("vllm", "serve", "m", "--no-such", "1")
    assert lines("compose.yaml", COMPOSE) == [5]
    assert lines("compose.yaml", COMPOSE, "--no-such") == [12]
    assert lines("compose.yaml", COMPOSE, "VLLM_LOGGING_LEVL") == [1]


CONFIG = """apiVersion: v1
kind: ConfigMap
metadata: {name: env}
data:
  VLLM_LOGGING_LEVL: DEBUG
  start.sh: |
    #!/bin/bash
    vllm serve m \\
      --swap-space 4
---
apiVersion: v1
kind: Pod
spec:
  containers:
  - name: v
    image: vllm/vllm-openai:v0.32.0
    envFrom: [{configMapRef: {name: env}}]
"""


def test_a_config_map_gives_variables_and_holds_scripts() -> None:
    document = linter.read("k.yaml", CONFIG)
    assert lines("k.yaml", CONFIG) == [9]
    assert lines("k.yaml", CONFIG, "VLLM_LOGGING_LEVL") == [5]
    assert not document.unread
    other = CONFIG.replace("name: env}}]", "name: other}}]")
    (note,) = linter.read("k.yaml", other).unread
    assert (note[0].line, "envFrom" in note[1]) == (17, True)


def test_a_kustomization_generates_variables() -> None:
    text = (
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nconfigMapGenerator:\n"
        "- name: env\n  literals:\n  - A=1\n  - VLLM_LOGGING_LEVL=DEBUG\n"
    )
    assert lines("kustomization.yaml", text, "VLLM_LOGGING_LEVL") == [7]


def test_the_assignment_that_wrote_a_path_is_named() -> None:
    path = "/usr/lib/{}-linux-gnu/libjemalloc.so.2"
    first, second = path.format("x86_64"), path.format("aarch64")
    text = (
        f"export LD_PRELOAD={first}\nA=1\nexport LD_PRELOAD={second}:$LD_PRELOAD\nvllm serve m\n"
    )
    found = [
        one
        for one in linter.check(linter.read("a.sh", text), Situation())
        if one.rule == "preload-distribution" and one.place
    ]
    assert {(one.message.partition(" ")[0], one.place.line) for one in found if one.place} == {
        (first, 1), (second, 3),
    }  # fmt: skip


TEXT = "export VLLM_LOGGING_LEVL=DEBUG\nvllm serve m --swap-space 4\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.sh").write_bytes(f"# é\n{TEXT}".encode(encoding))
    said = CliRunner().invoke(app, ["lint", str(tmp_path)]).output
    assert "a.sh:2:" in said
    assert "a.sh:3:" in said


def test_a_folder_with_loops_and_pipes_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.sh").write_text(TEXT)
    (tmp_path / ".envrc").write_text(TEXT)
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "self").symlink_to(".")
    (tmp_path / "gone.sh").symlink_to("absent")
    os.mkfifo(tmp_path / "pipe.sh")
    done = CliRunner().invoke(app, ["lint", str(tmp_path)])
    assert done.exit_code == 1
    assert f"{tmp_path}/a.sh:2:" in done.output
    assert f"{tmp_path}/.envrc:1:" in done.output
    assert "2 files" in done.output

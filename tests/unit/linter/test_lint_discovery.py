"""Which files lint reads, and how their bytes become text."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from trimtab.cli.app import app

SERVER = "vllm serve m --swap-space 4\n"
POD = (
    "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - name: v\n    image: i\n"
    "    command: [vllm, serve, m, --swap-space, '4']\n"
)


def linted(*words: str, stdin: str | bytes | None = None) -> tuple[int, dict[str, int], str]:
    """Return the exit code, how many findings each file has, and what stderr says."""
    ran = CliRunner().invoke(app, ["lint", *words, "--json"], input=stdin)
    found: dict[str, int] = {}
    for one in json.loads(ran.stdout)["findings"]:
        found[Path(one["file"]).name] = found.get(Path(one["file"]).name, 0) + 1
    return ran.exit_code, found, ran.stderr


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.yaml", b"services:\n  a: [1\n"),
        ("a.sh", b"a\0b"),
        ("a.service", b"\xff\xfe\x00"),
        ("a.yml", b"apiVersion: v1\nkind: [\n"),
    ],
)
def test_an_unreadable_file_hides_no_other_of_its_folder(
    tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    (tmp_path / "b.sh").write_text(SERVER)
    code, found, said = linted(str(tmp_path))
    assert code == 2
    assert set(found) == {"b.sh"}
    assert str(tmp_path / name) in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("job.sbatch", f"#!/bin/bash\n#SBATCH -N1\n{SERVER}"),
        ("job.slurm", SERVER),
        ("start", f"#!/usr/bin/env bash\n{SERVER}"),
        ("entrypoint", f"#!/bin/sh\nexec {SERVER}"),
        (".env.production", "VLLM_USE_TRITON_FLASH_ATTN=1\n"),
        ("vllm.service.d/override.conf", "[Service]\nExecStart=\nExecStart=/usr/bin/" + SERVER),
        (
            "compose.json",
            '{"services": {"v": {"image": "i", "command": "vllm serve m --swap-space 4"}}}',
        ),
        ("pod.json", json.dumps({
            "apiVersion": "v1", "kind": "Pod", "spec": {"containers": [
                {"name": "v", "image": "i", "command": SERVER.split()}]},
        })),
        ("Dockerfile.vllm", "FROM vllm/vllm-openai:v0.32.0\nCMD " + SERVER),
        ("pod.yaml", POD),
    ],
)  # fmt: skip
def test_a_folder_offers_all_that_starts_something(
    tmp_path: Path, name: str, content: str
) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    code, found, said = linted(str(tmp_path))
    assert not said
    assert found.get(path.name), (code, found)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("package.json", '{"scripts": {}}'),
        ("tool", "#!/usr/bin/env python3\n"),
        ("dockerfile_parse.py", "FROM = 1\n"),
        ("values.yaml", "image: vllm/vllm-openai\n"),
        ("nginx.conf", "[Service]\n"),
        (".git/hooks/pre-commit", "#!/bin/sh\n" + SERVER),
    ],
)
def test_a_folder_offers_nothing_else(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
    (tmp_path / name).write_text(content)
    (tmp_path / "b.sh").write_text(SERVER)
    assert set(linted(str(tmp_path))[1]) == {"b.sh"}


@pytest.mark.parametrize("encoding", ["gbk", "latin-1", "utf-16", "utf-8-sig", "cp1252"])
def test_other_encodings_are_read(tmp_path: Path, encoding: str) -> None:
    comment = "# \u542f\u52a8\u670d\u52a1" if encoding == "gbk" else "# d\u00e9marrage"
    path = tmp_path / "serve.sh"
    path.write_bytes(f"{comment}\n{SERVER}".encode(encoding))
    code, found, said = linted(str(path))
    assert (bool(found), said) == (True, "")
    assert CliRunner().invoke(app, ["lint", str(path)]).exit_code == code


@pytest.mark.parametrize("device", ["fifo", "/dev/zero", "/dev/full"])
def test_what_may_never_end_is_refused_at_once(tmp_path: Path, device: str) -> None:
    if device == "fifo":
        device = str(tmp_path / "fifo.sh")
        os.mkfifo(device)
    code, _, said = linted(device)
    assert code == 2
    assert "no plain file" in said


@pytest.mark.parametrize(
    "text",
    [
        POD,
        f"# a pod\n---\n{POD}",
        "services:\n  v:\n    image: i\n    command: vllm serve m --swap-space 4\n",
        f"[Service]\nExecStart=/usr/bin/{SERVER}",
        f"FROM vllm/vllm-openai:v0.32.0\nCMD {SERVER}",
        f"# Serve it\n\n```bash\n{SERVER}```\n",
        SERVER,
        f"#!/bin/bash\n{SERVER}",
    ],
)
def test_standard_input_is_read_as_what_it_holds(text: str) -> None:
    code, found, said = linted("-", stdin=text)
    assert (bool(found), said) == (True, ""), code


@pytest.mark.parametrize("name", ["values.yaml", "my-values.yml", "prod.yaml"])
def test_values_of_a_chart_are_refused_with_what_to_run(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("image:\n  repository: vllm/vllm-openai\n")
    code, _, said = linted(str(path))
    assert code == 2
    assert "helm template" in said

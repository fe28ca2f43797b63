"""What readers make of launch files: who starts, and what reaches it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab import linter
from trimtab.errors import UsageError
from trimtab.model.document import Document, Launch


def shell(*lines: str) -> Document:
    return linter.read("serve.sh", "\n".join(lines) + "\n")


def only(document: Document) -> Launch:
    (launch,) = document.launches
    return launch


def env(launch: Launch) -> dict[str, str]:
    return {one.name: one.value for one in launch.env}


@pytest.mark.parametrize(
    ("lines", "value"),
    [
        (("export A=1", "vllm serve m"), "1"),
        (("A=1 vllm serve m",), "1"),
        (("env A=1 vllm serve m",), "1"),
        (("declare -x A=1", "vllm serve m"), "1"),
        (("A=1", "export A", "vllm serve m"), "1"),
        (("export A='x y'", "vllm serve m"), "x y"),
        (("B=x", 'export A="$B/y"', "vllm serve m"), "x/y"),
        (("cat > run.sh <<'E'", "export A=1", "vllm serve m", "E", "bash run.sh"), "1"),
        (("cat > e.sh <<'E'", "export A=1", "E", "source e.sh", "vllm serve m"), "1"),
        (("echo 'export A=1; vllm serve m' | sh",), "1"),
        (("docker exec -i c bash <<'E'", "export A=1", "vllm serve m", "E"), "1"),
        (("cat > run.sh <<'E'", "export A=1", "vllm serve m", "E"), "1"),
        (("export A=1", "export A=2", "vllm serve m"), "2"),
        (("export A=1", "bash -c 'vllm serve m'"), "1"),
        (("export A=1", "nohup numactl -C 0-3 vllm serve m > log 2>&1 &"), "1"),
        (("f() { vllm serve m; }", "export A=1", "f"), "1"),
        (("if true; then export A=1; fi", "vllm serve m"), "1"),
        (("docker run -e A=1 img vllm serve m",), "1"),
        (("export A=1", "docker run -e A img vllm serve m"), "1"),
        (("docker run --env=A=1 img bash -c 'vllm serve m'",), "1"),
    ],
)
def test_a_variable_reaches_the_server(lines: tuple[str, ...], value: str) -> None:
    assert env(only(shell(*lines)))["A"] == value


@pytest.mark.parametrize(
    "lines",
    [
        ("A=1", "vllm serve m"),
        ("export A=1", "unset A", "vllm serve m"),
        ("(export A=1)", "vllm serve m"),
        ("export A=1", "env -u A vllm serve m"),
        ("export A=1", "env -i vllm serve m"),
        ("export A=1", "docker run img vllm serve m"),
        ("B=1 true", "vllm serve m"),
    ],
)
def test_a_variable_does_not_reach_it(lines: tuple[str, ...]) -> None:
    assert "A" not in env(only(shell(*lines)))


def test_wrappers_bind_and_options_are_named() -> None:
    launch = only(shell("taskset -c 0-3,8 vllm serve m -tp 2 --max_num_seqs=64"))
    assert launch.affinity == (0, 1, 2, 3, 8)
    options = {one.name: one.value for one in launch.options}
    assert options == {"--tensor-parallel-size": "2", "--max-num-seqs": "64"}


def test_a_heredoc_is_a_script_where_a_shell_reads_it() -> None:
    launch = only(shell("bash <<'EOF'", "export A=1", "vllm serve m", "EOF"))
    assert env(launch)["A"] == "1"
    assert launch.place is not None
    assert launch.place.line == 3


def test_a_script_that_is_fed_after_a_heredoc_stands_on_its_own_line() -> None:
    launch = only(shell("cat > x <<'E'", "text", "E", "echo 'vllm serve m' | bash"))
    assert launch.place is not None
    assert launch.place.line == 4


def test_what_is_unknown_is_not_literal() -> None:
    (one,) = only(shell("export A=$(nproc)", "vllm serve m")).env
    assert not one.literal


def test_a_dockerfile_gives_env_and_command() -> None:
    text = (
        'FROM ubuntu:22.04 AS base\nENV A=1 B="two words"\nENV C old style\n'
        'FROM base\nENV A=2\nENTRYPOINT ["vllm", "serve"]\nCMD ["m", "-tp", "2"]\n'
    )
    launch = only(linter.read("Dockerfile", text))
    assert env(launch) == {"A": "2", "B": "two words", "C": "old style"}
    assert launch.argv == ("vllm", "serve", "m", "-tp", "2")


def test_a_compose_file_gives_each_service_its_own() -> None:
    text = (
        "x-env: &common {A: '1'}\n"
        "services:\n"
        "  a:\n    image: img\n    command: vllm serve m\n    environment: *common\n"
        "  b:\n    image: img\n    command: [vllm, serve, n]\n    environment: [A=2]\n"
        "    shm_size: 2g\n"
    )
    found = linter.read("compose.yaml", text).launches
    assert [(one.service, one.argv[2], env(one)["A"]) for one in found] == [
        ("a", "m", "1"), ("b", "n", "2"),
    ]  # fmt: skip
    assert found[1].container is not None
    assert [(o.name, o.value) for o in found[1].container.options] == [("--shm-size", "2g")]


SPEC = """spec:
  containers:
    - name: v
      image: img
      command: [vllm, serve]
      args: [m]
      env: [{name: A, value: "1"}]
"""


def indent(text: str, by: int) -> str:
    return "".join(" " * by + line for line in text.splitlines(keepends=True))


@pytest.mark.parametrize("kind", ["Pod", "Deployment", "StatefulSet", "Job", "LeaderWorkerSet"])
def test_manifests_of_every_kind(kind: str) -> None:
    head = f"apiVersion: v1\nkind: {kind}\nmetadata: {{name: x}}\n"
    if kind == "Pod":
        text = head + SPEC
    elif kind == "LeaderWorkerSet":
        text = f"{head}spec:\n  leaderWorkerTemplate:\n    workerTemplate:\n{indent(SPEC, 6)}"
    else:
        text = f"{head}spec:\n  template:\n{indent(SPEC, 4)}"
    launch = only(linter.read("x.yaml", text))
    assert launch.argv == ("vllm", "serve", "m")
    assert env(launch) == {"A": "1"}


def test_a_unit_splits_its_environment_as_systemd_does() -> None:
    text = (
        '[Service]\nEnvironment="A=x y" B=1\nEnvironment=C=2\n'
        "ExecStart=/usr/bin/vllm serve m \\\n  --max-num-seqs 4\n"
    )
    launch = only(linter.read("v.service", text))
    assert env(launch) == {"A": "x y", "B": "1", "C": "2"}
    assert [one.name for one in launch.options] == ["--max-num-seqs"]


def test_fenced_blocks_of_a_guide_are_one_session() -> None:
    text = "# G\n\n```bash\nexport A=1\n```\n\ntext\n\n```console\n$ vllm serve m\n```\n"
    document = linter.read("g.md", text)
    assert env(only(document))["A"] == "1"
    assert document.launches[0].place is not None
    assert document.launches[0].place.line == 10


CORPUS = [
    path.read_text()
    for path in sorted((Path(__file__).parents[2] / "launch").rglob("*"))
    if path.is_file()
]
KINDS = ["a.sh", "Dockerfile", "compose.yaml", "pod.yaml", "a.service", "a.env", "a.md", "a.conf"]


@settings(max_examples=250)
@given(
    text=st.sampled_from(CORPUS),
    name=st.sampled_from(KINDS),
    cuts=st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 40)), max_size=4),
    noise=st.lists(
        st.tuples(
            st.integers(0, 3000),
            st.sampled_from(
                ["\"", "'", "$(", "`", "<<E\n", "\\\n", "{", "}", "[", ": ", "\t", "\0", "é", "&&",
                 "${", "#", "\r\n", "- ", "!!", "*a", "|"]
            ),
        ),
        max_size=6,
    ),
)  # fmt: skip
def test_mutated_files_never_crash_or_hang(
    text: str, name: str, cuts: list[tuple[int, int]], noise: list[tuple[int, str]]
) -> None:
    for at, length in cuts:
        text = text[:at] + text[at + length :]
    for at, piece in noise:
        text = text[:at] + piece + text[at:]
    try:
        document = linter.read(name, text)
    except UsageError:
        return
    for one in linter.check(document, linter.parse_context("")):
        if one.place is not None:
            assert 1 <= one.place.line <= text.count("\n") + 2


@settings(max_examples=100)
@given(value=st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=30))
def test_a_quoted_value_comes_back(value: str) -> None:
    import shlex

    launch = only(shell(f"export A={shlex.quote(value)}", "vllm serve m"))
    assert env(launch)["A"] == value


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("A=1 B=2", {"A": "1", "B": "2"}),
        ('A="x y" B=\'$C\' "D"="e"', {"A": "x y", "B": "$C", "D": "e"}),
        ("A=0-7|8-15 B=a;b C=<d> E=(f)&", {"A": "0-7|8-15", "B": "a;b", "C": "<d>", "E": "(f)&"}),
        ("A=x\\ y B=\\$C", {"A": "x y", "B": "$C"}),
        ('A="x \\"y\\" \\n"', {"A": 'x "y" \\n'}),
        ("A=1 \\\n# a comment\n  B=2", {"A": "1", "B": "2"}),
        ("BASE=/x\nENV A=$BASE/y:${BASE}", {"BASE": "/x", "A": "/x/y:/x"}),
        ("A several words", {"A": "several words"}),
    ],
)
def test_an_image_reads_its_variables_as_docker_does(line: str, expected: dict[str, str]) -> None:
    (launch,) = linter.read("Dockerfile", f"FROM x\nENV {line}\nCMD vllm serve m\n").launches
    assert env(launch) == expected
    assert all(one.literal or "$" in one.value for one in launch.env)


def test_an_unknown_part_of_an_image_stays_unknown() -> None:
    (one,) = linter.read("Dockerfile", "FROM x\nENV A=$B/y\nCMD vllm serve m\n").launches[0].env
    assert (one.value, one.literal) == ("$B/y", False)
    assert one.place is not None
    assert (one.place.line, one.place.column, one.place.end_column) == (2, 5, 11)

"""systemd units and Quadlet files: what is read, expanded and dropped, each at its line."""

from __future__ import annotations

import pytest

from trimtab import linter
from trimtab.model.document import Launch
from trimtab.model.finding import Finding
from trimtab.model.situation import Situation


def found(name: str, text: str) -> list[Finding]:
    return [*linter.check(linter.read(name, text), Situation())]


def lines(name: str, text: str) -> set[tuple[str, str, int]]:
    return {(one.rule, one.setting, one.place.line) for one in found(name, text) if one.place}


def only(name: str, text: str) -> Launch:
    (launch,) = linter.read(name, text).launches
    return launch


UNIT = "[Service]\n{}\nExecStart=/usr/bin/vllm serve m\n"


@pytest.mark.parametrize(
    ("line", "env"),
    [
        ('Environment="A=x y" B=1', {"A": "x y", "B": "1"}),
        ("Environment=A='x y' \"B=1\"", {"A": "x y", "B": "1"}),
        ("Environment=A=x\\x20y B=\\s", {"A": "x y", "B": " "}),
        ("Environment=A=$HOME/%%h", {"A": "$HOME/%h"}),
        ("Environment=A=1 \\\n# a comment\n  B=2", {"A": "1", "B": "2"}),
        ("Environment=A=1\nEnvironment=\nEnvironment=B=2", {"B": "2"}),
        ("Environment=A = 1 B=2", {"B": "2"}),
        ('Environment="A=1', {}),
        ("Environment=A=1 B=2\nUnsetEnvironment=A", {"B": "2"}),
    ],
)
def test_an_environment_is_read_as_systemd_does(line: str, env: dict[str, str]) -> None:
    launch = only("v.service", UNIT.format(line))
    assert {one.name: one.value for one in launch.env} == env


@pytest.mark.parametrize(
    ("exec_start", "argv"),
    [
        ("-/usr/bin/vllm serve m", ("/usr/bin/vllm", "serve", "m")),
        ("@/usr/bin/vllm name serve m", ("/usr/bin/vllm", "serve", "m")),
        ("/usr/bin/vllm serve ${M} $ARGS", ("/usr/bin/vllm", "serve", "a b", "--x", "1")),
        ("/usr/bin/vllm serve $$M", ("/usr/bin/vllm", "serve", "$M")),
        ("/bin/true ; /usr/bin/vllm serve m", ("/usr/bin/vllm", "serve", "m")),
        ("/usr/bin/vllm serve \"{\\\"c\\\":1}\"", ("/usr/bin/vllm", "serve", '{"c":1}')),
    ],
)  # fmt: skip
def test_a_command_is_expanded_as_systemd_does(exec_start: str, argv: tuple[str, ...]) -> None:
    text = f'[Service]\nEnvironment="M=a b" "ARGS=--x 1"\nExecStart={exec_start}\n'
    assert only("v.service", text).argv == argv


def test_a_unit_is_no_shell_and_each_word_has_its_line() -> None:
    text = (
        "[Service]\n"
        "Environment=VLLM_USE_V1 = 1\n"
        "Environment=OMP_NUM_THREADS=1 \\\n"
        "  LD_LIBRARY_PATH=/x:$LD_LIBRARY_PATH\n"
        "ExecStart=/usr/bin/vllm serve m \\\n"
        "  --swap-space 4 \\\n"
        "; a comment\n"
        "  > /var/log/vllm\n"
    )
    assert {one for one in lines("v.service", text) if one[0] != "extra-word"} == {
        ("not-assigned", "VLLM_USE_V1", 2),
        ("no-expansion", "LD_LIBRARY_PATH", 4),
        ("removed-option", "--swap-space", 6),
        ("no-shell", "command", 8),
    }


QUADLET = """[Unit]
Description=a server

[Container]
Image=docker.io/vllm/vllm-openai:v0.32.0
Environment=VLLM_LOGGING_LEVL=DEBUG "A=b c"
ShmSize=64m
PodmanArgs=--gpus all --ulimit=nofile=1024
EnvironmentFile=/etc/vllm.env
Exec=--model m \\
  --tensor-parallel-size 2 \\
  --swap-space 4

[Service]
Environment=VLLM_CPU_KVCACHE_SPACE=4
"""


def test_a_quadlet_file_is_a_container() -> None:
    document = linter.read("v.container", QUADLET)
    (launch,) = document.launches
    assert launch.argv == (
        *("vllm", "serve", "--model", "m", "--tensor-parallel-size", "2", "--swap-space", "4"),
    )
    assert {one.name: one.value for one in launch.env} == {
        "VLLM_LOGGING_LEVL": "DEBUG", "A": "b c",
    }  # fmt: skip
    assert launch.container is not None
    options = {one.name: one.value for one in launch.container.options}
    assert options == {
        "--rm": "", "--shm-size": "64m", "--gpus": "all", "--ulimit": "nofile=1024",
    }  # fmt: skip
    assert [why for _, why in document.unread] == ["/etc/vllm.env is not read"]
    assert {
        ("unknown-variable", "VLLM_LOGGING_LEVL", 6), ("shm-small", "--shm-size", 7),
        ("few-files", "--ulimit", 8), ("removed-option", "--swap-space", 12),
        ("not-passed", "VLLM_CPU_KVCACHE_SPACE", 15),
    } == {one for one in lines("v.container", QUADLET) if one[0] != "privileged"}  # fmt: skip


def test_a_drop_in_of_a_quadlet_file_sets_what_the_container_gets() -> None:
    text = "[Container]\nEnvironment=VLLM_LOGGING_LEVL=DEBUG\n"
    assert lines("v.container.d/10.conf", text) == {("unknown-variable", "VLLM_LOGGING_LEVL", 2)}


@pytest.mark.parametrize("value", ["no.such = [", "'", '"a', "\\", "%", "$", "; ;", "@", "-"])
def test_odd_lines_never_raise(value: str) -> None:
    for key in ("Environment", "ExecStart", "Exec", "PodmanArgs", "Image"):
        linter.read(
            "v.container", f"[Container]\nImage=i\n{key}={value}\n[Service]\n{key}={value}"
        )

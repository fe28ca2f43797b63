"""Compose files and manifests: no shell reads them, and each word stands at its line."""

from __future__ import annotations

import pytest

from trimtab import linter
from trimtab.model.finding import Severity
from trimtab.model.situation import Situation


def lines(name: str, text: str) -> set[tuple[str, str, int]]:
    return {
        (one.rule, one.setting, one.place.line)
        for one in linter.check(linter.read(name, text), Situation())
        if one.place
    }


SERVICE = "services:\n  v:\n    image: vllm/vllm-openai:v0.32.0\n"
SHELL = "    entrypoint: [bash, -c]\n    command:\n    - "


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("    command: >-\n      m\n      --max-model-len 9\n      --swap-space 4\n", 7),
        ("    command: |\n      m\n      --max-model-len 9\n      --swap-space 4\n", 7),
        ("    command: m\n      --max-model-len 9\n      --swap-space 4\n", 6),
        ('    command: "m\n      --max-model-len 9\n      --swap-space 4"\n', 6),
        ("    command:\n    - m\n    - --max-model-len=9\n    - --swap-space=4\n", 7),
        ("    entrypoint: []\n    command: bash -c \"vllm serve m\n      --swap-space 4\"\n", 6),
        (
            SHELL + "|\n      vllm serve m \\\n       --swap-space 4\n",
            8,
        ),
        (
            SHELL + ">-\n      vllm serve m\n      --swap-space 4\n",
            8,
        ),
    ],
)  # fmt: skip
def test_an_option_of_a_service_stands_at_its_line(more: str, expected: int) -> None:
    assert ("removed-option", "--swap-space", expected) in lines("compose.yaml", SERVICE + more)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("    environment:\n    - VLLM_USE_V1 = 1\n", ("not-assigned", "VLLM_USE_V1 ", 5)),
        (
            '    environment:\n    - VLLM_LOGGING_LEVEL="DEBUG"\n',
            ("stray-syntax", "VLLM_LOGGING_LEVEL", 5),
        ),
        ("    command: >-\n      m\n      # --x\n      --y\n", ("no-shell", "command", 6)),
        (
            "    command:\n    - m\n    - >\n      a\n      # b\n      c\n",
            ("no-shell", "command", 8),
        ),
        ("    command: m && echo\n", ("no-shell", "command", 4)),
        (
            "    entrypoint: [sh, -c]\n    command: vllm serve m\n",
            ("ignored-arguments", "args", 5),
        ),
    ],
)
def test_no_shell_reads_a_service(more: str, expected: tuple[str, str, int]) -> None:
    assert expected in lines("compose.yaml", SERVICE + more)


def test_items_of_two_words_show_that_a_server_reads_them() -> None:
    text = "services:\n v:\n  build: .\n  command:\n  - --max-model-len 9\n  - --swap-space 4\n"
    (launch,) = linter.read("compose.yaml", text).launches
    assert launch.argv == ("vllm", "serve", "--max-model-len 9", "--swap-space 4")


def _compose(command: str, image: str = "my/image") -> list[tuple[str, str]]:
    text = f"services:\n  a:\n    image: {image}\n    environment:\n      LEN: abc\n{command}"
    found = linter.check(linter.read("compose.yaml", text), Situation())
    return [(one.rule, one.setting) for one in found if one.severity is not Severity.INFO]


def test_two_dollars_of_compose_are_a_variable_of_the_containers_shell() -> None:
    script = "    command:\n    - bash\n    - -c\n    - vllm serve m --max-model-len $$LEN\n"
    assert _compose(script) == [("option-value", "--max-model-len")]
    assert _compose(script.replace("$$LEN", "$${LEN}")) == [("option-value", "--max-model-len")]
    assert _compose(script.replace("$$LEN", "4096")) == []


def test_two_dollars_without_a_shell_stay_one() -> None:
    command = "    command: --model m --tensor-parallel-size $$TP --max-model-len $LEN\n"
    assert _compose(command, "vllm/vllm-openai:v0.32.0") == [("no-shell", "command")]

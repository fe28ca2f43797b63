"""Secrets are recognised by name, and leave no trace of their value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.model import Check, CheckKind, Plan, Settings, to_json
from trimtab.redaction import (
    argv_secrets,
    is_marker,
    looks_secret,
    redact,
    redact_plan,
    redact_settings,
)

SECRET = "hunter2-hunter2"


@pytest.mark.parametrize(
    "name",
    [
        "HF_TOKEN",
        "hf_token",
        "GITHUB_TOKEN_2",
        "VLLM_API_KEY",
        "OPENAI_APIKEY",
        "apiKey",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "DB_PASSWORD",
        "dbPassword",
        "PGPASSWD",
        "SSH_PASSPHRASE",
        "MY_CREDENTIALS",
        "API_TOKENS",
        "SIGNING_KEYS",
        "--api-key",
        "--hf-token",
    ],
)
def test_secret_names_are_recognised(name: str) -> None:
    assert looks_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        "TOKENIZERS_PARALLELISM",
        "MAX_NUM_BATCHED_TOKENS",
        "VLLM_MULTI_STREAM_GEMM_TOKEN_THRESHOLD",
        "VLLM_MAX_BAD_WORDS_TOTAL_TOKENS",
        "VLLM_USE_FASTOKENS",
        "HF_HUB_DISABLE_IMPLICIT_TOKEN",
        "KEYBOARD",
        "MONKEYPATCH",
        "PATH",
        "LD_PRELOAD",
        "--tokenizer",
        "--max-num-batched-tokens",
        "--long-prefill-token-threshold",
        "--spec-tokens",
        "--ssl-keyfile",
    ],
)
def test_harmless_names_are_left_alone(name: str) -> None:
    assert not looks_secret(name)


def test_redact_replaces_the_value_by_a_reference() -> None:
    assert redact({"HF_TOKEN": SECRET, "OMP_NUM_THREADS": "2"}) == {
        "HF_TOKEN": "${HF_TOKEN}",
        "OMP_NUM_THREADS": "2",
    }


def test_a_marker_is_told_from_a_value() -> None:
    assert is_marker("${HF_TOKEN}")
    assert not is_marker("$HF_TOKEN")
    assert not is_marker("a${HF_TOKEN}")
    assert not is_marker(None)


@given(st.dictionaries(st.text(), st.text()))
def test_redact_is_idempotent_and_keeps_names_and_order(env: dict[str, str]) -> None:
    once = redact(env)
    assert redact(once) == once
    assert list(once) == list(env)


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["vllm", "serve", "m", "--hf-token", SECRET], ["--hf-token", "${HF_TOKEN}"]),
        (["vllm", f"--hf-token={SECRET}", "m"], ["${HF_TOKEN}", "m"]),
        (
            ["vllm", "--api-key", SECRET, SECRET, "--port"],
            ["--api-key", "${API_KEY}", "${API_KEY_2}", "--port"],
        ),
        (["vllm", "--max-num-batched-tokens", "256"], ["--max-num-batched-tokens", "256"]),
        (["vllm", "--hf-token", "--seed", "1"], ["--hf-token", "--seed", "1"]),
    ],
)
def test_secrets_on_the_command_line(argv: list[str], expected: list[str]) -> None:
    redacted = redact_settings(Settings(tuple(argv))).argv
    assert SECRET not in " ".join(redacted)
    assert [word.removeprefix("--hf-token=") for word in redacted][-len(expected) :] == expected


def test_an_option_after_a_single_valued_secret_is_kept() -> None:
    argv = ("vllm", "serve", "--hf-token", SECRET, "model")
    assert redact_settings(Settings(argv)).argv[-1] == "model"


def test_names_made_of_options_are_variables() -> None:
    found = [name for _, _, name in argv_secrets(["--2nd-key=x", "--a b;key=x"])]
    assert found == ["ARG_2ND_KEY", "A_B_KEY"]


def test_a_plan_keeps_no_trace_of_a_secret() -> None:
    plan = Plan(
        candidate=(("dtype", "float32"),),
        settings=Settings(
            ("/bin/vllm", "--api-key", SECRET), env=(("HF_TOKEN", SECRET), ("A", "b"))
        ),
        checks=(
            Check(CheckKind.ENVIRON, "HF_TOKEN", SECRET),
            Check(CheckKind.ENVIRON, "A", "b"),
            Check(CheckKind.ENVIRON, "OTHER_TOKEN", None),
        ),
    )
    redacted = redact_plan(plan)
    assert SECRET in to_json(plan)
    assert SECRET not in to_json(redacted)
    assert redacted.checks[1:] == plan.checks[1:]
    assert redact_plan(redacted) == redacted


def test_a_plan_without_secrets_keeps_its_digest() -> None:
    plan = Plan(candidate=(), settings=Settings(("/bin/vllm", "serve"), env=(("A", "b"),)))
    assert redact_plan(plan).digest == plan.digest

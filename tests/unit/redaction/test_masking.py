"""Text is shown without its secrets, and whole otherwise."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.model import Settings
from trimtab.redaction import (
    MASK,
    holds_secret,
    is_secret,
    looks_secret,
    mask_prose,
    mask_text,
    redact_settings,
    redact_words,
    restore_words,
    secret_values,
)

SHAPES = (
    "hf_abcdefghijABCDEFGHIJ01",
    "sk-abc-DEF-123",
    "ghp_abcdefgh12",
    "github_pat_abcdefghijk12",
    "AKIAABCDEFGH0123",
    "eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl",
    "https://user:pa55@host/x",
    "redis://:pa55@host",
    "Bearer abcdef123456",
)


@pytest.mark.parametrize("text", SHAPES)
def test_a_known_shape_is_a_secret_under_any_name(text: str) -> None:
    assert holds_secret(text)
    assert is_secret("INNOCENT", text)
    assert redact_settings(Settings(("vllm", "--revision", text))).argv[-1] == "${REVISION}"
    secret = text.removeprefix("Bearer ").partition("://")[2].rpartition("@")[0] or text
    assert secret not in mask_text(f"see {text}.") or secret.startswith("Bearer")
    assert "abcdef123456" not in mask_prose(f"said {text} there")


@pytest.mark.parametrize(
    "text",
    [
        "Qwen/Qwen2.5-0.5B",
        "task-specific-model",
        "sk-learn",
        "git@github.com:a/b",
        "ssh://git@github.com/a",
        "http://127.0.0.1:8000/v1",
        "/models/hf_model",
        '{"rope_scaling": {"factor": 2.0}, "image_token": "<image>", "eos_token_id": 3}',
    ],
)
def test_other_values_are_no_secrets(text: str) -> None:
    assert not holds_secret(text)
    assert mask_prose(text) == text


@pytest.mark.parametrize("name", ["DB_PASS", "REDIS_PWD", "GITHUB_PAT", "aws.secretKey"])
def test_further_names(name: str) -> None:
    assert looks_secret(name)


@pytest.mark.parametrize("name", ["PWD", "VLLM_ENABLE_FUSION_PASS", "OLDPWD", "BYPASS"])
def test_names_beside_them(name: str) -> None:
    assert not looks_secret(name)


@pytest.mark.parametrize("key", ["auth_token", "password", "secret_key", "apiKey"])
def test_json_is_looked_into(key: str) -> None:
    text = json.dumps({"extra": [{key: "hunter2-hunter2"}], "a": 1})
    shown = redact_settings(Settings(("vllm", "--additional-config", text, "-tp", "2"))).argv
    assert shown == ("vllm", "--additional-config", "${ADDITIONAL_CONFIG}", "-tp", "2")
    assert "hunter2" not in mask_text(text)
    assert "hunter2" not in mask_prose(f"refused: {text}")


@pytest.mark.parametrize(
    "words",
    [
        ("--api-key", "K1", "K2", "-tp", "2"),
        ("--api_key", "K1", "K2", "-tp", "2"),
        ("--api-key=K1", "-tp", "2"),
        ("--hf-token", "K1", "-tp=2", "-O3"),
        ("--kv-transfer-config.extra.password", "K1", "--seed", "2"),
        ("--api-key", "K1", "-tp", "2", "--api-key", "K2"),
    ],
)
def test_redaction_hides_the_values_alone(words: tuple[str, ...]) -> None:
    shown = redact_words(words)
    assert not {"K1", "K2"} & {part for word in shown for part in word.split("=")}
    kept = [word for word in words if "K1" not in word and "K2" not in word]
    assert [word for word in shown if "${" not in word] == kept
    assert redact_words(shown) == shown


@given(st.lists(st.sampled_from(["--api-key", "-tp", "2", "--seed", "K1", *SHAPES]), max_size=6))
def test_nothing_but_a_secret_changes_place(words: list[str]) -> None:
    shown = redact_words(words)
    assert len(shown) == len(words)
    assert all(a == b for a, b in zip(words, shown, strict=True) if b.find("${") < 0)
    assert redact_words(shown) == shown
    assert not any(holds_secret(word) for word in shown)


def test_a_secret_inside_json_comes_back_from_the_environment() -> None:
    words = ("vllm", "serve", "m", '--hf-overrides={"auth_token":"hunter2-hunter2"}')
    shown = redact_words(words)
    assert shown[-1] == "--hf-overrides=${HF_OVERRIDES}"
    environment = {"HF_OVERRIDES": words[-1].partition("=")[2]}
    assert restore_words(shown, environment) == words


def test_every_secret_that_a_server_is_given_is_known() -> None:
    settings = Settings(
        ("vllm", "--api-key", "key-one", "key-two", "--x", '{"password": "in-json"}'),
        env=(("DB_PASS", "db-pass"), ("URL", "redis://:in-url@h")),
    )
    found = secret_values(settings, {"HF_TOKEN": "inherited", "PATH": "/usr/bin"})
    assert found >= {"key-one", "key-two", "in-json", "db-pass", "in-url", "inherited"}
    assert "/usr/bin" not in found
    text = " ".join(sorted(found))
    assert set(mask_prose(text, found).split()) == {MASK}


@pytest.mark.parametrize(
    "line",
    [
        "non-default args: {'api_key': ['sekret'], 'model': 'm'}",
        'api_key="sekret", model=m',
        '{\\"auth_token\\": \\"sekret\\"}',
        "export HF_TOKEN=sekret",
    ],
)
def test_lines_of_a_log(line: str) -> None:
    assert "sekret" not in mask_prose(line)
    assert "sekret" not in mask_text(line)


def test_prose_is_left_alone() -> None:
    text = "the URL must hold no user or password: set VLLM_API_KEY to the key"
    assert mask_prose(text) == text
    assert mask_text("--api-key a b -tp 2") == "--api-key *** -tp 2"


NAMES = (
    "password",
    "db_passwd",
    "authorization",
    "Authorization",
    "api-key",
    "HF_TOKEN",
    "db.password",
)
SENTENCES = (
    "no tuning is called '{}': 'trimtab catalog' lists all",
    "no tuning is called '{}': did you mean quantization?",
    "no such command '{}': see 'trimtab -h'",
    "no such option: --{}: see 'trimtab tune -h'",
    "--context has no key '{}': it is one of arch, chip",
    "the study has no tuning '{}': it has jemalloc, thp",
    "unexpected '{}': a command goes behind '--'",
    'no preset is called "{}": it is one of guide, stock',
)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_name_that_was_typed_hides_nothing_behind_it(sentence: str, name: str) -> None:
    assert mask_prose(sentence.format(name)) == sentence.format(name)


SECRETS = st.one_of(
    st.text("abcdefghijklmnopqrstuvwxyz", min_size=8, max_size=16),
    st.text("abcdefABCDEF0123456789_+.", min_size=8, max_size=24).filter(
        lambda text: text[0] != "."
    ),
)
CARRIERS = (
    "{{'{}': '{}', 'model': 'm'}}",
    '{{"{}": "{}"}} is refused',
    '"{}": "{}" is refused',
    '\\"{}\\": \\"{}\\"',
    "'{}': {}",
    "'{}': {}, 'model': m",
    "'{}': {}}}",
    "'{}': ['{}']",
    "export {}={} and go",
    "--{}={} is refused",
)


@given(st.sampled_from(NAMES), st.sampled_from(CARRIERS), SECRETS)
def test_a_secret_stays_hidden_in_every_pair(name: str, carrier: str, secret: str) -> None:
    given_ = carrier.format(name, secret)
    assert secret not in mask_prose(given_)
    assert MASK in mask_prose(given_)


@given(
    st.sampled_from(
        (
            "Authorization: {}",
            "authorization: Basic {}",
            "authorization: token {} is refused",
            "'authorization': basic {} is refused",
            "-H 'Authorization: Bearer {}'",
            "https://me:{}@host/v1 is refused",
        )
    ),
    SECRETS,
)
def test_a_header_and_a_url_hide_theirs(carrier: str, secret: str) -> None:
    assert secret not in mask_prose(carrier.format(secret))

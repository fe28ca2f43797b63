"""Canaries under every spelling of a secret: no command prints, stores or exports one."""

from __future__ import annotations

import base64
import json
import shlex
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.scripted import scripted
from tests.support.show_samples import PROFILE
from trimtab.cli import app, terminal
from trimtab.model import Plan, Settings
from trimtab.profiles.profile import write_profile
from trimtab.redaction import mask_prose, mask_text, redact_settings, secret_values
from trimtab.study.baseline import parse

ENCODED = base64.b64encode(b"user:CANARY-basic").decode()
CANARIES = {
    "HF_TOKEN": "CANARYhf01plain",
    "AWS_SECRET_ACCESS_KEY": "CANARYaws02+/x",
    "PGPASSWORD": "CANARYpg03",
    "DB_PASS": "CANARYdb04",
    "HF_ENDPOINT": "CANARYurl05",
    "MY_SECRET_B64": base64.b64encode(b"CANARY-b64-06").decode(),
    "MONGO_URI": "CANARYmongo07",
    "AZURE_STORAGE_CONNECTION_STRING": "CANARYazure08==",
    "DATABASE_DSN": "CANARYdsn09",
    "OTEL_EXPORTER_OTLP_HEADERS": "CANARYotel10",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS": ENCODED,
    "EXTRA_ARGS": "CANARYextra11",
    "--api-key": "CANARYkey12",
    "--api-key, the second": "CANARYkey13",
    "--ssl-keyfile-password": "CANARYssl14",
    "--hf-token=": "CANARYtok15",
    "--additional-config": "CANARYjson16",
    "--additional-config, a list": "CANARYjson17",
    "--kv-transfer-config.x.password": "CANARYdot18",
    "--otlp-traces-endpoint": "CANARYotlp19",
}
"""Where it stands → the secret."""

ENVIRONMENT = {
    **{
        name: CANARIES[name]
        for name in ("HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "PGPASSWORD", "DB_PASS", "MY_SECRET_B64")
    },
    "HF_ENDPOINT": f"https://me:{CANARIES['HF_ENDPOINT']}@hub.example",
    "MONGO_URI": f"mongodb+srv://root:{CANARIES['MONGO_URI']}@host/db",
    "AZURE_STORAGE_CONNECTION_STRING": (
        f"AccountName=a;AccountKey={CANARIES['AZURE_STORAGE_CONNECTION_STRING']}"
    ),
    "DATABASE_DSN": f"host=h user=u password={CANARIES['DATABASE_DSN']}",
    "OTEL_EXPORTER_OTLP_HEADERS": (
        f"Authorization=Bearer {CANARIES['OTEL_EXPORTER_OTLP_HEADERS']},x=1"
    ),
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS": f"authorization=Basic {ENCODED}",
    "EXTRA_ARGS": f"--seed 1 --api-key {CANARIES['EXTRA_ARGS']}",
}
CONFIG = json.dumps(
    {
        "env": {"HF_TOKEN": CANARIES["--additional-config"]},
        "vars": [{"name": "PGPASSWORD", "value": CANARIES["--additional-config, a list"]}],
    }
)
KEYS = ("--api-key", CANARIES["--api-key"], CANARIES["--api-key, the second"])
TAKEN = (*KEYS, "--max-num-seqs", "64", "--additional-config", CONFIG)
"""Arguments that the scripted engine takes."""
ARGUMENTS = (
    *TAKEN,
    "--ssl-keyfile-password",
    CANARIES["--ssl-keyfile-password"],
    f"--hf-token={CANARIES['--hf-token=']}",
    "--kv-transfer-config.x.password",
    CANARIES["--kv-transfer-config.x.password"],
    "--otlp-traces-endpoint",
    f"https://u:{CANARIES['--otlp-traces-endpoint']}@collector/v1",
    *KEYS,
    "-tp",
    "2",
)


Run = Callable[..., tuple[int, str]]


def leaks(text: str) -> list[str]:
    return [where for where, secret in CANARIES.items() if secret in text]


def written(folder: Path) -> str:
    """Return all that a folder holds as one text."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return "\n".join(path.read_text(errors="replace") for path in files)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    yield
    terminal.choose()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def ran(*words: object) -> tuple[int, str]:
        """Run a command line in this process; return its exit code and all that it printed."""
        monkeypatch.setattr(sys, "argv", ["trimtab", *map(str, words)])
        capsys.readouterr()
        code = app.run()
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return ran


def script(folder: Path, arguments: tuple[str, ...]) -> Path:
    path = folder / "serve.sh"
    exports = [f"export {name}={shlex.quote(value)}" for name, value in ENVIRONMENT.items()]
    path.write_text("\n".join([*exports, shlex.join(["vllm", "serve", "m", *arguments])]) + "\n")
    return path


@pytest.mark.parametrize("name", ENVIRONMENT)
def test_a_variable_is_hidden_as_a_whole(name: str) -> None:
    settings = Settings(("vllm",), env=((name, ENVIRONMENT[name]),))
    assert redact_settings(settings).env == ((name, f"${{{name}}}"),)
    assert CANARIES[name] in secret_values(settings, {})


def test_arguments_are_hidden_and_what_follows_them_is_kept() -> None:
    shown = redact_settings(Settings(("vllm", "serve", "m", *ARGUMENTS))).argv
    assert shown == (
        *("vllm", "serve", "m", "--api-key", "${API_KEY}", "${API_KEY_2}"),
        *("--max-num-seqs", "64", "--additional-config", "${ADDITIONAL_CONFIG}"),
        *("--ssl-keyfile-password", "${SSL_KEYFILE_PASSWORD}", "--hf-token=${HF_TOKEN}"),
        *("--kv-transfer-config.x.password", "${KV_TRANSFER_CONFIG_X_PASSWORD}"),
        *("--otlp-traces-endpoint", "${OTLP_TRACES_ENDPOINT}"),
        *("--api-key", "${API_KEY}", "${API_KEY_2}", "-tp", "2"),
    )


def test_assignments_before_a_command_keep_their_names() -> None:
    words = ("env", *(f"{name}={value}" for name, value in ENVIRONMENT.items()), "A=1", "vllm")
    shown = redact_settings(Settings(words)).argv
    assert shown == ("env", *(f"{name}=${{{name}}}" for name in ENVIRONMENT), "A=1", "vllm")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("curl -u root:hunter2 http://h", "curl -u *** http://h"),
        (
            "curl -H 'Authorization: Bearer abcdef' -u a:b h",
            "curl -H 'Authorization: *** ***' -u *** h",
        ),
        ("docker run -u 1000:1000 image", "docker run -u 1000:1000 image"),
        ('"--api-key", "K1", "K2", "-tp", "2"', '"--api-key", ***, "-tp", "2"'),
        ("--kv-transfer-config.x.password abc -tp 2", "--kv-transfer-config.x.password *** -tp 2"),
        ("max_new_tokens=128 sort=key", "max_new_tokens=128 sort=key"),
    ],
)
def test_lines_of_launch_files(text: str, shown: str) -> None:
    assert mask_text(text) == shown


def test_what_http_sends_of_a_password_is_known() -> None:
    known = secret_values(Settings(("vllm", "--proxy", "http://user:CANARY-basic@h")), {})
    assert mask_prose(f"sent {ENCODED}", known) == "sent ***="


def test_a_measurement_holds_none(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", CANARIES["HF_TOKEN"])
    path, folder = script(tmp_path, TAKEN), tmp_path / "bench"
    words = ("--engine", "scripted", "--workload", "tiny", "--starts", "1", "--shared-host")
    code, said = run("bench", path, *words, "--study", folder, "--json")
    assert code == 0, said
    text = written(folder)
    assert "${API_KEY_2}" in text
    assert leaks(said + text) == []


def test_a_server_that_refuses_its_arguments_holds_none(tmp_path: Path, run: Run) -> None:
    path, folder = script(tmp_path, ARGUMENTS), tmp_path / "bench"
    words = ("--engine", "scripted", "--workload", "tiny", "--starts", "1", "--shared-host")
    code, said = run("bench", path, *words, "--study", folder)
    assert code == 1
    assert "--ssl-keyfile-password" in said
    assert leaks(said + written(folder)) == []


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    command = parse([*(f"{k}={v}" for k, v in ENVIRONMENT.items()), "vllm", "serve", "m", *TAKEN])
    settings = Settings(("vllm", "serve", "m", *command.args), env=command.env)
    path = tmp_path / "profile.yaml"
    write_profile(replace(PROFILE, answers=(), risks={}, plan=Plan((), settings)), path)
    return path


FORMATS = ("shell", "systemd", "docker", "compose", "kubernetes", "vllm", "dockerfile")


@pytest.mark.parametrize("kind", FORMATS)
def test_an_export_holds_none(kind: str, profile: Path, tmp_path: Path, run: Run) -> None:
    words = ("--image", "vllm/vllm-openai-cpu", "--memory", 8, "--cpus", 2)
    _, said = run("export", profile, "--format", kind, "--output", tmp_path / "out", *words)
    out = tmp_path / "out"
    text = written(out) if out.is_dir() else out.read_text() if out.exists() else ""
    assert leaks(said + text + profile.read_text()) == []


@pytest.mark.parametrize(
    "words",
    [
        ("run", "--dry-run", "--force", "--profile"),
        ("diff", "guide", "--all", "--json"),
        ("diff", "guide", "--all"),
        ("host", "plan"),
        ("export", "--json"),
    ],
)
def test_what_reads_a_profile_prints_none(words: tuple[str, ...], profile: Path, run: Run) -> None:
    assert leaks(run(*words, profile)[1]) == []


@pytest.mark.parametrize("more", [("--json",), (), ("--all",)])
def test_doctor_prints_none(
    more: tuple[str, ...],
    tmp_path: Path,
    run: Run,
) -> None:
    with scripted(tmp_path, None, *TAKEN, env=ENVIRONMENT) as server:
        code, said = run("doctor", "--pid", server.process.pid, *more)
        _, captured = run("doctor", "--pid", server.process.pid, "--capture", tmp_path / "snap")
    assert code in {0, 1}
    assert leaks(said + captured + written(tmp_path / "snap")) == []
    if more == ("--json",):
        found = json.loads(said)
        words = found["processes"][0]["command"]
        at = words.index("--api-key")
        assert words[at : at + 5] == [
            "--api-key",
            "${API_KEY}",
            "${API_KEY_2}",
            "--max-num-seqs",
            "64",
        ]
        assert json.loads(found["config"]["args.additional_config"])["env"] == {"HF_TOKEN": "***"}


@pytest.mark.parametrize("kind", ["text", "json", "sarif", "github"])
@pytest.mark.parametrize("name", ["serve.sh", "compose.yaml", "pod.yaml"])
def test_lint_prints_none(kind: str, name: str, tmp_path: Path, run: Run) -> None:
    wrong = (*ARGUMENTS, "--bogus", "x")
    path = script(tmp_path, wrong).rename(tmp_path / name)
    if name == "serve.sh":
        curl = f"curl -u root:{CANARIES['MONGO_URI']} -H 'Authorization: Basic {ENCODED}' http://h"
        path.write_text(path.read_text() + f"{curl}; export TASK_QUEUE_ENABLE=9\n")
    elif name == "compose.yaml":
        service = {"image": "vllm/vllm-openai:v0.11.0", "command": ["m", *wrong]}
        path.write_text(
            json.dumps({"services": {"a": {**service, "environment": ENVIRONMENT}}}, indent=1)
        )
    else:
        env = [{"name": key, "value": value} for key, value in ENVIRONMENT.items()]
        container = {
            "name": "v",
            "image": "vllm/vllm-openai:v0.11.0",
            "env": env,
            "args": ["m", *wrong],
        }
        pod = {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [container]}}
        path.write_text(json.dumps(pod, indent=1))
    code, said = run("lint", path, "--all", "--format", kind)
    assert code == 1
    assert "bogus" in said
    assert leaks(said) == []


@pytest.mark.parametrize(
    "words",
    [
        (
            "tune",
            "--engine",
            "scripted",
            "--dry-run",
            "--json",
            "--",
            "vllm",
            "serve",
            "m",
            *ARGUMENTS,
        ),
        (
            "tune",
            "--engine",
            "scripted",
            "--dry-run",
            "--",
            "numactl",
            f"PGPASSWORD={CANARIES['PGPASSWORD']}",
            "vllm",
        ),
        ("tune", f"--hf-token={CANARIES['--hf-token=']}"),
        ("bench", "--url", f"http://u:{CANARIES['HF_ENDPOINT']}@127.0.0.1:9"),
        ("compare", f"PGPASSWORD={CANARIES['PGPASSWORD']}", "stock"),
        ("workload", "from-metrics", f"https://u:{CANARIES['HF_ENDPOINT']}@h"),
        ("catalog", f"--api-key={CANARIES['--api-key']}"),
        ("host", "plan", "--set", f"password={CANARIES['PGPASSWORD']}"),
        ("export", "--preset", "guide", f"--api-key={CANARIES['--api-key']}"),
        (
            *("run", "--preset", "guide", "--dry-run", "--", "env"),
            *(f"{name}={value}" for name, value in ENVIRONMENT.items()),
            *("vllm", "serve", "m", *ARGUMENTS),
        ),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_messages_and_dry_runs_print_none(words: tuple[str, ...], run: Run) -> None:
    _, said = run(*words)
    assert said
    assert leaks(said) == []

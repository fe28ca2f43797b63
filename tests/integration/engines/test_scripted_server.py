"""The scripted server: it answers, ends and is configured like vLLM, and its speed is known."""

from __future__ import annotations

import asyncio
import json
import math
import os
import re
import signal
import subprocess
import time
import urllib.error
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from tests.support.scripted import Running, command, environment, scripted
from trimtab.engines.scripted import behaviour
from trimtab.engines.scripted.server import CompletionJob, TokenScheduler

FULL = ["VLLM::EngineCor", "VLLM::Worker", "vllm"]


def name(process: psutil.Process) -> str:
    return Path(f"/proc/{process.pid}/comm").read_text(encoding="ascii").strip()


def tree(server: Running, expected: list[str]) -> list[psutil.Process]:
    """Return the processes, API server first, once they have the names that are expected."""
    root = psutil.Process(server.process.pid)
    for _ in range(2000):
        processes = [root, *root.children(recursive=True)]
        found = sorted(map(name, processes))
        if found == expected:
            return processes
        time.sleep(0.01)
    raise AssertionError(f"the server's processes are {found}")


def gone(processes: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=20)
    return all(one.status() == psutil.STATUS_ZOMBIE for one in alive)


def refused(tmp_path: Path, *words: str, told: Mapping[str, Any] | None = None) -> tuple[int, str]:
    ran = subprocess.run(
        command("serve", "m", *words),
        env=environment(tmp_path, told, None),
        capture_output=True,
        text=True,
        timeout=60,
    )
    return ran.returncode, ran.stdout + ran.stderr


def test_the_pages(tmp_path: Path) -> None:
    with scripted(tmp_path) as server:
        assert server.get("/health") == ""
        assert json.loads(server.get("/version"))["version"]
        assert json.loads(server.get("/v1/models"))["data"][0]["id"] == "scripted-model"
        assert re.search(
            r'^vllm:cache_config_info\{.*block_size="128"', server.get("/metrics"), re.MULTILINE
        )
        assert server.metric("vllm:num_requests_running") == 0
        with pytest.raises(urllib.error.HTTPError, match="404") as caught:
            server.get("/nothing")
        caught.value.close()


@pytest.mark.parametrize("ignored", [[], ["max_num_seqs", "enforce_eager", "dtype"]])
def test_the_configuration_in_effect_is_reported(ignored: list[str], tmp_path: Path) -> None:
    words = ["--max-num-seqs=16", "--enforce_eager", "--dtype", "float32", "--block-size", "32"]
    words += ["--no-enable-prefix-caching", "--served-model-name", "other"]
    with scripted(tmp_path, {"faults": {"ignore_config": ignored}}, *words) as server:
        config = json.loads(server.get("/server_info?config_format=json"))["vllm_config"]
        metrics, log = server.get("/metrics"), server.log.read_text()
        assert json.loads(server.get("/v1/models"))["data"][0]["id"] == "other"
    dtype = "torch.bfloat16" if ignored else "torch.float32"
    assert config["model_config"]["dtype"] == dtype
    assert config["model_config"]["enforce_eager"] is not bool(ignored)
    assert config["scheduler_config"]["max_num_seqs"] == (128 if ignored else 16)
    assert config["scheduler_config"]["max_num_batched_tokens"] == 2048
    assert config["cache_config"] == {"block_size": 32, "enable_prefix_caching": False}
    assert 'block_size="32",enable_prefix_caching="False"' in metrics
    assert re.search(rf"Initializing a V1 LLM engine .* dtype={dtype}, ", log)
    assert "non-default args: " in log


@pytest.mark.parametrize(
    ("multiprocessing", "expected"), [("1", FULL), ("0", ["VLLM::EngineCor", "vllm"])]
)
def test_the_processes_are_vllms(
    multiprocessing: str, expected: list[str], tmp_path: Path
) -> None:
    env = {"VLLM_ENABLE_V1_MULTIPROCESSING": multiprocessing}
    with scripted(tmp_path, env=env) as server:
        processes = tree(server, expected)
        server.process.terminate()
        assert server.process.wait(20) == 0
        assert gone(processes)


def test_a_killed_api_server_leaves_its_children_behind(tmp_path: Path) -> None:
    with scripted(tmp_path) as server:
        _, *children = tree(server, FULL)
        os.kill(server.process.pid, signal.SIGKILL)
        assert server.process.wait(20) == -signal.SIGKILL
        assert all(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in children)


@pytest.mark.parametrize("victim", [1, 2])
def test_a_killed_engine_or_worker_ends_the_api_server_with_0(victim: int, tmp_path: Path) -> None:
    with scripted(tmp_path) as server:
        _, core, worker = tree(server, FULL)
        os.kill((core, worker)[victim - 1].pid, signal.SIGKILL)
        assert server.process.wait(20) == 0
        assert gone([core])


def test_flags_it_does_not_know_end_it_like_vllm(tmp_path: Path) -> None:
    code, said = refused(tmp_path, "--no-such-flag")
    assert code == 2
    assert said.splitlines()[-1] == "vllm: error: unrecognized arguments: --no-such-flag"
    code, said = refused(tmp_path, "--max-num-seqs", "many")
    assert (code, "invalid int value" in said) == (2, True)


def test_a_taken_port_ends_it(tmp_path: Path) -> None:
    with scripted(tmp_path) as server:
        code, said = refused(tmp_path, "--port", server.url.rpartition(":")[2])
    assert code == 1
    assert "Address already in use" in said


def test_it_can_be_told_to_fail_at_start(tmp_path: Path) -> None:
    leaving = {"when": {"arg": ["--block-size", "8"]}, "rc": 3, "message": "bad block size"}
    told = {"faults": {"exit_at_start": leaving}}
    code, said = refused(tmp_path, "--block-size=8", told=told)
    assert (code, said) == (3, "bad block size\n")
    with scripted(tmp_path, told, "--block-size=16") as server:
        assert server.get("/health") == ""


@pytest.mark.parametrize(
    ("told", "named"),
    [
        ({"tokn_seconds": 1}, "tokn_seconds"),
        ({"faults": {"hang": 1}}, "faults.hang"),
        ({"effects": [{"when": {"envs": {}}, "log_effect": 1}]}, "envs"),
    ],
)
def test_a_misspelt_behaviour_is_an_error(
    told: dict[str, object], named: str, tmp_path: Path
) -> None:
    code, said = refused(tmp_path, told=told)
    assert code == 1
    assert named in said


def factor(words: str = "", maps: str = "", **told: object) -> float:
    return behaviour.speed(
        {**behaviour.BEHAVIOUR, **told}, behaviour.normalize(words.split()), maps
    )


def test_planted_effects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VLLM_ENABLE_V1_MULTIPROCESSING", raising=False)
    assert factor() == 1.0
    assert factor("--dtype float32") == pytest.approx(math.exp(-1.2))
    assert factor("serve m --dtype=float32 --seed 1") == pytest.approx(math.exp(-1.2))
    assert factor("--dtype bfloat16") == factor("--load-format float32") == 1.0
    monkeypatch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "1")
    assert factor() == 1.0
    monkeypatch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    assert factor("--dtype float32") == pytest.approx(math.exp(-1.55))


def test_preload_effects_look_at_what_is_mapped() -> None:
    effects = [{"when": {"preload": "libtcmalloc"}, "log_effect": 0.5}]
    assert factor(maps="7f00 r-xp /usr/lib/libtcmalloc_minimal.so.4", effects=effects) < 1
    assert factor(maps="7f00 r-xp /usr/lib/libc.so.6", effects=effects) == 1.0


def test_conditions_with_several_parts_need_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_TEST", "1")
    both = {"env": {"TRIMTAB_TEST": "1"}, "arg": ["--enforce-eager"]}
    assert behaviour.holds(both, ["--enforce-eager"], "")
    assert not behaviour.holds(both, [], "")
    monkeypatch.delenv("TRIMTAB_TEST")
    assert not behaviour.holds(both, ["--enforce-eager"], "")


def test_noise_is_drawn_anew_at_each_counted_start(tmp_path: Path) -> None:
    def draw(counter: Path, seed: int = 1, sd: float = 0.1) -> float:
        return factor(noise={"sd": sd, "seed": seed, "counter": str(counter)})

    first = [draw(tmp_path / "a") for _ in range(3)]
    assert len(set(first)) == 3
    assert [draw(tmp_path / "b") for _ in range(3)] == first
    assert [draw(tmp_path / "c", seed=2) for _ in range(3)] != first
    assert draw(tmp_path / "d", sd=0.0) == 1.0


class Sink:
    """The part of a stream writer that the engine uses."""

    def __init__(self) -> None:
        self.data = b""
        self.closing = False

    def write(self, data: bytes) -> None:
        self.data += data

    def is_closing(self) -> bool:
        return self.closing

    @property
    def tokens(self) -> int:
        return self.data.count(b'"text"')


def engine(max_num_seqs: int = 128, **faults: object) -> TokenScheduler:
    script = SimpleNamespace(
        token_seconds=1.0,
        ttft_seconds=2.0,
        config={"max_num_seqs": max_num_seqs},
        faults={**behaviour.BEHAVIOUR["faults"], **faults},
    )
    return TokenScheduler(script)  # type: ignore[arg-type]


def job(wanted: int, sink: Sink) -> CompletionJob:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    return CompletionJob(1, sink, 3, wanted, future, usage=True)  # type: ignore[arg-type]


def test_running_streams_share_the_tick_and_the_rest_waits() -> None:
    async def test() -> None:
        served, sinks = engine(max_num_seqs=2), [Sink(), Sink(), Sink()]
        for sink in sinks:
            served.add(job(2, sink))
        emitted = []
        for now in range(8):
            served.tick(float(now))
            emitted.append(tuple(sink.tokens for sink in sinks))
        assert emitted[:4] == [(0, 0, 0), (0, 0, 0), (1, 1, 0), (2, 2, 0)]
        assert emitted[4:] == [(2, 2, 0), (2, 2, 0), (2, 2, 1), (2, 2, 2)]
        assert (served.running, list(served.waiting), served.tokens) == ([], [], 6)

    asyncio.run(test())


def test_an_answer_has_its_tokens_its_usage_and_its_end() -> None:
    async def test() -> None:
        served, sink = engine(), Sink()
        asked = job(2, sink)
        served.add(asked)
        for now in range(4):
            assert not asked.finished.done()
            served.tick(float(now))
        assert asked.finished.done()
        assert sink.data.count(b'"finish_reason":"length"') == 1
        assert b'"usage": {"prompt_tokens": 3, "total_tokens": 5, "completion_tokens": 2}' in (
            sink.data
        )
        assert sink.data.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")

    asyncio.run(test())


def test_a_client_that_left_frees_its_place() -> None:
    async def test() -> None:
        served, left, other = engine(max_num_seqs=1), Sink(), Sink()
        served.add(job(100, left))
        served.add(job(1, other))
        served.tick(0.0)
        left.closing = True
        for now in range(1, 6):
            served.tick(float(now))
        assert (left.tokens, other.tokens) == (0, 1)

    asyncio.run(test())


def test_the_flags_are_vllms_and_the_command_line_may_spell_them_freely() -> None:
    words = "serve m --trust-remote-code --no-disable-log-stats --swap_space=4 --seed 3 --seed 5"
    args = behaviour.parse_arguments(words.split())
    assert (args.model_tag, args.swap_space, args.seed) == ("m", "4", 5)
    assert (args.trust_remote_code, args.disable_log_stats) == (True, False)

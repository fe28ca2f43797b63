"""The scripted engine, launched for real: it looks like vLLM to all that look at it."""

from pathlib import Path

import pytest

from trimtab import engines
from trimtab.errors import ServerLostError
from trimtab.model import Plan, Settings
from trimtab.server.launcher import launch


def plan(*args: str, **env: str) -> Plan:
    engine = engines.find("scripted")
    model, more = engine.model(None)
    return Plan((), Settings(engine.command(model, (*more, *args)), env=tuple(env.items())))


def test_it_serves_with_vllms_roles_and_reports_its_configuration(tmp_path: Path) -> None:
    engine = engines.find("scripted")
    with launch(plan("--max-num-seqs", "7"), engine, tmp_path, deadline=60) as server:
        assert sorted(one.role for one in server.processes()) == ["api", "engine", "worker"]
        assert server.alive() is None
        assert engine.served_name(server.url) == "scripted-model"
        found = server.reported_config()
        assert found["max_num_seqs"] == 7
        assert found["dtype"] == "bfloat16"
        assert engine.cold_start(server.log_text()) is False


def test_it_serves_with_one_process_less(tmp_path: Path) -> None:
    chosen = plan(VLLM_ENABLE_V1_MULTIPROCESSING="0")
    with launch(chosen, engines.find("scripted"), tmp_path, deadline=60) as server:
        assert sorted(one.role for one in server.processes()) == ["api", "engine"]


@pytest.mark.parametrize("way", ["argument", "variable"])
def test_a_server_with_a_key_is_asked_with_it(tmp_path: Path, way: str) -> None:
    engine = engines.find("scripted")
    chosen = plan("--api-key", "a", "b") if way == "argument" else plan(VLLM_API_KEY="a")
    key = engines.api_key(chosen.settings, {})
    with launch(chosen, engine, tmp_path, deadline=60) as server:
        with pytest.raises(ServerLostError, match="/v1/models"):
            engine.served_name(server.url)
        with pytest.raises(ServerLostError, match="/v1/models"):
            engine.served_name(server.url, key="wrong")
        assert engine.served_name(server.url, key=key) == "scripted-model"
        assert engine.ready(server.url)
        assert server.reported_config()["max_num_seqs"] == 128


def test_a_server_without_statistics_says_so(tmp_path: Path) -> None:
    for words, off in (((), False), (("--disable-log-stats",), True)):
        with launch(plan(*words), engines.find("scripted"), tmp_path, deadline=60) as server:
            assert server.reported_config()["disable_log_stats"] is off


def test_a_wrong_argument_is_explained(tmp_path: Path) -> None:
    engine = engines.find("scripted")
    assert "no argument --no-such" in engine.explain(
        "vllm: error: unrecognized arguments: --no-such"
    )

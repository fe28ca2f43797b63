"""The scripted engine, launched for real: it looks like vLLM to all that look at it."""

from pathlib import Path

from trimtab import engines
from trimtab.model import Plan, Settings
from trimtab.server import launch


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


def test_a_wrong_argument_is_explained(tmp_path: Path) -> None:
    engine = engines.find("scripted")
    assert "no argument --no-such" in engine.explain(
        "vllm: error: unrecognized arguments: --no-such"
    )

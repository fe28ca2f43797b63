"""What vLLM reports of itself, from recorded logs, metrics and answers of vLLM 0.32 for CPU."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.engines.vllm import report
from trimtab.engines.vllm import report as printed
from trimtab.model import Value

DATA = Path(__file__).parents[2] / "data" / "vllm-0.32"


def log(name: str) -> str:
    return (DATA / f"{name}.log").read_text(encoding="utf-8")


def test_the_engine_cores_own_line_is_read() -> None:
    found = report.from_log(log("stock"))
    assert {key: value for key, value in found.items() if not key.startswith("args.")} == {
        "dtype": "bfloat16",
        "max_model_len": 4096,
        "load_format": "dummy",
        "tensor_parallel_size": 1,
        "pipeline_parallel_size": 1,
        "data_parallel_size": 1,
        "quantization": None,
        "enforce_eager": False,
        "kv_cache_dtype": "auto",
        "device": "cpu",
        "seed": 0,
        "enable_prefix_caching": True,
        "enable_chunked_prefill": True,
        "compilation_mode": 2,
        "compilation_backend": "inductor",
        "cudagraph_mode": 0,
        "max_num_batched_tokens": 2048,
        "omp_core_ids": "0",
        "aot_compile": True,
        "torch_threads": 1,
    }


def test_accepted_arguments_are_kept_apart() -> None:
    found = report.from_log(log("stock"))
    assert found["args.load_format"] == "dummy"
    assert found["args.port"] == 8101
    assert "args.served_model_name" not in found  # a list is no value
    assert "args.max_num_seqs" not in found


@pytest.mark.parametrize(
    ("name", "differs"),
    [
        ("one-process", {"dtype": "float32", "enforce_eager": False}),
        ("eager", {"dtype": "float32", "enforce_eager": True, "compilation_mode": 0}),
    ],
)
def test_other_starts_report_otherwise(name: str, differs: dict[str, Value]) -> None:
    found = report.from_log(log(name))
    assert {key: found[key] for key in differs} == differs


def test_secrets_among_the_arguments_are_not_read() -> None:
    line = "non-default args: {'api_key': 'sk-1', 'hf_token': 'hf-1', 'max_num_seqs': 4}"
    assert report.from_log(line) == {"args.max_num_seqs": 4}


def test_a_log_without_the_lines_reports_nothing() -> None:
    assert report.from_log("") == {}
    assert report.from_log("non-default args: {'a': <object>}\nwith config: x=1") == {}
    assert report.from_metrics("") == {}
    assert report.from_server_info(None) == {}
    assert report.from_server_info({"vllm_config": "text"}) == {}


def test_a_torn_line_reports_only_what_is_whole() -> None:
    line = next(one for one in log("stock").splitlines() if "with config" in one)
    cut = line[: line.index("enforce_eager") + 4]
    found = report.from_log(cut)
    assert found["dtype"] == "bfloat16"
    assert "enforce_eager" not in found


def test_metrics_report_the_cache() -> None:
    assert report.from_metrics((DATA / "metrics.txt").read_text()) == {
        "block_size": 128,
        "kv_cache_dtype": "auto",
        "enable_prefix_caching": True,
        "gpu_memory_utilization": 0.92,
        "kv_cache_memory_bytes": 1073741824,
        "kv_cache_size_tokens": 65536,
        "num_gpu_blocks": 512,
        "disable_log_stats": False,
    }


def test_the_server_reports_everything_when_asked_in_development_mode() -> None:
    found = report.from_server_info(json.loads((DATA / "server_info.json").read_text()))
    assert found["max_num_seqs"] == 128
    assert found["async_scheduling"] is False
    assert found["distributed_executor_backend"] == "mp"
    assert found["dtype"] == "float32"
    assert found["api_server_count"] == 1


def test_the_sources_agree() -> None:
    """The answers were recorded from a start with the eager log's settings."""
    info = report.from_server_info(json.loads((DATA / "server_info.json").read_text()))
    metrics = report.from_metrics((DATA / "metrics.txt").read_text())
    lines = report.from_log(log("eager"))
    for one, other in ((info, metrics), (info, lines), (metrics, lines)):
        shared = one.keys() & other.keys()
        assert shared
        assert {key: one[key] for key in shared} == {key: other[key] for key in shared}


@pytest.mark.parametrize(
    ("name", "anew"),
    [("stock", True), ("recompiled", False), ("eager", False), ("one-process", None)],
)
def test_a_start_that_filled_the_compile_cache_is_told(name: str, anew: bool | None) -> None:
    assert report.has_filled_cache(log(name)) is anew


@pytest.mark.parametrize(
    ("text", "anew"),
    [
        ("[backbone] Directly load AOT compilation from path /x", False),
        ("Directly load the compiled graph(s) for compile range (1, 2) from the cache", False),
        ("Compiling a graph for compile range (1, 2048) takes 12.00 s", True),
        ("", None),
    ],
)
def test_other_lines_tell_it_too(text: str, anew: bool | None) -> None:
    assert report.has_filled_cache(text) is anew


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("None", None),
        ("True", True),
        ("12", 12),
        ("0.5", 0.5),
        ("'auto'", "auto"),
        ("torch.float32", "float32"),
        ("<CompilationMode.NONE: 0>", 0),
        ("<DynamicShapesType.BACKED: 'backed'>", "backed"),
        ("auto", "auto"),
    ],
)
def test_printed_values_become_values(text: str, value: Value) -> None:
    assert printed.scalar(text) == value
    assert type(printed.scalar(text)) is type(value)


def test_commas_inside_brackets_and_quotes_do_not_split() -> None:
    text = "a='x,\\'y', b=F(c=[1, 2], d={'e': (3, 4)}), f=<G.H: 'i,j'>, k=1"
    assert printed.split(text) == [
        "a='x,\\'y'",
        "b=F(c=[1, 2], d={'e': (3, 4)})",
        "f=<G.H: 'i,j'>",
        "k=1",
    ]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=8,
)


@given(st.lists(VALUES, min_size=1))
def test_printed_python_values_are_split_where_they_were_joined(values: list[object]) -> None:
    parts = [f"k{index}={value!r}" for index, value in enumerate(values)]
    assert printed.split(", ".join(parts)) == parts


@given(st.text())
def test_no_text_breaks_the_parser(text: str) -> None:
    report.from_config_line(text)
    report.from_log(f"Initializing a V1 LLM engine (v1) with config: {text}")
    report.from_metrics(f"vllm:cache_config_info{{{text}}} 1.0")


@pytest.mark.parametrize(
    ("name", "ahead"),
    [("stock", True), ("recompiled", True), ("one-process", False), ("eager", None)],
)
def test_ahead_of_time_compilation_shows_in_what_is_said_of_its_cache(
    name: str, ahead: bool | None
) -> None:
    assert report.from_log(log(name)).get("aot_compile") is ahead


@pytest.mark.parametrize(
    ("text", "ahead"),
    [
        ("[backbone] Directly load AOT compilation from path /x", True),
        ("[backbone] unable to save AOT compiled function to /x: disk full", True),
        ("torch.compile and initial profiling/warmup run together took 3.20 s in total", False),
        ("Warming up model for the compilation...\nWarming up done.", False),
        ("Warming up model for the compilation...", None),
    ],
)
def test_other_lines_tell_of_the_compilation_too(text: str, ahead: bool | None) -> None:
    assert report.from_log(text).get("aot_compile") is ahead


@pytest.mark.parametrize(
    ("lines", "threads"),
    [
        (
            ["(EngineCore pid=7) OMP_NUM_THREADS=4 set; leaving Torch threads at 4 for serving"],
            4,
        ),
        (["(EngineCore pid=7) Reducing Torch threads from 8 to 1 for serving. Set"], 1),
        (
            [
                "(EngineCore pid=7) Reducing Torch threads from 8 to 1 for serving. Set",
                "(APIServer pid=6) something else",
                "(EngineCore pid=7) CPU backend doesn't allow to use `torch.set_num_threads`",
            ],
            8,
        ),
        (
            [
                "(EngineCore pid=7) Reducing Torch threads from 8 to 1 for serving. Set",
                "(Worker pid=9) CPU backend doesn't allow to use `torch.set_num_threads` after",
            ],
            1,
        ),
        ([], None),
    ],
)
def test_the_threads_that_compute_are_told(lines: list[str], threads: int | None) -> None:
    assert report.from_log("\n".join(lines)).get("torch_threads") == threads


def test_a_server_without_statistics_shows_by_what_is_missing() -> None:
    other = '# TYPE x gauge\nprocess_start_time_seconds 1.7e9\nvllm:tool_calls_total{a="b"} 0\n'
    assert report.from_metrics(other) == {"disable_log_stats": True}
    assert "disable_log_stats" not in report.from_metrics("# nothing yet\n")


OLD = (
    "(APIServer pid=11) INFO non-default args: {'max_num_seqs': 4, 'seed': 1}\n"
    "(EngineCore pid=12) INFO Initializing a V1 LLM engine (v1) with config: dtype=torch.float32\n"
)
NEW = OLD.replace("=11", "=21").replace("=12", "=22").replace("4, ", "8, ").replace("32", "16")


def test_of_several_starts_in_one_log_the_last_counts() -> None:
    found = report.from_log(OLD + NEW)
    assert (found["args.max_num_seqs"], found["dtype"]) == (8, "float16")


def test_only_lines_of_the_named_processes_count() -> None:
    assert report.lines_of_processes(OLD + NEW, {21, 22}) == NEW
    assert report.lines_of_processes(OLD + NEW, {11, 12, 99}) == OLD
    assert report.lines_of_processes(OLD + NEW, {1, 2}) == ""
    coloured = "\x1b[0;36m(EngineCore pid=5)\x1b[0;0m INFO x\n"
    stamped = "2026-11-22T10:00:00 host vllm[1]: (EngineCore_DP0 pid=5) INFO x\n"
    assert report.lines_of_processes(coloured + stamped + "no writer\n", {5}) == coloured + stamped

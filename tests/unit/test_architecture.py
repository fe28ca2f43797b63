"""The design's two structural rules, enforced on the source: one direction, and pure parts."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "src" / "trimtab"

# Lower layers first; a part may import from its own layer and from those before it.
LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"model"}),
    frozenset({"errors"}),
    frozenset(
        {
            "host",
            "caches",
            "proctree",
            "storage",
            "codec",
            "leftovers",
            "keeper",
            "kept",
            "landscapes",
            "user_files",
            "strict_yaml",
            "wording",
            "credentials",
            "forecast",
            "walltime",
        }
    ),
    frozenset({"facts", "redaction", "masking", "inherited", "stop", "enginelog"}),
    frozenset({"knobs", "engines", "rehearsal", "places"}),
    frozenset({"catalog"}),
    frozenset({"presets", "slo", "averages", "spread", "metrics", "pooled", "stats", "rules"}),
    frozenset({"plan", "differences", "config_file"}),
    frozenset(
        {"server", "listeners", "live", "named_threads", "verify", "apply", "journal", "records"}
    ),
    frozenset({"load", "search", "ledger", "profile_schema", "profile"}),
    frozenset({"simulated"}),
    frozenset(
        {
            "export",
            "report",
            "track",
            "progress",
            "progress_events",
            "gate",
            "baseline",
            "shell_words",
            "question",
            "lint",
            "diagnosis",
            "hosting",
            "oracle",
            "prepare",
            "interpreters",
        }
    ),
    frozenset({"engine_choice"}),
    frozenset({"session", "running"}),
    frozenset({"header"}),
    frozenset({"driven", "trial", "toggled", "playing", "pacing"}),
    frozenset({"archive", "advice"}),
    frozenset({"answer"}),
    frozenset({"answer_json"}),
    frozenset({"tune", "measure", "capacity"}),
    frozenset({"comparison_table"}),
    frozenset({"study", "targets"}),
    frozenset({"study_files"}),
    frozenset({"commands", "__main__"}),
)
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}

PURE = (
    "model",
    "catalog",
    "rules",
    "plan",
    "averages",
    "metrics",
    "pooled",
    "spread",
    "slo",
    "stats",
    "search",
    "presets",
    "differences",
    "knobs",
    "inherited",
)
PURE_FILES = (
    "running/differences.py",
    "running/told.py",
    "interpreters/options.py",
    "interpreters/failures.py",
    "report/rows.py",
    "comparison_table.py",
    "report/headline.py",
    "report/summary.py",
    "report/why.py",
    "hosting/render.py",
    *(f"prepare/{name}.py" for name in ("change", "matrix", "mirrors", "recipe", "target")),
    "load/sse.py",
    "load/guards.py",
    "load/requests.py",
    "load/saturation.py",
    *(
        f"oracle/{name}.py"
        for name in (
            *("allocator", "compare", "effective", "events", "findings", "gather", "judge"),
            *("matrix", "messages", "model", "probes", "reference", "relations", "show"),
            "wanted",
        )
    ),
)
IMPURE = {"subprocess", "os", "socket", "asyncio", "time", "random", "threading"}


def sources() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def part(path: Path) -> str:
    first = path.relative_to(ROOT).parts[0]
    return first.removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_dependencies_point_one_way(path: Path) -> None:
    own = part(path)
    if own == "__init__":
        return
    assert own in RANK, f"give {own} its place in LAYERS"
    for module in imports(path):
        if module.startswith("trimtab."):
            other = module.split(".")[1]
            if other in RANK and other != own:
                assert RANK[other] <= RANK[own], f"{own} must not import {other}"


def pure_files() -> list[Path]:
    return [
        path
        for path in sources()
        if part(path) in PURE or str(path.relative_to(ROOT)) in PURE_FILES
    ]


@pytest.mark.parametrize("path", pure_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_pure_parts_do_no_io(path: Path) -> None:
    found = {module.partition(".")[0] for module in imports(path)} & IMPURE
    assert not found, f"{path.name} imports {found}"


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_files_stay_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 300


def test_no_engine_library_is_imported() -> None:
    """The rehearsal's placeholders are modules of the engine's interpreter, not of ours."""
    for path in sources():
        if path.parent.name == "placeholders":
            continue
        assert not {m.partition(".")[0] for m in imports(path)} & {"vllm", "torch", "torch_npu"}

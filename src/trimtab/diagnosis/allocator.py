"""Which allocator serves malloc, proven in a child process with the same environment.

That a library is mapped proves nothing: with jemalloc and tcmalloc both preloaded the first one
serves, in either order, and both are mapped. A child allocates 8 MiB and asks each allocator by
its own interface how much it has given out (mallctl of jemalloc(3), MallocExtension_* of
gperftools, mallinfo2(3) of glibc).
"""

from __future__ import annotations

import json
import posixpath
import re
import subprocess
from collections.abc import Mapping, Sequence

from trimtab.diagnosis.records import Allocator
from trimtab.errors import HostError
from trimtab.facts import process
from trimtab.host import Host
from trimtab.knobs.env import FAMILIES, name_matches

_SECONDS = 5.0
_LINKS = 8
"""How many links are followed at most; two are usual."""
_PROGRAM = """
import ctypes, json
lib = ctypes.CDLL(None)
size = 8 << 20
class Info(ctypes.Structure):
    _fields_ = [(n, ctypes.c_size_t) for n in
        "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()]
def jemalloc():
    value, length = ctypes.c_uint64(), ctypes.c_size_t(8)
    if lib.mallctl(b"thread.allocated", ctypes.byref(value), ctypes.byref(length), None,
                   ctypes.c_size_t(0)):
        return None
    return value.value
def tcmalloc():
    value = ctypes.c_size_t()
    ok = lib.MallocExtension_GetNumericProperty(b"generic.current_allocated_bytes",
                                                ctypes.byref(value))
    return value.value if ok else None
def glibc():
    lib.mallinfo2.restype = Info
    info = lib.mallinfo2()
    return info.uordblks + info.hblkhd
def counts():
    found = {}
    for ask in (jemalloc, tcmalloc, glibc):
        try:
            found[ask.__name__] = ask()
        except AttributeError:
            pass
    return found
lib.malloc.restype = ctypes.c_void_p
before = counts()
kept = lib.malloc(ctypes.c_size_t(size))
after = counts()
print(json.dumps([n for n in after if None not in (after[n], before.get(n))
                  and after[n] - before[n] >= size]))
"""
_KEEP = re.compile(r"(LD_|MALLOC|TCMALLOC|GLIBC|PYTHONHOME$|PATH$)")


def probe(python: str, env: Mapping[str, str]) -> tuple[str, str]:
    """Return (who serves malloc, "") or ("", why that is unknown).

    Only the variables that decide it are given to the child.
    """
    given = {name: text for name, text in env.items() if _KEEP.match(name)}
    command = [python, "-I", "-S", "-c", _PROGRAM]
    try:
        done = subprocess.run(
            command, env=given, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        return "", f"the probe did not run: {str(error).splitlines()[0]}"
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or ["silent"]
        return "", f"the probe ended with {done.returncode}: {last[0]}"
    try:
        serving = json.loads(done.stdout)
    except ValueError:
        return "", "the probe printed no answer"
    if len(serving) == 1:
        return str(serving[0]), ""
    return "", "no allocator that is known counted the allocation"


def mapped_allocators(maps: str) -> tuple[str, ...]:
    """Return the allocators with code in a process, by path."""
    files = process.executable_files(process.parse_maps(maps))
    return tuple(sorted(path for path in files if name_matches(path, FAMILIES["malloc"])))


def preload_elements(env: Mapping[str, str]) -> tuple[str, ...]:
    """Return the elements of LD_PRELOAD; the loader splits at colons and blanks."""
    return tuple(part for part in re.split(r"[:\s]+", env.get("LD_PRELOAD", "")) if part)


def missing_files(host: Host, preloaded: Sequence[str], root: str = "") -> tuple[str, ...]:
    """Return the files of a preload list that do not exist: the loader ignores them.

    ``root`` is the root directory of the process, "" for this machine's own. Names that the loader
    looks up or expands are left out, and everything is if ``root`` cannot be read.
    """
    if root and not host.exists(root):
        return ()
    absolute = (path for path in preloaded if path.startswith("/") and "$" not in path)
    return tuple(path for path in absolute if not _there(host, root, path))


def _there(host: Host, root: str, path: str) -> bool:
    """Whether a file is there; the links of another root lead from that root."""
    for _ in range(_LINKS):
        if host.exists(root + path):
            return True
        try:
            path = posixpath.join(posixpath.dirname(path), host.readlink(root + path))
        except HostError:
            return False
    return False


def family(path: str) -> str:
    """Return what the probe calls the allocator of a library: "jemalloc", "tcmalloc"."""
    name = path.rpartition("/")[2]
    return "jemalloc" if "jemalloc" in name else "tcmalloc" if "tcmalloc" in name else ""


def shell_allocator(host: Host, env: Mapping[str, str], python: str | None) -> Allocator:
    """Return which allocator a server would get from this environment.

    ``python`` is the interpreter to probe with, ``None`` where nothing may be run (a snapshot).
    """
    preloaded = preload_elements(env)
    missing = missing_files(host, preloaded)
    if python is None or not any(family(path) for path in preloaded):
        return Allocator(preloaded, missing=missing)
    serving, reason = probe(python, env)
    return Allocator(preloaded, serving=serving, missing=missing, reason=reason)

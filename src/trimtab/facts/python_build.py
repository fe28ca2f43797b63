"""How an interpreter was built, told from its files: nothing of it is run.

The signs are those that CPython's own test suite takes (Lib/test/support/__init__.py, 3.13): PGO
is ``-fprofile-use`` and its like in PY_CFLAGS_NODIST, LTO ``-flto`` there or in
PY_LDFLAGS_NODIST; PGO_PROF_USE_FLAG is a template and proves nothing. Debian and Ubuntu describe
their shared build in sysconfig while the interpreter is a static one built with PGO and LTO
(Debian bug 934771), so there a "no" of sysconfig is no answer.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from trimtab.errors import HostError
from trimtab.host import Host

_PROFILE = re.compile(r"-(fprofile-use|fprofile-instr-use|prof-use)\b")
_HEAD = 256 * 1024
_DISTRIBUTIONS = frozenset({"debian", "ubuntu"})


@dataclass(frozen=True, slots=True)
class PythonBuild:
    """One interpreter. ``pgo``, ``lto`` and ``bolt``: yes, no, or ``None`` for unknown.

    ``path`` is what was asked for, ``executable`` the program behind its links ("" when it is a
    launcher script). ``version`` is "3.11"; ``shared`` whether it needs libpython. ``reason`` says
    why something is unknown, ``source`` where the answer comes from.
    """

    path: str
    executable: str = ""
    version: str = ""
    pgo: bool | None = None
    lto: bool | None = None
    bolt: bool | None = None
    shared: bool | None = None
    debug: bool | None = None
    level: str = ""
    source: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class EngineEnvironment:
    """An environment of the engine on an interpreter of ours, beside the one it has by default.

    ``name`` is the interpreter's, ``folder`` the environment's. ``executable`` is the program that
    ``/proc/PID/exe`` names when a server runs from it; ``build`` how it was built.
    """

    name: str
    folder: str
    executable: str
    build: PythonBuild

    @property
    def optimized(self) -> bool:
        """Whether it is known to have been built with PGO and LTO."""
        return self.build.pgo is True and self.build.lto is True


def environments(
    host: Host, folders: Mapping[str, str], distribution: str = ""
) -> tuple[EngineEnvironment, ...]:
    """Return the environments in ``folders`` (name → folder) whose interpreter is a program."""
    found = []
    for name, folder in sorted(folders.items()):
        python = f"{folder}/bin/python"
        build = read(host, python, distribution)
        if build.executable:
            found.append(EngineEnvironment(name, folder, host.resolve(python), build))
    return tuple(found)


def parse_sysconfig(text: str) -> Mapping[str, object] | None:
    """Return the variables of a ``_sysconfigdata`` module: one assignment of one literal."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return None
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            try:
                value = ast.literal_eval(node.value)
            except (ValueError, RecursionError):
                return None
            return value if isinstance(value, dict) else None
    return None


def judge(build: PythonBuild, variables: Mapping[str, object], distribution: str) -> PythonBuild:
    """Return a build with what sysconfig's variables say, as far as they are about it."""

    def text(name: str) -> str:
        return str(variables.get(name, ""))

    arguments = text("CONFIG_ARGS")
    flags = f"{text('PY_CFLAGS_NODIST')} {text('PY_LDFLAGS_NODIST')}"
    asked = re.findall(r"--with-lto(?:=(\w+))?", arguments)
    pgo = bool(_PROFILE.search(text("PY_CFLAGS_NODIST"))) or "--enable-optimizations" in arguments
    lto = "-flto" in flags or bool(asked and asked[-1] != "no")
    bolt = "--enable-bolt" in arguments
    levels = re.findall(r"-O[\dgs]|-Ofast", f"{text('OPT')} {text('PY_CFLAGS')}")
    found = replace(
        build, debug=variables.get("Py_DEBUG") == 1, level=levels[-1] if levels else ""
    )
    describes_another = variables.get("Py_ENABLE_SHARED") == 1 and build.shared is False
    if describes_another and not (pgo and lto):
        packaged = distribution in _DISTRIBUTIONS and build.executable.startswith("/usr/bin/")
        likely = "; the distribution's own build has PGO and LTO" if packaged else ""
        return replace(
            found,
            reason="sysconfig describes a build with libpython, and this one has it inside"
            + likely,
        )
    return replace(found, pgo=pgo, lto=lto, bolt=bolt)


def read(host: Host, path: str, distribution: str = "") -> PythonBuild:
    """Return how the interpreter at ``path`` was built; never raises."""
    build = PythonBuild(path)
    if not path:
        return replace(build, reason="no interpreter is known")
    try:
        executable = _base(host, path)
        head = host.head(executable, _HEAD)
    except HostError as error:
        return replace(build, reason=str(error))
    if head.startswith(b"#!"):
        return replace(build, reason=f"{executable} is a script that starts another interpreter")
    version = re.search(r"python(3\.\d+)", executable)
    build = replace(
        build,
        executable=executable,
        version=version[1] if version else "",
        shared=b"libpython3." in head,
    )
    prefix = executable.rpartition("/bin/")[0]
    wanted = f"python{build.version or '3.*'}"
    files = [
        one
        for folder in ("lib", "lib64")
        for one in host.glob(f"{prefix}/{folder}/{wanted}/_sysconfigdata_*.py")
        if "_sysconfigdata_d" not in one
    ]
    if not files:
        return replace(build, reason=f"no _sysconfigdata under {prefix}/lib/{wanted}")
    try:
        variables = parse_sysconfig(host.read(files[0]))
    except HostError as error:
        return replace(build, reason=str(error))
    if variables is None:
        return replace(build, reason=f"{files[0]} cannot be parsed")
    return replace(judge(build, variables, distribution), source=files[0])


def _base(host: Host, path: str) -> str:
    """Return the interpreter behind links, and behind a virtual environment.

    The link of a virtual environment leads to the base interpreter; where it holds a copy instead,
    pyvenv.cfg names the folder of the base.
    """
    resolved = host.resolve(path)
    folder = resolved.rpartition("/")[0]
    for config in (f"{folder}/pyvenv.cfg", f"{folder.rpartition('/')[0]}/pyvenv.cfg"):
        if not host.exists(config):
            continue
        home = re.search(r"^home\s*=\s*(.+)$", host.read(config), re.MULTILINE)
        if home:
            return host.resolve(f"{home[1].strip()}/{resolved.rpartition('/')[2]}")
    return resolved

"""Building CPython into a folder of ours: whole and proven, or not there.

Everything is made below ``pythons/.work/NAME``; ``make install`` writes into a stage there, the
staged interpreter is run, put on record, and only then renamed to ``pythons/NAME``. Whatever ends
the build (also ``kill -9``) leaves a folder that nothing takes for an interpreter, and that the
next build of the name removes. All commands run below a keeper, so none outlives the build.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from trimtab.environments import managed_environment
from trimtab.environments.managed_environment import Run, Say, keeper_runner
from trimtab.errors import EngineError, InterpreterError, UsageError
from trimtab.interpreters import failures, source, store
from trimtab.interpreters.options import BuildOptions, check_name, check_version, minor_version
from trimtab.interpreters.store import Record
from trimtab.interpreters.training import Training
from trimtab.processes.recovery import reap_leftovers

_OLDEST = 16
"""LLVM 15.0.6 crashes on ``-update-debug-sections``, which CPython asks for (tried on 3.13.5)."""

_PROBE_SECONDS = 60.0
_ADVICE = (
    "install a newer BOLT and put its programs first on PATH (apt-get install bolt-19, then "
    "PATH=/usr/lib/llvm-19/bin:$PATH; or dnf install llvm-bolt), or leave --bolt out"
)


def require_bolt(run: Run) -> None:
    """Make sure that BOLT's programs are there, and not too old.

    Raises:
        InterpreterError: they are not.
    """
    absent = [one for one in ("llvm-bolt", "merge-fdata") if shutil.which(one) is None]
    if absent:
        raise InterpreterError(
            f"--bolt needs {' and '.join(absent)} on PATH, and there is none: {_ADVICE}"
        )
    _, told = run(["llvm-bolt", "--version"], _PROBE_SECONDS)
    match = re.search(r"LLVM version (\d+)\.\S*", told)
    if match is not None and int(match[1]) < _OLDEST:
        raise InterpreterError(
            f"--bolt needs BOLT of LLVM {_OLDEST} or later, but llvm-bolt is of "
            f"{match[0].removeprefix('LLVM version ')}: {_ADVICE}"
        )


def check_bolt(run: Run, tree: Path) -> None:
    """Make sure that BOLT can order functions as a configured source will ask.

    Raises:
        InterpreterError: it does not know the algorithm (``cdsort`` since CPython 3.13).
    """
    makefile = (tree / "Makefile").read_text(encoding="utf-8", errors="replace")
    asked = re.search(r"-reorder-functions=(\S+)", makefile)
    _, told = run(["llvm-bolt", "--help-hidden"], _PROBE_SECONDS)
    if asked is not None and not re.search(rf"^\s*={re.escape(asked[1])}\s", told, re.MULTILINE):
        raise InterpreterError(
            f"this CPython asks BOLT for -reorder-functions={asked[1]}, which the llvm-bolt on "
            f"PATH does not know: {_ADVICE}"
        )


PROBE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Need:
    """One thing to have: ``what`` in words, and the packages of apt and dnf that bring it."""

    what: str
    apt: str
    dnf: str


HEADERS: dict[str, Need] = {
    "openssl/ssl.h": Need("OpenSSL's headers (ssl)", "libssl-dev", "openssl-devel"),
    "zlib.h": Need("zlib's headers (zlib)", "zlib1g-dev", "zlib-devel"),
    "ffi.h": Need("libffi's headers (ctypes)", "libffi-dev", "libffi-devel"),
    "bzlib.h": Need("bzip2's headers (bz2)", "libbz2-dev", "bzip2-devel"),
    "lzma.h": Need("liblzma's headers (lzma)", "liblzma-dev", "xz-devel"),
    "sqlite3.h": Need("SQLite's headers (sqlite3)", "libsqlite3-dev", "sqlite-devel"),
}
MODULES = ("ssl", "zlib", "ctypes", "bz2", "lzma", "sqlite3", "hashlib", "pyexpat", "ensurepip")
"""What the finished interpreter must be able to import."""

_COMPILER = Need("a C compiler", "gcc", "gcc")
_HEADERS_OF_C = Need("the C library's headers", "libc6-dev", "glibc-devel")
_MAKE = Need("make", "make", "make")


def compiler() -> str | None:
    """Return the C compiler that ``configure`` will take: $CC, gcc or cc."""
    asked = os.environ.get("CC", "").split()
    found = (shutil.which(one) for one in (*asked[:1], "gcc", "cc", "clang"))
    return next((one for one in found if one), None)


def check_needs(run: Run) -> None:
    """Make sure that everything is there.

    Raises:
        InterpreterError: something is missing; all of it is named, with its packages.
    """
    program = compiler()
    missing = [] if shutil.which("make") else [_MAKE]
    if program is None:
        missing.insert(0, _COMPILER)
    elif not _compiles(run, program, ("stdio.h",)):
        missing.append(_HEADERS_OF_C)
    elif not _compiles(run, program, HEADERS):
        missing += [
            need for header, need in HEADERS.items() if not _compiles(run, program, (header,))
        ]
    if missing:
        raise InterpreterError(sentence(missing))


def sentence(missing: Iterable[Need]) -> str:
    """Return what is missing, and the commands that install it."""
    needs = list(missing)
    return (
        f"building Python needs {', '.join(one.what for one in needs)}: "
        f"apt-get install {' '.join(one.apt for one in needs)}, "
        f"or dnf install {' '.join(one.dnf for one in needs)}"
    )


def _compiles(run: Run, program: str, headers: Iterable[str]) -> bool:
    """Whether a source that includes the headers passes the preprocessor."""
    lines = "".join(f"#include <{header}>\\n" for header in headers)
    command = f"printf '{lines}' | '{program}' -E -x c - > /dev/null"
    return run(["sh", "-c", command], PROBE_SECONDS)[0] == 0


NEEDED_BYTES = 2 * 1000**3
"""Source, objects of two passes, the stage: 1.2 GB are used by 3.11 with PGO and LTO."""

CONFIGURE_SECONDS = 1200.0
MAKE_SECONDS = 4 * 3600.0
INSTALL_SECONDS = 1800.0
_PATIENCE = 4 * 3600.0
_PROOF = (
    "import {modules}, sys; print('.'.join(map(str, sys.version_info[:3])), sys.base_prefix)"
).format(modules=", ".join(MODULES))


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """What to build. ``source`` is a file, "distribution" or a version; ``name`` "" for its own.

    ``jobs`` are processes of ``make``. ``training`` drives PGO in place of CPython's own tests.
    """

    options: BuildOptions
    source: str = "distribution"
    sha256: str | None = None
    name: str = ""
    jobs: int = 1
    training: Training | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """The folders and the means of one build."""

    work: Path
    run: Run
    say: Say

    @property
    def tree(self) -> Path:
        """The source, where it is built too."""
        return self.work / "source"

    @property
    def log(self) -> Path:
        """Everything that the commands printed."""
        return self.work / "install.log"

    def do(self, what: str, command: list[str], seconds: float, **env: str) -> str:
        """Run a command in the source's folder; return its output.

        Raises:
            InterpreterError: it failed; the message holds the cause and the log's path.
        """
        self.say(what)
        settings = [f"{name}={value}" for name, value in env.items()]
        inside = ["sh", "-c", 'cd "$0" && exec env "$@"', str(self.tree), *settings, *command]
        code, output = self.run(inside, seconds)
        if code != 0:
            raise InterpreterError(f"{what} failed: {failures.cause(output)}; log: {self.log}")
        return output


def build(
    wanted: BuildRequest,
    say: Say = lambda _: None,
    *,
    run: Run | None = None,
    free: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free,
) -> Record:
    """Build, install and put on record; return the record. Safe to repeat after any end.

    An interpreter of that name which was asked for in the same words is returned as it is.

    Raises:
        UsageError: what is wanted contradicts itself or the source, or the name is taken.
        InterpreterError: something is missing or a step failed; the log is kept.
    """
    name = check_name(wanted.name) if wanted.name else f"new-{wanted.options.suffix}"
    work = store.work(name)
    try:
        work.mkdir(parents=True, exist_ok=True)
        with managed_environment.installation_lock(f"Python {name}", work, say, _PATIENCE):
            if wanted.name and (record := _present(wanted)) is not None:
                return record
            reap_leftovers(work)
            _clear(work)
            if (room := free(work)) < NEEDED_BYTES:
                raise InterpreterError(
                    f"{work} must have {NEEDED_BYTES / 1e9:.0f} GB free, but has "
                    f"{room / 1e9:.1f} GB: free some space, or set XDG_DATA_HOME to another disk"
                )
            return _build(wanted, Site(work, run or keeper_runner(work, say), say))
    except EngineError as error:
        raise InterpreterError(str(error)) from error


def _present(wanted: BuildRequest) -> Record | None:
    """Return the interpreter that has the name, if it is what is wanted.

    Raises:
        UsageError: it is another one.
    """
    record = store.read(wanted.name)
    if record is None:
        return None
    same = record.options == asdict(wanted.options) and record.source.get("asked") == wanted.source
    if record.kind == "built" and same:
        return record
    raise UsageError(
        f"--name {wanted.name} is taken by another Python ({record.kind}, {record.version}): give "
        f"another name, or remove {store.folder() / wanted.name}"
    )


def _clear(work: Path) -> None:
    """Remove what an earlier build of the name left, but for the lock that is held."""
    for path in work.iterdir():
        if path.name in ("lock", "owner"):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _build(wanted: BuildRequest, site: Site) -> Record:
    site.say("[1/6] looking for compiler and headers")
    if wanted.options.bolt:
        require_bolt(site.run)
    check_needs(site.run)
    site.say("[2/6] getting the source")
    archive = source.obtain(wanted.source, wanted.sha256, site.work / "got", site.run, site.say)
    version = source.unpack(archive, site.tree)
    check_version(wanted.options, version)
    if wanted.training is not None:
        wanted.training.check(minor_version(version))
    applied, left = source.patch(archive, site.tree, site.run, site.say)
    wanted = replace(wanted, name=wanted.name or f"{version}-{wanted.options.suffix}")
    if (there := _present(wanted)) is not None:
        return there
    home = store.folder() / wanted.name
    arguments = wanted.options.configure(home)
    site.do("[3/6] configuring", ["./configure", *arguments], CONFIGURE_SECONDS)
    if wanted.options.bolt:
        check_bolt(site.run, site.tree)
    _make(wanted, site)
    staged = _stage(site, home)
    site.say("[6/6] proving that it runs")
    _prove(site, staged, version)
    record = Record(
        name=wanted.name,
        kind="built",
        version=version,
        sha256=store.checksums(staged, version),
        source=_source_record(wanted.source, archive, applied, left),
        options=asdict(wanted.options),
        configure=arguments,
        compiler=_compiler(site.run),
        made=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    publish(staged, home, record, site.log)
    _clear(site.work)
    return record


def _source_record(
    asked: str, archive: source.SourceArchive, applied: Iterable[str], left: Iterable[str]
) -> dict[str, object]:
    """Return what the record says of the source: its archive, and the patches of it."""
    return {
        "asked": asked,
        "kind": archive.kind,
        "told": archive.told,
        "archive": archive.archive.name,
        "sha256": archive.sha256,
        "patches": list(applied),
        "patches_left_out": list(left),
    }


def _make(wanted: BuildRequest, site: Site) -> None:
    """Run ``make``; with a training of ours, first as far as the profile, which is then judged."""
    make = ["make", f"-j{wanted.jobs}"]
    if wanted.training is None:
        long = " twice, with CPython's own training between" if wanted.options.pgo else ""
        _complete(site.do(f"[4/6] compiling{long} (minutes)", make, MAKE_SECONDS), site)
        return
    training = wanted.training
    task = f"PROFILE_TASK={training.write(site.work)}"
    site.do(
        "[4/6] compiling an instrumented Python, and serving with it (many minutes)",
        [*make, task, "profile-run-stamp"],
        MAKE_SECONDS,
        **training.environment(),
    )
    if (why := training.failed(site.work)) is not None:
        raise InterpreterError(f"the training on serving failed: {why}; log: {site.log}")
    told = site.do("[4/6] compiling with the profile (minutes)", [*make, task], MAKE_SECONDS)
    _complete(told, site)


def _complete(output: str, site: Site) -> None:
    """Make sure that CPython's build, which goes on without a module, left none out."""
    if modules := failures.unbuilt_modules(output):
        raise InterpreterError(
            f"every module of CPython must compile, but {', '.join(modules)} did not; "
            f"log: {site.log}"
        )


def _stage(site: Site, home: Path) -> Path:
    stage = site.work / "stage"
    command = ["make", "install", f"DESTDIR={stage}"]
    site.do("[5/6] installing into a stage", command, INSTALL_SECONDS)
    staged = stage / str(home).lstrip("/")
    if not staged.is_dir():
        raise InterpreterError(f"'make install' must fill {staged}, but did not; log: {site.log}")
    return staged


def _prove(site: Site, staged: Path, version: str) -> None:
    """Run the staged interpreter: it must be the version, and import what an engine imports."""
    program = store.binary(staged, version)
    env = ["env", f"LD_LIBRARY_PATH={staged / 'lib'}"]
    code, output = site.run([*env, str(program), "-I", "-c", _PROOF], 120.0)
    if code != 0:
        raise InterpreterError(
            f"the Python that was built does not work: {failures.cause(output)}; log: {site.log}"
        )
    told = output.strip().splitlines()[-1].split(" ", 1)
    if told[0] != version.partition("rc")[0] or not Path(told[-1]).samefile(staged):
        raise InterpreterError(
            f"the Python that was built must be {version} in {staged}, but says {output.strip()}"
        )


def publish(staged: Path, home: Path, record: Record, log: Path) -> None:
    """Put the record and the log into a finished folder, and move it to its place in one step."""
    store.write(staged, record)
    if log.exists():
        shutil.copyfile(log, staged / store.LOG)
    _sync(staged)
    home.parent.mkdir(parents=True, exist_ok=True)
    staged.rename(home)
    _sync(home.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _compiler(run: Run) -> str:
    program = compiler()
    if program is None:
        return ""
    code, output = run([program, "--version"], 30.0)
    lines = output.splitlines()
    return f"{lines[0]} ({platform.machine()})" if code == 0 and lines else ""

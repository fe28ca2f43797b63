"""Building interpreters, on a source tree that takes no time: order, errors, and atomicity."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.environments.managed_environment import Run
from trimtab.errors import InterpreterError, UsageError
from trimtab.interpreters import builder, failures, options, source, store
from trimtab.interpreters import source as upstream
from trimtab.interpreters.builder import BuildRequest
from trimtab.interpreters.options import BuildOptions

VERSION = ".".join(map(str, sys.version_info[:3]))
PLAIN = BuildOptions(pgo=False, lto=False)
FAST = BuildOptions(pgo=True, lto=True)

CONFIGURE = """#!/bin/sh
echo "configured with $*"
for one in "$@"; do case $one in --prefix=*) echo "${one#--prefix=}" > prefix;; esac; done
"""
# The installed "interpreter" runs the real one, but for its prefix, which is its own folder.
MAKEFILE = """all:
\t@echo compiling
\t@test ! -e slow || (touch reached; sleep 60)
\t@test ! -e broken || (echo "x.c:1: error: expected a semicolon" >&2; exit 1)
\t@test ! -e partial || printf 'Failed to build these modules:\\nzlib  _ssl\\n\\n'
install:
\t@p="$(DESTDIR)$$(cat prefix)"; mkdir -p "$$p/bin"; cp program "$$p/bin/python{minor}"
"""
PROGRAM = """#!/bin/sh
home=$(dirname "$(dirname "$0")")
exec '{python}' -c "
import sys
sys.base_prefix = '$home'
exec(sys.argv[1])" "$3"
"""


def tree(folder: Path, version: str = VERSION, **files: str) -> Path:
    """Lay down a source tree, and return its archive."""
    root = folder / f"Python-{version}"
    (root / "Include").mkdir(parents=True)
    (root / "Include" / "patchlevel.h").write_text(f'#define PY_VERSION "{version}"\n')
    minor = ".".join(version.split(".")[:2])
    content = {
        "configure": CONFIGURE,
        "Makefile": MAKEFILE.format(minor=minor),
        "program": PROGRAM.format(python=sys.executable),
        **files,
    }
    for name, text in content.items():
        path = root / name
        path.write_text(text)
        path.chmod(0o755)
    archive = folder / f"Python-{version}.tgz"
    with tarfile.open(archive, "w:gz") as out:
        out.add(root, arcname=root.name)
    return archive


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "trimtab" / "pythons"


@pytest.fixture(autouse=True)
def headers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine of the tests need not have the headers that CPython needs."""
    monkeypatch.setattr(builder, "HEADERS", {})


def wanted(archive: Path, **changes: Any) -> BuildRequest:
    return replace(BuildRequest(PLAIN, source=str(archive)), **changes)


def test_a_build_is_whole_and_on_record(tmp_path: Path, home: Path) -> None:
    archive = tree(tmp_path)
    said: list[str] = []
    made = builder.build(wanted(archive), said.append)
    assert made.name == f"{VERSION}-plain"
    assert [one.name for one in store.list_records()] == [made.name]
    record, program = store.find(made.name)
    assert record == made
    assert program.parent.parent == home / made.name
    (name, digest), *_ = made.sha256.items()
    assert hashlib.sha256((home / made.name / name).read_bytes()).hexdigest() == digest
    assert made.source["sha256"] == hashlib.sha256(archive.read_bytes()).hexdigest()
    assert made.configure[0] == f"--prefix={home / made.name}"
    assert "configured with" in (home / made.name / store.LOG).read_text()
    assert [line[:5] for line in said if line.startswith("[")] == [f"[{n}/6]" for n in range(1, 7)]
    assert sorted(one.name for one in store.work("new-plain").iterdir()) == ["lock", "owner"]


def test_it_is_built_once_and_its_name_is_its_own(tmp_path: Path, home: Path) -> None:
    archive = tree(tmp_path)
    first = builder.build(wanted(archive, name="mine"))
    stamp = (home / "mine").stat().st_mtime_ns
    assert builder.build(wanted(archive, name="mine")) == first
    assert (home / "mine").stat().st_mtime_ns == stamp
    with pytest.raises(UsageError, match="mine is taken by another Python"):
        builder.build(wanted(archive, name="mine", options=FAST))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"partial": ""}, "every module of CPython must compile, but zlib, _ssl did not"),
        ({"broken": ""}, r"compiling .*failed: error: expected a semicolon; log: /"),
        ({"configure": "#!/bin/sh\necho 'configure: error: no'; exit 1"}, "configuring failed"),
        ({"program": "#!/bin/sh\necho \"ImportError: no module named 'ssl'\"; exit 1"},
         "does not work: ImportError: no module named 'ssl'"),
        ({"program": "#!/bin/sh\necho 3.11.99 /nowhere"}, "must be .* but says 3.11.99 /nowhere"),
        ({"Makefile": "all:\ninstall:\n"}, "'make install' must fill"),
    ],
)  # fmt: skip
def test_a_failure_is_one_line_and_leaves_nothing_that_counts(
    tmp_path: Path, home: Path, files: dict[str, str], message: str
) -> None:
    with pytest.raises(InterpreterError, match=message) as caught:
        builder.build(wanted(tree(tmp_path, **files)))
    assert "\n" not in str(caught.value)
    assert store.list_records() == []
    assert [one.name for one in home.iterdir()] == [".work"]
    assert (store.work("new-plain") / "install.log").read_text()
    shutil.rmtree(tmp_path / f"Python-{VERSION}")
    assert builder.build(wanted(tree(tmp_path))).name == f"{VERSION}-plain"  # it can be repeated


def test_a_killed_build_leaves_no_process_and_nothing_that_counts(
    tmp_path: Path, home: Path
) -> None:
    archive = tree(tmp_path, slow="")
    code = (
        "from trimtab.interpreters import builder, options;"
        "builder.HEADERS = {};"
        f"builder.build(builder.BuildRequest(options.BuildOptions(False, False), "
        f"source={str(archive)!r}))"
    )
    reached = store.work("new-plain") / "source" / "reached"
    with subprocess.Popen([sys.executable, "-c", code], env={**os.environ}) as building:
        until = time.monotonic() + 60
        while not reached.exists():
            assert building.poll() is None
            assert time.monotonic() < until
            time.sleep(0.02)
        building.send_signal(signal.SIGKILL)
    assert store.list_records() == []
    assert [one.name for one in home.iterdir()] == [".work"]
    shutil.rmtree(tmp_path / f"Python-{VERSION}")
    made = builder.build(wanted(tree(tmp_path)))
    assert [one.name for one in store.list_records()] == [made.name]
    assert not reached.exists()


@pytest.mark.parametrize("step", range(1, 7))
def test_an_end_at_any_command_leaves_nothing_that_counts(
    tmp_path: Path, home: Path, step: int
) -> None:
    class Killed(BaseException):
        pass

    count = 0

    def run(argv: Sequence[str], seconds: float) -> tuple[int, str]:
        nonlocal count
        count += 1
        if count == step:
            raise Killed
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    with pytest.raises(Killed):
        builder.build(wanted(tree(tmp_path)), run=run)
    assert store.list_records() == []
    assert not (home / f"{VERSION}-plain").exists()


def test_a_folder_without_a_record_is_none_of_ours(home: Path) -> None:
    (home / "half" / "bin").mkdir(parents=True)
    assert store.list_records() == []
    with pytest.raises(UsageError, match=r"no Python is called 'half' .*none yet"):
        store.find("half")
    (home / "half" / store.RECORD).write_text("{")
    assert store.list_records() == []
    with pytest.raises(InterpreterError, match="cannot be read"):
        store.find("half")


def test_a_small_disk_is_told_before(tmp_path: Path) -> None:
    with pytest.raises(InterpreterError, match=r"must have 2 GB free, but has 0.1 GB"):
        builder.build(wanted(tree(tmp_path)), free=lambda _: 10**8)


def test_an_archive_that_is_not_what_was_asked_for(tmp_path: Path) -> None:
    archive = tree(tmp_path)
    with pytest.raises(InterpreterError, match="must have the SHA-256 00"):
        builder.build(wanted(archive, sha256="00" * 32))
    with pytest.raises(UsageError, match="64 hexadecimal digits"):
        builder.build(wanted(archive, sha256="abc"))
    with pytest.raises(UsageError, match="there is no file"):
        builder.build(wanted(tmp_path / "none.tgz"))
    archive.write_bytes(b"no archive")
    with pytest.raises(UsageError, match="must be an archive of CPython's source"):
        builder.build(wanted(archive))
    other = tmp_path / "other.tgz"
    with tarfile.open(other, "w:gz") as out:
        out.add(__file__, arcname="other/file.py")
    with pytest.raises(InterpreterError, match="must hold CPython's source"):
        builder.build(wanted(other))


def test_an_archive_cannot_write_elsewhere(tmp_path: Path) -> None:
    archive = tmp_path / "evil.tgz"
    with tarfile.open(archive, "w:gz") as out:
        out.add(__file__, arcname="../../escaped.py")
    with pytest.raises(InterpreterError, match="cannot be unpacked"):
        builder.build(wanted(archive))
    assert not list(tmp_path.rglob("escaped.py"))


def test_an_upstream_release_needs_a_checksum() -> None:
    with pytest.raises(UsageError, match=r"3\.11\.99 is not known here: give it with --sha256"):
        builder.build(BuildRequest(PLAIN, source="3.11.99"))
    assert all(len(one) == 64 for one in upstream.KNOWN.values())
    assert upstream.release_checksum("3.11.2").startswith("2411c74bda5b")


def test_an_upstream_release_out_of_reach_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream, "address", lambda version: f"http://127.0.0.1:1/{version}")
    with pytest.raises(InterpreterError, match=r"cannot be reached \(.*refused.*--source"):
        source.obtain("3.11.15", None, tmp_path / "w", lambda *_: (0, ""), lambda _: None)


def test_an_upstream_release_with_another_checksum_is_not_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream, "address", lambda version: tree(tmp_path).as_uri())
    with pytest.raises(InterpreterError, match=r"Python-3.11.15.tgz must have the SHA-256 f4de1b"):
        source.obtain("3.11.15", None, tmp_path / "w", lambda *_: (0, ""), lambda _: None)


def test_what_is_missing_is_named_with_its_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = builder.Need("OpenSSL's headers (ssl)", "libssl-dev", "openssl-devel")
    monkeypatch.setattr(builder, "HEADERS", {"openssl/ssl.h": absent})

    def run(argv: Sequence[str], seconds: float) -> tuple[int, str]:
        return (1 if "openssl" in argv[-1] else 0), ""

    if builder.compiler() is not None:
        with pytest.raises(InterpreterError, match=r"OpenSSL.*apt-get install libssl-dev, or dnf"):
            builder.check_needs(run)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(InterpreterError, match=r"a C compiler, make: apt-get install gcc make"):
        builder.check_needs(run)


def a_bolt(version: str, orders: str) -> Run:
    """Return what runs a BOLT of a version that knows these ways to order functions."""
    known = "".join(f"    ={one}      -   use it\n" for one in orders.split())

    def run(argv: Sequence[str], seconds: float) -> tuple[int, str]:
        told = {"--version": f"LLVM:\n  Debian LLVM version {version}\n", "--help-hidden": known}
        return 0, told[argv[-1]]

    return run


def test_a_bolt_that_would_fail_is_refused_before_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(InterpreterError, match=r"llvm-bolt and merge-fdata on.*bolt-19"):
        builder.require_bolt(a_bolt("19.1.7", "cdsort"))
    monkeypatch.setattr(shutil, "which", lambda one: f"/bin/{one}")
    with pytest.raises(InterpreterError, match=r"LLVM 16 or later, but llvm-bolt is of 15.0.6"):
        builder.require_bolt(a_bolt("15.0.6", "hfsort+"))
    builder.require_bolt(a_bolt("16.0.6", "hfsort+"))
    makefile = tmp_path / "Makefile"
    makefile.write_text("BOLT_APPLY_FLAGS= -split-functions -reorder-functions=hfsort+ -icf=1\n")
    builder.check_bolt(a_bolt("16.0.6", "none hfsort+"), tmp_path)
    makefile.write_text("BOLT_APPLY_FLAGS= -split-functions -reorder-functions=cdsort -icf=1\n")
    with pytest.raises(InterpreterError, match=r"-reorder-functions=cdsort, which .* not know"):
        builder.check_bolt(a_bolt("16.0.6", "none hfsort+"), tmp_path)
    builder.check_bolt(a_bolt("19.1.7", "hfsort+ cdsort"), tmp_path)


def test_the_flags_say_which_build() -> None:
    def choose(*on: str, train: str = "default") -> BuildOptions:
        flags = {name: name in on for name in ("pgo", "lto", "bolt", "plain")}
        return options.choose(**flags, train=train)

    assert choose() == choose("pgo", "lto") == FAST
    assert choose("plain") == PLAIN
    assert choose("pgo", train="serving").suffix == "pgo-serving"
    assert choose("pgo", "lto", "bolt").configure(Path("/p")) == (
        "--prefix=/p", "--with-ensurepip=install",
        "--enable-optimizations", "--with-lto", "--enable-bolt",
    )  # fmt: skip
    with pytest.raises(UsageError, match="--plain builds without"):
        choose("plain", "lto")
    with pytest.raises(UsageError, match="add --pgo"):
        choose("lto", train="serving")
    with pytest.raises(UsageError, match="--train must be"):
        choose(train="games")
    with pytest.raises(UsageError, match=r"3.12 or later, but the source is 3.11.2"):
        options.check_version(choose("bolt"), "3.11.2")
    options.check_version(choose("bolt"), "3.12.0")


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "a b", "@x", "a" * 65])
def test_a_name_must_be_a_folders(name: str) -> None:
    with pytest.raises(UsageError, match="name must be"):
        options.check_name(name)


@given(st.text(max_size=200))
def test_a_cause_is_always_one_line(output: str) -> None:
    assert "\n" not in failures.cause(output)
    assert failures.cause(output)


@pytest.mark.parametrize(
    ("output", "cause"),
    [
        ("x\nconfigure: error: no acceptable C compiler found in $PATH\n", "apt-get install gcc"),
        ("a.c: fatal error: foo.h: No such file or directory\nmake: *** [x] Error 1", "foo.h"),
        ("cc1: fatal error: /tmp/x.s: No space left on device", "the disk is full"),
        ("gcc: fatal error: Killed signal terminated program lto1", "--jobs 1"),
        ("one\ntwo\n", "two"),
        ("", "it said nothing"),
    ],
)
def test_causes(output: str, cause: str) -> None:
    assert cause in failures.cause(output)


def test_a_compilers_error_that_was_lived_with_is_not_the_cause() -> None:
    log = "conftest.c: error: #error no\nOSError: [Errno 2] no pip\nmake: *** [x] Error 1\n"
    assert failures.cause(log) == "OSError: [Errno 2] no pip"


FIX = """--- a/Modules/mod.c
+++ b/Modules/mod.c
@@ -1,1 +1,2 @@
 int x;
+#include "pycore_ceval.h"
"""


def test_fixes_are_applied_in_order_and_open_what_they_include(tmp_path: Path) -> None:
    made = tree(tmp_path)
    root = tmp_path / f"Python-{VERSION}"
    (root / "Modules").mkdir()
    (root / "Modules" / "mod.c").write_text("int x;\n")
    patches = tuple(tmp_path / name for name in ("1.patch", "2.patch"))
    patches[0].write_text(FIX)
    patches[1].write_text(FIX.replace(" int x;", " int y;"))
    found = source.SourceArchive("distribution", made, "", "", patches)

    def run(argv: Sequence[str], seconds: float) -> tuple[int, str]:
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    said: list[str] = []
    assert source.patch(found, root, run, said.append) == (["1.patch"], ["2.patch"])
    assert said == ["  1 of 2 fixes of the distribution applied; does not fit: 2.patch"]
    code = (root / "Modules" / "mod.c").read_text()
    assert code.startswith("#ifndef Py_BUILD_CORE_BUILTIN")
    assert code.endswith('int x;\n#include "pycore_ceval.h"\n')


def test_a_record_of_another_format_is_not_read(tmp_path: Path, home: Path) -> None:
    made = builder.build(wanted(tree(tmp_path)))
    path = home / made.name / store.RECORD
    data = json.loads(path.read_text())
    path.write_text(json.dumps({**data, "format": 99}))
    with pytest.raises(InterpreterError, match="of another trimtab"):
        store.read(made.name)

"""An interpreter's files against its record, and its speed against another's."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from trimtab.errors import InterpreterError, UsageError
from trimtab.interpreters import attestation, loops, speed, store, uv_download
from trimtab.interpreters import attestation as elf
from trimtab.interpreters.attestation import Attestation, Subject
from trimtab.interpreters.store import Record
from trimtab.model import CheckOutcome

PLAIN = {"pgo": False, "lto": False, "bolt": False, "train": "default"}
REAL = Path(sys.executable).resolve()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "trimtab" / "pythons"


def lay(home: Path, name: str, arguments: str = "", **options: bool) -> Record:
    """Lay down an interpreter as a build leaves it: a real program, sysconfig, and a record."""
    place = home / name
    (place / "bin").mkdir(parents=True)
    (place / "lib" / "python3.11").mkdir(parents=True)
    shutil.copy(shutil.which("true") or "/bin/true", place / "bin" / "python3.11")
    variables = f"build_time_vars = {{'CONFIG_ARGS': {arguments!r}, 'OPT': '-O3'}}\n"
    (place / "lib" / "python3.11" / "_sysconfigdata__linux.py").write_text(variables)
    record = Record(
        name, "built", "3.11.2", store.checksums(place, "3.11.2"), options={**PLAIN, **options}
    )
    store.write(place, record)
    return record


def verdicts(found: Attestation) -> dict[str, CheckOutcome]:
    return {row.what: row.verdict for row in found.rows}


def test_what_agrees_with_its_record_is_attested(home: Path) -> None:
    lay(home, "fast", "'--enable-optimizations' '--with-lto'", pgo=True, lto=True)
    found = attestation.attest(attestation.resolve("fast"))
    assert not attestation.is_refuted(found)
    seen = verdicts(found)
    assert seen["PGO"] is seen["LTO"] is seen["BOLT"] is seen["SHA-256 of bin/python3.11"]
    assert seen["PGO"] is CheckOutcome.YES
    assert found.variables["OPT"] == "-O3"
    told = "\n".join(attestation.lines(found, None))
    assert "CONFIG_ARGS = '--enable-optimizations' '--with-lto'" in told
    assert json.loads(json.dumps(attestation.as_data(found, None)))["record"]["name"] == "fast"


def test_a_changed_binary_is_refuted(home: Path) -> None:
    lay(home, "fast", "--with-lto", lto=True)
    with (home / "fast" / "bin" / "python3.11").open("ab") as file:
        file.write(b"\0")
    found = attestation.attest(attestation.resolve("fast"))
    assert verdicts(found)["SHA-256 of bin/python3.11"] is CheckOutcome.NO
    assert attestation.is_refuted(found)
    (home / "fast" / "bin" / "python3.11").unlink()
    gone = attestation.attest(attestation.resolve("fast"))
    assert "no file" in gone.rows[0].observed


@pytest.mark.parametrize(
    ("arguments", "promised"), [("", {"pgo": True}), ("--with-lto", {"lto": False})]
)
def test_an_optimization_that_the_record_does_not_promise_alike_is_refuted(
    home: Path, arguments: str, promised: dict[str, bool]
) -> None:
    lay(home, "odd", arguments, **promised)
    assert attestation.is_refuted(attestation.attest(attestation.resolve("odd")))


def test_an_interpreter_of_somebody_else_has_no_record() -> None:
    found = attestation.attest(attestation.resolve(str(REAL)))
    assert verdicts(found)["record"] is CheckOutcome.UNOBSERVABLE
    assert not attestation.is_refuted(found)
    assert found.elf.build_id or found.elf.symbols or found.elf.needed
    with pytest.raises(UsageError, match="no program is there"):
        attestation.resolve("/nowhere/python")
    with pytest.raises(UsageError, match="no Python is called 'none'"):
        attestation.resolve("none")


def test_what_is_no_elf_file_is_unknown(tmp_path: Path) -> None:
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\n")
    assert "no ELF file" in elf.read(script).reason
    assert "No such file" in elf.read(tmp_path / "none").reason


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc: apt-get install gcc libc6-dev")
def test_traces_are_counted_in_a_real_file(tmp_path: Path) -> None:
    code = tmp_path / "a.c"
    code.write_text(
        '__asm__(".section .note.bolt_info,\\"a\\"\\n.byte 0\\n.text\\n");\n'
        'static int one(void) __asm__("one.lto_priv.0");\n'
        "static __attribute__((noinline, used)) int one(void) { return 1; }\n"
        'static int two(void) __asm__("two.cold");\n'
        "static __attribute__((noinline, used)) int two(void) { return 2; }\n"
        "int main(void) { return one() + two() - 3; }\n"
    )
    subprocess.run(
        ["gcc", "-Wl,--build-id=0xabcd", "-o", tmp_path / "a", code], check=True, timeout=60
    )
    found = elf.read(tmp_path / "a")
    assert (found.build_id, found.lto_private, found.cold, found.bolt) == ("abcd", 1, 1, True)
    assert any(one.startswith("libc.so") for one in found.needed)
    assert found.compiler.startswith("GCC")
    subprocess.run(["gcc", "-s", "-Wl,--build-id=none", "-x", "c", "-", "-o", tmp_path / "b"],
                   input=b"int main(void) { return 0; }", check=True, timeout=60)  # fmt: skip
    bare = elf.read(tmp_path / "b")
    assert (bare.build_id, bare.symbols, bare.bolt) == ("", 0, False)


def subject(name: str) -> Subject:
    return Subject(name, Path(name), None, Path())


def test_pairs_alternate_and_the_ratio_has_an_interval() -> None:
    order: list[str] = []

    def once(program: Path) -> dict[str, float]:
        order.append(program.name)
        drift = 1.0 + 0.1 * len(order)
        return {"x": drift * (1.0 if program.name == "fast" else 2.0), "y": drift}

    found = speed.measure(subject("fast"), subject("slow"), 4, lambda _: None, once=once)
    assert order == ["fast", "slow", "slow", "fast", "fast", "slow", "slow", "fast"]
    x, y = found.loops
    assert x.low is not None
    assert x.high is not None
    assert x.low < 2.0 < x.high
    assert y.value == pytest.approx(x.value / 2)
    assert found.all.value == pytest.approx(math.sqrt(x.value * y.value))
    assert f"x {found.all.value:.3f} [" in found.lines()[0]
    one = speed.measure(subject("fast"), subject("slow"), 1, lambda _: None, once=once)
    assert one.all.low is None
    assert "[" not in one.lines()[0]


def test_the_loops_run_in_a_real_process() -> None:
    found = speed._once(REAL)
    assert set(found) == {loop.__name__.strip("_") for loop in loops.LOOPS}
    assert all(seconds > 0 for seconds in found.values())
    with pytest.raises(InterpreterError, match="the micro-benchmark failed"):
        speed._once(Path("/bin/false"))


def test_the_opponent_is_a_plain_build_of_the_same_version(home: Path) -> None:
    lay(home, "fast", "--with-lto", lto=True)
    fast = attestation.resolve("fast")
    assert speed.opponent(fast, None) is None
    lay(home, "plain")
    found = speed.opponent(fast, None)
    assert found is not None
    assert found.told == "plain"
    assert speed.opponent(attestation.resolve("plain"), None) is None
    with pytest.raises(UsageError, match="is the same interpreter"):
        speed.opponent(fast, str(home / "fast" / "bin" / "python3.11"))


UV = """#!/bin/sh
test "$1" = --version && {{ echo "uv 9.9"; exit 0; }}
{act}
"""
INSTALL = """p="$UV_PYTHON_INSTALL_DIR/cpython-3.11.9-linux-x86_64-gnu"
mkdir -p "$p/bin" "$p/lib/python3.11"; cp /bin/true "$p/bin/python3.11"
echo "v = {'CONFIG_ARGS': '--enable-optimizations --with-lto'}" \\
  > "$p/lib/python3.11/_sysconfigdata__linux.py" """


def with_uv(folder: Path, monkeypatch: pytest.MonkeyPatch, act: str) -> None:
    (folder / "path").mkdir()
    (folder / "path" / "uv").write_text(UV.format(act=act))
    (folder / "path" / "uv").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'path'}:/usr/bin:/bin")


def test_a_fetched_one_is_on_record(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_uv(tmp_path, monkeypatch, INSTALL)
    made = uv_download.fetch("3.11", "", lambda _: None)
    assert (made.name, made.kind, made.version) == ("3.11-standalone", "fetched", "3.11.9")
    assert made.options == {"pgo": True, "lto": True, "bolt": False}
    record, program = store.find("3.11-standalone")
    assert record == made
    assert program.is_file()
    assert [one.name for one in store.list_records()] == [made.name]
    assert not attestation.is_refuted(attestation.attest(attestation.resolve(made.name)))
    (tmp_path / "path" / "uv").unlink()
    assert uv_download.fetch("3.11", "", lambda _: None) == made
    with pytest.raises(UsageError, match="is taken by another Python"):
        uv_download.fetch("3.12", made.name, lambda _: None)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        ("echo 'error: Failed to download https://github.com/x' >&2; exit 1",
         "uv cannot reach the builds of Python 3.11 .*trimtab python build"),
        ("echo 'error: no such request' >&2; exit 2", "could not install .*no such request"),
        ("exit 0", "uv must have put Python 3.11 into"),
    ],
)  # fmt: skip
def test_a_fetch_that_fails_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: str, message: str
) -> None:
    with_uv(tmp_path, monkeypatch, act)
    with pytest.raises(InterpreterError, match=message) as caught:
        uv_download.fetch("3.11", "", lambda _: None)
    assert "\n" not in str(caught.value)
    assert store.list_records() == []


def test_fetching_needs_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InterpreterError, match=r"needs uv on PATH.*pip install uv"):
        uv_download.fetch("3.11", "", lambda _: None)
    with pytest.raises(UsageError, match=r"must be such as 3\.11"):
        uv_download.fetch("latest", "", lambda _: None)

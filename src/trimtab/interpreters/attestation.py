"""Attesting an interpreter: what its record, files and sysconfig say, and whether they agree.

Three verdicts a row, as everywhere: what cannot be seen is never a yes.

What an ELF file shows of how it was linked: build id, libpython, traces of LTO, PGO and BOLT.

The traces are one-sided. gcc names what LTO made local ``.lto_priv``, splits functions that a
profile calls cold into ``.cold``; BOLT adds ``.note.bolt_info`` or ``.bolt.org.text``. A file
without symbols, or of another compiler, may have none of them, and that then proves nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trimtab.errors import HostError, UsageError
from trimtab.facts import kernel, python_build
from trimtab.facts.python_build import PythonBuild
from trimtab.host import LocalHost
from trimtab.interpreters import store
from trimtab.interpreters.store import Record
from trimtab.model import CheckOutcome

if TYPE_CHECKING:
    from trimtab.interpreters.speed import Speed

_BOLT_SECTIONS = (".note.bolt_info", ".bolt.org.text")


@dataclass(frozen=True, slots=True)
class Elf:
    """One file. ``needed`` are the libraries it asks for; symbols are counted, 0 if stripped."""

    build_id: str = ""
    needed: tuple[str, ...] = ()
    symbols: int = 0
    lto_private: int = 0
    cold: int = 0
    bolt: bool = False
    compiler: str = ""
    reason: str = ""

    @property
    def libpython(self) -> str:
        """The libpython it loads; "" when the interpreter is inside."""
        return next((one for one in self.needed if one.startswith("libpython")), "")


def read(path: Path) -> Elf:
    """Return what a file shows; ``reason`` says why nothing can be read. Never raises."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    try:
        with path.open("rb") as stream:
            return _read(ELFFile(stream))
    except (OSError, ELFError) as error:
        return Elf(reason=f"{path} is no ELF file that can be read: {error}")


def _read(file: Any) -> Elf:
    names = {section.name: section for section in file.iter_sections()}
    symbols = names.get(".symtab")
    told = [] if symbols is None else [symbol.name for symbol in symbols.iter_symbols()]
    dynamic = names.get(".dynamic")
    needed = () if dynamic is None else tuple(
        tag.needed for tag in dynamic.iter_tags() if tag.entry.d_tag == "DT_NEEDED"
    )  # fmt: skip
    comment = names.get(".comment")
    return Elf(
        build_id=_build_id(names.get(".note.gnu.build-id")),
        needed=needed,
        symbols=len(told),
        lto_private=sum(".lto_priv" in one for one in told),
        cold=sum(one.endswith(".cold") for one in told),
        bolt=any(one in names for one in _BOLT_SECTIONS),
        compiler="" if comment is None else _first_text(comment.data()),
    )


def _build_id(section: Any) -> str:
    notes = () if section is None else section.iter_notes()
    return next((str(note["n_desc"]) for note in notes if note["n_type"] == "NT_GNU_BUILD_ID"), "")


def _first_text(data: bytes) -> str:
    return data.split(b"\0")[0].decode(errors="replace")


_SHOWN = ("CONFIG_ARGS", "OPT", "PY_CFLAGS", "PY_CFLAGS_NODIST", "PY_LDFLAGS_NODIST")


@dataclass(frozen=True, slots=True)
class Subject:
    """An interpreter to attest: its program (links followed), and its record if it is ours."""

    told: str
    program: Path
    record: Record | None
    home: Path


@dataclass(frozen=True, slots=True)
class AttestationCheck:
    """One thing that was looked at: what it is, the verdict, what was seen, and where."""

    what: str
    verdict: CheckOutcome
    observed: str
    where: str


@dataclass(frozen=True, slots=True)
class Attestation:
    """The rows, and what they rest on."""

    subject: Subject
    build: PythonBuild
    elf: Elf
    variables: Mapping[str, str]
    rows: tuple[AttestationCheck, ...]


def resolve(told: str) -> Subject:
    """Return the interpreter that a name or a path means.

    Raises:
        UsageError: it is neither.
        InterpreterError: its record cannot be read.
    """
    if "/" not in told:
        record, program = store.find(told)
        return Subject(told, program.resolve(), record, store.folder() / told)
    path = Path(told).expanduser()
    if not path.is_file() or not os.access(path, os.X_OK):
        raise UsageError(f"there must be an interpreter at {told}, but no program is there")
    program = path.resolve()
    home = program.parent.parent
    ours = home.parent == store.folder().resolve()
    return Subject(told, program, store.read(home.name) if ours else None, home)


def attest(subject: Subject) -> Attestation:
    """Look at everything but the speed."""
    host = LocalHost()
    system = kernel.read(host).os_id.value or ""
    build = python_build.read(host, str(subject.program), system)
    seen = read(subject.program)
    return Attestation(
        subject,
        build,
        seen,
        _variables(host, build),
        (*_checksums(subject), *_optimizations(subject, build, seen), _linked(build, seen)),
    )


def is_refuted(attestation: Attestation) -> bool:
    """Whether a row speaks against it."""
    return any(row.verdict is CheckOutcome.NO for row in attestation.rows)


def _variables(host: LocalHost, build: PythonBuild) -> dict[str, str]:
    if not build.source:
        return {}
    try:
        known = python_build.parse_sysconfig(host.read(build.source)) or {}
    except HostError:
        return {}
    return {name: str(known[name]) for name in _SHOWN if name in known}


def _checksums(subject: Subject) -> tuple[AttestationCheck, ...]:
    if subject.record is None:
        return (
            AttestationCheck(
                "record", CheckOutcome.UNOBSERVABLE, "it was not made by trimtab", ""
            ),
        )
    rows = []
    for name, wanted in subject.record.sha256.items():
        path = subject.home / name
        found = store.checksum(path) if path.is_file() else "no file"
        verdict = CheckOutcome.YES if found == wanted else CheckOutcome.NO
        told = "as recorded" if verdict is CheckOutcome.YES else f"recorded {wanted}"
        rows.append(AttestationCheck(f"SHA-256 of {name}", verdict, f"{found}, {told}", str(path)))
    return tuple(rows)


def _optimizations(
    subject: Subject, build: PythonBuild, seen: Elf
) -> tuple[AttestationCheck, ...]:
    """Say of each optimization whether it is there; what the record promises must be."""
    traces = {
        "pgo": f"{seen.cold} functions split as cold",
        "lto": f"{seen.lto_private} symbols made private by LTO",
        "bolt": "BOLT's sections" if seen.bolt else "no section of BOLT",
    }
    rows = []
    for name, trace in traces.items():
        there: bool | None = getattr(build, name)
        promised = None if subject.record is None else subject.record.options.get(name)
        if promised is None:
            verdict = CheckOutcome.UNOBSERVABLE if there is None else CheckOutcome.YES
        else:
            verdict = (
                CheckOutcome.UNOBSERVABLE if there is None else _yes_no(there is bool(promised))
            )
        said = {True: "yes", False: "no", None: f"unknown: {build.reason}"}[there]
        wanted = "" if promised is None else f", recorded {'yes' if promised else 'no'}"
        rows.append(
            AttestationCheck(
                name.upper(), verdict, f"{said}{wanted}; {trace}", build.source or "sysconfig"
            )
        )
    return tuple(rows)


def _linked(build: PythonBuild, seen: Elf) -> AttestationCheck:
    if seen.reason:
        return AttestationCheck("ELF", CheckOutcome.UNOBSERVABLE, seen.reason, build.executable)
    inside = f"needs {seen.libpython}" if seen.libpython else "libpython inside"
    symbols = f"{seen.symbols} symbols" if seen.symbols else "stripped"
    told = f"{inside}, {symbols}, build id {seen.build_id or 'none'}, {seen.compiler}"
    return AttestationCheck("ELF", CheckOutcome.YES, told, build.executable)


def _yes_no(condition: bool) -> CheckOutcome:
    return CheckOutcome.YES if condition else CheckOutcome.NO


def as_data(attestation: Attestation, speed: Speed | None) -> dict[str, Any]:
    """Return everything as plain data."""
    return {
        "python": attestation.subject.told,
        "program": str(attestation.subject.program),
        "record": None
        if attestation.subject.record is None
        else asdict(attestation.subject.record),
        "build": asdict(attestation.build),
        "elf": asdict(attestation.elf),
        "sysconfig": dict(attestation.variables),
        "rows": [asdict(row) for row in attestation.rows],
        "speed": None if speed is None else asdict(speed),
    }


def lines(attestation: Attestation, speed: Speed | None) -> Sequence[str]:
    """Return everything as lines for people."""
    subject = attestation.subject
    shown = [f"{subject.told}: {subject.program}, Python {attestation.build.version}"]
    shown += [f"{row.verdict.value:<13} {row.what}: {row.observed}" for row in attestation.rows]
    shown += [f"{'sysconfig':<13} {name} = {text}" for name, text in attestation.variables.items()]
    return shown if speed is None else [*shown, *speed.lines()]

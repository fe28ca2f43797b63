"""What can be wrong with replacing the system's Python."""

from __future__ import annotations

import re
from collections.abc import Iterator

from trimtab.catalog.rules.install import program, replaces_python
from trimtab.catalog.rules.rule import Rule
from trimtab.model.document import Document
from trimtab.model.finding import Hit, Problem, Severity
from trimtab.model.situation import Situation

_ARCHIVE = re.compile(r"py(?P<minor>3\d+)_?bisheng")


def _replaced(document: Document, situation: Situation) -> Iterator[Hit]:
    found = [one for one in document.commands if replaces_python(one)]
    if found:
        yield Hit(
            "python-tarball",
            (
                f"{found[0].words[-1]} belongs to the distribution, whose tools need it, and "
                "nothing keeps the old one"
            ),
            "put the new interpreter first in PATH, or make a virtual environment with it",
            place=found[0].place,
        )


def _again(document: Document, situation: Situation) -> Iterator[Hit]:
    for command in document.commands:
        words = program(command)
        if words[:1] == ("mv",) and "-T" not in words and re.search(r"python/?$", words[-1]):
            yield Hit(
                "python-tarball",
                (
                    f"a second run moves the folder into {words[-1]}, because that folder then "
                    "exists"
                ),
                "remove or test for it first, or use mv -T",
                place=command.place,
            )
        elif words[:2] == ("sed", "-i") and any(re.match(r"1c#?\\?", word) for word in words[2:]):
            yield Hit(
                "python-tarball",
                (
                    "this replaces the first line whatever it holds, and is right for a one-line "
                    "shebang only"
                ),
                "run pip as 'python -m pip' instead",
                place=command.place,
            )


def _abi(document: Document, situation: Situation) -> Iterator[Hit]:
    for command in document.commands:
        archive = _ARCHIVE.search(" ".join(command.words))
        if archive is None:
            continue
        minor = f"3.{archive['minor'][1:]}"
        mine = situation.versions.get("python")
        if mine is not None and mine.startswith(f"{minor}"):
            return
        yield Hit(
            "python-tarball",
            (
                f"the archive is Python {minor} for aarch64, but current images have 3.12: "
                "packages built for one do not load in the other"
            ),
            "build the image's own version with --enable-optimizations --with-lto",
            given="" if mine is not None else f"the image's Python is not {minor}",
            severity=Severity.WARNING,
            place=command.place,
        )
        return


def _openssl(document: Document, situation: Situation) -> Iterator[Hit]:
    for command in document.commands:
        for word in command.words:
            if re.search(r"lib(ssl|crypto)\.so\.1\.1", word):
                yield Hit(
                    "python-tarball",
                    "OpenSSL 1.1 has had no fixes since September 2023",
                    "use a Python that is linked to OpenSSL 3",
                    place=command.place,
                )
                return


_DATA = re.compile(
    r"([Dd]ata|DATA)([Ss]ets?)?(?![a-z])|corpus|weights|checkpoint|(?<![a-z])models?(?=\.)"
)
"""What the name of an archive says that holds no code."""


def _unchecked(document: Document, situation: Situation) -> Iterator[Hit]:
    checks = {"sha256sum", "sha512sum", "gpg", "md5sum", "shasum", "cosign"}
    if any(program(one)[:1] and program(one)[0] in checks for one in document.commands):
        return
    for command in document.commands:
        words = program(command)
        code = re.compile(r"\.(so(\.[\d.]+)?|tar\.gz|tgz|whl|run|zip)$")
        fetched = [w for w in words[1:] if code.search(w)]
        if words[:1] in {("wget",), ("curl",)} and fetched:
            names = (w if "/datasets/" in w else w.rpartition("/")[2] for w in fetched)
            data = all(_DATA.search(one) for one in names)
            if data and not re.search(r"\.(so(\.[\d.]+)?|whl|run)$", fetched[0]):
                continue
            yield Hit(
                "python-tarball",
                ("root later runs this code, which was fetched without a checksum or a signature"),
                "check it against a published sha256",
                place=command.place,
            )
            return


def _path(document: Document, situation: Situation) -> Iterator[Hit]:
    for one in document.settings:
        parts = one.value.split(":")
        own = next((i for i, p in enumerate(parts) if re.search(r"python[\d.]*/bin/?$", p)), None)
        if one.name == "PATH" and own is not None and "/usr/bin" in parts[:own]:
            yield Hit(
                "PATH",
                f"/usr/bin comes before {parts[own]}: any python in /usr/bin wins",
                f"put {parts[own]} first",
                place=one.place,
            )


RULES = (
    Rule(
        id="system-python-replaced",
        severity=Severity.WARNING,
        problem=Problem.HAZARD,
        summary="The distribution's interpreter is replaced.",
        text=_replaced,
        traps=("T25",),
    ),
    Rule(
        id="not-repeatable",
        severity=Severity.INFO,
        problem=Problem.HAZARD,
        summary="A step does something else when it is run again.",
        text=_again,
        traps=("T25",),
    ),
    Rule(
        id="python-abi",
        severity=Severity.ERROR,
        problem=Problem.WRONG_VALUE,
        summary="The archive's Python is another version than the image's packages are for.",
        text=_abi,
        traps=("T26",),
    ),
    Rule(
        id="openssl-old",
        severity=Severity.WARNING,
        problem=Problem.HAZARD,
        summary="OpenSSL 1.1 is no longer maintained.",
        text=_openssl,
        traps=("T26",),
    ),
    Rule(
        id="download-unchecked",
        severity=Severity.WARNING,
        problem=Problem.HAZARD,
        summary="Code is fetched without a checksum.",
        text=_unchecked,
        traps=("T26",),
    ),
    Rule(
        id="path-order",
        severity=Severity.WARNING,
        problem=Problem.NO_EFFECT,
        summary="PATH names /usr/bin before the Python that is meant.",
        text=_path,
        traps=("T26",),
    ),
)

"""What can be wrong with the preparation: mirrors, indexes, order, the system's Python."""

from __future__ import annotations

import re
from collections.abc import Iterator

from trimtab.catalog.rules.scene import Rule
from trimtab.model.document import Command, Document
from trimtab.model.finding import Hit, Problem, Severity
from trimtab.model.situation import Situation

_RELEASES = {"focal": "20.04", "jammy": "22.04", "noble": "24.04", "plucky": "25.04"}
_SOURCES = re.compile(r"/etc/apt/sources\.list(\.d/.*)?")


def program(command: Command) -> tuple[str, ...]:
    """Return a command's words without sudo, the program without its folder."""
    words = command.words[1:] if command.words[:1] == ("sudo",) else command.words
    return (words[0].rpartition("/")[2], *words[1:]) if words else ()


def pip_installs(command: Command) -> tuple[str, ...]:
    """Return the packages that a pip command installs, names only."""
    words = program(command)
    if re.fullmatch(r"python[\d.]*", words[0] if words else "") and words[1:3] == ("-m", "pip"):
        words = words[2:]
    if not words or not re.fullmatch(r"(uv|pip[\d.]*)", words[0]) or "install" not in words:
        return ()
    rest = words[words.index("install") + 1 :]
    return tuple(
        re.split(r"[=<>!~\[@ ]", word, maxsplit=1)[0].lower().replace("_", "-")
        for word in rest
        if not word.startswith("-")
    )


def _aptish(command: Command) -> bool:
    targets = [redirect.target for redirect in command.redirects if ">" in redirect.operator]
    words = program(command)
    if words[:1] == ("tee",):
        targets += words[1:]
    if words[:1] in {("sed",), ("add-apt-repository",)}:
        targets += words[1:]
    return any(_SOURCES.search(target) for target in targets)


def _said(command: Command) -> str:
    return " ".join(command.words) + " " + (command.stdin or "")


def _truncated(document: Document, situation: Situation) -> Iterator[Hit]:
    kept = any(
        program(command)[:1] in {("cp",), ("mv",)}
        and any(_SOURCES.search(w) for w in command.words)
        for command in document.commands
    )
    for command in () if kept else document.commands:
        if any(
            o.operator == ">" and o.target == "/etc/apt/sources.list" for o in command.redirects
        ):
            yield Hit(
                "apt-mirror",
                "this overwrites the list of package sources without a copy",
                "add a file under /etc/apt/sources.list.d, or copy the old list first",
                place=command.place,
            )


def _mirrors(document: Document) -> Iterator[tuple[Command, str]]:
    """Yield the first command of each document that names an Ubuntu mirror."""
    for command in document.commands:
        match = re.search(
            r"deb(-src)? (\[[^\]]*\] )?(?P<address>\S+)\s+(?P<suite>\S+)", _said(command)
        )
        if match is not None and (_aptish(command) or "/ubuntu" in match["address"]):
            yield command, f"{match['address']} {match['suite']}"


def _ports(document: Document, situation: Situation) -> Iterator[Hit]:
    for command, said in list(_mirrors(document))[:1]:
        if "ubuntu-ports" in said and situation.arch in (None, "x86_64"):
            yield Hit(
                "apt-mirror",
                "ubuntu-ports has no packages for x86_64",
                "use the mirror's ubuntu folder there",
                given="" if situation.arch else "the machine is x86_64",
                place=command.place,
            )


def _release(document: Document, situation: Situation) -> Iterator[Hit]:
    for command, said in list(_mirrors(document))[:1]:
        suite = next((name for name in _RELEASES if name in said), None)
        if suite is None:
            continue
        distribution, release = situation.distribution, situation.release
        if distribution == "ubuntu" and release == _RELEASES[suite]:
            continue
        sure = distribution is not None and (distribution != "ubuntu" or release is not None)
        yield Hit(
            "apt-mirror",
            (
                f"the address has packages of Ubuntu {_RELEASES[suite]} ({suite}), which do not "
                "fit another release or distribution"
            ),
            "take the release from /etc/os-release",
            given="" if sure else f"the image is not Ubuntu {_RELEASES[suite]}",
            place=command.place,
        )


def _pip_config(document: Document, situation: Situation) -> Iterator[Hit]:
    for command in document.commands:
        words = program(command)
        if re.fullmatch(r"pip[\d.]*", words[0] if words else "") and words[1:3] == (
            "config",
            "set",
        ):
            yield Hit(
                "pip-index",
                "pip config set changes every later use of pip by this user",
                "give --index-url or PIP_INDEX_URL for this use alone",
                place=command.place,
            )


def replaces_python(command: Command) -> bool:
    """Whether a command puts another interpreter or pip in the system's place."""
    words = program(command)
    if words[:1] != ("ln",) or len(words) < 3:
        return False
    if re.fullmatch(r"(/usr/bin/)?python[\d.]*", words[-2]) and words[-1].endswith("bin/python"):
        return False  # a second name of the system's own interpreter
    return bool(re.fullmatch(r"/usr/(local/)?bin/(python|pip)[\d.]*", words[-1]))


def _order(document: Document, situation: Situation) -> Iterator[Hit]:
    installed: Command | None = None
    for command in document.commands:
        if set(pip_installs(command)) & {"vllm", "vllm-ascend", "torch-npu", "torch"}:
            installed = installed or command
        elif installed is not None and replaces_python(command):
            yield Hit(
                "install-order",
                (
                    f"line {installed.place.line} installs packages for the old Python, and "
                    "compiled ones do not load in this one"
                ),
                "replace Python first",
                place=command.place,
            )
            return


def _dangling(document: Document, situation: Situation) -> Iterator[Hit]:
    headings = [mention.text.lower() for mention in document.mentions if mention.kind == "heading"]
    if not headings or any("python" in text for text in headings):
        return
    if any(replaces_python(command) for command in document.commands):
        return
    for mention in document.mentions:
        if mention.kind == "prose" and "optimized python" in mention.text.lower():
            yield Hit(
                "install-order",
                "the text speaks of an optimized Python, but nothing here installs one",
                "say where it comes from, or drop the sentence",
                place=mention.place,
            )


def _turbo(document: Document, situation: Situation) -> Iterator[Hit]:
    for command in document.commands:
        if "mindie-turbo" in pip_installs(command):
            yield Hit(
                "mindie-turbo",
                (
                    "mindie-turbo pins torch 2.5.1 for vLLM 0.7.3: installing it breaks a current "
                    "vLLM"
                ),
                "leave it out",
                severity=Severity.ERROR,
                place=command.place,
            )
    for mention in document.mentions:
        if mention.kind == "prose" and re.search(
            r"\bmindie[-_]turbo\b", mention.text, re.IGNORECASE
        ):
            yield Hit(
                "mindie-turbo",
                "mindie-turbo is obsolete: its last release pins torch 2.5.1, for vLLM 0.7.3",
                "leave it out",
                place=mention.place,
            )


def _uname(document: Document, situation: Situation) -> Iterator[Hit]:
    for command in document.commands:
        if re.search(r"[$`]\(?uname\s+-i\b", " ".join(command.words)):
            yield Hit(
                "cann-address",
                "uname -i prints 'unknown' on Debian and others, so the address does not exist",
                "use uname -m",
                place=command.place,
            )
    for setting in document.settings:
        if setting.name != "LD_PRELOAD" and re.search(r"uname\s+-i\b", setting.value):
            yield Hit(
                setting.name,
                "uname -i prints 'unknown' on Debian and others",
                "use uname -m",
                place=setting.place,
            )


TRUNCATED = Rule(
    id="apt-sources-truncated",
    severity=Severity.WARNING,
    problem=Problem.HAZARD,
    summary="The list of package sources is overwritten without a copy.",
    text=_truncated,
    traps=("T19",),
)
PORTS = Rule(
    id="apt-mirror-machine",
    severity=Severity.ERROR,
    problem=Problem.WRONG_VALUE,
    summary="The mirror has no packages for this architecture.",
    text=_ports,
    traps=("T19",),
)
RELEASE = Rule(
    id="apt-mirror-release",
    severity=Severity.ERROR,
    problem=Problem.WRONG_VALUE,
    summary="The mirror's address names another release.",
    text=_release,
    traps=("T19",),
)
PIP_CONFIG = Rule(
    id="pip-config-stays",
    severity=Severity.INFO,
    problem=Problem.HAZARD,
    summary="pip's index is changed for good.",
    text=_pip_config,
)
ORDER = Rule(
    id="python-after-engine",
    severity=Severity.ERROR,
    problem=Problem.HAZARD,
    summary="Python is replaced after packages were installed for the old one.",
    text=_order,
    traps=("T21",),
)
DANGLING = Rule(
    id="python-not-here",
    severity=Severity.INFO,
    problem=Problem.ADVICE,
    summary="A text speaks of an optimized Python that it does not install.",
    text=_dangling,
    traps=("T21",),
)
TURBO = Rule(
    id="mindie-turbo",
    severity=Severity.WARNING,
    problem=Problem.SUPERSEDED,
    summary="MindIE Turbo is obsolete, and breaks a current stack.",
    text=_turbo,
    traps=("T27",),
)
UNAME = Rule(
    id="uname-i",
    severity=Severity.WARNING,
    problem=Problem.WRONG_VALUE,
    summary="uname -i is 'unknown' on Debian and others.",
    text=_uname,
    traps=("T2",),
)


_ARCHIVE = re.compile(r"py(?P<minor>3\d+)_?bisheng")


def _replaced(document: Document, situation: Situation) -> Iterator[Hit]:
    commands = [command for command in document.commands if replaces_python(command)]
    if commands:
        yield Hit(
            "python-tarball",
            (
                f"{commands[0].words[-1]} belongs to the distribution, whose tools need it, and "
                "nothing keeps the old one"
            ),
            "put the new interpreter first in PATH, or make a virtual environment with it",
            place=commands[0].place,
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
    if any(
        program(command)[:1] and program(command)[0] in checks for command in document.commands
    ):
        return
    for command in document.commands:
        words = program(command)
        code = re.compile(r"\.(so(\.[\d.]+)?|tar\.gz|tgz|whl|run|zip)$")
        fetched = [w for w in words[1:] if code.search(w)]
        if words[:1] in {("wget",), ("curl",)} and fetched:
            names = (w if "/datasets/" in w else w.rpartition("/")[2] for w in fetched)
            data = all(_DATA.search(name) for name in names)
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
    for setting in document.settings:
        parts = setting.value.split(":")
        own = next((i for i, p in enumerate(parts) if re.search(r"python[\d.]*/bin/?$", p)), None)
        if setting.name == "PATH" and own is not None and "/usr/bin" in parts[:own]:
            yield Hit(
                "PATH",
                f"/usr/bin comes before {parts[own]}: any python in /usr/bin wins",
                f"put {parts[own]} first",
                place=setting.place,
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

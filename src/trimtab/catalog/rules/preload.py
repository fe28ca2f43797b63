"""What can be wrong with LD_PRELOAD, and with how a text looks for a library."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from trimtab.catalog.rules.scene import Rule, Scene
from trimtab.knobs.env import FAMILIES, name_matches
from trimtab.model.document import Document, Place, Setting
from trimtab.model.finding import Action, Hit, Problem, Remedy, Severity
from trimtab.model.situation import Situation

_NAME = "LD_PRELOAD"
_TRIPLET = re.compile(r"/lib/(?P<arch>[a-z0-9_]+)-linux-gnu/")
_DEBIAN = frozenset({"debian", "ubuntu"})
_LIB64 = frozenset({"openeuler", "centos", "rhel", "fedora", "rocky", "almalinux", "kylin"})
_UNAME = re.compile(r"uname\s+-i\b")


def _elements(scene: Scene) -> list[str]:
    setting = scene.env.get(_NAME)
    text = setting.value if setting is not None else ""
    # A command substitution holds blanks of its own, which end no element.
    text = re.sub(r"\$\{[^}]*\}", "", text)
    whole = re.sub(r"\$\([^)]*\)|`[^`]*`", lambda match: match[0].replace(" ", "\0"), text)
    return [part.replace("\0", " ") for part in re.split(r"[:\s]+", whole) if part]


def _is_allocator(path: str) -> bool:
    return name_matches(path, FAMILIES["malloc"])


def _written(scene: Scene, part: str) -> Setting | None:
    """Return the assignment that wrote a part: that in force, or one that it inherits from."""
    in_force = scene.env.get(_NAME)
    made = (
        [setting for setting in scene.document.settings if setting.name == _NAME]
        if scene.document
        else []
    )
    places = [setting.place for setting in made]
    if in_force is not None and in_force.place in places:
        made = made[: places.index(in_force.place) + 1]
    for text in (part, part.rpartition("/")[2]):
        for setting in reversed(made):
            if setting.place is not None and text in setting.place.text:
                return setting
    return in_force


def _place(scene: Scene, part: str) -> Place | None:
    made = _written(scene, part)
    return made.place if made is not None else None


def _span(setting: Setting | None, pattern: re.Pattern[str]) -> Place | None:
    """Return the place of a pattern inside the line that a setting stands on."""
    place = setting.place if setting is not None else None
    match = pattern.search(place.text) if place is not None else None
    if match is None or place is None:
        return None
    return replace(place, column=match.start() + 1, end_column=match.end() + 1)


def _machine(scene: Scene) -> Iterator[Hit]:
    for part in _elements(scene):
        triplet = _TRIPLET.search(part)
        if _UNAME.search(part):
            span = _span(_written(scene, part), _UNAME)
            yield Hit(
                _NAME,
                (
                    "uname -i prints 'unknown' on Debian and others, so the path does not exist "
                    "and the server runs without the allocator"
                ),
                "use uname -m",
                place=span,
                remedy=Remedy(Action.REPLACE, "uname -m") if span is not None else None,
            )
        elif triplet is not None and triplet["arch"] == "unknown":
            yield Hit(
                _NAME,
                f"{part} does not exist: it was made with uname -i, which printed 'unknown'",
                "make the path with uname -m",
            )
        elif triplet is not None and scene.situation.arch not in (None, triplet["arch"]):
            yield Hit(
                _NAME,
                (
                    f"{part} is a library for {triplet['arch']}, but the machine is "
                    f"{scene.situation.arch}: the loader ignores it"
                ),
                f"name the library for {scene.situation.arch}",
            )


def _distribution(scene: Scene) -> Iterator[Hit]:
    name = scene.situation.distribution
    for part in _elements(scene):
        multiarch, lib64 = "-linux-gnu/" in part, part.startswith(("/usr/lib64/", "/lib64/"))
        if not (multiarch or lib64) or not _is_allocator(part):
            continue
        library = part.rpartition("/")[2]
        if multiarch and (name is None or name in _LIB64):
            yield Hit(
                _NAME,
                (
                    f"{part} is a path of Debian and Ubuntu: openEuler has the library in "
                    "/usr/lib64, and the loader ignores missing files"
                ),
                f"use /usr/lib64/{library} there",
                given="" if name else "the image is openEuler's",
                place=_place(scene, part),
            )
        elif lib64 and name in _DEBIAN:
            yield Hit(
                _NAME,
                (
                    f"{part} is a path of openEuler: {name} has libraries in "
                    "/usr/lib/<machine>-linux-gnu, and the loader ignores missing files"
                ),
                f"use /usr/lib/$(uname -m)-linux-gnu/{library}",
            )


def _placeholder(scene: Scene) -> Iterator[Hit]:
    for part in _elements(scene):
        if re.fullmatch(r"<[^>]+>|/?path/to/.*", part):
            yield Hit(
                _NAME,
                f"{part} is a placeholder: the loader finds no such file and ignores it",
                "write the library's absolute path",
            )


def _build(scene: Scene) -> Iterator[Hit]:
    for part in _elements(scene):
        library = part.rpartition("/")[2]
        if re.match(r"lib(tc|je)malloc\w*_(debug|and_profiler)", library):
            yield Hit(
                _NAME,
                f"{library} is a slow build for debugging or profiling",
                "use libtcmalloc_minimal.so.4",
            )
        elif re.fullmatch(r"lib(tcmalloc(_minimal)?|jemalloc)\.so", library):
            yield Hit(
                _NAME,
                f"only the development package has {library} without a version number",
                f"use {library}.{2 if 'jemalloc' in library else 4}",
                severity=Severity.INFO,
            )


def _order(scene: Scene) -> Iterator[Hit]:
    parts = _elements(scene)
    first = next((index for index, part in enumerate(parts) if _is_allocator(part)), None)
    if first is None:
        return
    behind = [p for p in parts[first + 1 :] if p != parts[first]]  # twice is loaded once
    rest = [p for p in behind if _is_allocator(p) or p.startswith("<")]
    if rest:
        yield Hit(
            _NAME,
            (
                f"{parts[first].rpartition('/')[2]} stands first and serves malloc: {rest[0]} "
                "behind it is loaded but serves nothing"
            ),
            "keep one allocator, and put it first",
        )


def _page_size(scene: Scene) -> Iterator[Hit]:
    size = scene.situation.page_size
    if size is None or size <= 4096:
        return
    for part in _elements(scene):
        if name_matches(part, ("libjemalloc.so",)):
            yield Hit(
                _NAME,
                (
                    f"the kernel's pages have {size} bytes: a jemalloc built for smaller ones "
                    "aborts with 'Unsupported system page size'"
                ),
                "test it in a child process first: 'trimtab doctor' does",
            )


def _ldd(document: Document, situation: Situation) -> Iterator[Hit]:
    for command in document.commands:
        words = command.words[1:] if command.words[:1] == ("sudo",) else command.words
        if words[:1] == ("ldd",) and any("python" in word for word in words[1:]):
            yield Hit(
                _NAME,
                (
                    "ldd shows what this shell would load, not which allocator serves a server's "
                    "malloc"
                ),
                "look into the server: 'trimtab doctor --pid' proves it in a child process",
                place=command.place,
            )


def _glob(document: Document, situation: Situation) -> Iterator[Hit]:
    for command in document.commands:
        for index, word in enumerate(command.words[1:], 1):
            named = command.words[0] == "find" and command.words[index - 1] in ("-name", "-iname")
            if not (named and "*" in word) or index >= len(command.places):
                continue
            place = command.places[index]
            raw = place.text[place.column - 1 : place.end_column - 1 or None]
            if "'" in raw or '"' in raw or "\\" in raw:
                continue
            yield Hit(
                _NAME,
                (
                    f"the shell expands {word} if a file here matches, and find then looks for "
                    "that one name"
                ),
                f"quote it: '{word}'",
                place=place,
                remedy=Remedy(Action.REPLACE, f"'{word}'"),
            )


def _made(id_: str, summary: str, process: object, severity: Severity, *traps: str) -> Rule:
    return Rule(
        id=id_,
        severity=severity,
        problem=Problem.NO_EFFECT,
        summary=summary,
        process=process,  # type: ignore[arg-type]
        traps=traps,
    )


RULES = (
    _made(
        "preload-machine",
        "The path is made with uname -i, or is that of another architecture.",
        _machine,
        Severity.WARNING,
        "T2",
    ),
    _made(
        "preload-distribution",
        "The path is that of another distribution.",
        _distribution,
        Severity.WARNING,
        "T3",
    ),
    _made(
        "preload-placeholder",
        "A placeholder stands where the library's path belongs.",
        _placeholder,
        Severity.INFO,
        "T4",
    ),
    _made(
        "preload-build",
        "The library is a debug build, or a name of the development package.",
        _build,
        Severity.WARNING,
    ),
    _made(
        "preload-order",
        "Another allocator stands first, so this one serves nothing.",
        _order,
        Severity.WARNING,
        "T4",
    ),
    Rule(
        id="preload-page-size",
        severity=Severity.WARNING,
        problem=Problem.HAZARD,
        summary="jemalloc aborts where the kernel's pages are larger than it was built for.",
        process=_page_size,
    ),
    Rule(
        id="ldd-proves-nothing",
        severity=Severity.INFO,
        problem=Problem.ADVICE,
        summary="ldd is taken as the proof that an allocator serves.",
        text=_ldd,
        traps=("T5",),
    ),
    Rule(
        id="find-unquoted",
        severity=Severity.WARNING,
        problem=Problem.HAZARD,
        summary="A pattern of find is not quoted, so the shell may expand it.",
        text=_glob,
        traps=("T5",),
    ),
)

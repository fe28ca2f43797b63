"""A mirror's addresses by distribution, release and architecture, and lists rewritten to them.

Pure text. A site that mirrors distributions keeps them in folders of the same names everywhere:
/ubuntu (x86), /ubuntu-ports (all other architectures), /debian, /debian-security, /openeuler.
Formats: sources.list(5), of one line an entry and of deb822 paragraphs; dnf.conf(5) for .repo.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from trimtab.errors import UsageError
from trimtab.prepare.system import System

_X86: Final = frozenset({"x86_64", "amd64", "i386", "i686"})
_FOLDERS: Final = ("ubuntu-ports", "ubuntu", "debian-security", "debian", "openeuler")
_OFFICIAL: Final = re.compile(
    r"https?://(?:(?:[a-z-]+\.)?archive\.ubuntu\.com|security\.ubuntu\.com|ports\.ubuntu\.com"
    r"|deb\.debian\.org|security\.debian\.org|ftp\.[a-z.]*debian\.org)/"
    r"(?P<folder>ubuntu-ports|ubuntu|debian-security|debian)/?"
)
_MIRRORED: Final = re.compile(
    r"(?:https?|file)://[^/\s]*/(?P<folder>ubuntu-ports|ubuntu|debian-security|debian)/?"
)
_COMPONENTS: Final = frozenset(
    {"main", "restricted", "universe", "multiverse", "contrib", "non-free", "non-free-firmware"}
)
_ENTRY: Final = re.compile(
    r"(?P<head>\s*deb(?:-src)?\s+(?:\[[^\]]*\]\s+)?)(?P<uri>\S+)(?P<gap>\s+)(?P<suite>\S+)"
    r"(?P<components>(?:[ \t]+[^\s#]+)*)(?P<rest>.*)",
    re.DOTALL,
)
_FIELD: Final = re.compile(r"(?P<name>[A-Za-z-]+):[ \t]*(?P<value>.*)")
_OPENEULER: Final = re.compile(
    r"(?P<site>(?:https?|file)://[^\s$]*?)/(?P<rest>openEuler-(?P<release>\d+\.\d+)[^\s]*)"
)


@dataclass(frozen=True, slots=True)
class PackageSource:
    """Where a list fetches from: the address, and the release that it names (or "")."""

    uri: str
    suite: str


def folder(system: System) -> str:
    """Return the folder of a distribution's archive on a mirror, for an architecture."""
    if system.distribution == "ubuntu":
        return "ubuntu" if system.arch in _X86 else "ubuntu-ports"
    return system.distribution


def site(mirror: str, system: System) -> str:
    """Return a mirror's site, of its address or that of a distribution's folder on it.

    Raises:
        UsageError: the address names a folder without packages for this machine.
    """
    head, slash, last = mirror.rpartition("/")
    if last not in _FOLDERS or head.endswith("/"):
        return mirror
    wanted = folder(system)
    if slash and last.removesuffix("-security") != wanted:
        raise UsageError(
            f"--mirror must have packages for {system} on {system.arch or 'this architecture'}, "
            f"which lie in /{wanted}, but ends in /{last}: give {head}"
        )
    return head


def rewrite_sources(text: str, path: str, mirror: str, system: System) -> str:
    """Return a list of package sources with the distribution's own entries on a mirror's site.

    Entries of others (a vendor's, a personal archive) stay, and so do comments and order.
    """
    if path.endswith(".repo"):
        return _repo(text, mirror)
    if path.endswith(".sources"):
        return _deb822(text, mirror, system)
    lines = text.splitlines(keepends=True)
    return "".join(_line(line, mirror, system) for line in lines)


def entries(text: str, path: str) -> Iterator[PackageSource]:
    """Yield where a list fetches the distribution's own packages from."""
    if path.endswith(".repo"):
        return _repo_entries(text)
    return _deb822_entries(text) if path.endswith(".sources") else _line_entries(text)


def _repo_entries(text: str) -> Iterator[PackageSource]:
    for match in re.finditer(r"(?m)^\s*baseurl\s*=\s*(\S+)", text):
        if found := _OPENEULER.match(match[1]):
            yield PackageSource(match[1], found["release"])


def _deb822_entries(text: str) -> Iterator[PackageSource]:
    for paragraph in _paragraphs(text):
        components = _words(paragraph, "Components")
        if _words(paragraph, "Enabled")[:1] == ["no"]:
            continue
        for uri in _words(paragraph, "URIs"):
            for suite in _words(paragraph, "Suites") if _is_own(uri, components) else ():
                yield PackageSource(uri, suite)


def _line_entries(text: str) -> Iterator[PackageSource]:
    for line in text.splitlines():
        match = _ENTRY.fullmatch(line)
        if match and _is_own(match["uri"], match["components"].split()):
            yield PackageSource(match["uri"], match["suite"])


def files(manager: str) -> tuple[str, ...]:
    """Return the patterns of the files that name package sources."""
    if manager == "dnf":
        return ("/etc/yum.repos.d/*.repo",)
    lists = "/etc/apt/sources.list.d"
    return ("/etc/apt/sources.list", f"{lists}/*.list", f"{lists}/*.sources")


def _is_own(uri: str, components: list[str]) -> bool:
    """Whether an address is the distribution's archive, at its makers or on a mirror.

    A personal archive has more folders above, and a vendor's other components.
    """
    if _OFFICIAL.fullmatch(uri):
        return True
    return bool(_MIRRORED.fullmatch(uri)) and bool(components) and set(components) <= _COMPONENTS


def _moved(uri: str, mirror: str, system: System) -> str:
    match = _OFFICIAL.fullmatch(uri) or _MIRRORED.fullmatch(uri)
    assert match is not None
    last = match["folder"]
    if last in ("ubuntu", "ubuntu-ports") and system.distribution == "ubuntu":
        last = folder(system)
    return f"{mirror}/{last}/" if uri.endswith("/") else f"{mirror}/{last}"


def _line(line: str, mirror: str, system: System) -> str:
    match = _ENTRY.fullmatch(line)
    if match is None or not _is_own(match["uri"], match["components"].split()):
        return line
    return (
        line[: match.start("uri")]
        + _moved(match["uri"], mirror, system)
        + match.string[match.end("uri") :]
    )


def _deb822(text: str, mirror: str, system: System) -> str:
    out: list[str] = []
    for paragraph in _paragraphs(text):
        components = _words(paragraph, "Components")
        inside = False
        for line in paragraph:
            inside = _continues(line, "URIs", inside)
            out.append(_uris(line, components, mirror, system) if inside else line)
    return "".join(out)


def _uris(line: str, components: list[str], mirror: str, system: System) -> str:
    def move(match: re.Match[str]) -> str:
        own = _is_own(match[0], components)
        return _moved(match[0], mirror, system) if own else match[0]

    return line if line.startswith("#") else re.sub(r"[a-z]+://\S+", move, line)


def _paragraphs(text: str) -> Iterator[list[str]]:
    """Yield the paragraphs with the blank lines that end them: joined they are the text."""
    found: list[str] = []
    for line in text.splitlines(keepends=True):
        found.append(line)
        if not line.strip():
            yield found
            found = []
    if found:
        yield found


def _continues(line: str, name: str, inside: bool) -> bool:
    if line.startswith("#"):
        return inside
    if line[:1] in (" ", "\t"):
        return inside
    match = _FIELD.match(line)
    return match is not None and match["name"].lower() == name.lower()


def _words(paragraph: list[str], name: str) -> list[str]:
    words: list[str] = []
    inside = False
    for line in paragraph:
        inside = _continues(line, name, inside)
        if inside and not line.startswith("#"):
            match = _FIELD.match(line)
            words += (line if line[:1] in (" ", "\t") or match is None else match["value"]).split()
    return words


def _repo(text: str, mirror: str) -> str:
    """Move the base addresses; a metalink would go before them, and is switched off.

    The key's address stays: a mirror does not vouch for itself.
    """
    out: list[str] = []
    for section in re.split(r"(?m)^(?=\[)", text):
        own = any(
            _OPENEULER.match(match[1])
            for match in re.finditer(r"(?m)^\s*baseurl\s*=\s*(\S+)", section)
        )
        out += [_repo_line(line, mirror) if own else line for line in section.splitlines(True)]
    return "".join(out)


def _repo_line(line: str, mirror: str) -> str:
    if re.match(r"\s*(metalink|mirrorlist)\s*=", line):
        return f"#{line}"
    match = re.match(r"(\s*baseurl\s*=\s*)(\S+)", line)
    found = _OPENEULER.match(match[2]) if match else None
    if match is None or found is None:
        return line
    return f"{match[1]}{mirror}/openeuler/{found['rest']}{line[match.end() :]}"

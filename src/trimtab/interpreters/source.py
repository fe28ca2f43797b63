"""The source to build: an archive, an upstream release, or a distribution's package.

An archive is unpacked by the standard library with its filter for untrusted data. The version is
read in ``Include/patchlevel.h``, whatever the file is called.

An upstream release of CPython: downloaded from python.org, and only with a checksum to hold.
"""

from __future__ import annotations

import re
import shutil
import sys
import tarfile
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trimtab.environments.managed_environment import Run, Say
from trimtab.errors import InterpreterError, UsageError
from trimtab.interpreters import failures, store

MINORS = (11, 12, 13, 14)
_FETCH_SECONDS = 600.0
_TARGET = re.compile(r"^(https?://\S+|file:\S+|mirror\S+) (\S+) main$", re.MULTILINE)
_FIX = re.compile(r"CVE-|gh-\d+|bpo-\d+|\.patch$", re.IGNORECASE)
_FILE = re.compile(r"^ ([0-9a-f]{64}) \d+ (\S+)$", re.MULTILINE)
_KEYRINGS = (
    "/usr/share/keyrings/debian-archive-keyring.gpg",
    "/usr/share/keyrings/ubuntu-archive-keyring.gpg",
)


@dataclass(frozen=True, slots=True)
class Package:
    """A downloaded source package: its upstream archive, and the fixes to apply in order."""

    archive: Path
    sha256: str
    told: str
    patches: tuple[Path, ...]


def download(work: Path, run: Run, say: Say) -> Package:
    """Download the source package of the distribution's CPython into ``work``.

    Raises:
        InterpreterError: this is no Debian or Ubuntu, or apt fails.
    """
    if shutil.which("apt-get") is None:
        raise InterpreterError(
            "--source distribution needs apt (Debian, Ubuntu): here give an archive's file or a "
            "version with --source"
        )
    options = _private_apt(work, run)
    say("  asking the distribution for its source packages")
    _apt(run, ["apt-get", *options, "update"], "apt could not read its source packages")
    wanted = _newest(run, options)
    name = wanted[0]
    inside = work / "package"
    command = ["sh", "-c", 'cd "$0" && exec "$@"', str(inside), "apt-get", *options, "source"]
    refused = ""
    for one in wanted:  # a mirror may name a version whose files it does not have
        say(f"  downloading the source package {one}")
        shutil.rmtree(inside, ignore_errors=True)
        inside.mkdir()
        code, output = run([*command, "--download-only", one], _FETCH_SECONDS)
        if code == 0:
            return read(inside)
        refused = refused or failures.apt(output)
        say(f"  {failures.apt(output)}")
    raise InterpreterError(f"apt could not download {name}: {refused}")


def read(folder: Path) -> Package:
    """Return the source package that lies in a folder, its files compared with its .dsc.

    Raises:
        InterpreterError: it is incomplete, or a file is not the one that the .dsc names.
    """
    described = sorted(folder.glob("*.dsc"))
    if len(described) != 1:
        raise InterpreterError(
            f"{folder} must hold one source package, but holds {len(described)}"
        )
    text = described[0].read_text(encoding="utf-8", errors="replace")
    sums = {name: digest for digest, name in _FILE.findall(text)}
    for name, digest in sums.items():
        if store.checksum(folder / name) != digest:
            raise InterpreterError(f"{name} is not the file that {described[0].name} names")
    archive = next((name for name in sums if ".orig.tar" in name), None)
    packaging = next((name for name in sums if ".debian.tar" in name), None)
    if archive is None or packaging is None:
        raise InterpreterError(f"{described[0].name} must name an upstream archive, but does not")
    return Package(
        folder / archive,
        sums[archive],
        described[0].name.removesuffix(".dsc").replace("_", " "),
        _fixes(folder / packaging, folder),
    )


def fixes(series: str) -> list[str]:
    """Return which patches of a series are fixes rather than packaging, in order."""
    names = [line.split()[0] for line in series.splitlines() if line.strip()]
    return [name for name in names if not name.startswith("#") and _FIX.search(name)]


def sources(targets: str, keyring: str | None) -> str:
    """Return a list of sources for the archives that apt has, given its index targets."""
    signed = f"[signed-by={keyring}] " if keyring else ""
    rows = dict.fromkeys(_TARGET.findall(targets))
    return "".join(f"deb-src {signed}{url} {release} main\n" for url, release in rows)


def _fixes(packaging: Path, folder: Path) -> tuple[Path, ...]:
    with tarfile.open(packaging) as archive:
        archive.extractall(folder / "packaging", filter="data")
    patches = folder / "packaging" / "debian" / "patches"
    try:
        series = (patches / "series").read_text(encoding="utf-8")
    except OSError:
        return ()
    return tuple(patches / name for name in fixes(series) if (patches / name).is_file())


def _private_apt(work: Path, run: Run) -> list[str]:
    """Return apt's options for state of our own below ``work``, with the list of sources there."""
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)"]
    targets = _apt(run, [*command, "Created-By: Packages"], "apt could not name its archives")
    keyring = next((one for one in _KEYRINGS if Path(one).is_file()), None)
    text = sources(targets, keyring)
    if not text:
        raise InterpreterError(
            "--source distribution needs an archive in apt's sources, but apt-get indextargets "
            "names none: run apt-get update, or give an archive's file with --source"
        )
    for name in ("lists/partial", "archives/partial"):
        (work / name).mkdir(parents=True, exist_ok=True)
    listed = work / "sources.list"
    listed.write_text(text, encoding="utf-8")
    # As another user apt could not reach a folder in a home; what is asked for has signatures.
    return [
        f"--option=Dir::Etc::SourceList={listed}",
        "--option=Dir::Etc::SourceParts=/dev/null",
        f"--option=Dir::State::Lists={work / 'lists'}",
        f"--option=Dir::Cache={work / 'archives'}",
        "--option=APT::Sandbox::User=root",
    ]


def _newest(run: Run, options: Sequence[str]) -> list[str]:
    """Return what to ask for: the package of our own minor version, else of the newest there is.

    The name alone is apt's newest version; the versions by name follow.
    """
    own = sys.version_info[1]
    for number in sorted(MINORS, key=lambda one: (one == own, one), reverse=True):
        command = ["apt-cache", *options, "showsrc", "--only-source", f"python3.{number}"]
        code, output = run(command, _FETCH_SECONDS)
        if code == 0 and f"Package: python3.{number}\n" in output:
            versions = re.findall(r"^Version: (\S+)$", output, re.MULTILINE)
            name = f"python3.{number}"
            return [name, *(f"{name}={one}" for one in dict.fromkeys(versions))]
    raise InterpreterError(
        f"the distribution has no source package from python3.{MINORS[0]} to "
        f"python3.{MINORS[-1]}: give an archive's file with --source"
    )


def _apt(run: Run, command: Sequence[str], what: str) -> str:
    code, output = run(command, _FETCH_SECONDS)
    if code != 0:
        raise InterpreterError(f"{what}: {failures.apt(output)}")
    return output


KNOWN = {
    "3.11.2": "2411c74bda5bbcfcddaf4531f66d1adc73f247f529aee981b029513aefdbf849",
    "3.11.14": "563d2a1b2a5ba5d5409b5ecd05a0e1bf9b028cf3e6a6f0c87a5dc8dc3f2d9182",
    "3.11.15": "f4de1b10bd6c70cbb9fa1cd71fc5038b832747a74ee59d599c69ce4846defb50",
    "3.12.12": "487c908ddf4097a1b9ba859f25fe46d22ccaabfb335880faac305ac62bffb79b",
    "3.12.13": "0816c4761c97ecdb3f50a3924de0a93fd78cb63ee8e6c04201ddfaedca500b0b",
    "3.13.12": "12e7cb170ad2d1a69aee96a1cc7fc8de5b1e97a2bdac51683a3db016ec9a2996",
    "3.13.13": "f9cde7b0e2ec8165d7326e2a0f59ea2686ce9d0c617dbbb3d66a7e54d31b74b9",
    "3.14.3": "d7fe130d0501ae047ca318fa92aa642603ab6f217901015a1df6ce650d5470cd",
    "3.14.4": "b4c059d5895f030e7df9663894ce3732bfa1b32cd3ab2883980266a45ce3cb3b",
}
"""SHA-256 of ``Python-VERSION.tgz``, as pyenv's build definitions have them."""

_SECONDS = 60.0
_LARGEST_RELEASE = 100 * 1000**2
_CHUNK = 1 << 20


def release_checksum(version: str) -> str:
    """Return the checksum of a release.

    Raises:
        UsageError: it is not known here, so that it has to be given.
    """
    if version not in KNOWN:
        raise UsageError(
            f"the checksum of Python {version} is not known here: give it with --sha256 (of "
            f"Python-{version}.tgz), or take one of {', '.join(KNOWN)}"
        )
    return KNOWN[version]


def address(version: str) -> str:
    """Return where a release lies."""
    return f"https://www.python.org/ftp/python/{version}/Python-{version}.tgz"


def download_release(version: str, work: Path, say: Say) -> Path:
    """Download a release into ``work``; the caller compares its checksum.

    Raises:
        InterpreterError: it cannot be reached.
    """
    url = address(version)
    target = work / f"Python-{version}.tgz"
    say(f"  downloading {url}")
    try:
        with urllib.request.urlopen(url, timeout=_SECONDS) as answer, target.open("wb") as out:  # noqa: S310
            while chunk := answer.read(_CHUNK):
                out.write(chunk)
                if out.tell() > _LARGEST_RELEASE:
                    raise InterpreterError(f"{url} is larger than a release of CPython can be")
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        why = getattr(error, "reason", error)
        raise InterpreterError(
            f"{url} cannot be reached ({why}): download it elsewhere and give the file with "
            "--source, or build the distribution's with --source distribution"
        ) from error
    return target


_RELEASE = re.compile(r"3\.\d+\.\d+")
_VERSION = re.compile(r'^#define\s+PY_VERSION\s+"([^"]+)"', re.MULTILINE)
_LARGEST = 600 * 1000**2
"""Bytes that the unpacked source may take: CPython's is 120 to 150 million."""
_PATCH_SECONDS = 60.0
_INTERNAL = re.compile(r'^\+#\s*include "(?:internal/)?pycore_', re.MULTILINE)
_TOUCHED = re.compile(r"^\+\+\+ b/(Modules/\S+\.c)$", re.MULTILINE)
_DEFINE = "#ifndef Py_BUILD_CORE_BUILTIN\n#  define Py_BUILD_CORE_MODULE 1\n#endif\n"
"""What CPython's own modules begin with that include its internal headers."""


@dataclass(frozen=True, slots=True)
class SourceArchive:
    """An archive at hand. ``told`` says where it came from; ``patches`` are for ``patch -p1``."""

    kind: str
    archive: Path
    sha256: str
    told: str
    patches: tuple[Path, ...] = ()


def obtain(asked: str, sha256: str | None, work: Path, run: Run, say: Say) -> SourceArchive:
    """Return the source that ``asked`` names: a file, "distribution", or a version.

    Raises:
        UsageError: it is none of these, or the checksum is missing or no checksum.
        InterpreterError: it cannot be had, or has another checksum.
    """
    wanted = None if sha256 is None else store.require_checksum(sha256)
    work.mkdir(parents=True, exist_ok=True)
    if asked == "distribution":
        package = download(work, run, say)
        archive = SourceArchive(
            "distribution", package.archive, package.sha256, package.told, package.patches
        )
    elif _RELEASE.fullmatch(asked) and not Path(asked).exists():
        wanted = wanted or release_checksum(asked)
        path = download_release(asked, work, say)
        archive = SourceArchive("upstream", path, store.checksum(path), f"python.org, {path.name}")
    else:
        path = Path(asked).expanduser()
        if not path.is_file():
            raise UsageError(
                "--source must be an archive, 'distribution', or a version such as 3.11.15, but "
                f"there is no file {asked}"
            )
        if not tarfile.is_tarfile(path):
            raise UsageError(
                f"--source must be an archive of CPython's source, but {asked} is none"
            )
        archive = SourceArchive("file", path, store.checksum(path), path.name)
    if wanted is not None and archive.sha256 != wanted:
        raise InterpreterError(
            f"{archive.archive.name} must have the SHA-256 {wanted}, but has {archive.sha256}: "
            "do not build it; get it again"
        )
    return archive


def unpack(source: SourceArchive, tree: Path) -> str:
    """Unpack an archive so that ``tree`` is CPython's folder; return its version.

    Raises:
        InterpreterError: it is no archive of CPython.
    """
    tree.mkdir(parents=True)
    try:
        with tarfile.open(source.archive) as archive:
            members = archive.getmembers()
            if sum(member.size for member in members) > _LARGEST:
                raise InterpreterError(f"{source.archive.name} is too large for CPython's source")
            archive.extractall(tree, filter="data")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise InterpreterError(
            f"{source.archive.name} must be an archive of CPython's source, but cannot be "
            f"unpacked: {error}"
        ) from error
    inside = list(tree.iterdir())
    if len(inside) == 1 and inside[0].is_dir():
        outer = inside[0].rename(tree.with_name(f"{tree.name}.inner"))
        tree.rmdir()
        outer.rename(tree)
    return version(tree, source.archive.name)


def version(tree: Path, told: str) -> str:
    """Return the version of the source in a folder.

    Raises:
        InterpreterError: it is not CPython's, or one that has no release number.
    """
    try:
        text = (tree / "Include" / "patchlevel.h").read_text(encoding="utf-8")
    except OSError:
        text = ""
    match = _VERSION.search(text)
    if match is None or not (tree / "configure").is_file():
        raise InterpreterError(
            f"{told} must hold CPython's source (configure, Include/patchlevel.h), but does not"
        )
    return match[1].rstrip("+")


def patch(
    source: SourceArchive, tree: Path, run: Run, say: Say
) -> tuple[Sequence[str], Sequence[str]]:
    """Apply the source's patches in order; return the names of those applied, and of the others.

    Each is tried first: one that does not fit (it builds on a change of the packaging) is left
    out whole, said, and put on record.
    """
    applied, left = [], []
    for path in source.patches:
        command = ["patch", "-d", str(tree), "-p1", "-F0", "-s", "-f", "-i", str(path)]
        if run([*command, "--dry-run"], _PATCH_SECONDS)[0] == 0:
            code, _ = run(command, _PATCH_SECONDS)
            if code != 0:
                raise InterpreterError(f"the patch {path.name} was tried, and then failed")
            _open_internals(path, tree)
            applied.append(path.name)
        else:
            left.append(path.name)
    if source.patches:
        rest = f"; does not fit: {', '.join(left)}" if left else ""
        say(f"  {len(applied)} of {len(source.patches)} fixes of the distribution applied{rest}")
    return applied, left


def _open_internals(patch: Path, tree: Path) -> None:
    """Let a module include the internal headers that a fix makes it include.

    The distribution compiles its modules into the interpreter, where that needs no define; here
    they are shared ones, as upstream. Debian's fix of CVE-2026-4224 is such a one (pyexpat).
    """
    text = patch.read_text(encoding="utf-8", errors="replace")
    if not _INTERNAL.search(text):
        return
    for name in _TOUCHED.findall(text):
        module = tree / name
        code = module.read_text(encoding="utf-8")
        if "pycore_" in code and "Py_BUILD_CORE" not in code:
            module.write_text(_DEFINE + code, encoding="utf-8")

"""CPython's source package of Debian or Ubuntu, without a change to the machine's apt.

apt is given a list of sources, a state and a cache of our own, so its signatures are checked as
ever. The list names the archives that the machine's own apt has, as sources. What is built is the
package's upstream archive with the distribution's fixes (CVE and upstream backports); the changes
that make it Debian's own Python (folders, no ensurepip) are left out, because a virtual
environment could not be made on it.
"""

from __future__ import annotations

import re
import shutil
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trimtab.environments.installer import Run, Say
from trimtab.errors import InterpreterError
from trimtab.interpreters import failures, store

MINORS = (11, 12, 13, 14)
_SECONDS = 600.0
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
        code, output = run([*command, "--download-only", one], _SECONDS)
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
        code, output = run(command, _SECONDS)
        if code == 0 and f"Package: python3.{number}\n" in output:
            versions = re.findall(r"^Version: (\S+)$", output, re.MULTILINE)
            name = f"python3.{number}"
            return [name, *(f"{name}={one}" for one in dict.fromkeys(versions))]
    raise InterpreterError(
        f"the distribution has no source package from python3.{MINORS[0]} to "
        f"python3.{MINORS[-1]}: give an archive's file with --source"
    )


def _apt(run: Run, command: Sequence[str], what: str) -> str:
    code, output = run(command, _SECONDS)
    if code != 0:
        raise InterpreterError(f"{what}: {failures.apt(output)}")
    return output

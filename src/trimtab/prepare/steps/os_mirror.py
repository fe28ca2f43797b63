"""The mirror of the distribution's packages."""

from __future__ import annotations

from trimtab.errors import HostError, UsageError
from trimtab.prepare import mirrors
from trimtab.prepare import system as systems
from trimtab.prepare.step import (
    BuildArgument,
    Change,
    CheckState,
    FileReplacement,
    Instruction,
    MachineScene,
    PackageInstallation,
    RootScript,
    StepFinding,
)
from trimtab.prepare.system import Base, System
from trimtab.prepare.target import PrepareOptions

_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
_KEPT = "/var/backups/trimtab"


class OsMirror:
    """The lists of package sources name the mirror, and the release and machine that is here."""

    name = "os-mirror"
    summary = "Operating-system mirror: apt's lists (both formats) or openEuler's repositories."
    reason = "Before the packages of the operating system, which are fetched from it."

    def check(self, scene: MachineScene) -> StepFinding:
        """See `Step.check`. Also finds lists of another release or architecture."""
        here = scene.system
        if not here.manager:
            return StepFinding(
                CheckState.UNKNOWN, f"apt and openEuler's dnf are known here, and this is {here}"
            )
        try:
            lists = _lists(scene)
        except HostError as error:
            return StepFinding(CheckState.UNKNOWN, str(error))
        sources = [entry for path, text in lists for entry in mirrors.entries(text, path)]
        if not sources:
            where = ", ".join(mirrors.files(here.manager))
            return StepFinding(CheckState.UNKNOWN, f"no list of {here.distribution} in {where}")
        if wrong := next(filter(None, (_wrong(source, here) for source in sources)), ""):
            return StepFinding(CheckState.MISSING, wrong)
        if not scene.wish.mirror:
            return StepFinding(
                CheckState.NOT_APPLICABLE,
                f"no --mirror: packages come from {sources[0].uri} as before",
            )
        site = mirrors.site(scene.wish.mirror, here)
        away = sorted({source.uri for source in sources if not source.uri.startswith(f"{site}/")})
        if away:
            return StepFinding(
                CheckState.MISSING, f"packages come from {', '.join(away)}, not from {site}"
            )
        return StepFinding(CheckState.SATISFIED, f"packages come from {site}")

    def changes(self, scene: MachineScene) -> tuple[Change, ...]:
        """See `Step.changes`. An https mirror needs certificates, fetched from the old one."""
        here = scene.system
        if not scene.wish.mirror:
            if self.check(scene).state is CheckState.MISSING:
                raise UsageError(
                    f"{self.check(scene).sentence}: mend the lists, or give --mirror and correct "
                    "the release by hand; trimtab does not guess a release"
                )
            return ()
        site = mirrors.site(scene.wish.mirror, here)
        found: list[Change] = []
        if site.startswith("https:") and not scene.host.exists(_CERTIFICATES):
            found.append(
                PackageInstallation(here.manager, systems.packages(here, ("certificates",)))
            )
        for path, text in _lists(scene):
            after = mirrors.rewrite_sources(text, path, site, here)
            if after != text:
                found.append(FileReplacement(path, text, after))
        return tuple(found)

    def recipe(self, wish: PrepareOptions, base: Base) -> tuple[Instruction, ...]:
        """See `Step.recipe`."""
        here = base.system
        given = mirrors.site(wish.mirror, _anywhere(here, wish.mirror)) if wish.mirror else None
        argument = BuildArgument(
            "OS_MIRROR",
            "A site that mirrors distributions, such as https://mirror.example; unset: as it is.",
            given,
        )
        lines = _apt_lines(here) if here.manager == "apt" else _DNF_LINES
        return (argument, RootScript(lines, unpinned=True))


def _lists(scene: MachineScene) -> list[tuple[str, str]]:
    host = scene.host
    paths = [
        path for pattern in mirrors.files(scene.system.manager) for path in host.glob(pattern)
    ]
    return [(path, host.read(path)) for path in paths]


def _wrong(entry: mirrors.PackageSource, here: System) -> str:
    """Say what is wrong with an entry on this machine, if anything is."""
    if here.manager == "dnf":
        if here.release and entry.suite != here.release:
            return f"{entry.uri} is of release {entry.suite}, and this is {here}"
        return ""
    base = entry.suite.partition("-")[0].partition("/")[0]
    named = base not in ("stable", "testing", "unstable", "sid", "oldstable")
    if here.codename and named and base != here.codename:
        return f"{entry.uri} {entry.suite} is of another release: this is {here.codename}"
    last = entry.uri.rstrip("/").rpartition("/")[2]
    if here.distribution == "ubuntu" and here.arch and last != mirrors.folder(here):
        official = "archive.ubuntu.com" in entry.uri or "security.ubuntu.com" in entry.uri
        if last == "ubuntu-ports" or official:
            return f"{entry.uri} has no packages for {here.arch}"
    return ""


def _anywhere(here: System, mirror: str) -> System:
    """Return the system with the architecture that a mirror's address is for.

    An image is built for any architecture, so here the address alone decides.
    """
    arch = "aarch64" if mirror.endswith("/ubuntu-ports") else "x86_64"
    return System(here.distribution, here.release, here.codename, arch)


def _apt_lines(here: System) -> tuple[str, ...]:
    ubuntu = here.distribution == "ubuntu"
    hosts = (
        r"[a-z.-]*(archive|security|ports)\.ubuntu\.com"
        if ubuntu
        else (r"(deb|security|ftp\.[a-z]+)\.debian\.org")
    )
    folders = "ubuntu(-ports)?" if ubuntu else "debian(-security)?"
    where = (
        ('folder=ubuntu-ports; [ "$(dpkg --print-architecture)" != amd64 ] || folder=ubuntu',)
        if ubuntu
        else ()
    )
    moved = "${OS_MIRROR%/}/${folder}" if ubuntu else r"${OS_MIRROR%/}/debian\\2"
    return (
        'if [ -n "${OS_MIRROR:-}" ]; then',
        *(f"  {line}" for line in where),
        '  case "${OS_MIRROR}" in https:*)',
        "    apt-get update",
        "    apt-get install --yes --no-install-recommends ca-certificates",
        "    rm -rf /var/lib/apt/lists/* ;;",
        "  esac",
        f"  mkdir -p {_KEPT}",
        f"  for list in {' '.join(mirrors.files('apt'))}; do",
        '    [ -f "${list}" ] || continue',
        f'    [ -e "{_KEPT}/${{list##*/}}" ] || cp -p "${{list}}" "{_KEPT}/"',
        f'    sed -Ei "s#https?://{hosts}/{folders}#{moved}#g" "${{list}}"',
        "  done",
        "fi",
    )


_MOVE_BASE = r"s#^(baseurl *= *)https?://repo\.openeuler\.org/#\1${OS_MIRROR%/}/openeuler/#"
_DNF_LINES = (
    'if [ -n "${OS_MIRROR:-}" ]; then',
    f"  mkdir -p {_KEPT}",
    "  for list in /etc/yum.repos.d/*.repo; do",
    '    [ -f "${list}" ] || continue',
    f'    [ -e "{_KEPT}/${{list##*/}}" ] || cp -p "${{list}}" "{_KEPT}/"',
    f'    sed -Ei -e "{_MOVE_BASE}" -e "s/^(metalink|mirrorlist) *=.*openeuler/#&/" "${{list}}"',
    "  done",
    "fi",
)

"""Package sources rewritten to a mirror: both of apt's formats, and openEuler's repositories."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.errors import UsageError
from trimtab.prepare import mirrors
from trimtab.prepare.system import System

NOBLE = System("ubuntu", "24.04", "noble", "x86_64")
ARM = System("ubuntu", "22.04", "jammy", "aarch64")
BOOKWORM = System("debian", "12", "bookworm", "x86_64")
EULER = System("openeuler", "24.03", "", "aarch64")
SITE = "https://mirror.example"

ONE_LINE = """\
# deb http://ports.ubuntu.com/ubuntu-ports jammy main
deb http://ports.ubuntu.com/ubuntu-ports/ jammy main restricted
deb-src [arch=arm64 signed-by=/k.gpg] http://ports.ubuntu.com/ubuntu-ports jammy-updates main # x

deb https://download.docker.com/linux/ubuntu jammy stable
deb https://ppa.launchpadcontent.net/someone/ppa/ubuntu jammy main
"""
DEB822 = """\
Types: deb
# a comment between fields
URIs: http://deb.debian.org/debian
 http://ftp.de.debian.org/debian/
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://security.debian.org/debian-security
Suites: bookworm-security
Components: main

Types: deb
URIs: https://deb.nodesource.com/node_20.x
Suites: nodistro
Components: main
"""
REPO = """\
#generic-repos is licensed under the Mulan PSL v2.
[OS]
name=OS
baseurl=http://repo.openeuler.org/openEuler-24.03-LTS/OS/$basearch/
metalink=https://mirrors.openeuler.org/metalink?repo=$releasever/OS&arch=$basearch
enabled=1
gpgcheck=1
gpgkey=http://repo.openeuler.org/openEuler-24.03-LTS/OS/$basearch/RPM-GPG-KEY-openEuler

[vendor]
baseurl=https://packages.vendor.example/el8
metalink=https://packages.vendor.example/metalink
"""


def test_lines_of_the_distribution_move_and_others_stay() -> None:
    after = mirrors.rewrite_sources(ONE_LINE, "/etc/apt/sources.list", SITE, ARM)
    assert f"deb {SITE}/ubuntu-ports/ jammy main restricted\n" in after
    assert f"[arch=arm64 signed-by=/k.gpg] {SITE}/ubuntu-ports jammy-updates main # x" in after
    assert after.splitlines()[0] == ONE_LINE.splitlines()[0]
    assert after.splitlines()[3:] == ONE_LINE.splitlines()[3:]


def test_paragraphs_move_with_their_folders() -> None:
    after = mirrors.rewrite_sources(
        DEB822, "/etc/apt/sources.list.d/debian.sources", SITE, BOOKWORM
    )
    assert f"URIs: {SITE}/debian\n {SITE}/debian/\n" in after
    assert f"URIs: {SITE}/debian-security\n" in after
    assert "https://deb.nodesource.com/node_20.x" in after
    assert "# a comment between fields" in after


def test_repositories_move_without_their_metalink_and_keep_their_key() -> None:
    after = mirrors.rewrite_sources(REPO, "/etc/yum.repos.d/openEuler.repo", SITE, EULER)
    assert f"baseurl={SITE}/openeuler/openEuler-24.03-LTS/OS/$basearch/\n" in after
    assert "\n#metalink=https://mirrors.openeuler.org" in after
    assert "gpgkey=http://repo.openeuler.org/" in after
    assert "\nmetalink=https://packages.vendor.example/metalink" in after


@pytest.mark.parametrize(
    ("text", "path", "here"),
    [
        (ONE_LINE, "/etc/apt/sources.list", ARM),
        (DEB822, "/etc/apt/sources.list.d/debian.sources", BOOKWORM),
        (REPO, "/etc/yum.repos.d/openEuler.repo", EULER),
    ],
)
def test_a_second_time_changes_nothing_and_a_second_mirror_does(
    text: str, path: str, here: System
) -> None:
    once = mirrors.rewrite_sources(text, path, SITE, here)
    assert once != text
    assert mirrors.rewrite_sources(once, path, SITE, here) == once
    again = mirrors.rewrite_sources(once, path, "http://other.example:8080", here)
    found = [one.uri for one in mirrors.entries(again, path)]
    assert found
    assert all(uri.startswith("http://other.example:8080/") for uri in found)


@given(st.text(max_size=400), st.sampled_from(["x.list", "x.sources", "x.repo"]))
def test_any_text_is_read_and_without_an_own_entry_stays_as_it_is(text: str, path: str) -> None:
    after = mirrors.rewrite_sources(text, path, SITE, NOBLE)
    if not list(mirrors.entries(text, path)):
        assert after == text


@given(
    st.lists(st.sampled_from(ONE_LINE.splitlines() + DEB822.splitlines() + [""]), max_size=30),
    st.sampled_from(["x.list", "x.sources"]),
)
def test_only_addresses_change(lines: list[str], path: str) -> None:
    text = "\n".join(lines)
    after = mirrors.rewrite_sources(text, path, SITE, ARM)
    assert len(after.split("\n")) == len(text.split("\n"))
    for old, new in zip(text.split("\n"), after.split("\n"), strict=True):
        if old != new:
            assert SITE in new
            assert old.split()[-1:] == new.split()[-1:] or "://" in old.split()[-1]


@pytest.mark.parametrize(
    ("given_mirror", "here", "site"),
    [
        (SITE, NOBLE, SITE),
        (f"{SITE}/ubuntu", NOBLE, SITE),
        (f"{SITE}/ubuntu-ports", ARM, SITE),
        (f"{SITE}/pub/debian", BOOKWORM, f"{SITE}/pub"),
        (f"{SITE}/pub", BOOKWORM, f"{SITE}/pub"),
    ],
)
def test_site(given_mirror: str, here: System, site: str) -> None:
    assert mirrors.site(given_mirror, here) == site


@pytest.mark.parametrize(
    ("given_mirror", "here"), [(f"{SITE}/ubuntu-ports", NOBLE), (f"{SITE}/ubuntu", BOOKWORM)]
)
def test_a_mirror_of_another_architecture_or_distribution_is_refused(
    given_mirror: str, here: System
) -> None:
    with pytest.raises(UsageError, match="must have packages for"):
        mirrors.site(given_mirror, here)

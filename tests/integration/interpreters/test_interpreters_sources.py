"""A distribution's source package through a private apt, and PGO's training on serving."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from trimtab.errors import InterpreterError, UsageError
from trimtab.interpreters import source
from trimtab.interpreters.training import Training

TARGETS = """http://deb.debian.org/debian/ bookworm main
http://deb.debian.org/debian/ bookworm main
http://deb.debian.org/debian-security/ bookworm-security main
http://deb.debian.org/debian/ bookworm contrib
"""
SERIES = """deb-locations.diff
# CVE-1-commented.patch
CVE-2024-0450.patch -p1
ensurepip-disabled.diff
0001-3.11-gh-123270-Replaced.patch
CVE-2024-0397.diff
"""


def package(folder: Path) -> None:
    """Lay down a source package as apt downloads it."""
    (folder / "debian" / "patches").mkdir(parents=True)
    (folder / "debian" / "patches" / "series").write_text(SERIES)
    for name in ("CVE-2024-0450.patch", "CVE-2024-0397.diff", "ensurepip-disabled.diff"):
        (folder / "debian" / "patches" / name).write_text("")
    with tarfile.open(folder / "p_1-1.debian.tar.xz", "w:xz") as out:
        out.add(folder / "debian", arcname="debian")
    (folder / "p_1.orig.tar.gz").write_bytes(b"source")
    lines = [
        f" {hashlib.sha256((folder / name).read_bytes()).hexdigest()} 1 {name}"
        for name in ("p_1.orig.tar.gz", "p_1-1.debian.tar.xz")
    ]
    (folder / "p_1-1.dsc").write_text("Checksums-Sha256:\n" + "\n".join(lines) + "\nFiles:\n")


class Apt:
    """What apt answers; ``broken`` are requests whose files the mirror does not have."""

    def __init__(self, *broken: str, offers: str = "python3.11") -> None:
        self.broken, self.offers = broken, offers
        self.calls: list[str] = []

    def __call__(self, argv: Sequence[str], seconds: float) -> tuple[int, str]:
        self.calls.append(" ".join(argv))
        if "indextargets" in argv:
            return 0, TARGETS
        if "showsrc" in argv:
            known = argv[-1] == self.offers
            return (0, f"Package: {argv[-1]}\nVersion: 1-1\n\n") if known else (100, "")
        if "source" in argv:
            if argv[-1] in self.broken:
                return 100, "E: Failed to fetch x  404  Not Found"
            package(Path(argv[3]))
        return 0, ""


@pytest.fixture(autouse=True)
def apt_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")


def test_the_machines_own_apt_is_not_touched(tmp_path: Path) -> None:
    apt = Apt()
    found = source.download(tmp_path, apt, lambda _: None)
    assert found.archive.name == "p_1.orig.tar.gz"
    assert [one.name for one in found.patches] == ["CVE-2024-0450.patch", "CVE-2024-0397.diff"]
    for call in apt.calls[1:]:
        assert f"--option=Dir::State::Lists={tmp_path}/" in call
        assert f"--option=Dir::Cache={tmp_path}/" in call
        assert f"--option=Dir::Etc::SourceList={tmp_path}/" in call
        assert "--option=Dir::Etc::SourceParts=/dev/null" in call
    assert "--download-only" in apt.calls[-1]


def test_the_list_names_each_archive_once_as_sources() -> None:
    assert source.sources(TARGETS, "/k.gpg").splitlines() == [
        f"deb-src [signed-by=/k.gpg] http://deb.debian.org/{place} main"
        for place in ("debian/ bookworm", "debian-security/ bookworm-security")
    ]
    assert source.sources("", None) == ""


def test_a_version_that_the_mirror_lacks_is_passed_over(tmp_path: Path) -> None:
    said: list[str] = []
    found = source.download(tmp_path, Apt("python3.11"), said.append)
    assert found.told == "p 1-1"
    assert any("404" in line for line in said)
    assert said[-1].endswith("python3.11=1-1")


def test_what_apt_refuses_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InterpreterError, match=r"could not download python3.11: Failed to fetch"):
        source.download(tmp_path, Apt("python3.11", "python3.11=1-1"), lambda _: None)
    with pytest.raises(InterpreterError, match=r"no source package from python3\.11"):
        source.download(tmp_path / "b", Apt(offers="python2.7"), lambda _: None)


def test_another_distribution_is_told_what_to_give(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(InterpreterError, match=r"needs apt .*give an archive"):
        source.download(tmp_path, Apt(), lambda _: None)


def test_a_file_that_the_description_does_not_name_is_refused(tmp_path: Path) -> None:
    package(tmp_path)
    assert source.read(tmp_path).sha256 == hashlib.sha256(b"source").hexdigest()
    (tmp_path / "p_1.orig.tar.gz").write_bytes(b"another")
    with pytest.raises(InterpreterError, match=r"p_1.orig.tar.gz is not the file that p_1-1.dsc"):
        source.read(tmp_path)


# The stand-in for vLLM: answers as its server does, and leaves a mark when it ends in order.
VLLM = """
import http.server, json, os, sys, threading
port = int(sys.argv[sys.argv.index("--port") + 1])
if os.environ.get("FAIL") == "start":
    sys.exit(3)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(500 if os.environ.get("FAIL") == "answer" else 200); self.end_headers()
        for _ in range(body["max_tokens"]):
            self.wfile.write(b'data: {"choices": [{"text": "x"}]}\\n')
        self.wfile.write(b"data: [DONE]\\n")
    def log_message(self, *args):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
try:
    server.serve_forever()
except KeyboardInterrupt:
    open(os.environ["MARK"], "w").write("in order")
    if os.environ.get("FAIL") == "kill":
        print("force killing remaining process EngineCore", flush=True)
"""
MAKEFILE = """
PYTHONPATH=$(COREPYTHONPATH)
run_profile_task:
\t$(PYTHON) $(PROFILE_TASK)
"""
TRANSFORMERS = """
class AutoTokenizer:
    @classmethod
    def from_pretrained(cls, model):
        return cls()
    def __call__(self, text):
        return {"input_ids": text.split()}
    def decode(self, ids):
        return " ".join(ids)
"""


def packages(folder: Path) -> Path:
    """Lay down modules that pass for the engine's."""
    (folder / "vllm" / "entrypoints" / "cli").mkdir(parents=True)
    for one in ("vllm", "vllm/entrypoints", "vllm/entrypoints/cli"):
        (folder / one / "__init__.py").write_text("")
    (folder / "vllm" / "entrypoints" / "cli" / "main.py").write_text(VLLM)
    (folder / "transformers.py").write_text(TRANSFORMERS)
    return folder


def trained(work: Path, **env: str) -> tuple[Training, str | None]:
    """Let ``make`` run the task, as CPython's does; return the training, and why it failed."""
    work.mkdir(exist_ok=True)
    training = Training(packages(work / "site"), Path("m"), (), requests=6, streams=3)
    task = training.write(work)
    told = {"PYTHONPATH": "", **os.environ, **training.environment(), **env}
    (work / "Makefile").write_text(MAKEFILE)
    command = ["make", "run_profile_task", f"PYTHON={sys.executable}", f"PROFILE_TASK={task}"]
    told["MARK"] = str(work / "mark")
    subprocess.run(command, cwd=work, env=told, check=True, timeout=120)
    return training, training.failed(work)


def test_training_drives_the_server_and_lets_it_end_in_order(tmp_path: Path) -> None:
    training, why = trained(tmp_path)
    assert why is None
    assert (tmp_path / "mark").read_text() == "in order"  # a killed process writes no profile
    training.write(tmp_path)
    assert "did not come to its end" in str(training.failed(tmp_path))


@pytest.mark.parametrize(
    ("fail", "why"),
    [
        ("start", "ended with 3 before it was ready"),
        ("answer", "answered 500"),
        ("kill", "the server killed its engine"),
    ],
)
def test_a_training_that_was_none_is_told(tmp_path: Path, fail: str, why: str) -> None:
    _, told = trained(tmp_path, FAIL=fail)
    assert why in str(told)
    assert "training-server.log" in str(told)
    assert json.loads((tmp_path / "training.json").read_text())["error"]


def test_the_packages_must_be_of_the_same_minor_version(tmp_path: Path) -> None:
    site = tmp_path / "lib" / "python3" / "site-packages"
    site.mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    training = Training(site, Path("m"))
    training.check(sys.version_info[:2])
    with pytest.raises(UsageError, match=r"needs an engine environment of Python 3\.99"):
        training.check((3, 99))

"""One image for the container tests: a Debian root file system, made once, into which the engine
and its interpreter are mounted. Nothing of the user's own containers is touched.
"""

import os
import shutil
import subprocess
from pathlib import Path

import filelock
import pytest

IMAGE = "localhost/trimtab-tests:bookworm"
_HINT = "run scripts/consumers as root"
_LIBRARIES = (
    *("libssl3", "libffi8", "libsqlite3-0", "libbz2-1.0", "liblzma5", "zlib1g", "libreadline8"),
    *("libgomp1", "libnuma1", "libstdc++6", "libtcmalloc-minimal4"),
)
"""What CPython and PyTorch load, and an allocator to preload."""

# A machine that is a container itself allows neither crun, nor raised limits, nor a bridge.
_CONFIG = """\
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""
_STORAGE = """\
[storage]
driver = "vfs"
graphroot = "{folder}/graph"
runroot = "{folder}/run"
"""


def podman_environment() -> dict[str, str]:
    """Return the environment in which podman works on a folder of its own, with the image.

    The image is made on the first call, which takes about a minute.
    """
    for program in ("podman", "runc", "debootstrap"):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}: {_HINT}")
    if os.geteuid() != 0:
        pytest.skip("needs root: debootstrap and containers that share the host's network")
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    folder = cache / "trimtab-tests" / "containers"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "containers.conf").write_text(_CONFIG)
    (folder / "storage.conf").write_text(_STORAGE.format(folder=folder))
    env = {
        **os.environ,
        "CONTAINERS_CONF": str(folder / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
        "CONTAINER_ENGINE": "podman",
    }
    with filelock.FileLock(folder / "lock"):
        if run(env, "podman", "image", "exists", IMAGE).returncode != 0:
            _make(env, folder / "root")
    return env


def run(env: dict[str, str], *words: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(words, env=env, capture_output=True, text=True, timeout=seconds)


def _make(env: dict[str, str], root: Path) -> None:
    shutil.rmtree(root, ignore_errors=True)
    include = f"--include={','.join(_LIBRARIES)}"
    made = run(
        env, "debootstrap", "--variant=minbase", include, "bookworm", str(root), seconds=280
    )
    if made.returncode != 0:
        pytest.skip(f"debootstrap cannot fetch Debian here: {made.stdout[-200:]}")
    with subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE) as tar:
        imported = subprocess.run(
            ["podman", "import", "-", IMAGE], env=env, stdin=tar.stdout, capture_output=True
        )
    assert (tar.returncode, imported.returncode) == (0, 0), imported.stderr
    shutil.rmtree(root, ignore_errors=True)

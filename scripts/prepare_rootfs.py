#!/usr/bin/env python3
"""Take a fresh root file system by the emitted Dockerfile to a server that answers.

    scripts/prepare_rootfs.py [--mirror http://deb.debian.org/debian] [--suite bookworm] [--keep]

As root: debootstrap makes a Debian of nothing but its base, podman imports it as the image that
the Dockerfile of 'trimtab prepare --target cpu --base debian' builds upon, and runs each of its
instructions. A container of the result serves trimtab's small model, and is asked for a
completion. In the end container, image, mounts and files are gone.

pip is configured in the build as on this machine: its options go into a file that is mounted, with
the folders and certificates that they name. --mirror is where debootstrap fetches from.
Needed: debootstrap, podman, runc (apt-get install debootstrap podman runc), 12 GB in --folder.
Exit code 0: the server answered. 1: not, the last lines say why. 2: usage, or what is missing.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from trimtab.engines import default_model

NEEDED = ("debootstrap", "podman", "runc", "tar")
IMAGE = "docker.io/library/debian:12"
RESULT = "localhost/trimtab-prepare-rootfs"
READY_SECONDS = 900.0
LIMITS = '[containers]\ndefault_ulimits = ["nofile=10000:10000", "nproc=9000:9000"]\n'
"""What a container may be given where the machine itself is one, and may raise no limit."""


def main() -> int:
    """Make, build, serve, ask, and clear away; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mirror", default="http://deb.debian.org/debian")
    parser.add_argument("--suite", default="bookworm")
    parser.add_argument("--folder", type=Path, default=None, help="Where to work. [default: TMP]")
    parser.add_argument("--torch-index", default=None, help="INDEX_OF_TORCH; '' for none.")
    parser.add_argument("--keep", action="store_true", help="Keep the image and the folder.")
    asked = parser.parse_args()
    lacking = [name for name in NEEDED if shutil.which(name, path=_path()) is None]
    if lacking or os.geteuid() != 0:
        what = f"install {' '.join(lacking)}" if lacking else "run it as root"
        print(f"prepare-rootfs: {what}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # or its mounts would stay
    work = Path(tempfile.mkdtemp(prefix="trimtab-rootfs-", dir=asked.folder))
    podman = Podman(work)
    try:
        say(f"1/4 a root file system of {asked.suite} in {work}")
        make_root(work / "root", asked.suite, asked.mirror)
        podman.take(work / "root")
        say("2/4 the Dockerfile of trimtab prepare, instruction by instruction")
        build(podman, work, asked.torch_index)
        say("3/4 a server in a container of the image")
        answer = serve(podman, work)
        say(f"4/4 asked for a completion: {answer!r}")
        return 0 if answer else 1
    except (subprocess.CalledProcessError, OSError, TimeoutError) as error:
        print(f"prepare-rootfs: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("prepare-rootfs: interrupted", file=sys.stderr)
        return 130
    finally:
        if not asked.keep:
            podman.clear()
            shutil.rmtree(work)


class Podman:
    """podman with a store of its own below one folder, which ``clear`` empties."""

    def __init__(self, work: Path) -> None:
        """Use a store below ``work``."""
        limits = work / "containers.conf"
        limits.write_text(LIMITS)
        store = ["--root", str(work / "store"), "--runroot", str(work / "run")]
        runtime = ["--runtime", "runc", "--cgroup-manager", "cgroupfs"]
        self.words = ["podman", *store, *runtime]
        self.env = {**os.environ, "PATH": _path(), "CONTAINERS_CONF": str(limits)}

    def __call__(
        self, *words: str, stdin: IO[bytes] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of podman; raise when it fails."""
        return subprocess.run(
            [*self.words, *words], env=self.env, check=True, text=True, stdin=stdin
        )

    def start(self, *words: str, log: Path) -> subprocess.Popen[bytes]:
        """Start a command of podman with its output in a file."""
        with log.open("wb") as output:
            return subprocess.Popen([*self.words, *words], env=self.env, stdout=output, stderr=2)

    def take(self, root: Path) -> None:
        """Import a root file system as the image that the Dockerfile starts from."""
        with subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE) as tar:
            self("import", "--quiet", "-", IMAGE, stdin=tar.stdout)
        shutil.rmtree(root)

    def clear(self) -> None:
        """Remove all containers and images of this store, and its mounts."""
        subprocess.run([*self.words, "system", "reset", "--force"], env=self.env, check=False)


def make_root(root: Path, suite: str, mirror: str) -> None:
    """Make the root file system."""
    command = ["debootstrap", "--variant=minbase", suite, str(root), mirror]
    done = subprocess.run(
        command, env={**os.environ, "PATH": _path()}, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise OSError(f"debootstrap: {done.stdout.strip().splitlines()[-1:]}")


def build(podman: Podman, work: Path, torch_index: str | None) -> None:
    """Emit the Dockerfile and build it on the imported image."""
    dockerfile = work / "Dockerfile"
    emitted = subprocess.run(
        [sys.executable, "-m", "trimtab", "prepare", "--target", "cpu", "--emit", "dockerfile",
         "--base", "debian"],
        check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    dockerfile.write_text(emitted.stdout)
    mounts = [word for one in pip_mounts(work) for word in ("--volume", one)]
    given = [] if torch_index is None else ["--build-arg", f"INDEX_OF_TORCH={torch_index}"]
    context = work / "context"
    context.mkdir()
    podman(
        *("build", "--pull=never", "--isolation", "chroot", "--network", "host", "--layers=false"),
        *(*given, *mounts, "--tag", RESULT, "--file", str(dockerfile), str(context)),
    )


def pip_mounts(work: Path) -> Iterator[str]:
    """Yield the mounts that let pip in the build find what pip here finds."""
    said = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], check=True, stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    options: dict[str, str] = {}
    for line in said.stdout.splitlines():
        name, _, value = line.partition("=")
        options[name.rpartition(".")[2]] = value.strip("'")
    lines = ["[global]"]
    for name, value in options.items():
        words = []
        for word in value.split():
            path = Path(word.removeprefix("file://"))
            if path.is_absolute() and path.exists():
                inside = Path("/run/trimtab-pip", *path.parts[1:])
                outside = path if path.is_file() or name != "extra-index-url" else path.parent
                place = inside if outside == path else inside.parent
                yield f"{outside}:{place}:ro"
                word = word.replace(str(path), str(inside))
            words.append(word)
        lines.append(f"{name} = {' '.join(words)}")
    (work / "pip.conf").write_text("\n".join(lines) + "\n")
    yield f"{work / 'pip.conf'}:/etc/pip.conf:ro"


def serve(podman: Podman, work: Path) -> str:
    """Serve the small model in a container; return the text of a completion."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    model = default_model.ensure()
    name, log = f"trimtab-rootfs-{os.getpid()}", work / "server.log"
    settings = ("HF_HUB_OFFLINE=1", "VLLM_NO_USAGE_STATS=1", "VLLM_CPU_KVCACHE_SPACE=1")
    running = podman.start(
        *(
            "run",
            "--rm",
            "--name",
            name,
            "--network",
            "host",
            "--pull",
            "never",
            "--shm-size",
            "1g",
        ),
        *(word for one in settings for word in ("--env", one)),
        *("--volume", f"{model}:/model:ro", RESULT, "vllm", "serve", "/model"),
        *(*default_model.ARGS, "--dtype", "float32", "--enforce-eager"),
        *("--host", "127.0.0.1", "--port", str(port)),
        log=log,
    )
    try:
        wait_for(f"http://127.0.0.1:{port}", running, log)
        body = {"model": "/model", "prompt": "The wind", "max_tokens": 16, "ignore_eos": True}
        return complete(f"http://127.0.0.1:{port}/v1/completions", body)
    finally:
        subprocess.run([*podman.words, "stop", "--ignore", name], env=podman.env, check=False)
        running.wait(60)


def wait_for(url: str, running: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the server is healthy."""
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until:
        if running.poll() is not None:
            tail = log.read_text(errors="replace").splitlines()[-20:]
            raise OSError("the server ended before it was ready:\n" + "\n".join(tail))
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5):  # noqa: S310  loopback
                return
        except (urllib.error.URLError, OSError):
            time.sleep(1)
    raise TimeoutError(f"the server was not ready in {READY_SECONDS:.0f} s")


def complete(url: str, body: dict[str, object]) -> str:
    """Return the text of a completion."""
    asked = urllib.request.Request(  # noqa: S310  loopback
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(asked, timeout=120) as answer:  # noqa: S310
        found = json.load(answer)
    return str(found["choices"][0]["text"])


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())

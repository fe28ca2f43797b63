"""``docker-run.sh``: the plan as one ``docker run`` or ``podman run`` line, and back."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from trimtab.errors import StudyError
from trimtab.export.container import (
    CACHE,
    CommandWord,
    ContainerSpec,
    container_of,
    driver_mounts,
    plan_of,
    sysctl_name,
)
from trimtab.export.envfile import logical_lines
from trimtab.export.heading import comment, heading
from trimtab.export.order import Artefact, Order, ParsedArtefact
from trimtab.facts.parsing import format_cpu_list, parse_cpu_list

FILE = "docker-run.sh"

_ENGINE = '"${CONTAINER_ENGINE:-docker}"'
_HOST, _PORT = "${TRIMTAB_HOST:-127.0.0.1}", "${TRIMTAB_PORT:-%d}"
_FLAGS = frozenset({"--detach"})
_CONTINUED = " \\\n  "
_PREAMBLE = """\
# shellcheck disable=SC1003,SC1110,SC1111,SC1112,SC2016  # values are meant literally
set -eu
"""


def render(order: Order) -> str:
    """Return the script that starts the container.

    Raises:
        StudyError: the plan holds something that no container can carry.
        UsageError: image or chip must be named.
    """
    specification = container_of(order)
    words = [f"exec {_ENGINE} run --detach", *_options(order, specification), specification.image]
    if specification.entry:
        words[-1:] = [f"--entrypoint {_quoted(specification.words[0])}", specification.image]
        words += _grouped(specification.words[1:])
    else:
        words += _grouped(specification.words)
    words.append(f'--host "{_inside(order)}" --port "{_PORT % order.port}"')
    return "\n".join(
        (
            "#!/bin/sh\n" + comment(_said(order, specification)),
            _PREAMBLE,
            _CONTINUED.join(words) + "\n",
        )
    )


def _said(order: Order, specification: ContainerSpec) -> list[str]:
    pid = f"\"$(docker inspect --format '{{{{.State.Pid}}}}' {order.name})\""
    return heading(
        order,
        "docker run line",
        f"docker rm --force {order.name}",
        pid=pid,
        done={write.path for write in specification.sysctls},
        more=(
            *specification.notes,
            "CONTAINER_ENGINE=podman takes podman"
            + (
                ", before 5.0 with --device nvidia.com/gpu=all for --gpus."
                if specification.gpus
                else "."
            ),
            f"TRIMTAB_HOST and TRIMTAB_PORT say where it listens (127.0.0.1 and {order.port}).",
        ),
    )


def _options(order: Order, specification: ContainerSpec) -> list[str]:
    published = f'--publish "{_HOST}:{_PORT % order.port}:{_PORT % order.port}"'
    memory = [f"--memory {order.memory}g"] if order.memory else []
    cpus = [f"--cpus {order.cpus}"] if order.cpus and specification.affinity is None else []
    return [
        f"--name {order.name}",
        "--restart unless-stopped",
        "--stop-timeout 60",
        *_pairs("--label", (f"{name}={value}" for name, value in specification.labels.items())),
        "--network host" if order.network == "host" else published,
        f"--shm-size {order.shm}g",
        *memory,
        *cpus,
        *(f"--cpuset-cpus {format_cpu_list(cpus)}" for cpus in [specification.affinity] if cpus),
        *_pairs("--cap-add", specification.capabilities),
        *([f"--gpus {specification.gpus}"] if specification.gpus else []),
        *_pairs("--device", specification.nodes),
        *_pairs("--sysctl", (f"{sysctl_name(w.path)}={w.text}" for w in specification.sysctls)),
        f"--volume {order.name}-cache:{CACHE}",
        *_pairs(
            "--volume",
            (
                f"{path}:{path}:ro"
                for path in (*driver_mounts(specification), *specification.mounts)
            ),
        ),
        *(
            f"--env {name}" if value is None else f"--env {shlex.quote(f'{name}={value}')}"
            for name, value in specification.env
        ),
    ]


def _inside(order: Order) -> str:
    """Return where the server listens: in a network of its own, on all of its addresses."""
    return _HOST if order.network == "host" else "0.0.0.0"  # noqa: S104


def _pairs(option: str, values: object) -> list[str]:
    assert not isinstance(values, str)
    return [f"{option} {shlex.quote(value)}" for value in values]  # type: ignore[attr-defined]


def _quoted(word: CommandWord) -> str:
    if not word.secret:
        return shlex.quote(word.text)
    text = shlex.quote(word.text) if word.text else ""
    return f'{text}"${{{word.secret}:?set it: secrets are never stored in this file}}"'


def _grouped(words: Sequence[CommandWord]) -> list[str]:
    """Return the words, one option with its values a line."""
    lines: list[list[str]] = [[]]
    for word in words:
        if word.text.startswith("--"):
            lines.append([])
        lines[-1].append(_quoted(word))
    return [" ".join(line) for line in lines if line]


def parse(text: str) -> ParsedArtefact:
    """Return the plan of a script that :func:`render` wrote.

    Raises:
        StudyError: it is none.
    """
    try:
        return _parse(text)
    except ValueError as error:
        raise StudyError(f"{FILE} must be as trimtab wrote it, but: {error}") from error


def _parse(text: str) -> ParsedArtefact:
    lines = [line for line in logical_lines(text) if not line.startswith("#")]
    if len(lines) != 2 or lines[0] != "set -eu":
        raise StudyError(f"{FILE} must hold one command")
    words = shlex.split(lines[1])
    if words[:3] != ["exec", *shlex.split(_ENGINE), "run"]:
        raise StudyError(f"{FILE} must run a container, but holds {lines[1]!r}")
    given: dict[str, list[str]] = {}
    index = 3
    while index < len(words) and words[index].startswith("--"):
        flag = words[index] in _FLAGS
        given.setdefault(words[index], []).append("" if flag else words[index + 1])
        index += 1 if flag else 2
    command = [*given.get("--entrypoint", []), *words[index + 1 :]]
    if command[-4::2] != ["--host", "--port"]:
        raise StudyError(f"{FILE} must listen where TRIMTAB_HOST and TRIMTAB_PORT say")
    cpus = given.get("--cpuset-cpus")
    return plan_of(
        command[:-4],
        [_assigned(one) for one in given.get("--env", [])],
        dict(one.split("=", 1) for one in given.get("--label", [])),
        parse_cpu_list(cpus[0]) if cpus else None,
        dict(one.split("=", 1) for one in given.get("--sysctl", [])),
    )


def _assigned(text: str) -> tuple[str, str | None]:
    name, equals, value = text.partition("=")
    return name, value if equals else None


FORMATS = {
    "docker": (Artefact(FILE, render, parse, mode=0o755, summary="docker run or podman run"),)
}

"""``Dockerfile``: an image that serves the plan by itself, and back.

Values of ENV and LABEL are single-quoted, which keeps everything as it is; with a single quote in
them they are double-quoted, with a backslash before a backslash, a quote and a dollar sign
(Dockerfile reference, Environment replacement). The command is in exec form, which is JSON and is
not expanded.
"""

from __future__ import annotations

import json
import re
import shlex

from trimtab.catalog import CATALOG
from trimtab.errors import StudyError
from trimtab.export.container import ContainerSpec, container_of, plan_of
from trimtab.export.heading import comment, heading
from trimtab.export.order import Artefact, Order, ParsedArtefact
from trimtab.facts.parsing import format_cpu_list, parse_cpu_list
from trimtab.redaction import argv_secrets

FILE = "Dockerfile"

_REFERENCE = "# secret: "
_CPUS = "trimtab.cpus"
_PAIR = re.compile(r"""(?P<name>[\w.]+)=(?:'(?P<plain>[^']*)'|"(?P<value>(?:[^"\\]|\\.)*)")""")


def render(order: Order) -> str:
    """Return the Dockerfile.

    Raises:
        StudyError: the plan holds something that an image cannot carry.
        UsageError: image or chip must be named.
    """
    specification = container_of(order)
    _check(specification)
    parts = [
        comment(_said(order, specification)),
        f"FROM {specification.image}\n",
        _libraries(order, specification),
        "".join(
            f"LABEL {name}={_quoted(value)}\n" for name, value in _labels(specification).items()
        ),
        "".join(_variable(name, value) for name, value in specification.env),
        f"EXPOSE {order.port}\n",
        _command(order, specification),
    ]
    return "\n".join(part for part in parts if part)


def _said(order: Order, specification: ContainerSpec) -> list[str]:
    cpus = (
        f" --cpuset-cpus {format_cpu_list(specification.affinity)}"
        if specification.affinity
        else ""
    )
    mounts = "".join(
        f" --volume {shlex.quote(f'{path}:{path}:ro')}" for path in specification.mounts
    )
    needs = "".join(f" --device {path}" for path in specification.nodes)
    gpus = f" --gpus {specification.gpus}" if specification.gpus else ""
    port = f"--publish 127.0.0.1:{order.port}:{order.port} --shm-size {order.shm}g"
    options = f"{port}{cpus}{gpus}{needs}{mounts}"
    run = f"docker run --detach --name {order.name} {options} {order.name}"
    return heading(
        order,
        "Dockerfile",
        f"docker rm --force {order.name}; docker image rm {order.name}",
        pid=f"\"$(docker inspect --format '{{{{.State.Pid}}}}' {order.name})\"",
        more=(
            *specification.notes,
            "An image cannot say devices, CPUs, shared memory, mounts and ports: run it with",
            run,
            "(docker-run.sh has the whole line). Build it with",
            f"docker build --tag {order.name} --file {FILE} .",
        ),
    )


def _check(specification: ContainerSpec) -> None:
    for word in specification.words:
        if word.secret:
            raise StudyError(
                f"an image must hold no secret, but the command takes {word.secret} as an "
                "argument: export docker or compose, or give vLLM its key as VLLM_API_KEY"
            )
    for name, value in (*specification.env, *specification.labels.items()):
        if value is not None and not value.isprintable():
            raise StudyError(
                f"a Dockerfile's variables must be printable, in one line, but {name} is not: "
                "export docker or compose"
            )


def _libraries(order: Order, specification: ContainerSpec) -> str:
    """Return the steps that put the preloaded libraries into the image, or fail the build."""
    preload = dict(specification.env).get("LD_PRELOAD")
    if not preload:
        return ""
    names = dict(order.profile.candidate)
    packages = sorted(
        {tuning.package for name, tuning in CATALOG.items() if name in names and tuning.package}
    )
    install = (
        "# hadolint ignore=DL3008\n"
        "RUN apt-get update \\\n"
        f"    && apt-get install --yes --no-install-recommends {' '.join(packages)} \\\n"
        "    && rm -rf /var/lib/apt/lists/*\n"
    )
    said = "# A preloaded library that is missing would be ignored in silence: better no image.\n"
    tests = " && ".join(f"test -e {shlex.quote(path)}" for path in preload.split(":"))
    debian = packages and "openeuler" not in specification.image
    return f"{install if debian else ''}{said}RUN {tests}\n"


def _labels(specification: ContainerSpec) -> dict[str, str]:
    cpus = {_CPUS: format_cpu_list(specification.affinity)} if specification.affinity else {}
    return {**specification.labels, **cpus}


def _variable(name: str, value: str | None) -> str:
    if value is None:
        return f"{_REFERENCE}{name} (docker run --env {name}: secrets are never written here)\n"
    return f"ENV {name}={_quoted(value)}\n"


def _quoted(value: str) -> str:
    if "'" not in value:
        return f"'{value}'"
    return '"' + re.sub(r'(["\\$])', r"\\\1", value) + '"'


def _command(order: Order, specification: ContainerSpec) -> str:
    listen = ["--host", "0.0.0.0", "--port", str(order.port)]  # noqa: S104  of its own network
    words = [word.text for word in specification.words]
    if specification.entry:
        return f"ENTRYPOINT {_json(words)}\nCMD {_json(listen)}\n"
    return f"CMD {_json([*words, *listen])}\n"


def _json(words: list[str]) -> str:
    return json.dumps(words, ensure_ascii=not all(word.isprintable() for word in words))


def parse(text: str) -> ParsedArtefact:
    """Return the plan of a Dockerfile that :func:`render` wrote.

    Raises:
        StudyError: it is none.
    """
    try:
        return _parse(text)
    except (ValueError, TypeError) as error:
        raise StudyError(f"{FILE} must be as trimtab wrote it, but: {error}") from error


def _parse(text: str) -> ParsedArtefact:
    env: list[tuple[str, str | None]] = []
    labels: dict[str, str] = {}
    words: list[str] = []
    for line in text.split("\n"):
        keyword, _, rest = line.partition(" ")
        if line.startswith(_REFERENCE):
            env.append((line.removeprefix(_REFERENCE).split(" ", 1)[0], None))
        elif keyword in ("ENV", "LABEL"):
            match = _PAIR.fullmatch(rest)
            if match is None:
                raise StudyError(f'a line of {FILE} must be NAME="VALUE", but is {line!r}')
            plain = match["plain"]
            value = re.sub(r"\\(.)", r"\1", match["value"]) if plain is None else plain
            if keyword == "ENV":
                env.append((match["name"], value))
            else:
                labels[match["name"]] = value
        elif keyword in ("ENTRYPOINT", "CMD"):
            words += [str(word) for word in json.loads(rest)]
    if words[-4::2] != ["--host", "--port"]:
        raise StudyError(f"{FILE} must say where the server listens")
    cpus = labels.get(_CPUS)
    if next(argv_secrets(words), None):
        raise StudyError(f"{FILE} must hold no secret")
    return plan_of(words[:-4], env, labels, parse_cpu_list(cpus) if cpus else None, {})


FORMATS = {"dockerfile": (Artefact(FILE, render, parse),)}

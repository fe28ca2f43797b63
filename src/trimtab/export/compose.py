"""``compose.yaml``: the plan as a compose file, for docker compose and podman-compose, and back.

Every value goes through compose's interpolation, so a dollar sign is doubled (compose
specification, Interpolation); secrets and the address are references to the caller's environment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

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
from trimtab.export.heading import comment, heading
from trimtab.export.order import Artefact, Order, ParsedArtefact
from trimtab.facts.parsing import format_cpu_list, parse_cpu_list
from trimtab.storage import strict_yaml

FILE = "compose.yaml"

_HOST, _PORT = "${TRIMTAB_HOST:-127.0.0.1}", "${TRIMTAB_PORT:-%d}"
_REFERENCE = re.compile(r"\$\{(\w+):\?[^}]*\}$")


def render(order: Order) -> str:
    """Return the compose file.

    Raises:
        StudyError: the plan holds something that no container can carry.
        UsageError: image or chip must be named.
    """
    specification = container_of(order)
    said = heading(
        order,
        "compose file",
        f"docker compose --file {FILE} down",
        pid=f"\"$(docker inspect --format '{{{{.State.Pid}}}}' {order.name})\"",
        done={write.path for write in specification.sysctls},
        more=(
            *specification.notes,
            f"TRIMTAB_HOST and TRIMTAB_PORT say where it listens (127.0.0.1 and {order.port}).",
        ),
    )
    content = {
        "name": order.name,
        "services": {order.name: _service(order, specification)},
        "volumes": {f"{order.name}-cache": {}},
    }
    return comment(said) + "\n" + strict_yaml.dump(content)


def _service(order: Order, specification: ContainerSpec) -> dict[str, Any]:
    port = _PORT % order.port
    hosted = order.network == "host"
    inside = _HOST if hosted else "0.0.0.0"  # noqa: S104  of its own network
    words = [_word(word) for word in specification.words]
    listen = ["--host", inside, "--port", port]
    command = (
        {"entrypoint": words[:1], "command": [*words[1:], *listen]}
        if specification.entry
        else {"command": [*words, *listen]}
    )
    more: dict[str, Any] = {
        "cpuset": format_cpu_list(specification.affinity) if specification.affinity else None,
        "cpus": float(order.cpus) if order.cpus and not specification.affinity else None,
        "mem_limit": f"{order.memory}g" if order.memory else None,
        "cap_add": list(specification.capabilities),
        "devices": [f"{path}:{path}" for path in specification.nodes],
        "deploy": _gpus(specification.gpus),
        "sysctls": {
            sysctl_name(write.path): _plain(write.text) for write in specification.sysctls
        },
    }
    return {
        "image": specification.image,
        "container_name": order.name,
        "restart": "unless-stopped",
        "stop_grace_period": "60s",
        **({"network_mode": "host"} if hosted else {"ports": [f"{_HOST}:{port}:{port}"]}),
        "shm_size": f"{order.shm}g",
        **{key: value for key, value in more.items() if value},
        "labels": {name: _plain(value) for name, value in specification.labels.items()},
        "volumes": _volumes(order, specification),
        "environment": {
            name: _word(CommandWord("", name)) if value is None else _plain(value)
            for name, value in specification.env
        },
        **command,
    }


def _gpus(count: int) -> dict[str, Any]:
    if not count:
        return {}
    wanted = {"driver": "nvidia", "count": count, "capabilities": ["gpu"]}
    return {"resources": {"reservations": {"devices": [wanted]}}}


def _volumes(order: Order, specification: ContainerSpec) -> list[dict[str, Any]]:
    bound = [
        {"type": "bind", "source": _plain(path), "target": _plain(path), "read_only": True}
        for path in (*driver_mounts(specification), *specification.mounts)
    ]
    return [{"type": "volume", "source": f"{order.name}-cache", "target": CACHE}, *bound]


def _plain(text: str) -> str:
    return text.replace("$", "$$")


def _word(word: CommandWord) -> str:
    if not word.secret:
        return _plain(word.text)
    return f"{_plain(word.text)}${{{word.secret}:?set it, secrets are never stored here}}"


def parse(text: str) -> ParsedArtefact:
    """Return the plan of a compose file that :func:`render` wrote.

    Raises:
        StudyError: it is none.
    """
    try:
        return _parse(strict_yaml.load(text))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StudyError(f"{FILE} must be as trimtab wrote it, but: {error}") from error


def _parse(content: Any) -> ParsedArtefact:
    (service,) = content["services"].values()
    command = [*service.get("entrypoint", []), *service["command"]]
    if command[-4::2] != ["--host", "--port"]:
        raise StudyError(f"{FILE} must listen where TRIMTAB_HOST and TRIMTAB_PORT say")
    environment: Mapping[str, str] = service["environment"]
    return plan_of(
        [_single(word) for word in command[:-4]],
        [
            (name, None if _REFERENCE.fullmatch(value) else _single(value))
            for name, value in environment.items()
        ],
        {name: _single(value) for name, value in service["labels"].items()},
        parse_cpu_list(service["cpuset"]) if "cpuset" in service else None,
        {name: _single(value) for name, value in service.get("sysctls", {}).items()},
    )


def _single(text: str) -> str:
    return text.replace("$$", "$")


FORMATS = {"compose": (Artefact(FILE, render, parse),)}

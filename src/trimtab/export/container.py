"""What every container format says in its own words: image, command, variables, devices, mounts.

The command keeps the plan's words; only the program in front is the image's own. Labels carry what
the format has no word for, so that every format reads back to the plan.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from trimtab.errors import StudyError
from trimtab.export import order as ordered
from trimtab.export.chips import DRIVER, MANAGERS
from trimtab.export.order import Order, exportable_settings
from trimtab.families import invocation_of, read_command
from trimtab.model import HostWrite, Settings
from trimtab.redaction import argv_secrets, is_secret, marker

ENV = "/usr/bin/env"
CACHE = "/root/.cache"
"""Where the images keep downloads and compiled graphs: kept over restarts in a volume."""

_SYSCTL = "/proc/sys/"
_OF_CONTAINER = re.compile(
    r"/proc/sys/(net/.+|kernel/(shm\w+|msg\w+|sem)|fs/mqueue/\w+)", re.ASCII
)
"""Kernel parameters of a container's own namespaces (docker run --sysctl; Kubernetes, sysctls)."""

_MOUNTED = ("--tokenizer", "--chat-template", "--hf-config-path", "--generation-config")


@dataclass(frozen=True, slots=True)
class CommandWord:
    """A word of a command: text, and the variable that holds the secret after it, if any."""

    text: str
    secret: str = ""


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """A container as all formats mean it.

    ``words`` is the command without host and port. Of ``env`` a value of ``None`` is a secret.
    ``entry`` says whether the image's entry point is replaced by the first word.
    """

    image: str
    entry: bool
    words: tuple[CommandWord, ...]
    env: tuple[tuple[str, str | None], ...]
    labels: Mapping[str, str]
    mounts: tuple[str, ...]
    nodes: tuple[str, ...] = ()
    gpus: int = 0
    capabilities: tuple[str, ...] = ()
    affinity: tuple[int, ...] | None = None
    sysctls: tuple[HostWrite, ...] = ()
    notes: tuple[str, ...] = field(default=())


def container_of(order: Order) -> ContainerSpec:
    """Return the container that serves the plan.

    Raises:
        StudyError: the plan holds something that no container can carry.
        UsageError: image or chip must be named.
    """
    settings = exportable_settings(order.profile.plan.settings)
    chip = ordered.chip(order)
    count = ordered.devices(order)
    prefix = _prefix(settings.argv)
    npu = chip.platform == "ascend" and count
    return ContainerSpec(
        image=ordered.image(order),
        entry=chip.own_entry,
        words=_words(settings, prefix, order.program),
        env=_env(settings),
        labels=_labels(order, settings, prefix),
        mounts=tuple(dict.fromkeys((*_mounts(settings.argv), *order.mounts))),
        nodes=(*(f"/dev/davinci{n}" for n in range(count)), *MANAGERS) if npu else (),
        gpus=count if chip.platform == "cuda" else 0,
        # Binding memory to a NUMA node is refused without it (vLLM, CPU installation page).
        capabilities=("SYS_NICE",) if chip.platform == "cpu" else (),
        affinity=settings.affinity,
        sysctls=_sysctls(order),
        notes=(*_notes(settings, prefix, order.program), *_idle(order)),
    )


def driver_mounts(specification: ContainerSpec) -> tuple[str, ...]:
    """Return the host's driver files that a container with NPUs needs."""
    return DRIVER if specification.nodes else ()


def sysctl_name(path: str) -> str:
    """Return the name that container engines have for a file under ``/proc/sys``."""
    return path.removeprefix(_SYSCTL).replace("/", ".")


def sysctl_path(name: str) -> str:
    """Return the file behind a kernel parameter; the inverse of :func:`sysctl_name`."""
    return _SYSCTL + name.replace(".", "/")


def plan_of(
    words: Sequence[str],
    env: Sequence[tuple[str, str | None]],
    labels: Mapping[str, str],
    affinity: tuple[int, ...] | None,
    sysctls: Mapping[str, str],
) -> ordered.ParsedArtefact:
    """Return the plan that a container's command, variables and labels say.

    ``words`` is the command without host and port, with anything in place of secrets.

    Raises:
        StudyError: they are not what :func:`container_of` makes.
    """
    try:
        prefix = [str(word) for word in json.loads(labels["trimtab.program"])]
        unset = tuple(str(name) for name in json.loads(labels.get("trimtab.unset", "[]")))
    except (KeyError, ValueError, TypeError) as error:
        raise StudyError("a container must carry trimtab's labels, but has none") from error
    set_ = [(name, marker(name) if value is None else value) for name, value in env]
    preload = next((value for name, value in set_ if name == "LD_PRELOAD"), "")
    skipped = len(_unsetting(unset, bool(preload)))
    argv = [*prefix, *words[skipped + 1 :]]
    for index, before, name in argv_secrets(argv):
        argv[index] = before + marker(name)
    settings = Settings(
        tuple(argv),
        tuple((name, value) for name, value in set_ if name != "LD_PRELOAD"),
        unset,
        tuple(preload.split(":")) if preload else (),
        affinity,
    )
    writes = tuple(HostWrite(sysctl_path(name), text) for name, text in sysctls.items())
    return ordered.ParsedArtefact(settings, writes)


def _prefix(argv: Sequence[str]) -> tuple[str, ...]:
    """Return the words that start the server's program: ``vllm``, or ``python -m …``."""
    invocation = invocation_of(argv)
    words = () if invocation is None or invocation.wrappers else invocation.program_alone
    return words if len(words) in (1, 3) else tuple(argv[:1])


def _words(settings: Settings, prefix: tuple[str, ...], program: str) -> tuple[CommandWord, ...]:
    own = [*(program,), *settings.argv[len(prefix) :]]
    shift = 1 - len(prefix)
    secrets = {index + shift: (text, name) for index, text, name in argv_secrets(settings.argv)}
    before = _unsetting(settings.unset, bool(settings.preload))
    return (
        *(CommandWord(word) for word in before),
        *(CommandWord(*secrets.get(index, (word,))) for index, word in enumerate(own)),
    )


def _unsetting(unset: Sequence[str], preloads: bool) -> list[str]:
    """Return what removes an image's variables; ``env`` becomes the server, no process stays."""
    names = [name for name in unset if not (name == "LD_PRELOAD" and preloads)]
    return [ENV, *(word for name in names for word in ("-u", name))] if names else []


def _env(settings: Settings) -> tuple[tuple[str, str | None], ...]:
    preload = [("LD_PRELOAD", ":".join(settings.preload))] if settings.preload else []
    named = [(name, None if is_secret(name, value) else value) for name, value in settings.env]
    return (*named, *preload)


def _labels(order: Order, settings: Settings, prefix: tuple[str, ...]) -> dict[str, str]:
    plan, evidence = order.profile.plan.digest, order.profile.evidence or "none"
    unset = {"trimtab.unset": json.dumps(settings.unset)} if settings.unset else {}
    program = json.dumps(prefix)
    return {
        "trimtab.plan": plan,
        "trimtab.evidence": evidence,
        "trimtab.program": program,
        **unset,
    }


def _mounts(argv: Sequence[str]) -> list[str]:
    """Return the paths that the command reads: they are where they were measured."""
    invocation = read_command(argv)
    named = [invocation.model, *(invocation.value(name) for name in _MOUNTED)]
    paths = [path for path in named if path is not None and path.startswith("/")]
    for path in paths:
        if ":" in path or not path.isprintable():
            raise StudyError(f"a path to mount must be printable, without colon, but is {path!r}")
    return paths


def _sysctls(order: Order) -> tuple[HostWrite, ...]:
    """Return the host writes that a container has for itself."""
    writes = order.profile.plan.writes
    ours = [
        write for write in writes if _OF_CONTAINER.fullmatch(write.path) and "." not in write.path
    ]
    if order.network == "host":  # then the network's parameters are the host's
        ours = [write for write in ours if not write.path.startswith("/proc/sys/net/")]
    return tuple(ours)


def _idle(order: Order) -> tuple[str, ...]:
    count = ordered.idle_devices(order)
    if not count:
        return ()
    return (f"{count} of the devices are reserved, and the plan uses none of them",)


def _notes(settings: Settings, prefix: tuple[str, ...], program: str) -> tuple[str, ...]:
    here = " ".join(prefix)
    notes = [f"the program is the image's {program}; on the host of the plan it is {here}"]
    notes += [f"the image must hold {path}: ld.so ignores it if not" for path in settings.preload]
    return tuple(notes)

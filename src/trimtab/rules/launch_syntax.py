"""Rules about how a text starts its server: what the shell or the container makes of the words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from trimtab.catalog import Rule, Scene
from trimtab.families import program_names
from trimtab.model.document import Document, Oddity
from trimtab.model.finding import Hit, Problem, Severity
from trimtab.model.situation import Situation
from trimtab.rules.lifetimes import serves
from trimtab.rules.names import options
from trimtab.rules.notices import Meaning, rules_of

_DOCKER: Final = frozenset(
    {
        *("--env", "--volume", "--gpus", "--shm-size", "--ipc", "--network", "--publish"),
        *("--rm", "--detach", "--privileged", "--ulimit", "--mount", "--cap-add", "--restart"),
        *("--entrypoint", "--cpuset-cpus", "--cpus", "--memory", "--security-opt", "--pid"),
        *("--device", "--runtime", "--name", "--hostname", "--user", "--workdir", "--platform"),
        *("--env-file", "--group-add", "--interactive", "--tty", "--init", "--label", "--config"),
        *("--pull", "--read-only", "--add-host", "--log-opt", "--log-driver", "--expose"),
    }
)
"""Options of ``docker run`` (docker's command line reference)."""

_SHORT: Final = frozenset({"-e", "-v", "-it", "-ti", "-d", "-i", "-t", "-u", "-w"})


_MEANINGS: Mapping[Oddity, Meaning] = {
    Oddity.ENTRYPOINT_TWICE: Meaning(
        "entrypoint-twice",
        Severity.ERROR,
        Problem.WRONG_VALUE,
        "The image's entry point is vllm serve, and the command repeats it.",
        lambda notice: (
            f"the image starts 'vllm serve' itself, and passes {notice.setting.value!r} to it: "
            "vLLM "
            "exits with 'unrecognized arguments'"
        ),
        "give the model and its options alone, or set the entry point",
    ),
    Oddity.CONTINUATION_LOST: Meaning(
        "continuation-lost",
        Severity.ERROR,
        Problem.NO_EFFECT,
        "The line above does not go on, so an option becomes a command of its own.",
        lambda notice: (
            f"the shell takes {notice.setting.name} for a command: the line above does not end "
            "with "
            "a backslash, so the server never gets this option"
        ),
        "end the line above with a backslash, and nothing behind it",
    ),
    Oddity.NO_SHELL: Meaning(
        "no-shell",
        Severity.WARNING,
        Problem.WRONG_VALUE,
        "A command holds a shell's syntax where no shell runs.",
        lambda notice: (
            f"no shell runs here: the program gets {notice.setting.value!r} as a word of its own"
        ),
        "start a shell: sh -c '...', or leave the syntax out",
    ),
    Oddity.NO_EXPANSION: Meaning(
        "no-expansion",
        Severity.WARNING,
        Problem.WRONG_VALUE,
        "Nothing expands ${NAME} here: it stays as it is.",
        lambda notice: (
            f"Kubernetes does not expand ${{{notice.setting.name}}}: the process gets these "
            "letters"
        ),
        "write the whole value",
    ),
    Oddity.IGNORED_ARGUMENTS: Meaning(
        "ignored-arguments",
        Severity.WARNING,
        Problem.NO_EFFECT,
        "The script of sh -c does not look at the arguments.",
        lambda notice: (
            f"the script of 'sh -c' gets {notice.setting.value!r} as $0, $1 ..., and does not use "
            "them: the server never gets these options"
        ),
        "move them into the script",
    ),
    Oddity.LINE_ENDS: Meaning(
        "line-ends",
        Severity.WARNING,
        Problem.WRONG_VALUE,
        "A shell script has the line ends of Windows.",
        lambda _: (
            "the lines end with CR LF: a shell takes the CR for a part of the last word, and a "
            "backslash before it continues no line"
        ),
        "convert the file: sed -i 's/\\r$//' FILE",
    ),
}


def _wrong_side(scene: Scene) -> Iterator[Hit]:
    """Yield options of the server before the image, and options of docker behind it."""
    container = scene.container
    if container is None or not container.image:
        return
    for option in container.options:
        if option.name in options() and option.name not in _DOCKER:
            yield Hit(
                option.name,
                f"docker exits with 'unknown flag': {option.name} is an option of vLLM, and "
                "stands "
                "before the image",
                "put it behind the image",
                place=option.place,
            )
    if scene.argv[:1] not in {(name,) for name in program_names()} or not serves(scene):
        return
    for name, made in scene.options.items():
        if (
            made.place is not None and name not in made.place.text
        ):  # of an array, which has branches
            continue
        if (name in _DOCKER and name not in options()) or name in _SHORT:
            yield Hit(
                name,
                f"vLLM gets {name} and exits with 'unrecognized arguments': it is an option of "
                "the container, and stands behind the image",
                "put it before the image",
                place=made.place,
            )


def _discarded_port(document: Document, situation: Situation) -> Iterator[Hit]:
    """Yield ports that are published of a container that has no network of its own."""
    for made in document.containers:
        if not any(
            option.name == "--network" and option.value == "host" for option in made.options
        ):
            continue
        for option in made.options:
            if option.name == "--publish" and option.value:
                ports = option.value.partition("/")[0].split(":")
                same = len(ports) == 1 or ports[-1] == ports[-2]
                yield Hit(
                    option.name,
                    f"docker discards {option.name} {option.value}: on the host's network the "
                    "server "
                    "listens on its own port",
                    "remove it, and give the server the port that is meant with --port",
                    severity=Severity.INFO if same else None,
                    place=option.place,
                )


_SERVERS: Final = re.compile(r"(^|/)vllm/vllm-openai(-\w+)?([:@]|$)")
"""Images that start a server, and nothing else that listens."""


def _port_unpublished(scene: Scene) -> Iterator[Hit]:
    """Yield a server's port where the container publishes others."""
    container = scene.container
    if (
        container is None
        or not serves(scene)
        or not {"--uds", "--config"}.isdisjoint(scene.options)
    ):
        return
    if any(option.name == "--network" and option.value == "host" for option in container.options):
        return
    made = scene.options.get("--port")
    publish = [option for option in container.options if option.name == "--publish"]
    inner = [setting.value.partition("/")[0].rpartition(":")[2] for setting in publish]
    port = made.value if made is not None else "8000"
    if not publish or port in inner or not all(one.isdecimal() for one in (port, *inner)):
        return
    text = scene.document.text if scene.document is not None else ""
    alone = _SERVERS.search(container.image) and not re.search(r"entrypoint|\bsh\b|bash -", text)
    listed = " and ".join(dict.fromkeys(inner))
    yield Hit(
        "--port",
        f"vLLM listens on port {port}, but the container publishes its port {listed}, on "
        "which nothing answers",
        f"give --port {inner[0]}, or publish {port}",
        place=made.place if made is not None else publish[0].place,
        given="" if alone else f"nothing else in the container hands port {listed} on",
    )


STARTING: tuple[Rule, ...] = (
    *rules_of(_MEANINGS),
    Rule(
        id="wrong-side",
        severity=Severity.ERROR,
        problem=Problem.WRONG_VALUE,
        summary="An option stands on the wrong side of the image.",
        process=_wrong_side,
    ),
    Rule(
        id="discarded-port",
        severity=Severity.WARNING,
        problem=Problem.NO_EFFECT,
        summary="A port is published of a container on the host's network.",
        text=_discarded_port,
    ),
    Rule(
        id="port-unpublished",
        severity=Severity.WARNING,
        problem=Problem.WRONG_VALUE,
        summary="A container publishes a port on which its server does not listen.",
        process=_port_unpublished,
    ),
)

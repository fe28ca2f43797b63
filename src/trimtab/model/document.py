"""What a file says, or a process shows: settings, commands and launches, with their places.

Readers of every format (shell, Dockerfile, compose, Kubernetes, systemd, .env, Markdown) make a
`Document` of a text; rules look at nothing else. A value keeps the parts that a text alone cannot
tell as they are written (``/usr/lib/$(uname -m)-linux-gnu``), and then is not ``literal``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands. Lines and columns count from 1, columns in characters.

    ``end_column`` is exclusive; 0 means to the end of the line. ``text`` is the source line.
    """

    file: str
    line: int
    column: int = 1
    end_column: int = 0
    text: str = ""


class Origin(StrEnum):
    """How a setting was made, which decides whom it reaches."""

    SHELL = "shell"  # export, declare -x, env NAME=..., inline assignment
    IMAGE = "image"  # ENV of a Dockerfile
    BASHRC = "bashrc"  # appended to ~/.bashrc or a profile: interactive shells only
    CONTAINER = "container"  # docker run -e, compose environment, Kubernetes env
    UNIT = "unit"  # systemd Environment=
    ENV_FILE = "env-file"  # .env, --env-file, EnvironmentFile=
    PROCESS = "process"  # a live process's environment or command line
    ARGUMENT = "argument"  # an option on a command line
    HOST = "host"  # sysctl, a file under /proc or /sys: until the next boot
    BOOT = "boot"  # a file of sysctl's, read at every boot


@dataclass(frozen=True, slots=True)
class Setting:
    """One value given to one name.

    ``name`` is a variable (``TASK_QUEUE_ENABLE``), an option in canonical form (``--dtype``), a
    container option by docker's long name (``--shm-size``), or the path of a kernel setting under
    /proc/sys or /sys. ``place`` spans the whole assignment, ``name_place`` and ``value_place`` its
    parts as written, quotes included. ``literal`` is False where ``value`` holds unknown parts.
    ``exported`` is False for a shell variable that no child sees. ``comment`` is the comment
    directly above.
    """

    name: str
    value: str
    place: Place | None = None
    origin: Origin = Origin.SHELL
    literal: bool = True
    exported: bool = True
    comment: str = ""
    name_place: Place | None = None
    value_place: Place | None = None


@dataclass(frozen=True, slots=True)
class Redirect:
    """A redirection: operator (``>``, ``>>``, ``<``, ``<<``) and the target as written."""

    operator: str
    target: str


@dataclass(frozen=True, slots=True)
class Command:
    """One simple command, with its words after expansion as far as the text tells.

    ``places`` are those of ``words``, one each. ``stdin`` is the text that a pipe from echo or
    printf, or a heredoc, feeds it; ``None`` when there is none or it is unknown. ``inside`` is
    True in a container, False on the host, ``None`` when the text does not tell. ``env`` is what
    is exported to it, last assignment of each name only.
    """

    words: tuple[str, ...]
    place: Place
    places: tuple[Place, ...] = ()
    redirects: tuple[Redirect, ...] = ()
    stdin: str | None = None
    inside: bool | None = None
    env: tuple[Setting, ...] = ()


@dataclass(frozen=True, slots=True)
class Container:
    """What a container is made with. ``options`` go by docker's long names, without ``--env``."""

    image: str
    options: tuple[Setting, ...] = ()
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Launch:
    """One process that a text starts, with all that reaches it.

    ``argv`` is the command itself, with wrappers (env, numactl, taskset, nohup, docker run, sh -c)
    taken off. ``env`` holds what is in force, one for each name; ``options`` the server's options
    with their places; ``affinity`` CPUs that a wrapper binds to; ``cpu_quota`` the CPUs whose time
    a unit gets. ``implied``: the text starts
    nothing, so this is whatever gets started from its environment.
    """

    argv: tuple[str, ...]
    env: tuple[Setting, ...]
    options: tuple[Setting, ...] = ()
    affinity: tuple[int, ...] | None = None
    wrappers: tuple[tuple[str, ...], ...] = ()
    container: Container | None = None
    inside: bool | None = None
    implied: bool = False
    place: Place | None = None
    service: str = ""
    cpu_quota: float | None = None


class Oddity(StrEnum):
    """What a reader notices about the making of a setting, whatever the setting is."""

    OVERWRITTEN = "overwritten"  # replaced before any process saw it; ``other`` replaces it
    NOT_EXPORTED = "not-exported"  # a shell variable that a later process would have read
    AFTER_START = "after-start"  # exported after the process that reads it was started
    LOST_BY_SPACE = "lost-by-space"  # export NAME=value $NAME: the old value is lost
    NEVER_READ = "never-read"  # in a file that no process of this text reads
    INTERACTIVE_ONLY = "interactive-only"  # in ~/.bashrc, which a container's command never reads
    NOT_PASSED = "not-passed"  # exported around `docker run`, but not handed to the container
    ENTRYPOINT_TWICE = "entrypoint-twice"  # a command behind an entry point that is one already
    CONTINUATION_LOST = "continuation-lost"  # an option at the begin of a line that is none
    NO_SHELL = "no-shell"  # syntax of a shell where none runs
    NO_EXPANSION = "no-expansion"  # ${NAME} where nothing expands it
    IGNORED_ARGUMENTS = "ignored-arguments"  # args behind the script of sh -c
    NOT_ASSIGNED = "not-assigned"  # a word or line among assignments that is none
    MANIFEST_REFUSED = "manifest-refused"  # of another type than the API of Kubernetes takes
    SERVICE_VARIABLE = "service-variable"  # what Kubernetes sets of itself for a Service
    START_KILLED = "start-killed"  # a probe that ends a server which still loads its model
    VOLUME_UNMOUNTED = "volume-unmounted"  # a volume of a pod that no container mounts
    QUOTES_LOST = "quotes-lost"  # JSON whose quotes the shell takes off
    ENV_FILE_REFUSED = "env-file-refused"  # a line that docker's --env-file does not take
    QUOTES_KEPT = "quotes-kept"  # a file whose reader takes every character for the value
    LINE_ENDS = "line-ends"  # a shell script whose lines end with CR LF
    JOINED_PARSE = "joined"  # unexpected syntax inside the value (stray quote, blank around "=")


@dataclass(frozen=True, slots=True)
class Notice:
    """An oddity of one setting; ``other`` is the second one that takes part, if any.

    ``said`` is the sentence about it, where only the reader knows it; ``given`` the condition
    under which it holds, "" for none.
    """

    oddity: Oddity
    setting: Setting
    other: Setting | None = None
    said: str = ""
    given: str = ""


@dataclass(frozen=True, slots=True)
class Mention:
    """A name, heading, sentence or link in a text's prose; ``kind`` says which."""

    kind: str  # "name" (inline code), "link" (text is the address), "heading", "prose"
    text: str
    place: Place


@dataclass(frozen=True, slots=True)
class Document:
    """All that one text says. ``settings`` are all assignments in order, lost ones included.

    ``kind``: shell, dockerfile, compose, kubernetes, systemd, env, sysctl, markdown. ``host`` are
    the kernel settings that it writes (name: path under /proc/sys or /sys). ``suppressed`` maps a
    line to the rule ids switched off there by a comment; line 0 is the whole file, the id "all"
    every rule. ``unread`` says what the reader could not understand, one sentence each.
    ``env_files`` are those that docker is given, as written.
    """

    file: str
    kind: str
    text: str
    settings: tuple[Setting, ...] = ()
    commands: tuple[Command, ...] = ()
    host: tuple[Setting, ...] = ()
    launches: tuple[Launch, ...] = ()
    containers: tuple[Container, ...] = ()
    notices: tuple[Notice, ...] = ()
    mentions: tuple[Mention, ...] = ()
    suppressed: tuple[tuple[int, frozenset[str]], ...] = ()
    unread: tuple[tuple[Place, str], ...] = ()
    env_files: tuple[str, ...] = ()

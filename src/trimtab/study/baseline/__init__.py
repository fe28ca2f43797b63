"""The baseline: what the user runs today, read from a vllm command line.

A command line is read, never run: words are split as a shell would, and anything that only a
shell could evaluate is refused with its line, because a guess would be measured as a fact.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trimtab.engines.command import config_text
from trimtab.errors import UsageError
from trimtab.invocations import GivenOption, Invocation, with_config_file
from trimtab.redaction import argv_secrets, redact_words
from trimtab.storage import atomic_files
from trimtab.study.baseline import launcher, shell_words
from trimtab.study.options import Options

MAX_BYTES = 64 * 1024
_SERVES = re.compile(r"\bvllm\s+serve\b|-m\s+vllm\.entrypoints\.")
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)

_ENDPOINT = frozenset(
    {"--host", "--port", "--uds", "--enable-ssl-refresh", "--no-enable-ssl-refresh"}
)
_TLS = frozenset(
    {"--ssl-keyfile", "--ssl-certfile", "--ssl-ca-certs", "--ssl-cert-reqs", "--ssl-ciphers"}
)
_NEVER_READY = {
    "--help": "it prints its help and ends",
    "-h": "it prints its help and ends",
    "--version": "it prints its version and ends",
    "--headless": "it has no API",
    "--grpc": "it speaks gRPC, not HTTP",
    "--data-parallel-rank": "it is one of several servers",
    "--data-parallel-start-rank": "it is one of several hosts",
    "--data-parallel-external-lb": "it is one of several servers",
    "--data-parallel-hybrid-lb": "it is one of several hosts",
    "--node-rank": "it is one of several hosts",
    "--nnodes": "it waits for other hosts",
    "--master-addr": "it waits for other hosts",
}
"""Options with which a server alone on this machine never answers, and why."""

_LOCAL = "--data-parallel-size-local"


@dataclass(frozen=True, slots=True)
class ServeCommand:
    """A parsed ``vllm serve``: the model, its other arguments, and the variables set for it.

    Host and port are dropped: trimtab serves on a loopback port of its own. ``program`` is the
    word that starts it, as it was written: "vllm", or the path of a ``vllm`` command, or an
    interpreter ("python3", or its path) that runs vLLM's module; "" where an image brings it.
    ``notes`` are sentences about what of the command does not apply here.
    """

    model: str
    args: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    program: str = "vllm"
    notes: tuple[str, ...] = ()


def apply_baseline(options: Options) -> tuple[Options, ServeCommand | None]:
    """Return the options with the model of the baseline's command, and the command.

    Raises:
        UsageError: it does not parse, is given twice, or contradicts another option.
    """
    command = _given(options)
    if command is None:
        return options, None
    options = replace(options, model=_one_model(options.model, command.model))
    return options, command


def read_file(path: Path) -> ServeCommand:
    """Read a file that holds one ``vllm serve`` command, with exports before it if any.

    Raises:
        UsageError: the file cannot be read, or holds what only a shell could evaluate.
    """
    try:
        text = atomic_files.read(path, MAX_BYTES).decode("utf-8")
    except OSError as error:
        raise UsageError(
            f"the baseline file {path} cannot be read ({error.strerror}): name a file that holds "
            "a 'vllm serve MODEL' command"
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(
            f"the baseline file {path} must be text in UTF-8, but is not: name a file that holds "
            "a 'vllm serve MODEL' command"
        ) from error
    env: dict[str, str] = {}
    home = str(Path.home())
    lines = _logical_lines(text)
    for at, (number, line) in enumerate(lines):
        words = shell_words.split(line, f"{path}:{number}", {"HOME": home, **env}, home)
        if not words or words[0] == "set":
            continue
        if words[:1] == ["export"] or all(_ASSIGNMENT.fullmatch(word) for word in words):
            env.update(_assignments([w for w in words if w != "export"], f"{path}:{number}"))
        else:
            command = parse(words, where=f"{path}:{number}")
            _require_alone(path, lines[at + 1 :])
            merged = {**env, **dict(command.env)}
            return replace(command, env=tuple(sorted(merged.items())))
    raise UsageError(f"{path} holds no 'vllm serve MODEL' command")


def _require_alone(path: Path, rest: Sequence[tuple[int, str]]) -> None:
    for number, line in rest:
        if _SERVES.search(line):
            raise UsageError(
                f"{path}:{number} starts another server: name a file that starts only one"
            )


def parse(words: Sequence[str], where: str = "the baseline command") -> ServeCommand:
    """Parse ``[exec] [env] [NAME=VALUE…] vllm serve MODEL [args…]``.

    For ``vllm`` there may be its path, ``python -m vllm``, the module of vLLM's API server,
    ``docker run IMAGE``, or a shell with one such command (``bash -c``). What its ``--config``
    file holds is joined into the arguments. Any other word before ``serve`` would change what is
    measured, so none is dropped.

    Raises:
        UsageError: the words are not such a command, or one that never serves here; the message
            names the first wrong one.
    """
    launch = launcher.read(words, where)
    if launch.invocation is None:
        raise _no_command(words, launch.rest, where)
    whole = with_config_file(launch.invocation, config_text(Path()), where)
    served, more = _strip_endpoint(whole, where)
    model, args = _model(served, where)
    _require_lines(args, launch.env)
    env = tuple(sorted(launch.env.items()))
    program = "" if launch.contained else served.program[0]  # an image's is not on this machine
    return ServeCommand(model, args, env, program, (*launch.notes, *more))


def _no_command(words: Sequence[str], rest: Sequence[str], where: str) -> UsageError:
    found = f"has {redact_words(rest)[0]!r} there" if rest else f"is only: {_show(words)}"
    return UsageError(
        f"{where} must be 'vllm serve MODEL [arguments]', with nothing before 'serve' but "
        f"NAME=VALUE, exec, env, nohup and the program, but {found}: {launcher.remedy(rest)}"
    )


def _require_lines(args: Sequence[str], env: dict[str, str]) -> None:
    secrets = [(name, args[index]) for index, _, name in argv_secrets(args)]
    for name, value in (*secrets, *env.items()):
        if name.endswith("API_KEY") and re.search(r"[\r\n\0]", value):
            raise UsageError(f"the key {name} holds a line break: give it without one")


def _strip_endpoint(invocation: Invocation, where: str) -> tuple[Invocation, tuple[str, ...]]:
    """Return the command without where its server listens, and what is said about it.

    Raises:
        UsageError: such a server never gets ready here.
    """
    for option in invocation.options:
        if option.name in _NEVER_READY and not _alone(option):
            raise UsageError(
                f"{where} has {option.name}, so that it never answers here, because "
                f"{_NEVER_READY[option.name]}: give the command of a whole server"
            )
    _require_whole(invocation, where)
    tls = any(option.name in _TLS for option in invocation.options)
    left = tuple(option for option in invocation.options if option.name not in _ENDPOINT | _TLS)
    note = "TLS (--ssl-*) is left out here, because the load comes from this machine"
    return replace(invocation, options=left), (note,) if tls else ()


def _alone(option: GivenOption) -> bool:
    """Whether an option says no more than that the server is alone."""
    return (option.name, option.value) in {
        ("--nnodes", "1"),
        ("--node-rank", "0"),
        ("--data-parallel-rank", "0"),
    }


def _require_whole(invocation: Invocation, where: str) -> None:
    """Refuse a server whose engines run on other hosts too, or that has no API process.

    Raises:
        UsageError: it never gets ready here.
    """
    engines = invocation.value("--data-parallel-size") or "1"
    local = invocation.value(_LOCAL)
    ray = invocation.value("--data-parallel-backend") == "ray"
    if not ray and local not in (None, engines):
        raise UsageError(
            f"{where} has {_LOCAL} {local} of {engines}, so that it never answers here, because "
            "it waits for other hosts: give the command of a whole server"
        )
    if invocation.value("--api-server-count") == "0":
        raise UsageError(
            f"{where} has --api-server-count 0, so that it never answers here, because it has no "
            "API: give the command of a whole server"
        )


def _model(invocation: Invocation, where: str) -> tuple[str, tuple[str, ...]]:
    """Return the model, and the arguments without it."""
    model = invocation.model
    if model is None:
        raise UsageError(f"{where} must name the model right after 'serve'")
    name = invocation.grammar.model_option
    words = invocation.positionals
    if invocation.option(name) is None or words[:1] == ((invocation.begin, model),):
        return model, replace(invocation, positionals=words[1:]).arguments
    options = tuple(option for option in invocation.options if option.name != name)
    return model, replace(invocation, options=options).arguments


def _logical_lines(text: str) -> list[tuple[int, str]]:
    lines: list[tuple[int, str]] = []
    pending, begun = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        begun = begun if pending else number
        pending += line[:-1] + " " if line.endswith("\\") else line
        if not line.endswith("\\"):
            if pending.strip() and not pending.lstrip().startswith("#"):
                lines.append((begun, pending.strip()))
            pending = ""
    if pending.strip():
        lines.append((begun, pending.strip()))
    return lines


def _assignments(words: Sequence[str], where: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for word in words:
        match = _ASSIGNMENT.fullmatch(word)
        if match is None:
            raise UsageError(f"{where} must be NAME=VALUE, but is {redact_words([word])[0]!r}")
        found[match[1]] = match[2]
    return found


def _show(words: Sequence[str]) -> str:
    text = shlex.join(redact_words(words))
    return text if len(text) <= 120 else text[:117] + "..."


def _given(options: Options) -> ServeCommand | None:
    if options.baseline and options.baseline_file:
        raise UsageError("give the baseline as a file or after '--', not both")
    if options.baseline:
        return parse(options.baseline)
    if options.baseline_file:
        return read_file(Path(options.baseline_file))
    return None


def _one_model(asked: str | None, baseline_model: str) -> str:
    if asked is not None and asked != baseline_model:
        raise UsageError(f"--model {asked} is not the baseline's model {baseline_model}: drop one")
    return baseline_model

"""The ``trimtab`` application: its commands, and how errors reach the terminal."""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from trimtab import __version__
from trimtab.cli import conventions, terminal
from trimtab.errors import TrimtabError, UsageError
from trimtab.model import Settings
from trimtab.redaction import mask_prose, secret_values

COMMANDS: Final[Mapping[str, str]] = {
    "tune": "Find, prove and keep the tunings that make your server faster.",
    "doctor": "Report the state of every tuning: active, wrong, in conflict, or without effect.",
    "lint": "Find the traps in launch files, before anything runs.",
    "host": "Settings of the whole host, and the way back.",
    "oracle": "Ask the vendors' own code what a setting does.",
    "catalog": "List the tunings that trimtab knows, or explain some.",
    "engine": "Install and list serving engines.",
    "prepare": "Prepare this machine for vLLM, step by step, or report what is missing.",
    "bench": "Measure one target under a workload: a profile, a file with a vllm command, or a "
    "preset ('stock', 'guide-v2', 'image-a2': docs/presets.md).",
    "capacity": "Find the highest request rate at which a target meets its SLO: a profile, a file "
    "with a vllm command, or a preset ('stock').",
    "compare": "Compare B with A: profiles, files with a vllm command, tuning=value, or presets.",
    "show": "Print what a study found: its tables, or the evidence for one tuning.",
    "export": "Write a profile, or a preset, as the files of a deployment.",
    "diff": "Compare what two launches set: presets, profiles or launch files.",
    "workload": "List, show and derive workloads.",
    "run": "Start a command under a profile, verify that the profile is in effect, and keep "
    "serving.",
    "python": "Build, fetch, list and verify optimized Pythons.",
}
"""Command → its summary. Each is a module of this package, imported when it is called."""


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"trimtab {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    pass


def application(names: Iterable[str] = COMMANDS) -> typer.Typer:
    """Return the application; of the commands that are not in ``names`` it has the summary."""
    made = typer.Typer(
        name="trimtab",
        help="Find, prove and keep the system-level tunings that make your vLLM server faster.",
        cls=conventions.CommandGroup,
        context_settings=dict(conventions.CONTEXT),
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    made.callback()(_root)
    loaded = frozenset(names)
    for name, summary in COMMANDS.items():
        if name in loaded:
            import_module(f"trimtab.cli.{name}").register(made)
        else:
            made.command(name, help=summary)(_not_loaded)
    conventions.apply_conventions(made)
    return made


def _not_loaded() -> None:
    raise AssertionError("only the command that is called is run")


def _called(words: Sequence[str]) -> tuple[str, ...]:
    """Return the command that a command line calls; none for the help of them all.

    A shell that completes a command line asks in the environment, so it needs every command.
    """
    if "_TRIMTAB_COMPLETE" in os.environ:
        return tuple(COMMANDS)
    first = next((word for word in words if not word.startswith("-")), "")
    return (first,) if first in COMMANDS else ()


def __getattr__(name: str) -> typer.Typer:
    """Return ``app``, the application with every command."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _whole()


@cache
def _whole() -> typer.Typer:
    return application()


_WrongUsageError: type[Exception] = typer.BadParameter.__mro__[1]
"""What typer raises where a command line does not parse; it has no public name."""

_INTERRUPTED = 130
_NO_ANSWER = "the question had no answer: answer it in a terminal, or add --yes"

_OF_A_PATH = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.EROFS}
    | {errno.ENAMETOOLONG, errno.ELOOP, errno.ENXIO}
)
"""What is wrong with a path itself, whatever the machine's state."""

_HINTS = {
    errno.ENOSPC: ": free some space, then resume",
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), ": raise 'ulimit -n', then resume"),
}


def run() -> int:
    """Run the command line and return the exit code; an expected error is one line on stderr."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup means it
            signal.signal(number, signal.default_int_handler)
    try:
        command = typer.main.get_command(application(_called(sys.argv[1:])))
        conventions.name_values(command)
        code = int(command(prog_name="trimtab", standalone_mode=False) or 0)
    except SystemExit as end:
        return int(end.code or 0)
    except typer.Abort:  # the end of the input is no answer to a question
        print(file=sys.stderr)
        code = _INTERRUPTED if sys.stdin.isatty() else _failed(_NO_ANSWER, 1)
    except KeyboardInterrupt:
        code = _INTERRUPTED
    except _WrongUsageError as error:
        return _wrong_usage(error)
    except TrimtabError as error:
        if terminal.is_verbose():
            traceback.print_exception(error)
        return _failed(_one_line(error), error.exit_code)
    except OSError as error:
        return _refused(error)
    return _failed("interrupted", code) if code == _INTERRUPTED else code


def _failed(text: str, code: int) -> int:
    terminal.fail(text, code)
    return code


def _wrong_usage(error: Any) -> int:
    """Say in one line why a command line does not parse, and where its help is."""
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()  # the help text
        return UsageError.exit_code
    text = " ".join(error.format_message().split()).removesuffix(".")
    name = error.ctx.command_path if error.ctx is not None else "trimtab"
    known = secret_values(Settings(()), os.environ)
    line = mask_prose(f"{text[:1].lower()}{text[1:]}: see '{name} -h'", known)
    return _failed(line, UsageError.exit_code)


def _refused(error: OSError) -> int:
    """Say in one line what the system refuses; a path that was typed is a matter of usage."""
    what = f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
    if _is_typed(error):
        return _failed(f"{what}: name another path", UsageError.exit_code)
    return _failed(f"{what}{_HINTS.get(error.errno or 0, '')}", 1)


def _is_typed(error: OSError) -> bool:
    """Whether the system refuses a path that stands on the command line, or one below it."""
    if error.errno not in _OF_A_PATH or not isinstance(error.filename, str):
        return False
    path = Path(error.filename).absolute()
    words = [part for word in sys.argv[1:] for part in (word, word.partition("=")[2])]
    typed = {Path(word).expanduser().absolute() for word in words if word.strip("./")}
    return any(one == path or one in path.parents for one in typed)


def _one_line(error: Exception) -> str:
    known = secret_values(Settings(()), os.environ)
    return mask_prose(" ".join(str(error).split()), known)

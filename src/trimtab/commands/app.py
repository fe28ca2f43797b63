"""The ``trimtab`` application: its commands, and how errors reach the terminal."""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from trimtab import __version__
from trimtab.commands import (
    bench,
    capacity,
    catalog,
    compare,
    diff,
    doctor,
    engine,
    export,
    host,
    lint,
    manners,
    oracle,
    prepare,
    python,
    show,
    terminal,
    tune,
    workload,
)
from trimtab.commands import run as run_command
from trimtab.errors import TrimtabError, UsageError
from trimtab.masking import masked_prose
from trimtab.model import Settings
from trimtab.redaction import secret_values

app = typer.Typer(
    name="trimtab",
    help="Find, prove and keep the system-level tunings that make your vLLM server faster.",
    cls=manners.Commands,
    context_settings=dict(manners.CONTEXT),
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"trimtab {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    pass


tune.register(app)
doctor.register(app)
lint.register(app)
host.register(app)
oracle.register(app)
catalog.register(app)
engine.register(app)
prepare.register(app)
bench.register(app)
capacity.register(app)
compare.register(app)
show.register(app)
export.register(app)
diff.register(app)
workload.register(app)
run_command.register(app)
python.register(app)
manners.dress(app)


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
        command = typer.main.get_command(app)
        manners.name_values(command)
        command(prog_name="trimtab")
    except SystemExit as end:
        return int(end.code or 0)
    except KeyboardInterrupt:
        terminal.fail("interrupted", 130)
        return 130
    except TrimtabError as error:
        if terminal.verbose():
            traceback.print_exception(error)
        terminal.fail(_one_line(error), error.exit_code)
        return error.exit_code
    except OSError as error:
        what = f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
        typed = _is_typed(error)
        hint = ": name another path" if typed else _HINTS.get(error.errno or 0, "")
        code = UsageError.exit_code if typed else 1
        terminal.fail(f"{what}{hint}", code)
        return code
    return 0


def _is_typed(error: OSError) -> bool:
    """Whether the system refuses a path that stands on the command line, or one below it."""
    if error.errno not in _OF_A_PATH or not isinstance(error.filename, str):
        return False
    path = Path(error.filename)
    words = [part for word in sys.argv[1:] for part in (word, word.partition("=")[2]) if part]
    typed = {Path(word).expanduser().absolute() for word in words if word not in {".", "/"}}
    return any(one == path.absolute() or one in path.absolute().parents for one in typed)


def _one_line(error: Exception) -> str:
    known = secret_values(Settings(()), os.environ)
    return masked_prose(" ".join(str(error).split()), known)

"""The command line: one thin file a command, which parses, calls, prints and sets the exit code.

Exit codes of every command: 0 answered, 1 failed, 2 usage, 130 interrupted.
"""

import sys


def main() -> None:
    """Run the command line; ``--version`` answers before anything heavy is imported."""
    if sys.argv[1:] == ["--version"]:
        from trimtab import __version__

        print(f"trimtab {__version__}")
        return
    from trimtab.commands.app import run

    sys.exit(run())

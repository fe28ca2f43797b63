"""The command line: one file a command, which parses, calls, prints and sets the exit code.

`trimtab.cli.conventions` has the codes of each.
"""

import sys


def main() -> None:
    """Run the command line; ``--version`` answers before anything heavy is imported."""
    if sys.argv[1:] == ["--version"]:
        from trimtab import __version__

        print(f"trimtab {__version__}")
        return
    from trimtab.cli.app import run

    sys.exit(run())

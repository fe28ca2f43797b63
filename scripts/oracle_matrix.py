#!/usr/bin/env python3
"""Put the catalogue's torch_npu entries to several versions of torch_npu.

    scripts/oracle_matrix.py 2.9.0.post9 2.10.0.post4 2.13.0
    scripts/oracle_matrix.py --keep answers --write 2.9.0.post9 2.10.0.post4 2.13.0

Each version is installed into an environment of its own, with the torch it is built for, as
'trimtab engine install ascend-emulator --torch-npu VERSION' installs it. Printed
is a page: since and until when each entry is known, and the texts that versions take differently.
With --write the page goes to docs/oracle-versions.md, and its data to where lint reads them.
A version that cannot be had or does not run here is one sentence on it. With --keep FOLDER the
answers of each version are kept there, or why there are none, and it is not asked again: an
environment (up to 7 GB) can be removed before the next one is made.
Exit code 0: all versions were asked. 1: some were not. 2: usage.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from trimtab.emulator import environments
from trimtab.environments import managed_environment
from trimtab.errors import EngineError, TrimtabError
from trimtab.oracle.audit import matrix, table
from trimtab.oracle.model import Handling
from trimtab.oracle.output import sentence

LAYER = "torch_npu"
ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/oracle-versions.md"
DATA = ROOT / "src/trimtab/catalog/versions/torch-npu.json"


def asked(version: str) -> list[matrix.VersionReply]:
    """Return what a version says to each text; install the version if need be."""
    python = managed_environment.install(environments.torch_npu(version), progress=_say)
    rows = list(table.rows(python, LAYER))
    if not any(row.answer.verdict in (Handling.ACCEPTED, Handling.READ_AS) for row in rows):
        raise EngineError(f"it does not run here: {rows[0].answer.sentence}")
    return [
        matrix.VersionReply(
            row.probe.tuning, row.probe.given.place, row.answer.verdict, sentence(row.answer)
        )
        for row in rows
    ]


def kept(version: str, folder: Path | None) -> list[matrix.VersionReply]:
    """Return the answers of a version: those in the folder, or new ones, which go there."""
    if folder is None:
        return asked(version)
    file = folder / f"{version}.json"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        try:
            answers: dict[str, Any] = {"answers": [asdict(one) for one in asked(version)]}
        except EngineError as error:
            answers = {"trouble": str(error)}
        file.write_text(json.dumps(answers, indent=1), encoding="utf-8")
    known = json.loads(file.read_text(encoding="utf-8"))
    if "trouble" in known:
        raise EngineError(known["trouble"])
    return [
        matrix.VersionReply(**{**one, "verdict": Handling(one["verdict"])})
        for one in known["answers"]
    ]


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def main() -> int:
    """Ask all versions, print or write the page, and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("versions", nargs="+", metavar="VERSION", help="oldest first")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="of the answers")
    parser.add_argument("--write", action="store_true", help="the page, and the data of lint")
    given = parser.parse_args()
    found, left_out = {}, []
    for version in given.versions:
        try:
            found[version] = kept(version, given.keep)
        except TrimtabError as error:
            left_out.append(f"{version} is not asked: {' '.join(str(error).split())}")
            _say(left_out[-1])
    if found:
        command = f"scripts/oracle_matrix.py {' '.join(given.versions)}"
        told = matrix.versions(found, left_out, command)
        if given.write:
            PAGE.write_text(matrix.page(told), encoding="utf-8")
            DATA.write_text(json.dumps(asdict(told), indent=1) + "\n", encoding="utf-8")
        else:
            print(matrix.page(told), end="")
    return int(bool(left_out))


if __name__ == "__main__":
    sys.exit(main())

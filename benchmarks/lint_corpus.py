#!/usr/bin/env python3
"""How much of what lint says of public launch files is true, and how much does it miss?

``lint_corpus.tsv`` holds a label for each error and warning that lint gave at the first look, and
for each problem that it missed: repository, commit, path and the judge (vLLM's own parser, or a
reader). The files themselves stay where they are: they are read from git at the commit.

    python benchmarks/lint_corpus.py                             # the first look, from the labels
    python benchmarks/lint_corpus.py --mirrors DIR --fetch       # the trimtab at hand
    python benchmarks/lint_corpus.py --mirrors DIR --set B --losses
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

LABELS = Path(__file__).with_suffix(".tsv")
SEVERITIES = ("error", "warning")
Z95 = 1.959964


@dataclass(frozen=True)
class Label:
    """One judged finding, one missed problem, or a file in which there is ``nothing``.

    ``label`` is true, false, missed or nothing: what the first look gave; later-false is a finding
    of a later trimtab. ``severity`` of a missed problem is the one that its rule would give.
    """

    set: str
    repo: str
    commit: str
    path: str
    sha256: str
    line: int
    code: str
    setting: str
    severity: str
    label: str
    judge: str
    reason: str

    @property
    def file(self) -> tuple[str, str]:
        """The file that it is about."""
        return self.repo, self.path


@dataclass(frozen=True)
class Found:
    """One error or warning of the trimtab at hand."""

    file: tuple[str, str]
    line: int
    code: str
    setting: str
    severity: str
    message: str


@dataclass(frozen=True)
class Score:
    """What one severity comes to: shares of findings that are true and of problems found."""

    true: int
    false: int
    problems: int
    met: int


def read_labels(path: Path) -> list[Label]:
    """Return the labels of a table."""
    with path.open(encoding="utf-8", newline="") as lines:
        rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [Label(**{**row, "line": int(row["line"])}) for row in rows]  # type: ignore[arg-type]


def git_dir(mirrors: Path, repo: str) -> Path:
    """Return where the mirror of a repository is, or is to be."""
    owner, _, name = repo.partition("/")
    kept = (mirrors / f"{owner}+{name}" / "repo", mirrors / owner / name, mirrors / f"{name}.git")
    return next((one for one in kept if one.is_dir()), kept[0])


def fetch(place: Path, repo: str, commit: str) -> None:
    """Bring one commit of a repository, its files only when they are asked for."""
    if not place.is_dir():
        place.mkdir(parents=True)
        subprocess.run(["git", "init", "--bare", "--quiet", str(place)], check=True)
        address = f"https://github.com/{repo}"
        _git(place, "remote", "add", "origin", address)
    if subprocess.run(_command(place, "cat-file", "-e", commit), capture_output=True).returncode:
        _git(place, "fetch", "--quiet", "--depth", "1", "--filter=blob:none", "origin", commit)


def _command(place: Path, *words: str) -> list[str]:
    return ["git", "--git-dir", str(place), *words]


def _git(place: Path, *words: str) -> bytes:
    return subprocess.run(_command(place, *words), check=True, capture_output=True).stdout


def written(labels: Iterable[Label], mirrors: Path, folder: Path) -> dict[str, tuple[str, str]]:
    """Write each file of the corpus into a folder; return which file each path is."""
    made: dict[str, tuple[str, str]] = {}
    for one in labels:
        place = folder / one.repo.replace("/", "+") / one.path
        if str(place) in made:
            continue
        data = _git(git_dir(mirrors, one.repo), "show", f"{one.commit}:{one.path}")
        if hashlib.sha256(data).hexdigest() != one.sha256:
            sys.exit(f"{one.repo} {one.path}: not the file that was judged")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        made[str(place)] = one.file
    return made


def findings(files: dict[str, tuple[str, str]]) -> list[Found]:
    """Return the errors and warnings of lint."""
    command = [sys.executable, "-m", "trimtab", "lint", "--json", *files]
    said = json.loads(subprocess.run(command, capture_output=True, text=True).stdout)["findings"]
    if len(files) > 1 and any(one["file"] is None for one in said):  # one without a place
        return [found for name, one in files.items() for found in findings({name: one})]
    return [
        Found(
            files[one["file"] or next(iter(files))],
            one["line"] or 0,
            one["rule"],
            one["setting"],
            one["severity"],
            one["message"],
        )
        for one in said
        if one["severity"] in SEVERITIES
    ]


def matched(labels: Sequence[Label], found: Sequence[Found]) -> dict[Found, Label]:
    """Return the label of each finding: of its line, else one of its file that is still free."""
    free = [one for one in labels if one.label != "nothing"]
    pairs: dict[Found, Label] = {}
    for exact in (True, False):
        for one in found:
            key = (one.file, one.code, one.setting)
            label = next(
                (
                    other
                    for other in free
                    if one not in pairs
                    and (other.file, other.code, other.setting) == key
                    and (not exact or other.line == one.line)
                ),
                None,
            )
            if label is not None:
                pairs[one] = label
                free.remove(label)
    return pairs


def scores(labels: Sequence[Label], pairs: Iterable[tuple[str, Label]]) -> dict[str, Score]:
    """Return the score of each severity and of both, from (severity now, label) pairs."""
    now = list(pairs)
    found = {id(label) for _, label in now}
    result = {}
    for name in (*SEVERITIES, "both"):
        those = SEVERITIES if name == "both" else (name,)
        given = [label for severity, label in now if severity in those]
        problems = [
            one for one in labels if one.label in ("true", "missed") and one.severity in those
        ]
        result[name] = Score(
            sum(not one.label.endswith("false") for one in given),
            sum(one.label.endswith("false") for one in given),
            len(problems),
            sum(id(one) in found for one in problems),
        )
    return result


def share(part: int, whole: int) -> str:
    """Return a share with its Wilson interval of 95 %."""
    if not whole:
        return "none"
    p, z = part / whole, Z95
    middle = (p + z * z / (2 * whole)) / (1 + z * z / whole)
    half = z * math.sqrt(p * (1 - p) / whole + z * z / (4 * whole * whole)) / (1 + z * z / whole)
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return f"{part}/{whole} = {p:.1%} ({low:.0%} to {high:.0%})"


def table(title: str, labels: Sequence[Label], result: dict[str, Score]) -> str:
    """Return the rows of one set."""
    files = {one.file for one in labels}
    repos = {one.repo for one in labels}
    lines = [
        f"{title}: {len(files)} files of {len(repos)} repositories",
        "",
        "| severity | true of what lint says | found of what is wrong |",
        "|---|---|---|",
    ]
    for name, one in result.items():
        precision = share(one.true, one.true + one.false)
        lines.append(f"| {name} | {precision} | {share(one.met, one.problems)} |")
    return "\n".join(lines)


def main() -> None:
    """Compare lint's findings with the labels, and print the shares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mirrors", type=Path, help="folder of git mirrors: OWNER+NAME/repo")
    parser.add_argument("--fetch", action="store_true", help="bring what the folder lacks")
    parser.add_argument("--set", dest="sets", action="append", help="A to E (default: each)")
    parser.add_argument("--labels", type=Path, default=LABELS)
    parser.add_argument("--losses", action="store_true", help="list what is false or missed")
    given = parser.parse_args()
    every = read_labels(given.labels)
    if given.mirrors is None and (given.fetch or given.losses):
        parser.error("--fetch and --losses need --mirrors DIR")
    for name in given.sets or sorted({one.set for one in every}):
        labels = [one for one in every if one.set == name]
        if given.mirrors is None:
            pairs = [(one.severity, one) for one in labels if one.label in ("true", "false")]
            print(table(f"Set {name}, first look", labels, scores(labels, pairs)), end="\n\n")
        else:
            _at_hand(name, labels, given.mirrors, fetching=given.fetch, losses=given.losses)


def _at_hand(
    name: str, labels: Sequence[Label], mirrors: Path, *, fetching: bool, losses: bool
) -> None:
    if fetching:
        for repo, commit in sorted({(one.repo, one.commit) for one in labels}):
            fetch(git_dir(mirrors, repo), repo, commit)
    with tempfile.TemporaryDirectory() as folder:
        found = findings(written(labels, mirrors, Path(folder)))
    pairs = matched(labels, found)
    result = scores(labels, [(one.severity, label) for one, label in pairs.items()])
    print(table(f"Set {name}, at hand", labels, result), end="\n\n")
    met = {id(one) for one in pairs.values()}
    for one in found:
        where = f"{one.file[0]} {one.file[1]}:{one.line}: {one.severity}[{one.code}] {one.setting}"
        if one not in pairs:
            print(f"not labelled: {where}: {one.message}")
        elif losses and pairs[one].label.endswith("false"):
            print(f"false: {where}: {pairs[one].reason}")
    for label in labels if losses else ():
        if label.label in ("true", "missed") and id(label) not in met:
            where = f"{label.repo} {label.path}:{label.line}"
            print(f"missed: {where}: {label.severity}[{label.code}] {label.setting}")


if __name__ == "__main__":
    main()

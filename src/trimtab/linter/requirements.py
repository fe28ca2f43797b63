"""The versions that a text installs: requirements of pip, uv and conda, wheels, tags of git."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from trimtab.catalog.releases import vllm, vllm_ascend
from trimtab.model.document import Command, Document
from trimtab.model.situation import Situation

_NAME: Final = r"(?P<name>vllm(?:[-_]ascend)?|torch(?:[-_]npu)?)"
_REQUIREMENT: Final = re.compile(rf"{_NAME}(?:\[[^\]]*\])?\s*(?P<wanted>[<>=!~].*)")
_WHEEL: Final = re.compile(
    rf"(?:.*[/@])?{_NAME}-(?P<version>\d[\w.]*)(?:(?:\+|%2[Bb])\w+)?-.*\.whl"
)
_TAG: Final = re.compile(
    r"(?:git\+)?\S*/(?P<name>vllm(?:-ascend)?)(?:\.git)?@v?(?P<version>\d[\w.]*)"
)
_CLONED: Final = re.compile(r"\S*[/:]vllm-project/(?P<name>vllm(?:-ascend)?)(?:\.git)?/?")
_CONDA: Final = frozenset({"conda", "mamba", "micromamba", "pixi"})
_RELEASE: Final = re.compile(r"v?\d+(\.\d+)+((rc|\.?post)\d+)?")
_DEFAULT: Final = re.compile(r"\$\{\w+:?-([^${}]*)\}")


def required_versions(document: Document) -> Situation:
    """Return the versions that the commands of a text install, each where only one is named."""
    found: dict[str, set[str]] = {}
    for command in document.commands:
        for name, version in (*_installed(command, document), *_cloned(command)):
            found.setdefault(name.replace("_", "-"), set()).add(version)
    return Situation(
        versions={name: those.pop() for name, those in found.items() if len(those) == 1}
    )


def fill_defaults(text: str, document: Document) -> str:
    """Return a text with the defaults of its variables: ``${TAG:-v1}``, and a Dockerfile's ARG."""
    text = _DEFAULT.sub(r"\1", text)
    if document.kind != "dockerfile" or "$" not in text:
        return text
    given = re.findall(r"(?im)^\s*ARG\s+(\w+)=[\"']?([^\s\"'$]+)", document.text)
    for name, value in given:
        text = re.sub(rf"\$(?:{name}\b|\{{{name}\}})", value.replace("\\", r"\\"), text)
    return text


def _installed(command: Command, document: Document) -> Iterator[tuple[str, str]]:
    """Yield (package, version) of each requirement among a command's words and its input."""
    program = command.words[0].rpartition("/")[2] if command.words else ""
    for word in (*command.words, *(command.stdin or "").splitlines()):
        text = fill_defaults(word.strip().strip("'\""), document)
        if program in _CONDA:
            text = re.sub(r"^(?:[\w.-]+::)?(\w[\w-]*)=(?=\d)", r"\1==", text)
        if match := _REQUIREMENT.fullmatch(text.partition(";")[0].partition(" #")[0].strip()):
            version = _newest(match["name"].replace("_", "-"), match["wanted"])
        elif match := _WHEEL.fullmatch(text) or _TAG.fullmatch(text):
            version = match["version"]
        else:
            continue
        if version:
            yield match["name"], version


def _newest(name: str, wanted: str) -> str:
    """Return the version that a requirement comes to; "" where it allows the newest known one."""
    exact = re.fullmatch(r"={2,3}\s*v?(\d+[\w.+]*)", wanted.strip())
    if exact:
        return exact[1]
    table = {"vllm": vllm, "vllm-ascend": vllm_ascend}.get(name)
    try:
        allowed = SpecifierSet(wanted)
    except InvalidSpecifier:
        return ""
    releases = table().releases if table is not None else ()
    fitting = [one for one in releases if allowed.contains(one, prereleases=True)]
    return fitting[-1] if fitting and fitting[-1] != releases[-1] else ""


def _cloned(command: Command) -> Iterator[tuple[str, str]]:
    """Yield (package, version) of a clone of vLLM or its plugin at the tag of a release."""
    words = command.words
    if words[:2] != ("git", "clone"):
        return
    names = [match["name"] for word in words if (match := _CLONED.fullmatch(word))]
    joined = [word.partition("=")[2] for word in words if word.startswith("--branch=")]
    after = [b for a, b in pairwise(words) if a in {"-b", "--branch"}]
    tags = [one for one in (*joined, *after) if _RELEASE.fullmatch(one)]
    if names and tags:
        yield names[0], tags[0].removeprefix("v")

"""From a document to the scenes of its processes: versions, images and quotas that it tells."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from itertools import pairwise
from typing import Final

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from trimtab.catalog import Scene
from trimtab.catalog.releases import vllm, vllm_ascend
from trimtab.facts.parsing import parse_cpu_list
from trimtab.linter.images import image_situation
from trimtab.model.document import Command, Container, Document, Launch, Setting
from trimtab.model.situation import Situation


def quota(launch: Launch) -> float | None:
    """Return the CPUs whose time a launch gets; ``None`` where nothing limits it."""
    options = launch.container.options if launch.container is not None else ()
    found = [*_quotas(options), *(() if launch.cpu_quota is None else (launch.cpu_quota,))]
    return min((one for one in found if one > 0), default=None)


def _quotas(options: Sequence[Setting]) -> Iterator[float]:
    given = {option.name: option.value.strip() for option in options}
    for option in options:
        if option.name == "--cpus":
            yield from _number(option.value)
        elif option.name == "--resource" and option.value.startswith("cpu="):
            yield from _number(option.value.removeprefix("cpu="))
    period = next(_number(given.get("--cpu-period", "100000")), 0.0)
    for microseconds in _number(given.get("--cpu-quota", "")):
        yield microseconds / period if period else 0.0


def _number(text: str) -> Iterator[float]:
    """Yield the CPUs of "1.5", or of Kubernetes' "1500m"."""
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?|\.\d{1,9})(m?)", text.strip().strip("'\""))
    if match is not None:
        yield float(match[1]) / (1000 if match[2] else 1)


def percent(text: str) -> float | None:
    """Return the CPUs of systemd's ``CPUQuota=150%``; ``None`` for none."""
    match = re.fullmatch(r"(\d{1,7}(?:\.\d+)?)%", text.strip())
    return float(match[1]) / 100 if match is not None else None


def cpuset(container: Container | None) -> str:
    """Return the list of CPUs that a container may run on, as written; "" for none."""
    options = container.options if container is not None else ()
    named = (
        option.value for option in options if option.name == "--cpuset-cpus" and option.literal
    )
    return next(named, "").strip("'\"")


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
    fitting = [release for release in releases if allowed.contains(release, prereleases=True)]
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


def scenes(document: Document, situation: Situation) -> Iterator[Scene]:
    """Yield one scene for each process that the text starts."""
    host = {setting.name: setting for setting in document.host}
    required = required_versions(document)
    for launch in document.launches:
        yield Scene(
            situation=merge_situations(launch_situation(launch, situation, document), required),
            argv=launch.argv,
            env={setting.name: setting for setting in launch.env},
            options={option.name: option for option in launch.options},
            host=host,
            affinity=launch.affinity,
            container=launch.container,
            implied=launch.implied,
            document=document,
        )


def launch_situation(launch: Launch, situation: Situation, document: Document) -> Situation:
    """Return the situation with what a launch tells of it; what was given outranks that."""
    image = launch.container.image if launch.container is not None else ""
    told = image_situation(fill_defaults(image, document))
    if launch.container is not None or launch.inside is True:
        told = replace(told, container=True)
    told = merge_situations(told, _devices(launch), _cpus(launch))
    devices = next((o.value for o in launch.env if o.name == "ASCEND_RT_VISIBLE_DEVICES"), "")
    if re.fullmatch(r"\d+(,\d+)*", devices):
        told = replace(told, platform="ascend", npus=devices.count(",") + 1)
    return merge_situations(situation, told)


def _cpus(launch: Launch) -> Situation:
    """Return the CPUs that a launch may run on, and how many CPUs' time it gets."""
    try:
        allowed = len(parse_cpu_list(cpuset(launch.container)[:200]))
    except ValueError:
        allowed = 0
    return Situation(cpus=allowed or None, cpu_quota=quota(launch))


def _devices(launch: Launch) -> Situation:
    """Return the platform of the devices that a container gets."""
    options = launch.container.options if launch.container is not None else ()
    for option in options:
        cuda = option.name == "--gpus" or option.value.startswith("nvidia.com/gpu")
        if cuda or (option.name == "--runtime" and option.value == "nvidia"):
            return Situation(platform="cuda")
        if option.value.startswith(("/dev/kfd", "amd.com/gpu")):
            return Situation(platform="rocm")
    return Situation()


def document_situation(document: Document, situation: Situation) -> Situation:
    """Return the situation with what all containers of a text tell alike."""
    images = (
        image_situation(fill_defaults(container.image, document))
        for container in document.containers
    )
    told = {repr(image): image for image in images}
    required = required_versions(document)
    return merge_situations(situation, *(told.values() if len(told) == 1 else ()), required)


def merge_situations(first: Situation, *others: Situation) -> Situation:
    """Return a situation in which each part is that of the first one that knows it."""
    known: dict[str, object] = {}
    for field in fields(Situation):
        values = (getattr(situation, field.name) for situation in (first, *others))
        known[field.name] = next((value for value in values if value is not None), None)
    versions: dict[str, str] = {}
    for situation in reversed((first, *others)):
        versions.update(situation.versions)
    return Situation(**{**known, "versions": versions})  # type: ignore[arg-type]

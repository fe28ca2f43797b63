"""Shared memory of a container: several workers pass messages through it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from trimtab.catalog._rule import Rule
from trimtab.catalog._scene import Scene
from trimtab.model.document import Container, Setting
from trimtab.model.finding import Hit, Problem, Severity

_SIZE = re.compile(r"(?P<number>\d+(\.\d+)?)\s*(?P<unit>[bkmgt]?)i?b?", re.IGNORECASE)
_UNITS = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_NEEDED_SHM = 2**30


def size(text: str) -> float | None:
    """Return the bytes of docker's and Kubernetes' sizes: "64m", "16Gi"."""
    match = _SIZE.fullmatch(text.strip())
    return float(match["number"]) * _UNITS[match["unit"].lower()] if match else None


def _named(container: Container, name: str) -> list[Setting]:
    return [one for one in container.options if one.name == name]


def _serves(scene: Scene) -> bool:
    image = scene.container.image if scene.container is not None else ""
    return "vllm" in " ".join(scene.argv[:4]) or "vllm" in image


def _workers(scene: Scene) -> int | None:
    """Return how many workers a command asks for; ``None`` where its text does not tell."""
    found = 1
    for name in ("--tensor-parallel-size", "--pipeline-parallel-size", "--data-parallel-size"):
        one = scene.options.get(name)
        if one is not None:
            if not one.literal or not re.fullmatch(r"\d{1,6}", one.value.strip()):
                return None
            found *= int(one.value)
    return found


def _one_device(made: Container) -> bool:
    """Whether a pod gets one device: its other workers run in other pods, with Ray."""
    return any(re.search(r"\.com/(gpu|npu)=1$", one.value) for one in _named(made, "--resource"))


def _one_process(scene: Scene, made: Container) -> bool:
    """Whether one process drives all devices of a host: a TPU's chips, the cores of Neuron."""
    resources = " ".join(one.value for one in _named(made, "--resource"))
    neuron = "aws.amazon.com/neuron" in resources or any(scene.variables("NEURON_"))
    return neuron or scene.situation.platform == "tpu" or "google.com/tpu" in resources


def _tpu(scene: Scene, made: Container) -> bool:
    """Whether the workers are TPUs: one process drives all of them."""
    limits = any(one.value.startswith("google.com/tpu") for one in _named(made, "--resource"))
    named = re.search(r"(?<![a-z])tpu(?![a-z])", made.image.lower())
    return limits or bool(named) or scene.situation.platform == "tpu"


def _mounted(made: Container) -> bool:
    """Whether something is mounted where the shared memory is."""
    patterns = {
        "--volume": r".*:/dev/shm\b.*",
        "--tmpfs": r"/+dev/shm\b.*",
        "--mount": r".*\b(dst|destination|target)=/dev/shm\b.*",
    }
    return any(re.fullmatch(patterns.get(one.name, "(?!)"), one.value) for one in made.options)


def _shm(scene: Scene) -> Iterator[Hit]:
    made = scene.container
    if made is None or _elsewhere(scene) or not _serves(scene):
        return
    if _tpu(scene, made):
        return
    if any(o.value.startswith(("host", "container:")) for o in _named(made, "--ipc")):
        return
    workers = _workers(scene)
    if (workers is not None and workers < 2) or _one_device(made) or _one_process(scene, made):
        return
    given = "" if workers else "several workers serve"
    who = f"{workers} workers pass" if workers else "workers pass"
    if _named(made, "-shm-size"):  # docker refuses it: a rule of its own
        return
    sizes = _named(made, "--shm-size")
    found = size(sizes[-1].value) if sizes else None
    if not sizes and not _mounted(made):
        yield Hit(
            "--shm-size",
            f"{who} messages through 64 MB of shared memory, and fail when it is full",
            "give --shm-size=1g or more, or --ipc=host; a pod needs an emptyDir of medium Memory",
            place=made.place,
            given=given,
        )
    elif found is not None and 0 < found < _NEEDED_SHM:
        yield Hit(
            "--shm-size",
            f"{who} messages through {sizes[-1].value} of shared memory, which is little",
            "give 1g or more",
            place=sizes[-1].place,
            given=given,
        )


def _elsewhere(scene: Scene) -> bool:
    """Whether another text says how the container is made: the run of an image, a base file."""
    document = scene.document
    if document is None or document.kind == "dockerfile":
        return document is not None
    if document.kind != "compose":
        return False
    deployed = re.search(r"^(profiles|deployment):", document.text, re.MULTILINE)  # Akash's SDL
    return deployed is not None or not (scene.container and scene.container.image)


SHM = Rule(
    id="shm-small",
    severity=Severity.WARNING,
    problem=Problem.HAZARD,
    summary="Shared memory is too small for several workers.",
    process=_shm,
)

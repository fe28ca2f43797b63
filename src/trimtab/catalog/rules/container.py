"""What can be wrong with how a container is made.

Shared memory of a container: several workers pass messages through it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from trimtab.catalog.rules.install import pip_installs
from trimtab.catalog.rules.scene import Rule, Scene
from trimtab.families import families
from trimtab.model.document import Container, Document, Setting
from trimtab.model.finding import Hit, Problem, Severity
from trimtab.model.situation import Situation

_MANAGERS = ("/dev/davinci_manager", "/dev/devmm_svm", "/dev/hisi_hdc")
_MOUNTS = ("/driver", "/usr/local/Ascend")
_CHIP_TAGS = {"A3": "-a3", "310P": "-310p", "950": "-a5"}


def _named(container: Container, name: str) -> list[Setting]:
    return [option for option in container.options if option.name == name]


def _npus(container: Container) -> list[Setting]:
    return [
        setting
        for setting in _named(container, "--device")
        if "davinci_" not in setting.value and "davinci" in setting.value
    ]


def _devices(document: Document, situation: Situation) -> Iterator[Hit]:
    for made in document.containers:
        if not _npus(made) or any(
            "ascend" in setting.value for setting in _named(made, "--runtime")
        ):
            continue
        there = {setting.value.partition(":")[0] for setting in _named(made, "--device")}
        if _named(made, "--privileged") or any(one.startswith("/dev/um") for one in there):
            continue  # a 950 has nodes of its own: ummu, uburma
        missing = [path for path in _MANAGERS if path not in there]
        if situation.chip == "950":
            missing = [path for path in missing if path != "/dev/devmm_svm"]
        if missing:
            yield Hit(
                "--device",
                (
                    f"the container gets an NPU without {', '.join(missing)}, so it cannot reach "
                    "the driver"
                ),
                f"add --device {' --device '.join(missing)}",
                place=made.place,
            )


def _one_npu(document: Document, situation: Situation) -> Iterator[Hit]:
    talks = any(setting.name.startswith("HCCL_") for setting in document.settings)
    for made in document.containers:
        if talks and len(_npus(made)) == 1:
            yield Hit(
                "--device",
                (
                    "the container gets one NPU, so HCCL has no peer and its settings do nothing "
                    "here"
                ),
                "give it all NPUs that serve together",
                place=_npus(made)[0].place,
            )


def _mounts(document: Document, situation: Situation) -> Iterator[Hit]:
    for made in document.containers:
        if not _npus(made) or any(
            "ascend" in setting.value for setting in _named(made, "--runtime")
        ):
            continue
        if not any(
            part in setting.value for setting in _named(made, "--volume") for part in _MOUNTS
        ):
            yield Hit(
                "--volume",
                "the container gets an NPU, but not the driver's libraries",
                "mount /usr/local/Ascend/driver/lib64 and version.info of the host, read-only",
                place=made.place,
            )


def _privileged(document: Document, situation: Situation) -> Iterator[Hit]:
    for made in document.containers:
        for setting in _named(made, "--privileged"):
            yield Hit(
                "--privileged",
                ("the container may change the host, which serving needs only to bind interrupts"),
                "give it the devices with --device instead",
                place=setting.place,
            )


def _cann(document: Document, situation: Situation) -> Iterator[Hit]:
    installs = {name for command in document.commands for name in pip_installs(command)}
    if document.kind == "dockerfile" and "vllm-ascend" in installs:
        return  # it is what the advice asks for
    for made in document.containers:
        if re.search(r"(^|/)ascend/cann(:|@|$)", made.image):
            yield Hit(
                "image",
                (
                    "the cann image has no vLLM and no jemalloc, and sets none of the variables "
                    "of vllm-ascend's image"
                ),
                "start from quay.io/ascend/vllm-ascend, or install all of it and set them",
                place=made.place,
            )


def _removed(document: Document, situation: Situation) -> Iterator[Hit]:
    shells = {tuple(c.words[-1:]) for c in document.commands if c.words}
    for made in document.containers:
        interactive = _named(made, "--interactive") and ("bash",) in shells
        if _named(made, "--rm") and interactive:
            yield Hit(
                "image",
                (
                    "--rm removes the container when its shell ends, with all that was installed "
                    "and exported in it"
                ),
                "make an image of it, with ENV for the variables",
                place=_named(made, "--rm")[0].place,
            )


def _chip(scene: Scene) -> Iterator[Hit]:
    image = scene.container.image if scene.container is not None else ""
    tag = re.search(r"/vllm-ascend:(?P<tag>[\w.-]+)", image)
    chip = scene.situation.chip
    if tag is None or chip is None:
        return
    built = next((name for name, part in _CHIP_TAGS.items() if part in tag["tag"]), "A2")
    if built != chip:
        yield Hit(
            "image",
            f"the image is built for {built}, and the chip is {chip}",
            f"use the tag with {_CHIP_TAGS[chip]}" if chip in _CHIP_TAGS else "use the plain tag",
            place=scene.container.place if scene.container is not None else None,
        )


_WITH_SUDO = re.compile(r"(^|/)vllm/vllm-openai([:@]|$)")
"""Images whose Dockerfile installs sudo."""


def _sudo(document: Document, situation: Situation) -> Iterator[Hit]:
    shell = any(_named(made, "--interactive") for made in document.containers)
    if document.containers and all(
        _WITH_SUDO.search(container.image) for container in document.containers
    ):
        return
    if any(
        "sudo" in command.words[1:] and command.words[0] != "sudo" for command in document.commands
    ):
        return  # the text installs it, or asks whether it is there
    for command in document.commands:
        if command.words[:1] != ("sudo",) or command.inside is False:
            continue
        if command.inside is None and not shell:
            continue
        yield Hit(
            "sudo",
            "official images run as root and have no sudo",
            "leave sudo out in the container",
            given="" if command.inside else "this is typed in the container",
            place=command.place,
        )


def _files(document: Document, situation: Situation) -> Iterator[Hit]:
    for made in document.containers:
        for setting in _named(made, "--ulimit"):
            name, _, text = setting.value.partition("=")
            soft = text.partition(":")[0]
            if name == "nofile" and soft.isascii() and soft.isdigit() and int(soft[:9]) < 4096:
                yield Hit(
                    "--ulimit",
                    f"a limit of {soft} open files limits the number of connections",
                    "set 65536",
                    place=setting.place,
                )


def _dashes(document: Document, situation: Situation) -> Iterator[Hit]:
    for made in document.containers:
        for option in made.options:
            if re.match(r"-[a-z]{3}|-[a-z]+-", option.name):
                yield Hit(
                    option.name,
                    f"one dash begins short options: docker refuses {option.name}, and makes no "
                    "container",
                    f"write -{option.name}",
                    place=option.place,
                )


DEVICES = Rule(
    id="devices-incomplete",
    severity=Severity.ERROR,
    problem=Problem.WRONG_VALUE,
    summary="An NPU is given without the driver's nodes.",
    text=_devices,
)
ONE_NPU = Rule(
    id="one-npu",
    severity=Severity.INFO,
    problem=Problem.NO_EFFECT,
    summary="One NPU communicates with no other, so HCCL has nothing to tune.",
    text=_one_npu,
    traps=("T23",),
)
MOUNTS = Rule(
    id="driver-not-mounted",
    severity=Severity.WARNING,
    problem=Problem.WRONG_VALUE,
    summary="An NPU is given without the driver's libraries.",
    text=_mounts,
)
PRIVILEGED = Rule(
    id="privileged",
    severity=Severity.INFO,
    problem=Problem.HAZARD,
    summary="The container may change the host.",
    text=_privileged,
)
CANN_IMAGE = Rule(
    id="cann-image",
    severity=Severity.WARNING,
    problem=Problem.ADVICE,
    summary="The cann image has no vLLM, no allocator and no settings.",
    text=_cann,
    traps=("T22",),
)
REMOVED = Rule(
    id="container-removed",
    severity=Severity.INFO,
    problem=Problem.HAZARD,
    summary="--rm loses all that is set up inside.",
    text=_removed,
    traps=("T22",),
)
IMAGE_CHIP = Rule(
    id="image-chip",
    severity=Severity.ERROR,
    problem=Problem.WRONG_VALUE,
    summary="The image is built for another chip.",
    process=_chip,
)
SUDO = Rule(
    id="sudo-inside",
    severity=Severity.WARNING,
    problem=Problem.HAZARD,
    summary="sudo is missing in the official images.",
    text=_sudo,
    traps=("T24",),
)
FEW_FILES = Rule(
    id="few-files",
    severity=Severity.WARNING,
    problem=Problem.HAZARD,
    summary="The limit of open files is low for a server.",
    text=_files,
)
DASHES = Rule(
    id="one-dash",
    severity=Severity.ERROR,
    problem=Problem.WRONG_VALUE,
    summary="docker refuses a long option with one dash.",
    text=_dashes,
)


_SIZE = re.compile(r"(?P<number>\d+(\.\d+)?)\s*(?P<unit>[bkmgt]?)i?b?", re.IGNORECASE)
_UNITS = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_NEEDED_SHM = 2**30


def size(text: str) -> float | None:
    """Return the bytes of docker's and Kubernetes' sizes: "64m", "16Gi"."""
    match = _SIZE.fullmatch(text.strip())
    return float(match["number"]) * _UNITS[match["unit"].lower()] if match else None


def _serves(scene: Scene) -> bool:
    image = scene.container.image if scene.container is not None else ""
    text = " ".join((*scene.argv[:4], image))
    return any(family.name in text for family in families())


def _workers(scene: Scene) -> int | None:
    """Return how many workers a command asks for; ``None`` where its text does not tell."""
    found = 1
    for name in ("--tensor-parallel-size", "--pipeline-parallel-size", "--data-parallel-size"):
        setting = scene.options.get(name)
        if setting is not None:
            if not setting.literal or not re.fullmatch(r"\d{1,6}", setting.value.strip()):
                return None
            found *= int(setting.value)
    return found


def _one_device(made: Container) -> bool:
    """Whether a pod gets one device: its other workers run in other pods, with Ray."""
    return any(
        re.search(r"\.com/(gpu|npu)=1$", setting.value) for setting in _named(made, "--resource")
    )


def _one_process(scene: Scene, made: Container) -> bool:
    """Whether one process drives all devices of a host: a TPU's chips, the cores of Neuron."""
    resources = " ".join(setting.value for setting in _named(made, "--resource"))
    neuron = "aws.amazon.com/neuron" in resources or any(scene.variables("NEURON_"))
    return neuron or scene.situation.platform == "tpu" or "google.com/tpu" in resources


def _tpu(scene: Scene, made: Container) -> bool:
    """Whether the workers are TPUs: one process drives all of them."""
    limits = any(
        setting.value.startswith("google.com/tpu") for setting in _named(made, "--resource")
    )
    named = re.search(r"(?<![a-z])tpu(?![a-z])", made.image.lower())
    return limits or bool(named) or scene.situation.platform == "tpu"


def _mounted(made: Container) -> bool:
    """Whether something is mounted where the shared memory is."""
    patterns = {
        "--volume": r".*:/dev/shm\b.*",
        "--tmpfs": r"/+dev/shm\b.*",
        "--mount": r".*\b(dst|destination|target)=/dev/shm\b.*",
    }
    return any(
        re.fullmatch(patterns.get(option.name, "(?!)"), option.value) for option in made.options
    )


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

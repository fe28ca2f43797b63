"""Chips: the names that Kubernetes, images and device nodes have for them. Data.

Resource names: MindCluster's device plugin (huawei.com/Ascend910 for A2 and A3, Ascend310P) and
NVIDIA's; other plugins name them otherwise (CCE: huawei.com/ascend-1980), which a manifest's
comment says. Image names: vllm-ascend's installation guide, vLLM's docker and CPU pages.
"""

from __future__ import annotations

from dataclasses import dataclass

MANAGERS = ("/dev/davinci_manager", "/dev/devmm_svm", "/dev/hisi_hdc")
DRIVER = (
    "/usr/local/dcmi",
    "/usr/local/bin/npu-smi",
    "/usr/local/Ascend/driver/lib64",
    "/usr/local/Ascend/driver/version.info",
    "/etc/ascend_install.info",
)
"""The driver's nodes and files that a container of an NPU needs, from the guide's command."""


@dataclass(frozen=True, slots=True)
class ChipImage:
    """``resource`` is "" for a CPU. ``distribution`` is whose version the image's tag carries.

    ``own_entry``: whether the image's entry point must be replaced. That of vLLM's images is
    ``vllm serve``; that of Ascend's sets the variables of CANN, and runs what it is given.
    """

    name: str
    platform: str
    resource: str
    repository: str
    suffix: str
    distribution: str
    own_entry: bool


def _npu(name: str, resource: str, suffix: str) -> ChipImage:
    repository = "quay.io/ascend/vllm-ascend"
    return ChipImage(name, "ascend", resource, repository, suffix, "vllm-ascend", False)


_CPU = "public.ecr.aws/q9t5s3a7/vllm-cpu-release-repo"

CHIPS = {
    "A2": _npu("A2", "huawei.com/Ascend910", ""),
    "A3": _npu("A3", "huawei.com/Ascend910", "-a3"),
    "310P": _npu("310P", "huawei.com/Ascend310P", "-310p"),
    "950": _npu("950", "huawei.com/npu", "-a5"),
    "cuda": ChipImage("cuda", "cuda", "nvidia.com/gpu", "vllm/vllm-openai", "", "vllm", True),
    "cpu": ChipImage("cpu", "cpu", "", _CPU, "", "vllm", True),
}

IMAGE_LIBRARIES = {
    "ascend": {"libjemalloc.so.2": ""},
    "cuda": {},
    "cpu": {"libtcmalloc_minimal.so.4": "", "libiomp5.so": "/opt/venv/lib"},
}
"""Libraries to preload that the official images hold, by platform, and the folder: "" for the
distribution's own (vllm-ascend's Dockerfiles; vLLM's docker/Dockerfile.cpu, stage base-amd64)."""

APT_LIBRARIES = ("libjemalloc.so.2", "libtcmalloc_minimal.so.4")
"""What the packages of the catalogue bring on Debian and Ubuntu: the Dockerfile installs them."""

MACHINES = {"ascend": "aarch64", "cuda": "x86_64", "cpu": "x86_64"}
"""The architecture that is assumed where no machine was looked at: servers with NPUs are Kunpeng
ones in the vendors' documents. The images of vllm-ascend exist for both."""


def chip_of_image(image: str) -> ChipImage | None:
    """Return the chip that an official image is for, ``None`` if its name does not tell."""
    name, _, tag = image.partition("@")[0].rpartition("/")[2].partition(":")
    tag = tag.removesuffix("-openeuler")
    ours = [image for image in CHIPS.values() if image.repository.rpartition("/")[2] == name]
    # The suffix "" fits every tag, so it is asked last.
    ours.sort(key=lambda image: -len(image.suffix))
    return next((image for image in ours if tag.endswith(image.suffix)), None)


def is_openeuler(image: str) -> bool:
    """Whether an image's name says that it is built on openEuler; Ubuntu otherwise."""
    return "openeuler" in image.lower()

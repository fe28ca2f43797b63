"""Chips: their images, and the device nodes and files that a container of one needs."""

from __future__ import annotations

from trimtab.families import ChipImage, Family, families

MANAGERS = ("/dev/davinci_manager", "/dev/devmm_svm", "/dev/hisi_hdc")
DRIVER = (
    "/usr/local/dcmi",
    "/usr/local/bin/npu-smi",
    "/usr/local/Ascend/driver/lib64",
    "/usr/local/Ascend/driver/version.info",
    "/etc/ascend_install.info",
)
"""The driver's nodes and files that a container of an NPU needs, from the guide's command."""


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


def chip_images(family: Family | None = None) -> dict[str, ChipImage]:
    """Return chip → official image: of a family, and where it has none, of the first that has."""
    others = (one for one in families() if one is not family)
    ordered = (*(() if family is None else (family,)), *others)
    found: dict[str, ChipImage] = {}
    for image in (image for one in ordered for image in one.images):
        found.setdefault(image.name, image)
    return found


def chip_of_image(image: str) -> ChipImage | None:
    """Return the chip that an official image is for, ``None`` if its name does not tell."""
    ours = [one for family in families() for one in family.images if one.carries(image)]
    # The suffix "" fits every tag, so it comes last.
    return max(ours, key=lambda one: len(one.suffix), default=None)


def is_openeuler(image: str) -> bool:
    """Whether an image's name says that it is built on openEuler; Ubuntu otherwise."""
    return "openeuler" in image.lower()

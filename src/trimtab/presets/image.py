"""What the official images bake in: the variables of the Dockerfiles, and what is only meant.

A process of the image gets what ``ENV`` sets. What is appended to ``~/.bashrc`` reaches
interactive shells alone: ``docker run IMAGE vllm serve``, a Kubernetes command and a unit start
without it.
"""

from __future__ import annotations

from trimtab.presets.preset import Preset, PresetSource, PresetStep

_ASCEND = "vllm-project/vllm-ascend"
_AT = "182b75ea84ff13ece27b57391331ef8935410aea"
_AGE = "August 2026, main"
_SHELLS = "it stands in ~/.bashrc, which only an interactive shell reads"
_DRIVER = "/usr/local/Ascend/driver/lib64:/usr/lib64:/root/aicpu_kernels/0/aicpu_kernels_device"


def _ascend(
    name: str, chip: str, base: str, soc: str, lines: tuple[int, ...], distribution: str = "Ubuntu"
) -> Preset:
    """Return the preset of one of vllm-ascend's images.

    ``lines`` are those of ``FROM``, of ``ENV SOC_VERSION``, of the preload, and of the driver's
    library path where there is one.
    """
    first, env, bashrc, *driver = lines
    suffix = name.removeprefix("image").replace("-openeuler", "").replace("-a2", "")
    openeuler = distribution == "openEuler"
    release, library = (
        ("openeuler24.03", "/usr/lib64")
        if openeuler
        else ("ubuntu22.04", "/usr/lib/$(uname -m)-linux-gnu")
    )
    image = f"quay.io/ascend/cann:9.1.0-{base}-{release}-py3.12"
    steps = (
        PresetStep(tuning="container-image", value=image, line=first),
        PresetStep(
            setting="SOC_VERSION", value=soc, line=env, written=(f"ENV SOC_VERSION={soc} \\",)
        ),
        PresetStep(
            tuning="task-queue", value="1", line=env + 1, written=("    TASK_QUEUE_ENABLE=1 \\",)
        ),
        PresetStep(
            tuning="omp-threads", value=1, line=env + 2, written=("    OMP_NUM_THREADS=1",)
        ),
        PresetStep(
            tuning="jemalloc",
            value="libjemalloc.so.2",
            line=bashrc,
            written=(_bashrc("LD_PRELOAD", f"{library}/libjemalloc.so.2:$LD_PRELOAD"),),
            lost=_SHELLS,
            sonames=("libjemalloc.so.2",),
        ),
        _paths("$LD_LIBRARY_PATH:/usr/local/lib", bashrc + 1),
        *(_paths(f"{_DRIVER}/sand_box:$LD_LIBRARY_PATH", line) for line in driver),
    )
    path = f"Dockerfile{suffix.replace('-', '.')}{'.openEuler' if openeuler else ''}"
    summary = f"What vllm-ascend's image for {chip} on {distribution} bakes in."
    return Preset(name, summary, PresetSource(_ASCEND, path, _AT, _AGE), "dockerfile", steps)


def _paths(value: str, line: int) -> PresetStep:
    return PresetStep(
        tuning="ld-library-path",
        value=value,
        line=line,
        written=(_bashrc("LD_LIBRARY_PATH", value),),
        lost=_SHELLS,
    )


def _bashrc(name: str, value: str) -> str:
    return f'RUN echo "export {name}={value}" >> ~/.bashrc'


_VLLM = "vllm-project/vllm"
_TCMALLOC = "/usr/lib/x86_64-linux-gnu/libtcmalloc_minimal.so.4"

CUDA = Preset(
    "image-cuda",
    "What vLLM's image for CUDA bakes in.",
    PresetSource(
        _VLLM,
        "docker/Dockerfile",
        "dead20baf70df70580ecb093f82b0b7b8676e4f5",
        "autumn 2025, CUDA 12.9",
    ),
    "dockerfile",
    (
        PresetStep(
            tuning="container-image",
            value="nvidia/cuda:12.9.1-devel-ubuntu22.04",
            section="stage vllm-base",
            written=("FROM nvidia/cuda:12.9.1-devel-ubuntu22.04",),
        ),
        PresetStep(
            setting="CUDA_HOME",
            value="/usr/local/cuda",
            section="stage vllm-base",
            written=("ENV CUDA_HOME=/usr/local/cuda",),
        ),
        PresetStep(
            tuning="ld-library-path",
            value="/usr/local/nvidia/lib64:$LD_LIBRARY_PATH",
            section="stage vllm-base",
            written=("ENV LD_LIBRARY_PATH=/usr/local/nvidia/lib64:${LD_LIBRARY_PATH}",),
            aside="it goes before the base image's own path, which another machine does not have",
        ),
        PresetStep(
            setting="VLLM_USAGE_SOURCE",
            value="production-docker-image",
            section="stage vllm-openai-base",
            written=("ENV VLLM_USAGE_SOURCE=production-docker-image",),
        ),
    ),
)
"""No variable of it is a tuning: the image is stock, as far as serving goes."""

CPU = Preset(
    "image-cpu",
    "What vLLM's image for CPU on x86_64 bakes in.",
    PresetSource(
        _VLLM,
        "docker/Dockerfile.cpu",
        "002c42b2b4358cc689ec19f2e591a38de6694718",
        "summer 2026, Ubuntu 25.04; on arm64 it preloads tcmalloc alone",
    ),
    "dockerfile",
    (
        PresetStep(
            tuning="container-image",
            value="ubuntu:25.04",
            section="stage base",
            written=("FROM ubuntu:25.04",),
        ),
        PresetStep(
            tuning="tcmalloc",
            value="libtcmalloc_minimal.so.4",
            section="stage base-amd64",
            written=(f'ENV LD_PRELOAD="{_TCMALLOC}:/opt/venv/lib/libiomp5.so"',),
            sonames=("libtcmalloc_minimal.so.4", "libtcmalloc.so.4"),
        ),
        PresetStep(
            tuning="libiomp",
            value="libiomp5.so",
            section="stage base-amd64",
            sonames=("libiomp5.so",),
        ),
    ),
)
"""The two libraries that vLLM's own documents advise on CPU."""

_A5 = "ascend950dt_9582"
_EULER = "openEuler"
IMAGES = (
    _ascend("image-a2", "Atlas A2", "910b", "ascend910b1", (20, 73, 88)),
    _ascend("image-a3", "Atlas A3", "a3", "ascend910_9391", (21, 76, 91)),
    _ascend("image-a5", "Atlas 950", "950", _A5, (21, 69, 83)),
    _ascend("image-310p", "Atlas 310P", "310p", "ascend310p1", (21, 68, 81, 83)),
    _ascend("image-a2-openeuler", "Atlas A2", "910b", "ascend910b1", (21, 69, 83), _EULER),
    _ascend("image-a3-openeuler", "Atlas A3", "a3", "ascend910_9391", (21, 69, 83), _EULER),
    _ascend("image-a5-openeuler", "Atlas 950", "950", _A5, (21, 62, 75), _EULER),
    _ascend("image-310p-openeuler", "Atlas 310P", "310p", "ascend310p1", (21, 63, 75, 77), _EULER),
    CUDA,
    CPU,
)
"""vllm-ascend's images for each chip and distribution, and vLLM's own."""

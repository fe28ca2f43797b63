"""The container: devices, mounts, shared memory, and what the image holds."""

from __future__ import annotations

from trimtab.catalog.rules import container as traps
from trimtab.catalog.rules.container import SHM
from trimtab.catalog.schema import GUIDE, VA, Source, advisory_entry
from trimtab.knobs import ManualSetting
from trimtab.model import RestartCost, Risk, RiskLevel, Scope

_ASCEND = ("ascend",)
_DOCKER = Source("docker run, reference", "docs.docker.com/reference/cli/docker/container/run")
_IMAGES = Source(f"{VA}, Dockerfiles", "Dockerfile:88; Dockerfile.openEuler:83; Dockerfile.a3")
_RUNTIME = Source("Ascend Docker Runtime", "user guide")

TUNINGS = (
    advisory_entry(
        "container-shm",
        "container",
        "The size of /dev/shm, through which workers pass messages.",
        ManualSetting("--shm-size", "--shm-size"),
        _DOCKER,
        GUIDE,
        stock="64 MB in docker",
        details=(
            "Several workers exchange batches through shared memory and fail when it is full: "
            "1g at least, or --ipc=host. In Kubernetes an emptyDir of medium Memory at /dev/shm."
        ),
        scope=Scope.CONTAINER,
        rules=(SHM,),
    ),
    advisory_entry(
        "container-devices",
        "container",
        "Which NPUs and driver nodes the container gets.",
        ManualSetting("--device", "--device"),
        GUIDE,
        Source(f"{VA}, installation", "docs, installation.md"),
        stock="none",
        details=(
            "/dev/davinciN for each NPU (a card of A3 has two), and davinci_manager, devmm_svm "
            "and hisi_hdc for all. Do not mix them with --runtime=ascend."
        ),
        platforms=_ASCEND,
        scope=Scope.CONTAINER,
        rules=(traps.DEVICES, traps.ONE_NPU),
    ),
    advisory_entry(
        "container-mounts",
        "container",
        "The driver's files that the container sees.",
        ManualSetting("--volume", "--volume"),
        GUIDE,
        stock="none",
        details=(
            "driver/lib64 and driver/version.info, /etc/ascend_install.info, npu-smi and dcmi of "
            "the host, read-only. The ascend runtime mounts them by itself."
        ),
        platforms=_ASCEND,
        scope=Scope.CONTAINER,
        rules=(traps.MOUNTS,),
    ),
    advisory_entry(
        "container-privileged",
        "container",
        "Whether the container may do all that the host may.",
        ManualSetting("--privileged", "--privileged"),
        _DOCKER,
        stock="no",
        details=(
            "Binding interrupts (bind_irq, and vllm-ascend on 950, there with --pid=host) needs "
            "it; nothing else here does."
        ),
        scope=Scope.CONTAINER,
        risk=Risk(RiskLevel.HIGH, "The container can change the host."),
        rules=(traps.PRIVILEGED,),
    ),
    advisory_entry(
        "container-runtime",
        "container",
        "The runtime that mounts devices and driver by itself.",
        ManualSetting("--runtime", "--runtime"),
        _RUNTIME,
        stock="runc",
        details="--runtime=ascend with ASCEND_VISIBLE_DEVICES; --gpus or nvidia on CUDA.",
        scope=Scope.CONTAINER,
    ),
    advisory_entry(
        "container-image",
        "container",
        "The image, and the settings that it bakes in.",
        ManualSetting("image", "image"),
        _IMAGES,
        GUIDE,
        stock="quay.io/ascend/vllm-ascend",
        details=(
            "vllm-ascend's images bake SOC_VERSION, TASK_QUEUE_ENABLE=1, OMP_NUM_THREADS=1, and "
            "install jemalloc, which they preload in ~/.bashrc only: a container's command, a pod "
            "and a unit do not get it. The cann image has no vLLM, no jemalloc and no settings. "
            "Tags: <version>[-a3|-310p|-a5][-openeuler]."
        ),
        scope=Scope.IMAGE,
        restart=RestartCost.REINSTALL,
        rules=(traps.CANN_IMAGE, traps.REMOVED, traps.IMAGE_CHIP, traps.SUDO, traps.DASHES),
    ),
    advisory_entry(
        "container-ulimits",
        "container",
        "How many files may be open, and how much memory locked.",
        ManualSetting("--ulimit", "--ulimit"),
        _DOCKER,
        stock="the daemon's",
        details=(
            "Each connection is a file: nofile below 4096 limits concurrency. RDMA needs memlock "
            "unlimited."
        ),
        scope=Scope.CONTAINER,
        rules=(traps.FEW_FILES,),
    ),
)

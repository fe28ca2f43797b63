"""The vllm-ascend guide "Optimization and Tuning" in both editions, verbatim as to its settings.

The steps are facts of the guide (vllm-ascend, Apache-2.0); none of its wording is repeated.
Verbatim means: contradictions included. It preloads jemalloc and then tcmalloc, so the first one
serves; where it exports one variable twice, the second export is what is left.

Steps that both editions of the guide have, each at a line of its own in either.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from trimtab.presets.preset import Preset, PresetSource, PresetStep

_MIRROR = "https://mirrors.tuna.tsinghua.edu.cn"
_MORE = "https://www.hiascend.com/document/detail/zh/Pytorch/600/ptmoddevg/trainingmigrguide"

APT_MIRROR = PresetStep(
    tuning="apt-mirror",
    value="ubuntu-ports, jammy, of a mirror",
    written=(f'echo "deb {_MIRROR}/ubuntu-ports/ jammy main" > /etc/apt/sources.list',),
)
OS_PACKAGES = PresetStep(
    tuning="os-packages",
    value="wget gcc g++ libnuma-dev git vim",
    written=("apt update && apt install wget gcc g++ libnuma-dev git vim -y",),
)
MAX_SPLIT = PresetStep(
    tuning="npu-max-split-size",
    value="250",
    written=('export PYTORCH_NPU_ALLOC_CONF="max_split_size_mb:250"',),
)
EXPANDABLE = PresetStep(
    tuning="npu-expandable-segments",
    value="True",
    written=('export PYTORCH_NPU_ALLOC_CONF="expandable_segments:True"',),
)
OR = PresetStep(
    setting="choice between two values",
    written=("or",),
    prose=True,
    lost="it joins two values of one variable, and the second one is taken here",
)
MISPLACED = PresetStep(
    setting="comment about memory shared by streams",
    written=("# Give memory of one stream to another early: reuse between streams.",),
    lost="a comment sets nothing, and this one describes MULTI_STREAM_MEMORY_REUSE",
)
HCCL_MODE = PresetStep(
    tuning="hccl-op-expansion",
    value="AIV",
    written=('export HCCL_OP_EXPANSION_MODE="AIV"',),
)


def step_at_line(step: PresetStep, line: int, lost: str = "") -> PresetStep:
    """Return a step as it stands in a line of an edition."""
    return replace(step, line=line, lost=lost or step.lost)


def container(tag: str, line: int, more: str = "") -> Iterator[PresetStep]:
    """Yield the container that is started: its image, devices and mounts, all in one command."""
    nodes = ("/dev/davinci0", "/dev/davinci_manager", "/dev/devmm_svm", "/dev/hisi_hdc")
    paths = (
        *("/usr/local/dcmi", "/usr/local/bin/npu-smi", "/usr/local/Ascend/driver/lib64/"),
        *("/usr/local/Ascend/driver/version.info", "/etc/ascend_install.info", "/root/.cache"),
    )
    mounts = tuple(f"{path}:{path}" for path in paths)
    command = (
        "docker run --rm",
        "--name performance-test",
        *((more,) if more else ()),
        *(f"--device {node}" for node in nodes),
        *(f"-v {mount}" for mount in mounts),
        f"-it m.daocloud.io/quay.io/ascend/cann:{tag} bash",
    )
    written = tuple(f"{part} \\" for part in command[:-1]) + command[-1:]
    yield PresetStep(
        tuning="container-image", value=f"quay.io/ascend/cann:{tag}", line=line, written=written
    )
    yield PresetStep(tuning="container-devices", value="; ".join(nodes), line=line)
    yield PresetStep(tuning="container-mounts", value="; ".join(mounts), line=line)
    if more:
        yield PresetStep(tuning="container-shm", value=more.partition("=")[2], line=line)


def pip(line: int) -> Iterator[PresetStep]:
    """Yield the package index, written to the user's configuration, and what is installed."""
    index = "https://pypi.tuna.tsinghua.edu.cn/simple"
    packages = "modelscope pandas datasets gevent sacrebleu rouge_score pybind11 pytest"
    yield PresetStep(
        tuning="pip-index",
        value=index,
        line=line,
        written=(f"pip config set global.index-url {index}",),
    )
    yield PresetStep(
        setting="Python packages",
        value=packages,
        line=line + 1,
        written=(f"pip install {packages}",),
    )


_TARBALL = "https://repo.oepkgs.net/ascend/pytorch/vllm"
PYTHON = (
    PresetStep(
        tuning="python-tarball",
        value="py311_bisheng.tar.gz",
        line=80,
        written=(
            f"wget {_TARBALL}/lib/libcrypto.so.1.1",
            f"wget {_TARBALL}/lib/libomp.so",
            f"wget {_TARBALL}/lib/libssl.so.1.1",
            f"wget {_TARBALL}/python/py311_bisheng.tar.gz",
            "",
            "",
            "cp ./*.so* /usr/local/lib",
            "tar -zxvf ./py311_bisheng.tar.gz -C /usr/local/",
            "mv /usr/local/py311_bisheng/ /usr/local/python",
            r'sed -i "1c#\!/usr/local/python/bin/python3.11" /usr/local/python/bin/pip3',
            r'sed -i "1c#\!/usr/local/python/bin/python3.11" /usr/local/python/bin/pip3.11',
            "ln -sf /usr/local/python/bin/python3 /usr/bin/python",
            "ln -sf /usr/local/python/bin/python3 /usr/bin/python3",
            "ln -sf /usr/local/python/bin/python3.11 /usr/bin/python3.11",
            "ln -sf /usr/local/python/bin/pip3 /usr/bin/pip3",
            "ln -sf /usr/local/python/bin/pip3 /usr/bin/pip",
            "",
            "export PATH=/usr/bin:/usr/local/python/bin:$PATH",
        ),
    ),
    PresetStep(tuning="optimized-python", value="PGO and LTO, by the BiSheng compiler", line=72),
)


def jemalloc(line: int, former: str) -> Iterator[PresetStep]:
    """Yield jemalloc's package and its preload, which ``former`` joins with the old value."""
    yield PresetStep(
        tuning="os-packages",
        value="libjemalloc2",
        line=line,
        written=("sudo apt update", "sudo apt install libjemalloc2"),
    )
    path = '/usr/lib/"$(uname -i)"-linux-gnu/libjemalloc.so.2'
    yield PresetStep(
        tuning="jemalloc",
        value="libjemalloc.so.2",
        line=line + 4,
        written=(f"export LD_PRELOAD={path}{former}",),
        sonames=("libjemalloc.so.2",),
    )


def tcmalloc(line: int, *, export: int, check: int) -> Iterator[PresetStep]:
    """Yield tcmalloc's packages, its preload behind the one before, and the check of it."""
    packages = "libgoogle-perftools4 libgoogle-perftools-dev"
    yield PresetStep(
        tuning="os-packages",
        value=packages,
        line=line,
        written=("sudo apt update", f"sudo apt install {packages}", "", "", _FIND),
    )
    yield PresetStep(
        tuning="tcmalloc",
        value="libtcmalloc.so.4",
        line=export,
        written=('export LD_PRELOAD="$LD_PRELOAD:<path>"',),
        sonames=("libtcmalloc.so.4", "libtcmalloc_minimal.so.4"),
    )
    yield PresetStep(setting="check of the preload", value="ldd", line=check, written=(_LDD,))


_FIND = "find /usr -name libtcmalloc.so*"
_LDD = "ldd `which python`"


def named_only_steps(line: int) -> Iterator[PresetStep]:
    """Yield what the guide names for special cases, with a link and without a value."""
    named = ("hccl-intra-roce", "hccl-rdma-tc", "hccl-rdma-sl", "hccl-buffsize")
    variables = (
        *("HCCL_INTRA_ROCE_ENABLE", "HCCL_RDMA_TC", "HCCL_RDMA_SL"),
        "HCCL_BUFFSIZE",
    )
    for offset, (tuning, variable) in enumerate(zip(named, variables, strict=True)):
        page = f"{_MORE}/performance_tuning_{44 + offset:04d}.html"
        yield PresetStep(
            tuning=tuning,
            line=line + offset,
            written=(f"- `{variable}` ([more]({page}))",),
            prose=True,
            lost="the guide names it and gives no value",
        )


KERNEL = (
    PresetStep(
        tuning="cpu-governor",
        value="performance",
        line=161,
        written=("echo performance | tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",),
    ),
    PresetStep(tuning="swappiness", value=0, line=178, written=("sysctl -w vm.swappiness=0",)),
    PresetStep(
        tuning="numa-balancing",
        value=0,
        line=198,
        written=("sysctl -w kernel.numa_balancing=0",),
    ),
    PresetStep(
        tuning="sched-migration-cost",
        value=50000,
        line=220,
        written=("sysctl -w kernel.sched_migration_cost_ns=50000",),
    ),
)


_REPOSITORY = "vllm-project/vllm-ascend"

GUIDE_V1 = Preset(
    "guide-v1",
    "The vllm-ascend guide, older edition, verbatim.",
    PresetSource(
        _REPOSITORY,
        "docs/source/developer_guide/performance/optimization_and_tuning.md",
        "00ba07102212c7c7a40de427f09848f2e203c498",
        "tag v0.11.0rc0; v0.10.0rc1 has the same text, and earlier releases nearly",
    ),
    "markdown",
    (
        *container("TAG", 15),
        step_at_line(APT_MIRROR, 35),
        step_at_line(OS_PACKAGES, 45),
        *pip(53),
        PresetStep(
            tuning="vllm-use-modelscope",
            value="true",
            line=57,
            written=("VLLM_USE_MODELSCOPE=true",),
            lost="it is not exported, so no server gets it",
        ),
        PresetStep(
            tuning="mindie-turbo",
            value="installed",
            line=60,
            written=("Install vllm, vllm-ascend and mindie-turbo.",),
            prose=True,
        ),
        PresetStep(
            tuning="install-order",
            value="after the optimized Python",
            line=63,
            written=("Install them after the optimized Python.",),
            prose=True,
        ),
        *PYTHON,
        *jemalloc(109, " $LD_PRELOAD"),
        *tcmalloc(123, export=132, check=136),
        step_at_line(
            MAX_SPLIT, 148, lost="line 151 replaces it: the last export of a name is what is left"
        ),
        step_at_line(MISPLACED, 150),
        step_at_line(EXPANDABLE, 151),
        PresetStep(
            tuning="task-queue", value="2", line=159, written=("export TASK_QUEUE_ENABLE=2",)
        ),
        PresetStep(
            tuning="cpu-affinity-conf",
            value="1",
            line=162,
            written=("export CPU_AFFINITY_CONF=1",),
        ),
        step_at_line(HCCL_MODE, 175),
        *named_only_steps(180),
    ),
)
"""Compilation, operating system, torch_npu and CANN; nothing about the kernel."""

GUIDE_V2 = Preset(
    "guide-v2",
    "The vllm-ascend guide, newer edition, verbatim.",
    PresetSource(
        _REPOSITORY,
        "docs/source/developer_guide/performance_and_debug/optimization_and_tuning.md",
        "182b75ea84ff13ece27b57391331ef8935410aea",
        "August 2026, for vllm-ascend 0.23 and later",
    ),
    "markdown",
    (
        *container("9.1.0-910b-ubuntu22.04-py3.12", 14, "--shm-size=1g"),
        step_at_line(APT_MIRROR, 34),
        step_at_line(OS_PACKAGES, 44),
        *pip(51),
        PresetStep(
            tuning="vllm-use-modelscope",
            value="True",
            line=55,
            written=("export VLLM_USE_MODELSCOPE=True",),
            aside="it chooses the hub that weights come from, and changes nothing in serving",
        ),
        PresetStep(
            tuning="install-order",
            value="after the optimized Python",
            line=62,
            written=("Install vLLM and vllm-ascend after the optimized Python.",),
            prose=True,
        ),
        *jemalloc(74, ":$LD_PRELOAD"),
        *tcmalloc(87, export=96, check=100),
        step_at_line(MAX_SPLIT, 111, lost="the guide offers it as the alternative to line 118"),
        step_at_line(OR, 114),
        step_at_line(MISPLACED, 117),
        step_at_line(EXPANDABLE, 118),
        PresetStep(
            tuning="task-queue", value="2", line=125, written=("export TASK_QUEUE_ENABLE=2",)
        ),
        PresetStep(
            tuning="cpu-affinity-conf",
            value="1",
            line=128,
            written=("export CPU_AFFINITY_CONF=1",),
        ),
        step_at_line(HCCL_MODE, 140),
        *named_only_steps(145),
        *KERNEL,
    ),
)
"""No optimized Python any more; four kernel settings, for the host and as root."""

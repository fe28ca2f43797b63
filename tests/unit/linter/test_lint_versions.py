"""Which version of vLLM is in force, and what the releases' tables say of it."""

from __future__ import annotations

import pytest

from trimtab import linter
from trimtab.catalog.releases import vllm, vllm_ascend
from trimtab.catalog.values import is_placeholder
from trimtab.errors import UsageError
from trimtab.linter.images import image_situation
from trimtab.linter.scenes import scenes
from trimtab.model.situation import Situation
from trimtab.rules.lifetimes import version_in_force


@pytest.mark.parametrize(
    ("image", "platform", "version"),
    [
        ("vllm/vllm-openai:v0.10.1", "cuda", "0.10.1"),
        ("docker.example/mirror/vllm/vllm-openai:v0.8.5.post1", "cuda", "0.8.5.post1"),
        ("vllm/vllm-openai:latest", "cuda", ""),
        ("vllm/vllm-openai:nightly", "cuda", ""),
        ("vllm/vllm-openai-rocm:v0.14.0", "rocm", "0.14.0"),
        ("rocm/vllm:rocm6.4.1_vllm_0.9.1_20250702", "rocm", "0.9.1"),
        ("example.org/team/vllm-rocm:2025", "rocm", ""),
        ("intel/vllm:0.10.2-xpu", "xpu", "0.10.2"),
        ("vllm/vllm-tpu:v0.11.1", "tpu", "0.11.1"),
        ("public.example/x/vllm-cpu-release-repo:v0.9.2", "cpu", "0.9.2"),
        ("lmcache/vllm-openai:v0.3.7", "cuda", ""),
        ("nvcr.example/nvidia/vllm:25.09-py3", "cuda", ""),
        ("python:3.12", None, ""),
    ],
)
def test_an_image_tells_platform_and_version(image: str, platform: str, version: str) -> None:
    told = image_situation(image)
    assert told.platform == platform
    assert told.versions.get("vllm", "") == version


@pytest.mark.parametrize(
    ("text", "context", "version"),
    [
        ("pip install vllm==0.9.2\nvllm serve m", "", "0.9.2"),
        ("uv pip install 'vllm[audio]==0.10.0' torch\nvllm serve m", "", "0.10.0"),
        ("pip install vllm==0.9.2\npip install vllm==0.10.0\nvllm serve m", "", ""),
        ("pip install 'vllm>=0.9'\nvllm serve m", "", ""),
        ("docker run vllm/vllm-openai:v0.10.1 --model m", "", "0.10.1"),
        ("docker run vllm/vllm-openai:v0.10.1 --model m", "vllm=0.11.0", "0.11.0"),
        ("pip install vllm==0.9.2\ndocker run vllm/vllm-openai:v0.10.1 --model m", "", "0.10.1"),
        ("docker run quay.io/ascend/vllm-ascend:v0.9.1-a3 vllm serve m", "", "0.9.1"),
        ("pip install 'vllm == 0.9.2'\nvllm serve m", "", "0.9.2"),
        ("pip install 'vllm<0.10'\nvllm serve m", "", "0.9.2"),
        ("pip install vllm~=0.9.1\nvllm serve m", "", "0.9.2"),
        ("pip install 'vllm==0.9.*'\nvllm serve m", "", "0.9.2"),
        ("conda install -c conda-forge vllm=0.9.2\nvllm serve m", "", "0.9.2"),
        ("uv add vllm==0.9.2\nvllm serve m", "", "0.9.2"),
        ("pip install ./vllm-0.9.2+cu118-cp38-abi3-linux_x86_64.whl\nvllm serve m", "", "0.9.2"),
        ("pip install git+https://x.example/vllm-project/vllm@v0.9.2\nvllm serve m", "", "0.9.2"),
        ("git clone -b v0.9.2 https://x.example/vllm-project/vllm\nvllm serve m", "", "0.9.2"),
        ("git clone -b v0.9.1-dev https://x.example/vllm-project/vllm\nvllm serve m", "", ""),
        ("cat > r.txt <<E\nvllm==0.9.2\nE\npip install -r r.txt\nvllm serve m", "", "0.9.2"),
        ("docker run vllm/vllm-openai:${TAG:-v0.9.2} --model m", "", "0.9.2"),
        ("docker run vllm/vllm-openai:${TAG} --model m", "", ""),
        ("vllm serve m", "vllm-ascend=0.18.0", "0.18.0"),
        ("vllm serve m", "vllm=v0.18.0", "0.18.0"),
    ],
)
def test_what_decides_the_version(text: str, context: str, version: str) -> None:
    document = linter.read("serve.sh", f"{text}\n")
    (scene,) = scenes(document, linter.parse_context(context))
    assert version_in_force("vllm", scene) == version


@pytest.mark.parametrize(
    "text",
    [
        "ARG TAG=v0.9.2\nFROM vllm/vllm-openai:${TAG}\n",
        'ARG TAG="v0.9.2"\nFROM vllm/vllm-openai:$TAG\n',
        "FROM python:3.12\nARG WANTED=0.9.2\nRUN pip install vllm==${WANTED}\n",
        "FROM vllm/vllm-openai:v0.9.2 AS base\nFROM base\n",
    ],
)
def test_the_defaults_of_a_dockerfile_decide_the_version(text: str) -> None:
    document = linter.read("Dockerfile", f'{text}CMD ["vllm", "serve", "m"]\n')
    (scene,) = scenes(document, Situation())
    assert version_in_force("vllm", scene) == "0.9.2"


@pytest.mark.parametrize("context", ["vllm=abc", "vllm=latest", "vllm-ascend=main", "vllm=0.x.y!"])
def test_a_version_that_is_none_is_refused_in_one_line(context: str) -> None:
    with pytest.raises(UsageError, match="must be a version such as") as caught:
        linter.parse_context(context)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("platform", ["rocm", "xpu", "tpu", "cuda", "ascend", "cpu"])
def test_each_platform_can_be_told(platform: str) -> None:
    assert linter.parse_context(f"platform={platform}") == Situation(platform=platform)


@pytest.mark.parametrize(
    ("version", "has"),
    [
        ("0.10.1", True),
        ("0.10.1.1", True),  # a patch release is as the one before it
        ("v0.17.0", True),
        ("0.18.0", False),
        ("0.18", False),
        ("0.15.0", True),  # not in the table, but both neighbours agree
        ("0.5.0", None),
        ("0.99.0", None),
        ("", None),
    ],
)
def test_a_table_judges_versions_by_their_neighbours(version: str, has: bool | None) -> None:
    assert vllm().has("options", "--swap-space", version) is has


def test_the_tables_know_since_and_until() -> None:
    assert vllm().until("variables", "VLLM_USE_V1") == ("0.11.0", "0.11.1")
    assert vllm().since("options", "--attention-backend") == "0.13.0"
    assert vllm_ascend().until("variables", "VLLM_ASCEND_ENABLE_PREFETCH_MLP")[0] == "0.17.0rc1"
    assert vllm().kinds("options", "--enable-chunked-prefill", "0.8.4") == ("bool",)


@pytest.mark.parametrize(
    "text",
    [
        *("xxx", "xx.xx.xx.xx", "192.xx.xx.1", "{local_ip}", "<NIC_NAME>", "your_ip_here"),
        *("$$IP$$", "${IP:?}", "__IP__", "CHANGEME", "change_me", "TODO", "{{ ip }}", "%IP%"),
        *("hf_xxxxxxxx", "sk-xxx", "<your token>", "/path/to/model", "[your ip]", "..."),
        *("192.168.x.x", "10.0.0.x", "MY_NODE_IP", "node1_ip", "IP_OF_THIS_NODE", "{{", "0.x"),
    ],
)
def test_a_placeholder_is_seen(text: str) -> None:
    assert is_placeholder(text)


@pytest.mark.parametrize(
    "text",
    [
        *("eth0", "10.0.0.1", "0-7|8-15", '{"a": 1}', '{"model": "x"}', "max_split_size_mb:250"),
        *("AIV", "expandable_segments:True", "org/model-7b", "^=eth0", "mlx5_0:1", "^docker0,lo"),
        *('{"kv_ip": "10.0.0.1"}', "FLASH_ATTN", "TRUE", "tcp", "1.2.3", "zip", '{"a":{"b":1}}'),
    ],
)
def test_a_value_is_no_placeholder(text: str) -> None:
    assert not is_placeholder(text)


@pytest.mark.parametrize(
    "text",
    [
        *("export HCCL_IF_IP=<IP>", "export HCCL_BUFFSIZE=<size>", "export OMP_NUM_THREADS=N"),
        *("export HCCL_IF_IP=$local_ip", "export HCCL_SOCKET_IFNAME=^=eth0"),
        *("vllm serve m --tensor-parallel-size NUM_GPUS", "vllm serve m --max-model-len {{ n }}"),
        *("vllm serve m --port <port>", "vllm serve m --gpu-memory-utilization 0.x"),
    ],
)
def test_a_value_to_be_filled_in_is_not_judged(text: str) -> None:
    document = linter.read("serve.sh", f"{text}\nvllm serve m\n")
    found = linter.check(document, Situation(platform="ascend"))
    assert [one.rule for one in found if one.severity.value != "info"] == []


@pytest.mark.parametrize(
    "text",
    [
        *("export NCCL_IB_DISABLE=TRUE", "export HCCL_BUFFSIZE=AUTO", "export HCCL_IF_IP=eth0"),
        *("vllm serve m --tensor-parallel-size TWO2", "vllm serve m --max-num-seqs NONE"),
    ],
)
def test_a_word_that_nothing_takes_is_judged(text: str) -> None:
    document = linter.read("serve.sh", f"{text}\nvllm serve m\n")
    found = linter.check(document, Situation())
    assert {one.rule for one in found} & {"value-refused", "value-misread", "option-value"}


@pytest.mark.parametrize(
    ("value", "secret"),
    [
        *(("EMPTY", False), ("sk-no-key-required", False), ("postgres123", False)),
        *(("abcd1234", False), ("lm-studio", False), ("super-secret", False)),
        *(("7f3c9a1be2d84056", True), ("x7k2m9p4q1w8", True), ("Tr0ub4dor3", True)),
        ("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", True),
    ],
)
def test_a_dummy_is_no_secret(value: str, *, secret: bool) -> None:
    document = linter.read("serve.sh", f"export VLLM_API_KEY={value}\nvllm serve m\n")
    rules = {one.rule for one in linter.check(document, Situation())}
    assert ("secret-in-clear" in rules) is secret

"""Containers: what they may do to the host, what they hold, what their workers need."""

from __future__ import annotations

import pytest

from trimtab import linter
from trimtab.model.situation import Situation

INSIDE = "my/image bash -c 'sysctl -w vm.swappiness=10; vllm serve m'"


def rules(text: str, file: str = "serve.sh") -> list[str]:
    document = linter.read(file, text)
    return [one.rule for one in linter.check(document, Situation())]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ("", True),
        ("--privileged", False),
        ("-v /proc/sys:/proc/sys", False),
        ("-v /sys:/sys:ro", True),
        ("-v /:/host", False),
        ("-v /data:/data", True),
    ],
)
def test_a_container_that_gets_the_hosts_kernel_may_set_it(options: str, found: bool) -> None:
    text = f"#!/bin/bash\ndocker run {options} {INSIDE}\n"
    assert ("host-setting-inside" in rules(text)) is found


@pytest.mark.parametrize(
    ("before", "found"),
    [("ls", True), ("apt-get install -y curl sudo", False), ("command -v sudo", False)],
)
def test_a_text_that_installs_sudo_has_it(before: str, found: bool) -> None:
    text = f"FROM ubuntu:22.04\nRUN {before}\nRUN sudo ls\n"
    assert ("sudo-inside" in rules(text, "Dockerfile")) is found


@pytest.mark.parametrize(
    ("image", "found"), [("vllm/vllm-tpu:nightly", False), ("vllm/vllm-openai:v0.32.0", True)]
)
def test_tpus_have_one_worker(image: str, found: bool) -> None:
    text = f"#!/bin/bash\ndocker run {image} vllm serve m --tensor-parallel-size 4\n"
    assert ("shm-small" in rules(text)) is found


SERVICE = "services:\n  v:\n    image: {}\n    ports:\n      - {}\n    command: --model m {}\n"


@pytest.mark.parametrize(
    ("image", "ports", "options", "level"),
    [
        ("vllm/vllm-openai:v0.20.0", "'9998:8000'", "--port 8001", "warning"),
        ("vllm/vllm-openai:v0.20.0", "'${P}:8000'", "--port 9000", "warning"),
        ("vllm/vllm-openai:v0.20.0", "{target: 8001, published: 80}", "", "warning"),
        ("own/serving:1", "'9998:8000'", "--port 8001", None),
        ("vllm/vllm-openai:v0.20.0", "'9998:8000'", "", None),
        ("vllm/vllm-openai:v0.20.0", "127.0.0.1:1:8001/tcp", "--port 8001", None),
        ("vllm/vllm-openai:v0.20.0", "'8000-8010:8000-8010'", "--port 8005", None),
        ("vllm/vllm-openai:v0.20.0", "'80:${P}'", "--port ${P}", None),
        ("vllm/vllm-openai:v0.20.0", "'80:8000'", "--port 8001 --uds /run/s", None),
        ("vllm/vllm-openai:v0.20.0", "'80:8000'", "--port 8001\n    network_mode: host", None),
    ],
)
def test_a_container_publishes_the_port_of_its_server(
    image: str, ports: str, options: str, level: str | None
) -> None:
    found = linter.check(
        linter.read("compose.yaml", SERVICE.format(image, ports, options)), Situation()
    )
    levels = [one.severity.value for one in found if one.rule == "port-unpublished"]
    assert levels == ([level] if level else [])


def test_another_process_may_hand_the_published_port_on() -> None:
    text = "docker run -p 80:8000 own/x:1 sh -c 'vllm serve m --port 8001 & nginx'\n"
    found = linter.check(linter.read("s.sh", text), Situation())
    assert [one.severity.value for one in found if one.rule == "port-unpublished"] == ["info"]

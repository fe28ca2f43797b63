"""Containers: what they may do to the host, what they hold, what their workers need."""

from __future__ import annotations

import pytest

from trimtab import lint
from trimtab.model.situation import Situation

INSIDE = "my/image bash -c 'sysctl -w vm.swappiness=10; vllm serve m'"


def rules(text: str, file: str = "serve.sh") -> list[str]:
    document = lint.read(file, text)
    return [one.rule for one in lint.check(document, Situation())]


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

"""Lint on launches for other makers' devices, other programs and other entry points."""

from __future__ import annotations

import pytest

from trimtab import linter
from trimtab.model.situation import Situation


def said(name: str, text: str) -> list[tuple[str, str, str]]:
    """Return (severity, rule, setting) of each finding of a text."""
    found = linter.check(linter.read(name, text), Situation())
    return sorted((one.severity.value, one.rule, one.setting) for one in found)


def loud(name: str, text: str) -> list[tuple[str, str, str]]:
    """Return those that are no mere condition."""
    return [one for one in said(name, text) if one[0] != "info"]


GAUDI = "export PT_HPU_LAZY_MODE=1\n"
SERVE = "vllm serve m --use-sorted-prefill --num-scheduler-steps 4 --multi-step true\n"


def test_a_vllm_for_another_maker_is_judged_on_a_condition() -> None:
    names = {
        ("unknown-option", "--use-sorted-prefill"),
        ("removed-option", "--num-scheduler-steps"),
    }
    assert names <= {(rule, name) for _, rule, name in loud("s.sh", SERVE)}
    assert loud("s.sh", GAUDI + SERVE) == []
    assert names <= {(rule, name) for level, rule, name in said("s.sh", GAUDI + SERVE)}


@pytest.mark.parametrize("runtime", ["habana", "nvidia"])
def test_the_runtime_names_the_maker(runtime: str) -> None:
    text = f"docker run --runtime={runtime} own/vllm:1 vllm serve m --multi-step true\n"
    assert (("warning", "option-value", "--multi-step") in loud("s.sh", text)) is (
        runtime == "nvidia"
    )


POD = """\
apiVersion: v1
kind: Pod
metadata: {{name: a}}
spec:
  containers:
  - name: a
    image: team/vllm:1
    command: [vllm, serve, m, -tp, "2"]
    resources:
      limits: {{{resource}: 2}}
"""


@pytest.mark.parametrize(
    ("resource", "small"),
    [
        *(("aws.amazon.com/neuroncore", False), ("google.com/tpu", False)),
        *(("nvidia.com/gpu", True), ("amd.com/gpu", True)),
    ],
)
def test_one_process_drives_all_chips_of_a_tpu_and_all_cores_of_neuron(
    resource: str, *, small: bool
) -> None:
    found = [rule for _, rule, _ in loud("a.yaml", POD.format(resource=resource))]
    assert ("shm-small" in found) is small


@pytest.mark.parametrize(
    ("script", "judged"),
    [("measure_power.py", False), ("benchmark_latency.py", True), ("train.py", False)],
)
def test_a_script_of_ones_own_takes_options_of_its_own(script: str, *, judged: bool) -> None:
    found = [rule for _, rule, _ in loud("s.sh", f"python3 {script} --swap-space 4\n")]
    assert found == (["removed-option"] if judged else [])


@pytest.mark.parametrize(
    ("entrypoint", "command", "found"),
    [
        ("[]", '["gunicorn", "site:app"]', []),
        ("[ ]", '["gunicorn", "site:app"]', []),
        ("exec gunicorn site:app", '["--workers", "2"]', []),
        ('["vllm", "serve"]', '["m", "two"]', [("error", "extra-word", "two")]),
    ],
)
def test_an_entry_point_takes_the_place_of_the_images(
    entrypoint: str, command: str, found: list[tuple[str, str, str]]
) -> None:
    text = f"FROM vllm/vllm-openai:v0.25.1\nENTRYPOINT {entrypoint}\nCMD {command}\n"
    assert loud("Dockerfile", text) == found


def test_the_words_behind_the_entry_point_of_the_image_are_its_arguments() -> None:
    text = 'FROM vllm/vllm-openai:v0.25.1\nCMD ["m", "two"]\n'
    assert loud("Dockerfile", text) == [("error", "extra-word", "two")]


@pytest.mark.parametrize(
    ("image", "missing"),
    [("vllm/vllm-openai:v0.11.0", False), ("quay.io/ascend/vllm-ascend:v0.11.0", True)],
)
def test_vllms_own_image_has_sudo(image: str, *, missing: bool) -> None:
    found = loud("Dockerfile", f"FROM {image}\nRUN sudo chmod +x /run.sh\n")
    assert (("warning", "sudo-inside", "sudo") in found) is missing


PRIVILEGED = """\
apiVersion: v1
kind: Pod
metadata: {{name: a}}
spec:
  initContainers:
  - name: limits
    image: busybox
    command: [sh, -c, "sysctl -w vm.swappiness=1"]
    securityContext: {{privileged: {privileged}}}
  containers:
  - name: a
    image: vllm/vllm-openai:v0.25.1
    args: [--model, m]
"""


@pytest.mark.parametrize("privileged", ["true", "false"])
def test_a_privileged_container_may_set_the_kernel(privileged: str) -> None:
    found = [rule for _, rule, _ in loud("a.yaml", PRIVILEGED.format(privileged=privileged))]
    assert ("host-setting-inside" in found) is (privileged == "false")


COMPOSE = """\
services:
  a:
    image: own/vllm:1
    entrypoint: [bash, -lc]
    command: {head}
      {begin}
      {indent}# the port is that of the proxy
      {indent}vllm serve m --port 8000
      {end}
"""


@pytest.mark.parametrize(
    ("head", "begin", "indent", "end", "noted"),
    [
        (">", "'set -e;", "  ", "'", False),
        (">", "'set -e;", "", "'", True),
        (">", "set -e;", "  ", "exit", True),
        ("\n    - >", "  set -e;", "    ", "  exit", False),
    ],
)
def test_a_line_of_folded_text_that_a_shell_gets_whole_may_be_a_comment(
    head: str, begin: str, indent: str, end: str, *, noted: bool
) -> None:
    text = COMPOSE.format(head=head, begin=begin, indent=indent, end=end)
    assert ("no-shell" in [rule for _, rule, _ in said("compose.yaml", text)]) is noted


def test_a_finding_in_a_script_of_vllms_has_its_line() -> None:
    text = "cd bench\npython3 benchmark_latency.py --model m --swap-space 4\n"
    found = linter.check(linter.read("s.sh", text), Situation())
    assert [(one.rule, one.place.line if one.place else None) for one in found] == [
        ("removed-option", 2)
    ]


def test_a_plugin_serves_with_the_newest_vllm_and_a_device_of_its_own_with_another() -> None:
    plain = "vllm serve m --num-scheduler-steps 4"
    assert [rule for _, rule, _ in loud("s.sh", f"{GAUDI}{plain}\n")] == ["removed-option"]
    assert loud("s.sh", f"{plain} --device dlc\n") == []


def test_what_no_vllm_takes_is_an_error_for_each_maker() -> None:
    text = f"{GAUDI}vllm serve m --max-num-seqs many --speculative-config '{{4}}'\n"
    assert loud("s.sh", text) == [
        ("error", "option-value", "--max-num-seqs"),
        ("error", "option-value", "--speculative-config"),
    ]


LOST = "continuation-lost"


@pytest.mark.parametrize(
    ("block", "lost"),
    [
        ("vllm serve m --port 1\n--dtype half", 1),
        ("vllm serve m \\\n  --port 1\n  --dtype half\n  --seed 1", 2),
        ("vllm serve \\\n  m \\\n  --port 1\n\n  --dtype half", 1),
        ("python3 -m sglang.launch_server --tp-size 4 \\\n  --port 1\n  --host h", 1),
        ("--dtype half\n--port 1\n--seed 1", 0),
        ("tool --help\n  --port N  it\n  --seed N\n      that\n  --size N\n      this", 0),
        (
            "tool --help\nusage: tool [-h]\n\noptions:\n  -h, --help  this\n  --port N  it",
            0,
        ),
    ],
)
def test_an_option_is_lost_below_a_command_alone(block: str, lost: int) -> None:
    text = f"# Guide\n\n```bash\nvllm serve first\n```\n\nThen:\n\n```bash\n{block}\n```\n"
    found = [rule for _, rule, _ in loud("guide.md", text)]
    assert found.count(LOST) == lost


@pytest.mark.parametrize(
    ("name", "hosts"), [("net.ipv4.tcp_tw_reuse", False), ("vm.swappiness", True)]
)
def test_settings_of_the_network_are_the_containers_own(name: str, *, hosts: bool) -> None:
    found = [rule for _, rule, _ in loud("s.sh", f"docker exec a sh -c 'sysctl -w {name}=1'\n")]
    assert ("host-setting-inside" in found) is hosts


def test_the_vllm_in_another_package_is_judged_on_a_condition() -> None:
    start = "export VLLM_USE_V1=0\npython -m {}.entrypoints.openai.api_server --model m\n"
    inert = ("inert", "VLLM_USE_V1")
    assert [one[0] for one in said("s.sh", start.format("vllm")) if one[1:] == inert] == [
        "warning"
    ]
    own = said("s.sh", start.format("own_llm.vllm"))
    assert [one[0] for one in own if one[1:] == inert] == ["info"]


@pytest.mark.parametrize(
    ("name", "slip"), [("CCL_BLOCKING_WAIT", False), ("NNCL_BLOCKING_WAIT", True)]
)
def test_the_family_of_another_library_is_no_slip(name: str, *, slip: bool) -> None:
    text = f"export {name}=0\nvllm serve m\n"
    assert (("warning", "unknown-variable", name) in loud("s.sh", text)) is slip


@pytest.mark.parametrize(
    ("archive", "code"),
    [
        ("BenchData-core.zip", False),
        ("datasets.tar.gz", False),
        ("datasets/own/exam.zip", False),
        ("model-weights.tgz", False),
        ("own-model.zip", False),
        ("models.tar.gz", False),
        ("model-server.tar.gz", True),
        ("database-1.2.tar.gz", True),
        ("python3.11.tar.gz", True),
        ("data_tools-1.0.whl", True),
    ],
)
def test_an_archive_of_data_is_no_code(archive: str, *, code: bool) -> None:
    text = f"wget https://example.org/{archive}\nvllm serve m\n"
    assert (("warning", "download-unchecked", "python-tarball") in loud("s.sh", text)) is code


@pytest.mark.parametrize(("second", "lost"), [("", 1), ("FROM first\n", 0)])
def test_a_stage_replaces_its_own_variable_alone(second: str, lost: int) -> None:
    text = (
        f"FROM python:3.12 AS first\nENV OMP_NUM_THREADS=8\n{second}ENV OMP_NUM_THREADS=2\n"
        'ENTRYPOINT ["vllm", "serve", "m"]\n'
    )
    assert [one[1] for one in loud("Dockerfile", text)].count("overwritten") == lost


@pytest.mark.parametrize(("comment", "lost"), [("# profiles/long.env", 0), ("# more memory", 1)])
def test_a_block_that_holds_several_files_replaces_nothing(comment: str, lost: int) -> None:
    name = "VLLM_CPU_KVCACHE_SPACE"
    text = f"```bash\nexport {name}=8\n{comment}\nexport {name}=9\n```\n"
    assert [one[1] for one in loud("g.md", text)].count("overwritten") == lost


def test_a_variable_that_a_text_shows_is_not_meant_for_a_process() -> None:
    text = "PYTORCH_ROCM_ARCH=gfx942\ncat << EOF\n{}\nEOF\nvllm serve m\n"
    lost = ("warning", "not-exported", "PYTORCH_ROCM_ARCH")
    assert lost in loud("s.sh", text.format("gfx"))
    assert lost not in loud("s.sh", text.format("| ${PYTORCH_ROCM_ARCH} |"))


@pytest.mark.parametrize(("value", "refused"), [('"$SIZE"', False), ('""', True)])
def test_a_value_that_a_variable_leaves_empty_is_filled_elsewhere(
    value: str, *, refused: bool
) -> None:
    text = f'SIZE=\nargs=(--tensor-parallel-size {value})\nvllm serve m "${{args[@]}}"\n'
    assert (("error", "option-value", "--tensor-parallel-size") in loud("s.sh", text)) is refused


def test_an_allocator_that_stands_twice_is_no_other_one() -> None:
    line = "export LD_PRELOAD=/usr/lib/{}:$LD_PRELOAD\n"
    twice = line.format("libjemalloc.so.2") * 2 + "vllm serve m\n"
    assert ("warning", "preload-order", "LD_PRELOAD") not in loud("s.sh", twice)
    other = line.format("libjemalloc.so.2") + line.format("libtcmalloc.so.4") + "vllm serve m\n"
    assert ("warning", "preload-order", "LD_PRELOAD") in loud("s.sh", other)


@pytest.mark.parametrize("more", ["", " true"])
def test_an_old_boolean_may_stand_without_its_value(more: str) -> None:
    start = f"vllm serve m --enable-chunked-prefill{more} --seed 1"
    text = f"docker run rocm/vllm:rocm6.2_vllm_0.6.4 sh -c '{start}'\n"
    assert "value-missing" not in [one[1] for one in loud("s.sh", text)]


@pytest.mark.parametrize(
    ("path", "fork"),
    [("/src/vllm", True), ("/src/lib:/src/vllm-own/", True), ("/src/vllm/plugins", False)],
)
def test_a_vllm_from_other_sources_is_judged_on_a_condition(path: str, *, fork: bool) -> None:
    text = f"export PYTHONPATH={path}:$PYTHONPATH\nexport VLLM_ATTENTION_BACKEND=FLASHINFER\n"
    found = loud("s.sh", text + "vllm serve m --own-switch\n")
    assert found == (
        []
        if fork
        else [
            ("error", "unknown-option", "--own-switch"),
            ("warning", "inert", "VLLM_ATTENTION_BACKEND"),
        ]
    )


@pytest.mark.parametrize(("comment", "fork"), [("1Cat-vLLM", True), ("vLLM", False)])
def test_a_fork_that_a_text_names_is_judged_on_a_condition(comment: str, *, fork: bool) -> None:
    text = f"# starts {comment}\nexport VLLM_ATTENTION_BACKEND=OWN\nvllm serve m\n"
    assert (("warning", "inert", "VLLM_ATTENTION_BACKEND") in loud("s.sh", text)) is not fork


@pytest.mark.parametrize("text", ["", "# needs vllm-qaic\n"])
def test_the_plugin_that_a_text_names_may_add_values(text: str) -> None:
    serve = "vllm serve m --quantization mxfp6 --kv-cache-dtype mxint8\n"
    refused = [("error", "option-value", one) for one in ("--kv-cache-dtype", "--quantization")]
    assert loud("s.sh", text + serve) == ([] if text else refused)


@pytest.mark.parametrize("option", ["--service-ports", "--no-deps", "-T", "--build"])
def test_a_switch_of_compose_run_takes_no_word(option: str) -> None:
    start = f"docker compose run {option} -e OMP_NUM_THREADS=4 vllm serve m --port 8000\n"
    assert "wrong-side" not in [one[1] for one in loud("s.sh", start)]


@pytest.mark.parametrize(("mark", "lost"), [("EOF", 0), ("'EOF'", 1)])
def test_a_heredoc_makes_one_backslash_of_two(mark: str, lost: int) -> None:
    text = f"cat > own.sh <<{mark}\nvllm serve m \\\\\n  --port 8000\nEOF\nbash own.sh\n"
    assert [one[1] for one in loud("s.sh", text)].count("continuation-lost") == lost


def test_options_of_an_array_with_branches_are_on_no_wrong_side() -> None:
    image = '"vllm/vllm-openai:v0.19.0"'
    arms = "".join(f"{one}) run+=(-e OMP_NUM_THREADS=4); run+=({image});;\n" for one in "ab")
    text = f'run=(docker run --gpus all)\ncase "$1" in\n{arms}esac\n"${{run[@]}}" --model m\n'
    assert "wrong-side" not in [one[1] for one in loud("s.sh", text)]
    plain = f"docker run {image} --model m -e OMP_NUM_THREADS=4\n"
    assert ("error", "wrong-side", "-e") in loud("s.sh", plain)

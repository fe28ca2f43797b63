"""How a server is started: launchers, entry points, line ends, texts inside of texts."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab import linter
from trimtab.errors import UsageError
from trimtab.model.finding import Finding
from trimtab.model.situation import Situation


def found(name: str, text: str) -> list[Finding]:
    return [*linter.check(linter.read(name, text), Situation())]


def rules(name: str, text: str) -> set[str]:
    return {one.rule for one in found(name, text)}


def severe(name: str, text: str) -> set[tuple[str, int]]:
    return {
        (one.rule, one.place.line if one.place else 0)
        for one in found(name, text)
        if one.severity.value != "info"
    }


POD = """apiVersion: v1
kind: Pod
spec:
  containers:
  - name: v
    image: {}
    args: {}
"""
SERVE = "vllm serve m --swap-space 4"
LAUNCHERS = [
    "uv run --with vllm {}", "uvx --from vllm {}", "conda run -n v --no-capture-output {}",
    "mamba run -n v {}", "micromamba run -n v {}", "pixi run {}", "poetry run {}", "pdm run {}",
    "srun -N 2 --gres gpu:8 --container-image=vllm/vllm-openai {}", "mpirun -np 2 -x A=1 {}",
    "mpiexec -n 1 {}", "apptainer exec --nv --env A=1 v.sif {}",
    "singularity exec --nv docker://vllm/vllm-openai:v0.32.0 {}",
    "singularity run -B /d v.sif bash -c '{}'", "tmux new-session -d -s v '{}'",
    "tmux new -d '{}'", "tmux send-keys -t v '{}' C-m", "tmux send-keys -t v '{}' Enter",
    "screen -dmS v {}", "screen -dmS v bash -c '{}'", "screen -S v -X stuff '{}\\n'",
    "ssh -p 22 user@host '{}'", "ssh host {}", "ssh host \"nohup {} > l 2>&1 &\"",
    "docker exec -it c {}", "docker exec -d c bash -c '{}'", "docker compose run --rm v {}",
    "docker compose exec -T v {}", "docker-compose run v {}", "kubectl exec -it p -- {}",
    "kubectl exec p -c v -- bash -c '{}'", "pm2 start '{}' --name v", "pm2 start -- {}",
    "ray job submit --working-dir . -- {}", "setsid {}", "chrt -r 5 {}", "ionice -c 2 -n 0 {}",
    "nice -n -5 {}", "stdbuf -oL {}", "flock /tmp/l {}", "flock /tmp/l -c '{}'", "xargs -I% {}",
    "watch '{}'", "script -q -c '{}' log", "su - user -c '{}'", "su user -c '{}'",
    "runuser -u user -- {}", "runuser -l user -c '{}'", "systemd-run --unit v {}",
    "CMD=\"{}\"; eval \"$CMD\"", "CMD='{}'; $CMD", "CMD=({}); \"${{CMD[@]}}\"",
    "CMD=(vllm serve m); CMD+=(--swap-space 4); \"${{CMD[@]}}\"", "bash -lc \"bash -c '{}'\"",
    "nsys profile -o r {}", "CMD='{}'; bash -c \"$CMD\"", "sshpass -p x ssh host '{}'",
    "parallel ::: '{}'", "sudo -E numactl -N 0 {}", "ssh a 'docker exec c {}'",
    "python -m vllm.entrypoints.openai.api_server --model m --swap-space 4",
    "cat > r.sh <<'X'\n{}\nX", "tee r.sh <<'X'\n{}\nX", "bash <<'X'\n{}\nX",
    "ssh host <<'X'\n{}\nX", "cat <<'X' > a && {}\ntext\nX", "cat <<'X' | bash\n{}\nX",
    "time timeout 30 {}", "( cd /a && {} ) &", "sbatch <<'X'\n#!/bin/bash\n{}\nX",
    "at now <<X\n{}\nX", "sbatch --wrap='{}'", "sbatch -N 1 --wrap \"{}\"",
    "vllm serve m > log 2>&1 --swap-space 4", "vllm serve m <<X --swap-space 4\nX",
    "vllm serve m >> log \\\n  --swap-space 4 2>&1 &",
    "kubectl run v --image=vllm/vllm-openai -- m --swap-space 4",
    "kubectl run v --image vllm/vllm-openai --env A=1 --command -- {}",
]  # fmt: skip


def test_kubectl_run_gives_an_image_and_variables() -> None:
    text = "export B=2\nkubectl run v --image=x/vllm-openai:v1 --env=A=1 -- m\n"
    (launch,) = linter.read("run.sh", text).launches
    assert launch.argv == ("vllm", "serve", "m")
    assert [(one.name, one.value) for one in launch.env] == [("A", "1")]
    assert launch.container is not None
    assert launch.container.image == "x/vllm-openai:v1"


def test_an_image_of_a_template_is_named_as_not_read() -> None:
    (note,) = linter.read("k.yaml", POD.format("{{ .Values.image }}", "[--x, '1']")).unread
    assert (note[0].line, "helm template" in note[1]) == (6, True)


@pytest.mark.parametrize("line", LAUNCHERS)
def test_a_launcher_is_seen_through(line: str) -> None:
    names = {one.setting for one in found("run.sh", line.format(SERVE) + "\n")}
    assert "--swap-space" in names


@pytest.mark.parametrize(
    "line",
    [
        "mytool --now vllm serve m", "job-runner 'vllm serve m'",
        "crane exec x -- python -m vllm.entrypoints.openai.api_server",
    ],
)  # fmt: skip
def test_an_unknown_launcher_is_noted_with_its_line(line: str) -> None:
    document = linter.read("run.sh", f"echo a\n\n{line}\n")
    assert [place.line for place, _ in document.unread] == [3]


@pytest.mark.parametrize(
    "line", ["echo vllm serve m", "pkill -f 'vllm serve'", "grep 'vllm serve' log"]
)
def test_a_command_that_is_only_spoken_of_is_none(line: str) -> None:
    document = linter.read("run.sh", f"{line}\n")
    assert not document.unread
    assert not [one for one in document.launches if not one.implied]


@pytest.mark.parametrize(
    ("line", "reaches"),
    [
        ("srun {}", True), ("uv run {}", True), ("tmux new -d '{}'", True),
        ("apptainer exec i.sif {}", True), ("ssh h '{}'", False), ("eval '{}'", True),
    ],
)  # fmt: skip
def test_variables_follow_where_they_do(line: str, *, reaches: bool) -> None:
    document = linter.read("run.sh", f"export HCCL_BUFFSIZE=200\n{line.format(SERVE)}\n")
    (launch,) = [one for one in document.launches if not one.implied]
    assert any(one.name == "HCCL_BUFFSIZE" for one in launch.env) is reaches


@pytest.mark.parametrize(
    "line", ["mpirun -x A=1 {}", "apptainer exec --env A=1 i {}", "srun --export=ALL,A=1 {}"]
)
def test_variables_of_a_launcher_reach_the_server(line: str) -> None:
    (launch,) = linter.read("run.sh", line.format(SERVE) + "\n").launches
    assert ("A", "1") in {(one.name, one.value) for one in launch.env}


@pytest.mark.parametrize(
    ("image", "command"),
    [
        ("example/vllm-rocm:1", "--model m --swap-space 4"),
        ("vllm:cpu", "--model m --swap-space 4"),
        ("opea/vllm-gaudi:latest", "--model m --swap-space 4"),
        ("registry.example/llm:3", "--model m --max-model-len 9 --swap-space 4"),
        ("vllm/vllm-openai:v0.32.0", "m --swap-space 4"),
        ("vllm/vllm-openai-rocm:v0.32.0", "--model m --swap-space 4"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", ["run", "compose", "pod", "image"])
def test_arguments_alone_are_the_servers(image: str, command: str, form: str) -> None:
    listed = str(command.split()).replace("'", '"')
    name, text = {
        "run": ("run.sh", f"docker run {image} {command}\n"),
        "compose": ("compose.yaml", f"services:\n v:\n  image: {image}\n  command: {command}\n"),
        "pod": ("pod.yaml", POD.format(image, listed)),
        "image": ("Dockerfile", f"FROM {image}\nCMD {listed}\n"),
    }[form]  # fmt: skip
    assert "--swap-space" in {one.setting for one in found(name, text)}


@pytest.mark.parametrize(
    ("image", "command"),
    [
        ("lmcache/lmstack-router:1", "--service-discovery k8s --routing-logic roundrobin"),
        ("ghcr.io/llm-d/llm-d-inference-sim:1", "--model m --max-num-seqs 4 --block-size 16"),
        ("prom/prometheus", "--config.file=/etc/p.yml"),
        ("lmsysorg/sglang:1", "--model-path m --tp 2"),
    ],
)
def test_arguments_of_other_programs_are_theirs(image: str, command: str) -> None:
    text = f"services:\n v:\n  image: {image}\n  command: {command}\n"
    launches = linter.read("compose.yaml", text).launches
    assert not [one for one in launches if one.argv[:2] == ("vllm", "serve")]


@pytest.mark.parametrize(
    "entry", ["/entrypoint.sh", "[/opt/start.sh]", '["bash", "/docker-entrypoint.sh"]']
)
def test_a_script_before_a_whole_command_hands_it_on(entry: str) -> None:
    text = f"services:\n v:\n  image: i\n  entrypoint: {entry}\n  command: {SERVE}\n"
    assert "--swap-space" in {one.setting for one in found("compose.yaml", text)}


@pytest.mark.parametrize(
    "text",
    [
        "kubectl apply -f - <<EOF\n{}EOF\n", "cat <<'EOF' | kubectl apply -f -\n{}EOF\n",
        "kubectl create -n a -f - <<'EOF'\n{}EOF\n", "cat > pod.yaml <<EOF\n{}EOF\n",
        "podman kube play - <<EOF\n{}EOF\n",
        "tee deploy/pod.yml > /dev/null <<EOF\n{}EOF\n", "cat << EOF >pod.yaml\n{}EOF\n",
    ],
)  # fmt: skip
def test_a_manifest_in_a_heredoc_is_read_in_its_lines(text: str) -> None:
    pod = (
        "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - name: v\n    image: i\n"
        "    command: [vllm, serve, m]\n    env: [{name: TASK_QUEUE_ENABLE, value: '7'}]\n"
    )
    assert 9 in {one.place.line for one in found("run.sh", text.format(pod)) if one.place}


@pytest.mark.parametrize("name", ["run.sh", "guide.md", "Dockerfile"])
@pytest.mark.parametrize("broken", ["if then (((\n", "case x in\n", "echo $((\n"])
def test_what_is_no_shell_is_noted_where_it_stands(name: str, broken: str) -> None:
    if name == "Dockerfile":
        text, line = f"FROM x\n\nRUN {broken}", 3
    else:
        fence = ("\n\n```bash\n", "```\n") if name == "guide.md" else ("echo a\necho b\n\n", "")
        text, line = fence[0] + broken + fence[1], 4
    places = [place.line for place, _ in linter.read(name, text).unread]
    assert places
    assert min(places) >= line


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["a.sh", "a.yaml", "Dockerfile", "a.service", ".env", "a.md", "x"]),
    st.lists(
        st.one_of(
            st.text(max_size=20),
            st.sampled_from([
                "\n", " ", "\\\n", "\r\n", "vllm serve m", "docker run", "vllm/vllm-openai", "'",
                '"', "$(", "<<EOF\n", "EOF\n", "eval ", "ssh h ", "services:\n", "  v:\n",
                "    image: vllm\n", "    command: ", "apiVersion: v1\nkind: Pod\n",
                "containers:\n", "[Service]\n", "ExecStart=", "CMD ", "FROM x\n", "```bash\n",
                "```\n", "{{", "--a", "tmux new ", "kubectl apply -f - ", "CMD+=(", ")", "# A\n",
                "xargs ", "-",
            ]),
        ),
        max_size=14,
    ),
)  # fmt: skip
def test_no_reader_ever_raises(name: str, parts: list[str]) -> None:
    with suppress(UsageError):  # the text is none of the format: one sentence says so
        document = linter.read(name, "".join(parts))
        assert document.text == "".join(parts)
        linter.check(document, Situation())


@pytest.mark.parametrize("wide", ["\U0001f600", "\U000bf07a", "\u6f22", "\u00e9", "\U0010ffff"])
def test_a_brace_before_any_character_ends_no_process(wide: str) -> None:
    """The scanner of the grammar asks isdigit() about what follows a brace."""
    text = f"echo {{{wide}\nexport A='{wide}{{{wide}' # {wide}\nvllm serve {wide}{{{wide}\n"
    code = (
        "from trimtab import linter as lint\n"
        f"text = {text!a}\n"
        "for _ in range(200): launch, = lint.read('a.sh', text).launches\n"
        "print(ascii((launch.argv[2], launch.env[0].value, launch.place.line)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    value = f"{wide}{{{wide}"
    assert (done.returncode, done.stdout.strip()) == (0, ascii((value, value, 3))), done.stderr


def test_a_heredoc_of_one_text_is_none_of_the_next() -> None:
    opened = "".join(f"cat <<E{number}\n" for number in range(200))
    linter.read("a.sh", opened)
    (launch,) = linter.read("b.sh", "bash <<X\nvllm serve m\nX\n").launches
    assert (launch.argv, launch.place and launch.place.line) == (("vllm", "serve", "m"), 2)

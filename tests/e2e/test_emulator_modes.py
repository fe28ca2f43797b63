"""How deep the emulator goes: modes, chips and faults of the vendors' own software."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from trimtab import engines
from trimtab.emulator import build, environments, tree
from trimtab.emulator.machine import EmulatedMachine
from trimtab.engines import default_model

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

TOKENS = 40
SECONDS = 240

GENERATE = """
import json, sys

def main():
    from vllm import LLM, SamplingParams
    model = LLM(sys.argv[1], load_format="dummy", max_model_len=512, **json.loads(sys.argv[2]))
    sampling = SamplingParams(max_tokens=int(sys.argv[3]), temperature=0, ignore_eos=True)
    outputs = model.generate(["hello world"] * 4, sampling)
    print("TOKENS", sorted({token for one in outputs for token in one.outputs[0].token_ids}))
    print("LENGTHS", [len(one.outputs[0].token_ids) for one in outputs])

if __name__ == "__main__":
    main()
"""

BIND = """
import sys, torch, torch_npu
torch.npu.set_device(0)
from vllm_ascend import cpu_binding, utils
utils.check_ascend_device_type()
cpu_binding.ALLOWED_CPUS_PATH = sys.argv[1]
binder = cpu_binding.CpuAlloc(0)
assert cpu_binding.is_arm_cpu() and binder.build_cpu_pools()
binder.allocate()
print("BOUND", binder.device_info.running_npu_list, binder.assign_main, binder.assign_acl)
"""
LSCPU = "#!/bin/sh\necho 'CPU NODE'\nfor cpu in $(seq 0 15); do echo $cpu $((cpu / 8)); done\n"
"""Of a machine with more CPUs than this one may have."""

EXPERTS = {
    "architectures": ["Qwen3MoeForCausalLM"],
    "model_type": "qwen3_moe",
    "num_experts": 8,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 128,
    "decoder_sparse_step": 1,
    "norm_topk_prob": True,
    "mlp_only_layers": [],
}


@pytest.fixture(scope="module")
def python() -> Path:
    if environments.NAME not in {engine.name for engine in engines.available_engines()}:
        pytest.skip(f"not installed: trimtab engine install {environments.NAME}")
    return environments.engine().python


@pytest.fixture(scope="module")
def experts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built-in model, with a mixture of experts in each layer."""
    folder = tmp_path_factory.mktemp("experts") / "model"
    shutil.copytree(default_model.ensure(), folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **EXPERTS}))
    return folder


def environment(python: Path, played: EmulatedMachine, folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "CI": "true",  # which must not reach torch
        **played.environment(build.libraries(environments.site_packages(python))),
        **tree.write_tree(played, folder / "machine", os.environ["PATH"]),
        "VLLM_CACHE_ROOT": str(folder / "cache"),
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
    }


def generate(
    python: Path, played: EmulatedMachine, model: Path, folder: Path, **arguments: object
) -> subprocess.CompletedProcess[str]:
    """Run the vendors' software once on a played machine: start it, and let it generate."""
    script = folder / "generate.py"
    script.write_text(GENERATE)
    words = [str(python), str(script), str(model), json.dumps(arguments), str(TOKENS)]
    env, out = environment(python, played, folder), folder / "out.txt"
    with (
        out.open("w") as file,
        subprocess.Popen(
            words, env=env, cwd=folder, stdout=file, stderr=file, start_new_session=True
        ) as process,
    ):
        try:
            process.wait(SECONDS)
        finally:  # workers outlive an engine that fails
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    return subprocess.CompletedProcess(words, process.returncode, out.read_text(), "")


def said(done: subprocess.CompletedProcess[str]) -> str:
    return done.stdout + done.stderr


def test_graphs_are_captured_and_replayed_while_the_clock_runs(
    python: Path, tmp_path: Path
) -> None:
    played = EmulatedMachine(devices=1, clock="chip")
    done = generate(python, played, default_model.ensure(), tmp_path)
    assert f"LENGTHS {[TOKENS] * 4}" in done.stdout, said(done)[-3000:]
    assert "TOKENS [64]" in done.stdout
    assert "Graph capturing finished" in said(done)


def test_two_workers_with_experts_on_each(python: Path, experts: Path, tmp_path: Path) -> None:
    played = EmulatedMachine(devices=2)
    parallel = {"tensor_parallel_size": 2, "enable_expert_parallel": True}
    done = generate(python, played, experts, tmp_path, enforce_eager=True, **parallel)
    assert f"LENGTHS {[TOKENS] * 4}" in done.stdout, said(done)[-3000:]
    assert "Worker_TP1_EP1" in said(done)


def test_speculative_decoding(python: Path, tmp_path: Path) -> None:
    drafts = {"method": "ngram", "num_speculative_tokens": 3, "prompt_lookup_max": 3}
    played = EmulatedMachine(chip="950", devices=1)
    model = default_model.ensure()
    done = generate(python, played, model, tmp_path, enforce_eager=True, speculative_config=drafts)
    assert f"LENGTHS {[TOKENS] * 4}" in done.stdout, said(done)[-3000:]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("memory:full:40", "NPU out of memory. Tried to allocate"),
        ("aclrtSynchronizeStream:lost:60", "The task scheduler loses the heartbeat"),
    ],
)
def test_the_vendors_words_for_a_fault(
    python: Path, tmp_path: Path, fault: str, words: str
) -> None:
    played = EmulatedMachine(devices=1, fault=fault)
    done = generate(python, played, default_model.ensure(), tmp_path, enforce_eager=True)
    assert done.returncode != 0
    assert words in said(done), said(done)[-3000:]


def test_cpus_are_bound_by_what_npu_smi_says(python: Path, tmp_path: Path) -> None:
    played = EmulatedMachine(devices=2, near=("0-7", "8-15"), arm=True)
    env = environment(python, played, tmp_path)
    lscpu, allowed = tmp_path / "bin" / "lscpu", tmp_path / "allowed"
    lscpu.parent.mkdir()
    lscpu.write_text(LSCPU)
    lscpu.chmod(0o755)
    allowed.write_text("Cpus_allowed_list:\t0-15\n")
    env["PATH"] = f"{lscpu.parent}:{env['PATH']}"
    words = [str(python), "-c", BIND, str(allowed)]
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=120)
    assert "BOUND [0] {0: [2, 3, 4, 5]} {0: [6]}" in done.stdout, said(done)[-3000:]

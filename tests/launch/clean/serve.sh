#!/bin/bash
# A launch of which every line does what it says.
set -euo pipefail
export LD_PRELOAD="/usr/lib/$(uname -m)-linux-gnu/libtcmalloc_minimal.so.4${LD_PRELOAD:+:$LD_PRELOAD}"
export VLLM_USE_MODELSCOPE=True
export OMP_NUM_THREADS=4 OMP_PROC_BIND=false
export HF_TOKEN="${HF_TOKEN:-}"
exec vllm serve "${MODEL:?name the model}" --tensor-parallel-size 4 --max-num-seqs 128 "$@"

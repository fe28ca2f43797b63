#!/bin/bash
# One launch script with what tutorials teach.
VLLM_USE_MODELSCOPE=true
export VLLM_USE_V1=1
export VLLM_RPC_TIMEOUT=3600000
export VLLM_ASCEND_ENBALE_FLASHCOMM1=1
export OMP_NUM_THREADS=100
export PYTORCH_NPU_ALLOC_CONF="max_split_size_mb:250"
# release memory of the communication stream early, so that another stream can reuse it
export PYTORCH_NPU_ALLOC_CONF="expandable_segments:True"
export TASK_QUEUE_ENABLE=2
export CPU_AFFINITY_CONF=1
export HCCL_OP_EXPANSION_MODE="AIV"
export HCCL_EXEC_TIMEOUT=3600
export HCCL_RDMA_SL=3
export HCCL_BUFFSIZE=1024
export LD_PRELOAD=/usr/lib/aarch64-linux-gnu/libjemalloc.so.2:$LD_PRELOAD
sysctl -w kernel.numa_balancing=0
vllm serve Qwen/Qwen3-8B --swap-space 16 --max-num-sqs 32 &
export HCCL_CONNECT_TIMEOUT=1200
wait
